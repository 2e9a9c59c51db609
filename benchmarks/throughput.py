"""Pages a second of one worker, against the same pages fetched without a database.

Every first sync is a backfill of new rows: the dearest pages there are.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.outside import open_outside
from benchmarks.plain import refetch
from benchmarks.table import Row, compare


if TYPE_CHECKING:
    from benchmarks.outside import Outside
    from benchmarks.stage import Size, Stage


PAGE_ROWS = 50


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
