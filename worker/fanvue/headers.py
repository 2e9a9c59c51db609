"""Reads the response headers that steer us: Date, Retry-After and the rate limit.

The server's clock may differ from ours by minutes, so moments it names are measured from its own
`Date` and then laid onto our clock. Nonsense in a header is as good as no header.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from worker.traffic import RateSeen


if TYPE_CHECKING:
    from collections.abc import Mapping


LONGEST_WAIT = timedelta(days=1)
# Smaller numbers in X-RateLimit-Reset can only be a count of seconds, not a moment.
FIRST_PLAUSIBLE_MOMENT = 1_000_000_000


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """Return the server's own time of answering."""
    return _http_date(headers.get("date"))


def retry_after(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """Return how long the server asks us to wait: seconds or a date, between zero and a day."""
    text = (headers.get("retry-after") or "").strip()
    if not text:
        return None
    # ASCII alone: other digits pass isdigit() and then fail as numbers.
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), int(LONGEST_WAIT.total_seconds())))
    moment = _http_date(text)
    if moment is None:
        return None
    return min(max(moment - (server_date(headers) or now), timedelta(0)), LONGEST_WAIT)


def rate_seen(headers: Mapping[str, str], *, now: datetime) -> RateSeen | None:
    """Return what the response says of its rate limit, if it says so completely."""
    limit = _whole(headers.get("x-ratelimit-limit"))
    remaining = _whole(headers.get("x-ratelimit-remaining"))
    if limit is None or remaining is None or limit < 1:
        return None
    reset = _whole(headers.get("x-ratelimit-reset"))
    return RateSeen(limit, min(remaining, limit), _reset_moment(reset, headers, now))


def _reset_moment(reset: int | None, headers: Mapping[str, str], now: datetime) -> datetime | None:
    if reset is None:
        return None
    if reset < FIRST_PLAUSIBLE_MOMENT:
        wait = timedelta(seconds=min(reset, int(LONGEST_WAIT.total_seconds())))
    else:
        server_now = (server_date(headers) or now).timestamp()
        seconds = min(max(reset - server_now, 0.0), LONGEST_WAIT.total_seconds())
        wait = timedelta(seconds=seconds)
    return now + wait


def _whole(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None  # noqa: PLR2004 - no counter is longer


def _http_date(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        # A date without a zone means UTC in HTTP.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
