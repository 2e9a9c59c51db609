"""A clock that stands still until a test moves it, and wakes sleepers when it does."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any


NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
# Woken tasks may await each other a few times before they rest again.
SETTLING_ROUNDS = 25


class ManualClock:
    """A `Clock` for tests; with `skips=True` a sleep moves the time itself and returns."""

    def __init__(self, start: datetime = NOON, *, skips: bool = False) -> None:
        self._start = start
        self._elapsed = timedelta(0)
        self._skips = skips
        self._sleepers: list[tuple[timedelta, int, asyncio.Future[None]]] = []
        self._order = count()
        self.slept: list[timedelta] = []

    def now(self) -> datetime:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed.total_seconds()

    @property
    def sleepers(self) -> int:
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, delay: timedelta) -> None:
        self.slept.append(delay)
        if self._skips:
            self._elapsed += max(delay, timedelta(0))
        if self._skips or delay <= timedelta(0):
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + delay, next(self._order), future))
        await future

    def jump(self, step: timedelta) -> None:
        """Move the time without letting anyone run in between."""
        self._elapsed += step
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)

    async def advance(self, step: timedelta) -> None:
        """Move the time and let everyone who wakes come to rest again."""
        await self.settle()
        self.jump(step)
        await self.settle()

    async def settle(self) -> None:
        """Let all tasks run until they wait for something."""
        loop: Any = asyncio.get_running_loop()
        # The loop's own pipe is there always; what comes over another may take a few rounds.
        hears_nobody = len(loop._selector.get_map()) <= 1
        for _ in range(SETTLING_ROUNDS):
            await asyncio.sleep(0)
            if hears_nobody and not loop._ready:
                return
