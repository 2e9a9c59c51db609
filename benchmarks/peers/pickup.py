"""How soon an idle worker of the engine starts a job that somebody asks for, when it is woken.

The way is the real one: commit, hint, Realtime, a claim over REST. Only the job does nothing.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import SystemRandom
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.outside import CLIENT
from worker.app import open_books
from worker.clock import SystemClock
from worker.jobs.outcomes import Done
from worker.runner import Runner
from worker.settings import load_settings
from worker.subscription import Subscription
from worker.wake_up import TOPIC, WakeUp


if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.stage import Stage
    from worker.fanvue.calls import RequestMeter
    from worker.jobs.outcomes import Result
    from worker.store.jobs import Job


# Long enough for the worker to be idle again: what comes sooner after a wake-up waits with it.
PAUSE_SECONDS = 0.15


class _Ear(WakeUp):
    """Tells when it listens."""

    listens: asyncio.Event

    def connected(self) -> None:
        """Let the measurement begin."""
        super().connected()
        self.listens.set()


def our_pickups(stage: Stage, count: int) -> list[float]:
    """Return the milliseconds from asking for a sync to its start."""
    stage.populate(agencies=1, models=count)
    return asyncio.run(_measure(stage, count))


async def _measure(stage: Stage, count: int) -> list[float]:
    settings = load_settings({**stage.environment, **CLIENT}, None)
    clock = SystemClock()
    started: asyncio.Queue[float] = asyncio.Queue()

    async def start(job: Job, meter: RequestMeter, stopping: Callable[[], bool]) -> Result:  # noqa: ARG001 - a handler
        started.put_nowait(perf_counter())
        return Done()

    async with open_books(settings) as books:
        runner = Runner(
            books.jobs,
            start,
            clock,
            concurrency=settings.worker.concurrency,
            lease=timedelta(seconds=settings.worker.lease_seconds),
            shutdown=timedelta(seconds=1),
        )
        ear = _Ear(Subscription(settings.supabase, [TOPIC], clock, SystemRandom()), runner, clock)
        ear.listens = asyncio.Event()
        loop = asyncio.create_task(runner.run())
        try:
            async with ear.listening():
                await ear.listens.wait()
                return [await _ask(stage, model, started) for model in _models(stage)[:count]]
        finally:
            runner.stop()
            await loop


async def _ask(stage: Stage, model: str, started: asyncio.Queue[float]) -> float:
    await asyncio.sleep(PAUSE_SECONDS)
    began = perf_counter()
    await asyncio.to_thread(
        stage.call, "enqueue_sync", p_model_id=model, p_sync_type="earnings", p_priority=0
    )
    return (await started.get() - began) * 1000


def _models(stage: Stage) -> list[str]:
    return stage.run("select id::text from public.models order by id")
