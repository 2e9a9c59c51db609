"""The budget of one process keeps to the limit of every window."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.support.clock import NOON, ManualClock
from worker.errors import Throttled
from worker.limits.local import LocalBudget
from worker.traffic import Lane, RateSeen


async def take(budget: LocalBudget, count: int, bucket: str = "a") -> None:
    for _ in range(count):
        await budget.acquire(bucket, Lane.LIVE)


async def test_the_limit_holds_over_every_window() -> None:
    clock = ManualClock()
    budget = LocalBudget(clock, limit=3)
    await take(budget, 1)
    clock.jump(timedelta(seconds=30))
    await take(budget, 2)

    with pytest.raises(Throttled) as caught:
        await take(budget, 1)

    assert caught.value.until == NOON + timedelta(seconds=60)
    clock.jump(timedelta(seconds=30))
    await take(budget, 1)
    with pytest.raises(Throttled):
        await take(budget, 1)


async def test_a_short_wait_is_slept_through() -> None:
    clock = ManualClock()
    budget = LocalBudget(clock, limit=1, window=timedelta(seconds=1))
    await take(budget, 1)
    waiting = asyncio.create_task(take(budget, 1))

    await clock.advance(timedelta(seconds=1))

    assert waiting.done()


async def test_the_limit_is_learned_from_headers() -> None:
    clock = ManualClock()
    budget = LocalBudget(clock, limit=1)
    budget.observe("a", RateSeen(5, 4, None))

    await take(budget, 5)

    with pytest.raises(Throttled):
        await take(budget, 1)


async def test_a_closed_bucket_stays_closed_until_the_moment_named() -> None:
    clock = ManualClock()
    budget = LocalBudget(clock)
    await budget.penalize("a", NOON + timedelta(seconds=9))
    budget.observe("b", RateSeen(100, 0, NOON + timedelta(seconds=20)))

    for bucket in ("a", "b"):
        with pytest.raises(Throttled):
            await take(budget, 1, bucket)
    clock.jump(timedelta(seconds=20))

    await take(budget, 1)
    await take(budget, 1, "b")
