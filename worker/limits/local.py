"""A budget in the memory of one process, for tools that run without a database.

It must not be used by workers: two of them would each believe they own the whole limit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.errors import Throttled


if TYPE_CHECKING:
    from datetime import datetime

    from worker.clock import Clock
    from worker.limits.budget import Lane, RateSeen


# What the oldest sources name; the headers of the first response correct it.
LIMIT_UNTIL_TOLD = 100
WINDOW = timedelta(seconds=60)
MAX_WAIT = timedelta(seconds=2)


@dataclass(slots=True)
class _Window:
    limit: int
    calls: deque[datetime] = field(default_factory=deque)
    closed_until: datetime | None = None


class LocalBudget:
    """A `Budget` that counts the calls of the last minute."""

    def __init__(
        self,
        clock: Clock,
        *,
        limit: int = LIMIT_UNTIL_TOLD,
        window: timedelta = WINDOW,
        max_wait: timedelta = MAX_WAIT,
    ) -> None:
        self._clock = clock
        self._limit = limit
        self._window = window
        self._max_wait = max_wait
        self._windows: dict[tuple[str, str], _Window] = {}

    async def acquire(
        self,
        bucket: str,
        lane: Lane,  # noqa: ARG002 - one process, one caller: nobody to give way to
        *,
        endpoint: str = "",
        hint: int | None = None,  # noqa: ARG002 - the same
    ) -> None:
        """Take one permit; short waits are slept through, long ones raise `Throttled`."""
        state = self._of(bucket, endpoint)
        patience_ends = self._clock.now() + self._max_wait
        while (free_at := self._free_at(state)) is not None:
            if free_at > patience_ends:
                raise Throttled("the call budget of this account is spent", until=free_at)
            await self._clock.sleep(free_at - self._clock.now())
        state.calls.append(self._clock.now())

    def observe(self, bucket: str, seen: RateSeen, *, endpoint: str = "") -> None:
        """Learn the limit, and close the endpoint when nothing remains of it."""
        state = self._of(bucket, endpoint)
        state.limit = seen.limit
        now = self._clock.now()
        if seen.remaining == 0 and seen.reset_at is not None and seen.reset_at > now:
            state.closed_until = min(seen.reset_at, now + self._window)

    async def penalize(self, bucket: str, until: datetime, *, endpoint: str = "") -> None:
        """Close an endpoint until a moment."""
        self._of(bucket, endpoint).closed_until = until

    def _free_at(self, state: _Window) -> datetime | None:
        now = self._clock.now()
        while state.calls and state.calls[0] + self._window <= now:
            state.calls.popleft()
        if state.closed_until is not None and state.closed_until > now:
            return state.closed_until
        if len(state.calls) < state.limit:
            return None
        return state.calls[len(state.calls) - state.limit] + self._window

    def _of(self, bucket: str, endpoint: str) -> _Window:
        return self._windows.setdefault((bucket, endpoint), _Window(self._limit))
