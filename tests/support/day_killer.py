"""Kills workers at random instants of their work: reading, committing, settling, refreshing.

Each is a process of its own in the day's time; the signal is SIGKILL.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.support.day_clock import ShiftedClock
from worker.app import open_engine
from worker.logs import configure_logging
from worker.settings import load_settings


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.process import BaseProcess as SpawnProcess

    from tests.support.day import Day
    from worker.app import Engine


# The shortest that a worker may be told.
LEASE: Final = {"WORKER_LEASE_SECONDS": "10"}
LOOK_SECONDS: Final = 0.002
# Within so much of a page's life the signal falls.
SPREAD_SECONDS: Final = 0.015
SLOW_MS: Final = 25
RUNNING: Final = "select count(*) from public.sync_jobs where state = 'running'"
PATIENCE_SECONDS: Final = 20


@dataclass(slots=True)
class RandomKiller:
    """Comes in random minutes, as soon after them as there is work."""

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
        self._times = sorted(self._random.sample(range(1, self.minutes + 1), self.wanted))

    async def come(self, day: Day, engine: Engine) -> None:
        self._minute += 1
        if not self._times or self._minute < self._times[0]:
            return
        await engine.books.jobs.enqueue_due("day")
        due = day.count(
            """select count(*) from public.sync_jobs
               where state = 'queued' and run_at <= private.engine_now()"""
        )
        if not due:
            return
        calls = _calls(day) + self._random.randint(1, due)
        # while it reads what it claimed, or as it commits and settles what it has read
        begun = (
            partial(_claimed, day) if self._random.random() < 1 / 2 else partial(_read, day, calls)
        )
        # slower answers, so that a worker does not outrun its killer
        day.control.add_fault("slow", ms=SLOW_MS)
        with worker_process(day) as worker:
            await _wait_for(begun, worker)
            await asyncio.sleep(self._random.uniform(0, SPREAD_SECONDS))
        day.control.clear_faults()
        del self._times[0]
        self.kills += 1
        self.interrupted += day.count(RUNNING) > 0


@contextmanager
def worker_process(day: Day) -> Iterator[SpawnProcess]:
    """Let a process work at the day's instant; it is killed at the end of the block."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(
        target=_work, args=({**day.environment, **LEASE}, day.clock.worker.shift), daemon=True
    )
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


async def _wait_for(begun: Callable[[], bool], worker: SpawnProcess) -> None:
    """Wait until the work has begun, or the worker found nothing more to do."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while worker.is_alive() and not begun():  # noqa: ASYNC110 - counters send no event
            await asyncio.sleep(LOOK_SECONDS)


def _claimed(day: Day) -> bool:
    return day.count(RUNNING) > 0


def _read(day: Day, calls: int) -> bool:
    return _calls(day) >= calls


def _calls(day: Day) -> int:
    return day.control.request_counts(by=("status",)).total


def _work(environment: dict[str, str], shift: timedelta) -> None:
    configure_logging("error")
    asyncio.run(_drain(environment, shift))


async def _drain(environment: dict[str, str], shift: timedelta) -> None:
    settings = load_settings(environment, None)
    async with open_engine(settings, ShiftedClock(shift)) as engine:
        await engine.runner.run(drain=_nobody_else, horizon=timedelta(0))


async def _nobody_else() -> int:
    await asyncio.sleep(0)
    return 0
