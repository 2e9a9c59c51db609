"""The dashboards' cached figures in Upstash: which ranges are read, and new values for them.

Shared with the `dashboard-stats` function, which alone puts values there and decides how long they
live: here values are only replaced. Knows keys and commands, not when or why.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import httpx
from upstash_redis.asyncio import Redis
from upstash_redis.errors import UpstashError

from worker.transport import open_client


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from worker.settings import UpstashSettings


KEYS: Final = "fanvue:stats:v1"
# Longer than any value lives: a range that nobody read since has no value to replace.
READ_WITHIN: Final = timedelta(seconds=900)
PATIENCE_SECONDS: Final = 2.0
# Upstash takes requests up to a size; the function keeps nothing longer either.
LONGEST_BYTES: Final = 1_000_000
# What changes from one reading to the next although the figures are the same.
_PASSING: Final = frozenset({"as_of", "freshness"})
_RANGE: Final = re.compile(r"(\d{4}-\d{2}-\d{2}):(\d{4}-\d{2}-\d{2})")


class CacheUnavailable(Exception):  # noqa: N818 - says what is the case, like the errors of jobs
    """Redis did not answer, or not with what was asked for. No job ever sees it."""


@dataclass(frozen=True, slots=True)
class DayRange:
    """Days that a dashboard shows, as texts; both ends belong to it."""

    first: str
    last: str


class StatsShelf:
    """The cached figures of all agencies."""

    def __init__(self, open_redis: Callable[[], Redis]) -> None:
        self._open_redis = open_redis

    @cached_property
    def _redis(self) -> Redis:
        """Open the connection when it is first wanted: most workers' short lives never do."""
        return self._open_redis()

    async def close(self) -> None:
        """Close the connection, if one was opened."""
        if "_redis" in vars(self):
            await self._redis.close()

    async def ranges_read(self, agency_id: str, now: datetime) -> list[DayRange]:
        """Return the ranges of an agency that somebody read lately, the latest first."""
        since = (now - READ_WITHIN).timestamp()
        found = await _answer(
            self._redis.zrangebyscore(f"{KEYS}:ranges:{agency_id}", since, "+inf")
        )
        if not isinstance(found, list):
            raise CacheUnavailable("Redis answered with no list")
        matches = (_RANGE.fullmatch(str(member)) for member in reversed(found))
        return [DayRange(match[1], match[2]) for match in matches if match is not None]

    async def replace(self, agency_id: str, days: DayRange, stats: dict[str, Any]) -> None:
        """Replace a value that is there, and leave alone how long it lives."""
        kept = {name: value for name, value in stats.items() if name not in _PASSING}
        value = json.dumps({"stamp": stats["stamp"], "stats": kept}, ensure_ascii=False)
        if len(value.encode()) > LONGEST_BYTES:
            return
        key = f"{KEYS}:{agency_id}:{days.first}:{days.last}"
        await _answer(self._redis.set(key, value, xx=True, keepttl=True))


@asynccontextmanager
async def open_shelf(settings: UpstashSettings) -> AsyncIterator[StatsShelf]:
    """Open the cache; nothing is sent before it is used."""
    shelf = StatsShelf(partial(_open_redis, settings))
    try:
        yield shelf
    finally:
        await shelf.close()


def _open_redis(settings: UpstashSettings) -> Redis:
    token = settings.token.get_secret_value()
    redis = Redis(settings.url, token, rest_retries=0, allow_telemetry=False)
    # The library's own client reads answers without a limit, and proxies from the environment.
    redis._http._client = open_client(timeout=PATIENCE_SECONDS)  # noqa: SLF001 - it takes none
    return redis


async def _answer(command: Awaitable[object]) -> object:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await command
    except TimeoutError:
        raise CacheUnavailable("Redis is too slow") from None
    except (UpstashError, httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        # The client library checks nothing: an answer that is no JSON, or another, ends here too.
        raise CacheUnavailable(f"Redis: {type(error).__name__} {error}".rstrip()) from error
