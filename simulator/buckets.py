"""Rate-limit buckets: fixed windows that refill whole, one per (app, user[, creator]).

A window starts at the bucket's first call. The use of past windows is remembered so that
a check can tell how much of the allowance was used.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field


HISTORY = 500


@dataclass(slots=True)
class Window:
    """One window of a bucket."""

    started_at: int
    ends_at: int
    limit: int
    used: int = 0
    refused: int = 0


@dataclass(slots=True)
class Bucket:
    """A bucket's present window and the ones before it."""

    window: Window
    history: deque[Window] = field(default_factory=lambda: deque(maxlen=HISTORY))


@dataclass(slots=True, frozen=True)
class Allowance:
    """What a call was told about its bucket."""

    allowed: bool
    limit: int
    remaining: int
    resets_at: int
    retry_after: int

    def headers(self) -> dict[str, str]:
        """Return the response headers that say it."""
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.resets_at),
        }
        if not self.allowed:
            headers["Retry-After"] = str(self.retry_after)
        return headers


class Buckets:
    """All buckets by key."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def take(self, key: str, now_ms: int, limit: int, window_seconds: float) -> Allowance:
        """Spend one call, or refuse it when the window is spent."""
        bucket = self._buckets.get(key)
        length = round(window_seconds * 1000)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(Window(now_ms, now_ms + length, limit))
        elif now_ms >= bucket.window.ends_at:
            bucket.history.append(bucket.window)
            bucket.window = Window(now_ms, now_ms + length, limit)
        window = bucket.window
        window.limit = limit
        allowed = window.used < limit
        if allowed:
            window.used += 1
        else:
            window.refused += 1
        return Allowance(
            allowed=allowed,
            limit=limit,
            remaining=max(0, limit - window.used),
            resets_at=math.ceil(window.ends_at / 1000),
            retry_after=max(1, math.ceil((window.ends_at - now_ms) / 1000)),
        )

    def report(self) -> dict[str, dict[str, object]]:
        """Return, per bucket, the highest use and the windows, oldest first."""
        return {key: _describe(bucket) for key, bucket in sorted(self._buckets.items())}

    def clear(self) -> None:
        """Forget every bucket: each next call starts a fresh window."""
        self._buckets.clear()


def _describe(bucket: Bucket) -> dict[str, object]:
    windows = [*bucket.history, bucket.window]
    return {
        "max_used": max(w.used for w in windows),
        "windows": [
            {
                "started_at_ms": w.started_at,
                "ends_at_ms": w.ends_at,
                "limit": w.limit,
                "used": w.used,
                "refused": w.refused,
            }
            for w in windows
        ],
    }
