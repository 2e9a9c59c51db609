"""What syncs cost in calls to Fanvue, against reading a creator's whole history every time.

Counts from the simulated Fanvue's own log; no time is measured.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.outside import open_outside
from benchmarks.plain import refetch
from benchmarks.table import Row, compare


if TYPE_CHECKING:
    from benchmarks.outside import Outside
    from benchmarks.stage import Size, Stage


SALES = 7


def calls(stage: Stage, size: Size) -> list[Row]:
    """Count the calls of a first sync, of a poll without news, and of one after sales."""
    counts: dict[str, list[float]] = {}
    full: list[float] = []
    with open_outside(stage) as outside:
        for _ in range(size.rounds):
            stage.clear()
            (creator,) = outside.creators(1, size.history)
            for name, count in asyncio.run(_count(outside, creator)).items():
                counts.setdefault(name, []).append(count)
            full.append(asyncio.run(_refetch(outside, creator)))
    return [
        compare(
            "calls",
            name,
            f"refetch of {size.history:,} sales",
            path="REST",
            unit="calls",
            figures=series,
            baselines=full,
        )
        for name, series in counts.items()
    ]


async def _count(outside: Outside, creator: str) -> dict[str, int]:
    model_id = await outside.connect(creator)
    counts = {"first sync": await _sync(outside, creator, model_id)}
    counts["poll without news"] = await _sync(outside, creator, model_id)
    outside.control.add_sales(creator, SALES)
    counts[f"poll after {SALES} sales"] = await _sync(outside, creator, model_id)
    return counts


async def _sync(outside: Outside, creator: str, model_id: str) -> int:
    outside.control.clear_requests()
    await outside.enqueue(model_id)
    await outside.drain()
    return len(outside.earnings_calls(creator))


async def _refetch(outside: Outside, creator: str) -> int:
    token = outside.control.grant(creator).access_token
    outside.control.clear_requests()
    await refetch(outside.settings(), {creator: token})
    return len(outside.earnings_calls(creator))
