"""The shared call budget's RPCs; `worker.limits.shared` holds what they grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from worker.store.database import Database


class CallStore:
    """Takes blocks of calls, and closes buckets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_calls(
        self, bucket: str, endpoint: str, want: int, lane: str, seen: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Take up to `want` calls of an endpoint's window."""
        reply: dict[str, Any] = await self._database.call(
            "take_calls",
            {
                "p_bucket": bucket,
                "p_endpoint": endpoint,
                "p_want": want,
                "p_lane": lane,
                "p_seen": seen,
            },
        )
        return reply

    async def block_bucket(
        self, bucket: str, endpoint: str, seconds: float, seen: dict[str, Any] | None
    ) -> None:
        """Close an endpoint of a bucket for everybody, after a 429 with these headers."""
        await self._database.call(
            "block_bucket",
            {"p_bucket": bucket, "p_endpoint": endpoint, "p_seconds": seconds, "p_seen": seen},
        )
