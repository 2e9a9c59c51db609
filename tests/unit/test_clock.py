"""Time and backoff behave as the rest of the worker assumes."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import ManualClock
from worker.clock import SystemClock, full_jitter


async def test_the_system_clock_is_aware_and_goes_forward() -> None:
    clock = SystemClock()
    before = clock.monotonic()

    await clock.sleep(timedelta(seconds=-1))

    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= before


@given(attempt=st.integers(0, 10_000), seed=st.integers())
def test_jitter_stays_between_zero_and_its_bound(attempt: int, seed: int) -> None:
    first, cap = timedelta(seconds=1), timedelta(minutes=5)

    delay = full_jitter(attempt, first=first, cap=cap, rng=Random(seed))  # noqa: S311 - jitter is no secret

    assert timedelta(0) <= delay <= min(cap, first * 2 ** min(attempt, 20))


async def test_sleepers_wake_in_order_when_the_manual_clock_moves() -> None:
    clock = ManualClock()
    woken: list[str] = []

    async def sleeper(name: str, seconds: int) -> None:
        await clock.sleep(timedelta(seconds=seconds))
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 10))
        group.create_task(sleeper("early", 5))
        await clock.advance(timedelta(seconds=6))
        assert woken == ["early"]
        assert clock.sleepers == 1
        await clock.advance(timedelta(seconds=6))

    assert woken == ["early", "late"]
