"""Drains a backlog with a queue in Python, or measures how soon it picks a job up.

Runs in the peers' own environment, as a program; knows nothing of the engine. Speaks JSON lines:
says "filled", waits for a line, says its result.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import asyncpg
import awa
import procrastinate
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


# Long enough for the worker to be idle again.
PAUSE_SECONDS = 0.15
CONNECTIONS = 10
COPY = 500


@dataclass
class Work:
    """What is asked for, and how far it is."""

    url: str
    jobs: int
    batch: int
    pickups: int

    def __post_init__(self) -> None:
        self.done = 0
        self.all = asyncio.Event()
        self.heard: asyncio.Future[float] | None = None

    def count(self) -> None:
        """One job has run."""
        self.done += 1
        if self.heard and not self.heard.done():
            self.heard.set_result(perf_counter())
        if self.done == self.jobs:
            self.all.set()

    async def go(self) -> None:
        """Wait until the other side says so."""
        _say({"filled": self.jobs})
        await asyncio.to_thread(sys.stdin.readline)

    async def pick_up(self, add: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
        """Add jobs to an idle worker, one at a time."""
        took = []
        for _ in range(self.pickups):
            await asyncio.sleep(PAUSE_SECONDS)
            self.heard = asyncio.get_running_loop().create_future()
            began = perf_counter()
            await add()
            took.append((await self.heard - began) * 1000)
        return {"pickups_ms": took}


async def _procrastinate(work: Work) -> dict[str, Any]:
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=work.url, max_size=CONNECTIONS)
    )

    @app.task(name="noop")
    async def noop() -> None:
        work.count()

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        if work.pickups:
            worker = asyncio.create_task(app.run_worker_async(install_signal_handlers=False))
            result = await work.pick_up(noop.defer_async)
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            return result
        await noop.batch_defer_async(*({} for _ in range(work.jobs)))
        await work.go()
        began = perf_counter()
        await app.run_worker_async(
            wait=False, concurrency=work.batch, install_signal_handlers=False
        )
        return {"seconds": perf_counter() - began}


async def _pgqueuer(work: Work) -> dict[str, Any]:
    async with asyncpg.create_pool(work.url, min_size=2, max_size=CONNECTIONS) as pool:
        driver = AsyncpgPoolDriver(pool)
        queries = Queries(driver)
        await queries.install()
        queuer = PgQueuer(driver)

        @queuer.entrypoint("noop")
        async def noop(_job: object) -> None:
            work.count()

        if work.pickups:
            worker = asyncio.create_task(queuer.run())
            result = await work.pick_up(lambda: queries.enqueue("noop", None))
            queuer.shutdown.set()
            await asyncio.gather(worker, return_exceptions=True)
            return result
        for first in range(0, work.jobs, COPY):
            count = min(COPY, work.jobs - first)
            await queries.enqueue(["noop"] * count, [None] * count, [0] * count)
        await work.go()
        began = perf_counter()
        await queuer.run(
            batch_size=work.batch,
            mode=QueueExecutionMode.drain,
            max_concurrent_tasks=2 * work.batch,
        )
        return {"seconds": perf_counter() - began}


@dataclass
class Noop:
    """A job of awa."""


async def _awa(work: Work) -> dict[str, Any]:
    client = awa.AsyncClient(work.url)
    await client.migrate()

    @client.task(Noop, queue="bench")
    async def noop(_job: object) -> None:
        work.count()

    if work.pickups:
        await client.start([("bench", CONNECTIONS)])
        result = await work.pick_up(lambda: client.insert(Noop(), queue="bench"))
        await client.shutdown()
        return result
    for first in range(0, work.jobs, COPY):
        count = min(COPY, work.jobs - first)
        await client.insert_many_copy([Noop()] * count, queue="bench")
    await work.go()
    began = perf_counter()
    await client.start([("bench", work.batch)])
    await work.all.wait()
    # What is done but not yet written is written before it stops.
    await client.shutdown()
    return {"seconds": perf_counter() - began}


QUEUES = {"procrastinate": _procrastinate, "pgqueuer": _pgqueuer, "awa": _awa}


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


async def _main(queue: str, url: str, *counts: str) -> None:
    jobs, batch, pickups = map(int, counts)
    work = Work(url, jobs, batch, pickups)
    result = await QUEUES[queue](work)
    if not pickups and work.done != jobs:
        raise RuntimeError(f"{queue} finished {work.done} of {jobs} jobs")
    _say(result)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(_main(*sys.argv[1:]))
