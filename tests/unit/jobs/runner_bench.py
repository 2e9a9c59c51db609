"""A runner with a queue in memory, work that ends when a test says so, and a clock it moves."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.support.clock import ManualClock
from tests.unit.jobs.queue_book import LEASE, QueueBook
from worker.jobs.outcomes import Done, Yielded
from worker.runner import Runner


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from worker.fanvue.calls import RequestMeter
    from worker.jobs.outcomes import Result
    from worker.store.jobs import Job
    from worker.tally import Tally


SHUTDOWN = timedelta(seconds=20)
BEAT = LEASE / 4
STEP = timedelta(milliseconds=250)


@dataclass
class Work:
    """A handler whose jobs go on until the test ends them."""

    running: dict[int, asyncio.Future[Result]] = field(default_factory=dict)
    meters: dict[int, RequestMeter] = field(default_factory=dict)
    most_at_once: int = 0
    cancelled: list[int] = field(default_factory=list)
    heeds_stopping: bool = False
    instead: Exception | None = None
    at_once: bool = False

    async def __call__(self, job: Job, meter: RequestMeter, stopping: Callable[[], bool]) -> Result:
        meter.requests += 2
        self.meters[job.id] = meter
        if self.instead is not None:
            raise self.instead
        if self.at_once:
            await asyncio.sleep(0)
            return Done()
        self.running[job.id] = asyncio.get_running_loop().create_future()
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            return await self._end_of(job, stopping)
        except asyncio.CancelledError:
            self.cancelled.append(job.id)
            raise
        finally:
            del self.running[job.id]

    async def _end_of(self, job: Job, stopping: Callable[[], bool]) -> Result:
        ended = self.running[job.id]
        while not ended.done():
            if self.heeds_stopping and stopping():
                return Yielded()
            await asyncio.sleep(0)
        return ended.result()

    def end(self, *job_ids: int, result: Result | None = None) -> None:
        for job_id in job_ids or tuple(self.running):
            self.running[job_id].set_result(result or Done())


@dataclass
class Bench:
    """A runner, its queue, its work and its clock."""

    concurrency: int = 4
    clock: ManualClock = field(default_factory=ManualClock)
    work: Work = field(default_factory=Work)

    def __post_init__(self) -> None:
        self.queue = QueueBook(self.clock)
        self.runner = Runner(
            self.queue.store,
            self.work,
            self.clock,
            concurrency=self.concurrency,
            lease=LEASE,
            shutdown=SHUTDOWN,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[Tally]]:
        loop = asyncio.create_task(self.runner.run())
        await self.pass_time(STEP)
        try:
            yield loop
        finally:
            self.runner.stop()
            await self.until(loop)

    async def pass_time(self, span: timedelta) -> None:
        for _ in range(max(1, span // STEP)):
            await self.clock.advance(STEP)

    async def until(
        self, loop: asyncio.Task[Tally], within: timedelta = timedelta(minutes=20)
    ) -> timedelta:
        """Let time pass until the loop ends; return how long that took."""
        started = self.clock.now()
        while not loop.done():
            assert self.clock.now() - started < within, "the loop does not end"
            await self.clock.advance(STEP)
        loop.result()
        return self.clock.now() - started

    async def drain(self) -> tuple[Tally, timedelta]:
        loop = asyncio.create_task(self.runner.run(drain=True))
        took = await self.until(loop)
        return loop.result(), took
