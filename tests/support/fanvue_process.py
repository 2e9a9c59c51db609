"""A simulated Fanvue in a process of its own, whose time stands still until a test moves it.

Its own process, so that serving takes no processor time from the worker under test. Equal seeds,
equal instants and equal orders give equal worlds, whoever reads them meanwhile.
"""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.client import SimulatorControl
from simulator.clock import SimulatedClock
from simulator.server import running
from simulator.simulation import DEFAULT_CLIENT
from simulator.world import World
from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from multiprocessing.connection import Connection


@dataclass(frozen=True, slots=True)
class FanvueProcess:
    """Where it is reached, and how it is steered."""

    url: str
    control: SimulatorControl

    def environment(self) -> dict[str, str]:
        """Return the settings of a worker that talks to it."""
        return {
            "FANVUE_API_URL": self.url,
            "FANVUE_AUTH_URL": self.url,
            "FANVUE_CLIENT_ID": DEFAULT_CLIENT.client_id,
            "FANVUE_CLIENT_SECRET": DEFAULT_CLIENT.client_secret,
            # A busy machine's slow answer is none of Fanvue's faults.
            "FANVUE_TIMEOUT_SECONDS": "120",
        }


@contextmanager
def fanvue_process(start: datetime, agencies: list[str], seed: int) -> Iterator[FanvueProcess]:
    """Serve a world without creators, frozen at an instant, while the block runs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["simulator.server"])
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, start, agencies, seed), daemon=True)
    process.start()
    try:
        if not ours.poll(PATIENCE_SECONDS):
            raise RuntimeError("the simulated Fanvue did not start")
        url = ours.recv()
        with SimulatorControl(url) as control:
            yield FanvueProcess(url, control)
    finally:
        process.kill()
        process.join()
        ours.close()


def _serve(parent: Connection, start: datetime, agencies: list[str], seed: int) -> None:
    world = World(SimulatedClock(frozen_at=start), seed)
    for name in agencies:
        world.add_agency(name)
    with running(world) as fanvue:
        # Tokens draw from a world of their own: how often they rotate must not change the day.
        fanvue.simulation.tokens._world = World(world.clock, seed)
        parent.send(fanvue.url)
        # nothing is ever sent: this returns when the parent is gone
        parent.poll(None)
