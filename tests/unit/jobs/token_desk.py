"""Fanvue's token endpoint in memory: rotation, a grace for second uses, and the chain's death.

A refresh token works once. Used again within the grace it brings another pair; used later it kills
every token of the chain.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from worker.fanvue.oauth import TokenPair
from worker.jobs.grants import RefusedRefresh


if TYPE_CHECKING:
    from tests.support.clock import ManualClock


GRACE = timedelta(seconds=30)
INVALID_GRANT = RefusedRefresh("invalid_grant", "the token endpoint answered 400: invalid_grant")


@dataclass
class TokenDesk:
    """One creator's chain of tokens."""

    clock: ManualClock
    lifetime: timedelta = timedelta(hours=1)
    current: str = "refresh-0"
    asked: list[str] = field(default_factory=list)
    # What to say instead, in order; when it is empty the endpoint does its work.
    instead: deque[RefusedRefresh] = field(default_factory=deque)
    # Cleared by a test that wants the endpoint to take its time.
    open: asyncio.Event = field(default_factory=asyncio.Event)
    dead: bool = False
    _used_at: dict[str, datetime] = field(default_factory=dict)
    _live: set[str] = field(default_factory=lambda: {"refresh-0"})

    def __post_init__(self) -> None:
        self.open.set()

    async def __call__(self, refresh_token: str) -> TokenPair | RefusedRefresh:
        self.asked.append(refresh_token)
        await asyncio.sleep(0)
        answer = self.instead.popleft() if self.instead else self._trade(refresh_token)
        await self.open.wait()
        await asyncio.sleep(0)
        return answer

    def _trade(self, refresh_token: str) -> TokenPair | RefusedRefresh:
        now = self.clock.now()
        used_at = self._used_at.setdefault(refresh_token, now)
        if self.dead or refresh_token not in self._live or now - used_at > GRACE:
            self.dead = True
            return INVALID_GRANT
        number = len(self._live)
        self.current = f"refresh-{number}"
        self._live.add(self.current)
        return TokenPair(f"access-{number}", self.current, now + self.lifetime, None)
