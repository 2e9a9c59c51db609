"""How old a happening is when it first stands in our tables: looked for after every minute.

Also counts the calls that news cost at least: one for each chat that a poll found talking.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    import psycopg

    from tests.support.news import Expected


_EXPECTED = """
select p.n - 1
from unnest(%s::text[], %s::text[], %s::numeric[]) with ordinality p (creator, key, want, n)
join public.models m on m.fanvue_user_uuid = p.creator
"""
_MESSAGE = "join public.fanvue_messages t on t.model_id = m.id and t.message_uuid = p.key"
_FAN = "join public.fanvue_fans t on t.model_id = m.id and t.fan_uuid = p.key"
_POST = "join public.fanvue_posts t on t.model_id = m.id and t.post_uuid = p.key"
# Where each kind of happening shows.
PLACES: Final[Mapping[str, str]] = {
    "earnings": """join public.fanvue_transactions t
                     on t.model_id = m.id and t.fanvue_id = p.key""",
    "messages": _MESSAGE,
    "unlocks": f"{_MESSAGE} and t.purchased_at is not null",
    "reads": f"{_MESSAGE} and t.read_at is not null",
    "subscribers": f"{_FAN} and t.is_subscriber",
    "followers": f"{_FAN} and t.is_follower",
    "cancellations": f"{_FAN} and not t.is_subscriber",
    "unfollows": f"{_FAN} and not t.is_follower",
    "posts": _POST,
    "reactions": f"{_POST} and t.likes >= p.want",
    "account": "join public.fanvue_accounts t on t.model_id = m.id and t.total_gross >= p.want",
    "top_fans": """join public.fanvue_top_fans t
                     on t.model_id = m.id and t.fan_uuid = p.key and t.gross >= p.want
                    and t.day = (private.engine_now() at time zone 'UTC')::date""",
}
IN_CENTS: Final = frozenset({"account", "top_fans"})
# The stream whose interval bounds the age. Who left shows only in a list read to its end, which
# the account's figures ask for.
STREAM_OF: Final[Mapping[str, str]] = {
    "unlocks": "earnings",
    "reads": "messages",
    "reactions": "posts",
    "cancellations": "account",
    "unfollows": "account",
}


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old happenings of one kind were when they were first seen here, in seconds."""

    kind: str
    stream: str
    count: int
    median: float
    p95: float
    oldest: float
    interval: float
    missing: int


@dataclass(slots=True)
class Watch:
    """Waits for what is expected."""

    database: psycopg.Connection[Any]
    waiting: dict[str, list[tuple[Expected, datetime]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    ages: dict[str, list[timedelta]] = field(default_factory=lambda: defaultdict(list))
    talks: int = 0

    def expect(self, expected: Iterable[Expected], at: datetime) -> None:
        """Wait for these; they happened at an instant."""
        for one in expected:
            self.waiting[one.kind].append((one, at))

    def look(self, now: datetime) -> None:
        """Find what is there by now."""
        for kind, waiting in self.waiting.items():
            if not waiting:
                continue
            found = self._found(kind, [one for one, _ in waiting])
            self.ages[kind] += [now - waiting[place][1] for place in found]
            if kind == "messages":
                chats = {(waiting[p][0].creator, waiting[p][0].group) for p in found}
                self.talks += len(chats)
            self.waiting[kind] = [one for n, one in enumerate(waiting) if n not in found]

    def _found(self, kind: str, wanted: list[Expected]) -> set[int]:
        scale = 100 if kind in IN_CENTS else 1
        rows = self.database.execute(
            (_EXPECTED + PLACES[kind]).encode(),
            (
                [one.creator for one in wanted],
                [one.key for one in wanted],
                [one.want / scale for one in wanted],
            ),
        )
        return {row[0] for row in rows}

    def figures(self, intervals: Mapping[str, float], now: datetime) -> list[Freshness]:
        """Return what was measured; what is missing for long counts with the age it has by now."""
        return [
            self._figure(kind, intervals, now)
            for kind in PLACES
            if self.ages[kind] or self.waiting[kind]
        ]

    def _figure(self, kind: str, intervals: Mapping[str, float], now: datetime) -> Freshness:
        interval = intervals[STREAM_OF.get(kind, kind)]
        ages = [age.total_seconds() for age in self.ages[kind]]
        waiting = [(now - since).total_seconds() for _, since in self.waiting[kind]]
        late = [age for age in waiting if age > interval]
        return _summary(kind, interval, sorted(ages + late), len(waiting))


def _summary(kind: str, interval: float, seconds: list[float], missing: int) -> Freshness:
    """Sum up ages, youngest first."""
    count = len(seconds)
    seconds = seconds or [0]
    return Freshness(
        kind=kind,
        stream=STREAM_OF.get(kind, kind),
        count=count,
        median=seconds[len(seconds) // 2],
        p95=seconds[min(len(seconds) - 1, math.ceil(0.95 * len(seconds)) - 1)],
        oldest=seconds[-1],
        interval=interval,
        missing=missing,
    )
