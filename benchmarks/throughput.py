"""What the way through REST costs: calls a second, and pages a second of one worker.

Every first sync is a backfill of new rows: the dearest pages there are.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING

import psycopg

from benchmarks.outside import open_outside
from benchmarks.plain import refetch
from benchmarks.table import Row, compare
from worker.app import open_books
from worker.store.calls import CallStore


if TYPE_CHECKING:
    from benchmarks.outside import Outside
    from benchmarks.stage import Connection, Size, Stage


PAGE_ROWS = 50
CALLERS = 16


def throughput(stage: Stage, size: Size) -> list[Row]:
    """Sync several creators at once, in turn with fetching them only."""
    worker, plain = [], []
    with open_outside(stage) as outside:
        creators = outside.creators(size.creators, size.creator_pages * PAGE_ROWS)
        for _ in range(size.rounds):
            plain.append(asyncio.run(_fetch(outside, creators)))
            stage.clear()
            worker.append(asyncio.run(_sync(outside, creators)))
    return [
        compare(
            "throughput",
            f"one worker, {size.creators} first syncs at once",
            "its client alone, nothing stored",
            path="REST",
            unit="pages/s",
            figures=worker,
            baselines=plain,
        )
    ]


def callers(stage: Stage, size: Size) -> list[Row]:
    """Take calls of the budget from many callers at once, over REST and straight in SQL."""
    rest, plain = [], []
    with open_outside(stage) as outside:
        for _ in range(size.rounds):
            stage.clear()
            plain.append(_take_in_sql(stage, size.takes))
            stage.clear()
            rest.append(asyncio.run(_take_over_rest(outside, size.takes)))
    return [
        compare(
            "callers",
            f"take_calls by {CALLERS} at once",
            "the same straight in SQL",
            path="REST",
            unit="calls/s",
            figures=rest,
            baselines=plain,
        )
    ]


def _take_in_sql(stage: Stage, takes: int) -> float:
    def take(connection: Connection, caller: int) -> None:
        for _ in range(takes):
            connection.execute("select public.take_calls(%s, 1)", (f"user:{caller}",))

    with ExitStack() as opened, ThreadPoolExecutor(CALLERS) as pool:
        connections = [
            opened.enter_context(psycopg.connect(stage.url, autocommit=True))
            for _ in range(CALLERS)
        ]
        list(pool.map(take, connections, range(CALLERS)))
        began = perf_counter()
        list(pool.map(take, connections, range(CALLERS)))
        return CALLERS * takes / (perf_counter() - began)


async def _take_over_rest(outside: Outside, takes: int) -> float:
    async def take(store: CallStore, caller: int) -> None:
        for _ in range(takes):
            await store.take_calls(f"user:{caller}", "", 1, "normal", None)

    async with open_books(outside.settings(WORKER_CONCURRENCY=str(CALLERS))) as books:
        store = CallStore(books.database)
        # The first ones open what the others use.
        await asyncio.gather(*(take(store, caller) for caller in range(CALLERS)))
        began = perf_counter()
        await asyncio.gather(*(take(store, caller) for caller in range(CALLERS)))
        return CALLERS * takes / (perf_counter() - began)


async def _sync(outside: Outside, creators: list[str]) -> float:
    for creator in creators:
        await outside.enqueue(await outside.connect(creator))
    outside.control.clear_requests()
    began = perf_counter()
    await outside.drain(WORKER_CONCURRENCY=str(len(creators)))
    seconds = perf_counter() - began
    return sum(len(outside.earnings_calls(creator)) for creator in creators) / seconds


async def _fetch(outside: Outside, creators: list[str]) -> float:
    tokens = {creator: outside.control.grant(creator).access_token for creator in creators}
    began = perf_counter()
    pages = await refetch(outside.settings(), tokens)
    return pages / (perf_counter() - began)
