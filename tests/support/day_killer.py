"""Kills workers at calls of their work: reading, committing, settling.

Each is a process of its own in the day's time; the signal is SIGKILL.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tests.support.ambush import Moment, ambush
from tests.support.day_clock import ShiftedClock
from worker.app import open_engine
from worker.logs import configure_logging
from worker.settings import load_settings


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from multiprocessing.process import BaseProcess as SpawnProcess

    from tests.support.day import Day
    from worker.app import Engine


# The shortest that a worker may be told.
LEASE: Final = {"WORKER_LEASE_SECONDS": "10"}
CALLS: Final = ("claim_sync_jobs", "begin_sync_walk", "commit_sync_page")
RUNNING: Final = "select count(*) from public.sync_jobs where state = 'running'"
# No kill is drawn for the last minutes: one drawn late still finds a job that makes its call.
KEPT_MINUTES: Final = 30
DUE: Final = """
select count(*) from public.sync_jobs where state = 'queued' and run_at <= private.engine_now()
"""


@dataclass(slots=True)
class RandomKiller:
    """Comes in random minutes, as soon after them as there is work, at a random call of it."""

    wanted: int
    minutes: int
    seed: int = 11
    kills: int = 0
    # kills that left a job in a dead worker's hands
    interrupted: int = 0
    _random: random.Random = field(init=False)
    _times: list[int] = field(init=False)
    _minute: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - moments, not secrets
        last = self.minutes - KEPT_MINUTES
        self._times = sorted(self._random.sample(range(1, last + 1), self.wanted))

    async def come(self, day: Day, engine: Engine) -> None:
        self._minute += 1
        if not self._times or self._minute < self._times[0]:
            return
        await engine.books.jobs.enqueue_due("day")
        if not day.count(DUE):
            return
        moment = Moment(self._random.choice(CALLS), after=self._random.random() < 1 / 2)
        with ambush(day.environment) as road:
            worker = worker_process(day, road.settings())
            if not await asyncio.to_thread(road.kill, moment, worker):
                return
        del self._times[0]
        self.kills += 1
        self.interrupted += day.count(RUNNING) > 0


@contextmanager
def worker_process(day: Day, changes: Mapping[str, str]) -> Iterator[SpawnProcess]:
    """Let a process work at the day's instant; it is killed at the end of the block."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(
        target=_work,
        args=({**day.environment, **LEASE, **changes}, day.clock.worker.shift),
        daemon=True,
    )
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _work(environment: dict[str, str], shift: timedelta) -> None:
    configure_logging("error")
    asyncio.run(_drain(environment, shift))


async def _drain(environment: dict[str, str], shift: timedelta) -> None:
    settings = load_settings(environment, None)
    async with open_engine(settings, ShiftedClock(shift)) as engine:
        await engine.runner.run(drain=True, alone=True, horizon=timedelta(0))
