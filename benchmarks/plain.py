"""What the engine is compared with at Fanvue's side: reading everything again, without a database.

Uses the worker's own client with a budget that never refuses, so that only the engine differs.
"""

from __future__ import annotations

import asyncio
from random import SystemRandom
from typing import TYPE_CHECKING

from worker.clock import SystemClock
from worker.fanvue.calls import Access
from worker.fanvue.client import FanvueClient
from worker.fanvue.connection import open_http
from worker.fanvue.pages import position, read_envelope
from worker.traffic import Lane


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.settings import Settings
    from worker.traffic import RateSeen


EARNINGS = "/insights/earnings"
PAGE_SIZE = 50


class _NoBudget:
    """Grants every call."""

    async def acquire(
        self, bucket: str, lane: Lane, *, endpoint: str, hint: int | None = None
    ) -> None:
        """Grant it."""

    def observe(self, bucket: str, seen: RateSeen, *, endpoint: str) -> None:
        """Learn nothing."""

    async def penalize(self, bucket: str, until: datetime, *, endpoint: str) -> None:
        """Close nothing."""


async def refetch(settings: Settings, tokens: Mapping[str, str]) -> int:
    """Read all earnings of these creators at once; return the number of pages."""
    clock = SystemClock()
    http = open_http(timeout_seconds=settings.fanvue.timeout_seconds, connections=len(tokens) + 4)
    async with http:
        client = FanvueClient(http, _NoBudget(), clock, SystemRandom(), settings.fanvue)
        counts = await asyncio.gather(
            *(_read_all(client, creator, token) for creator, token in tokens.items())
        )
    return sum(counts)


async def _read_all(client: FanvueClient, creator: str, token: str) -> int:
    access = Access(token, f"user:{creator}", Lane.LIVE)
    pages, cursor = 0, None
    while pages == 0 or cursor is not None:
        reply = await client.get(EARNINGS, {"size": PAGE_SIZE, **position(cursor)}, auth=access)
        _, cursor = read_envelope(reply)
        pages += 1
    return pages
