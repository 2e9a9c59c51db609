"""What a worker keeps in memory: as much after two hundred thousand jobs as after a few.

No server takes part: the queue never ends, and each job is done at once.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from datetime import timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, cast

from benchmarks.table import Row, compare
from worker.clock import SystemClock
from worker.jobs.outcomes import Done
from worker.logs import configure_logging
from worker.runner import Runner
from worker.store.jobs import Claim, Job


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.stage import Size, Stage
    from worker.fanvue.calls import RequestMeter
    from worker.jobs.outcomes import Result
    from worker.store.jobs import JobStore, Settlement


CONCURRENCY = 50
_NAMES: dict[str, Any] = {
    "agency_id": "agency",
    "sync_type": "earnings",
    "attempt": 1,
    "max_attempts": 8,
    "priority": 10,
    "bucket": "user:creator",
    "creator_uuid": "creator",
    "handle": None,
}


class EndlessQueue:
    """A `JobStore` that always has work, each job another one, until a total is settled."""

    def __init__(self) -> None:
        self.settled = 0
        self._numbers = count(1)
        self._chance = Random(1)  # noqa: S311 - no secret
        self._until: list[tuple[int, asyncio.Event]] = []

    async def reached(self, total: int) -> None:
        """Return once so many jobs are settled."""
        event = asyncio.Event()
        self._until.append((total, event))
        await event.wait()

    async def claim(self, limit: int, **_: bool) -> Claim:
        """Give as many jobs as are asked for."""
        await asyncio.sleep(0)
        return Claim([self._job(next(self._numbers)) for _ in range(limit)], timedelta(0))

    async def heartbeat(self, jobs: Iterable[Job]) -> dict[int, bool]:
        """Extend every lease."""
        return {job.id: False for job in jobs}

    async def settle(self, settlements: Sequence[Settlement], **_: bool) -> set[int]:
        """Accept everything."""
        await asyncio.sleep(0)
        self.settled += len(settlements)
        for total, event in self._until:
            if self.settled >= total:
                event.set()
        return {one.job.id for one in settlements}

    def _job(self, number: int) -> Job:
        waited = timedelta(milliseconds=self._chance.expovariate(1 / 400))
        return Job(number, number, model_id=f"model {number % 1000}", waited=waited, **_NAMES)


async def held_after(*totals: int) -> list[int]:
    """Return the bytes that a worker holds once so many jobs are settled, at each of the totals."""
    queue = EndlessQueue()
    runner = Runner(
        cast("JobStore", queue),
        _done,
        SystemClock(),
        concurrency=CONCURRENCY,
        lease=timedelta(minutes=1),
        shutdown=timedelta(seconds=1),
    )
    held = []
    tracemalloc.start()
    loop = asyncio.create_task(runner.run())
    try:
        for total in totals:
            await queue.reached(total)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        runner.stop()
        await loop
        tracemalloc.stop()
    return held


async def _done(job: Job, meter: RequestMeter, stopping: Callable[[], bool]) -> Result:  # noqa: ARG001 - a handler
    meter.requests += 1
    await asyncio.sleep(0)
    return Done()


def memory(stage: Stage, size: Size) -> list[Row]:  # noqa: ARG001 - no server takes part
    """Compare what a worker holds after many jobs with what it held after a tenth of them."""
    configure_logging("error")
    few, many = size.jobs // 10, size.jobs
    before, after = asyncio.run(held_after(few, many))
    return [
        compare(
            "memory",
            f"held by a worker after {many:,} jobs",
            f"after {few:,}",
            path="worker",
            unit="kB",
            figures=[after / 1000],
            baselines=[before / 1000],
        )
    ]
