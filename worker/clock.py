"""Time as the worker sees it: a Clock that tests can move, and the wait between attempts.

Nothing else in the worker reads the system's time or sleeps.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol


if TYPE_CHECKING:
    from random import Random


class Clock(Protocol):
    """What the worker needs to know about time."""

    def now(self) -> datetime:
        """Return the current moment, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a scale that never goes back."""
        ...

    async def sleep(self, delay: timedelta) -> None:
        """Wait; a delay of zero or less only yields."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the current moment, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on a scale that never goes back."""
        return time.monotonic()

    async def sleep(self, delay: timedelta) -> None:
        """Wait; a delay of zero or less only yields."""
        await asyncio.sleep(max(delay.total_seconds(), 0.0))


def full_jitter(attempt: int, *, first: timedelta, cap: timedelta, rng: Random) -> timedelta:
    """Choose a wait between zero and the exponential bound of this attempt (0, 1, 2, ...).

    The whole range is used because callers that failed together must not return together.
    """
    # 2**30 is beyond any sensible cap; a larger exponent would overflow timedelta.
    bound = min(cap, first * 2 ** min(attempt, 30)) if attempt > 0 else min(cap, first)
    return bound * rng.random()
