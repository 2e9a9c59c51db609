"""A running simulator whose events go to a receiver, and shortcuts to both."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from simulator.client import SimulatorControl
from simulator.clock import SimulatedClock
from simulator.population import populate
from simulator.server import running
from simulator.world import World
from tests.simulator.receiver import Receiver, receiving


if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.people import Creator


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "whsec-current"
PREVIOUS = "whsec-previous"
QUICK_RETRIES = [0.01, 0.01, 0.01]
# Only a hang takes so long.
PATIENCE_SECONDS = 120


@dataclass(slots=True)
class Press:
    """Acts on one creator and reads what was sent about it."""

    control: SimulatorControl
    receiver: Receiver
    world: World
    creator: Creator

    def turn(self, **knobs: Any) -> None:
        self.control.turn(self.creator.handle, **knobs)

    def sell(self, source: str = "tip", cents: int = 700, **sale: Any) -> dict[str, Any]:
        rows = [{"source": source, "gross_cents": cents, **sale}]
        return self.control.add_sales(self.creator.handle, rows=rows)

    def flush(self) -> dict[str, Any]:
        outcome = self.control.flush_webhooks(PATIENCE_SECONDS)
        assert outcome["done"], outcome
        return outcome

    def bodies(self, kind: str = "") -> list[dict[str, Any]]:
        self.flush()
        return self.receiver.bodies(kind)

    def only(self, kind: str = "") -> dict[str, Any]:
        (body,) = self.bodies(kind)
        return body

    def rows(self) -> list[dict[str, Any]]:
        """Return the creator's earnings as the v1 API shows them."""
        token = self.control.grant(self.creator.handle).access_token
        headers = {"Authorization": f"Bearer {token}", "X-Fanvue-API-Version": "2025-06-26"}
        url = f"{self.control.url}/v1/insights/earnings?size=50"
        answer = self.control._http.get(url, headers=headers)
        rows: list[dict[str, Any]] = answer.json()["data"]
        return rows


class Printer:
    """A simulator and a receiver that run for many tests; each gets a creator of its own."""

    def __init__(self, control: SimulatorControl, receiver: Receiver, world: World) -> None:
        self._control = control
        self._receiver = receiver
        self._world = world
        self._made = 0

    @contextmanager
    def press(self) -> Iterator[Press]:
        """Lend a press with nothing sent yet and all knobs at their defaults."""
        self._made += 1
        (made,) = self._control.add_creators(handle=f"press-{self._made}", fans=12)
        self._control.set_webhook_target(self._receiver.url, SECRET, PREVIOUS)
        # One at a time, so that events arrive in the order in which they were made.
        self._control.reset_knobs(
            webhook_retry_seconds=QUICK_RETRIES,
            webhook_timeout_seconds=PATIENCE_SECONDS,
            webhook_concurrency=1,
            rate_limit=10_000,
        )
        self._control.set_clock(NOON)
        creator = self._world.creator(made["uuid"])
        yield Press(self._control, self._receiver, self._world, creator)
        self._control.clear_webhooks()
        self._receiver.forget()


@contextmanager
def printing() -> Iterator[Printer]:
    """Run a simulator and a receiver that gets everything."""
    world = World(SimulatedClock(frozen_at=NOON))
    populate(world, agencies=1, models=1, transactions=0, fans=12)
    with (
        receiving() as receiver,
        running(world) as simulator,
        SimulatorControl(simulator.url) as control,
    ):
        yield Printer(control, receiver, world)
