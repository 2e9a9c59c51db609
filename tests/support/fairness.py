"""A huge backfill beside live work, and the figures that say whether anybody was kept waiting."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tests.support.day import Shape, new_day
from tests.support.day_grants import attach, connect
from tests.support.news import News


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from tests.support.day import Day


LIMIT: Final = 100
SMALL: Final[dict[str, Any]] = {
    "transactions": 5,
    "fans": 3,
    "messages": 5,
    "posts": 2,
    "subscribers": 1,
    "followers": 1,
}
# More than a window holds.
HUGE: Final = {"messages": 5_000, "fans": 40}
AGENCY: Final = "Agency 1"
LIVE: Final = ("messages", "earnings")
LONGEST_MINUTES: Final = 600
# When each stream's last poll was finished. Looked at every minute: no stream is polled more often.
_FINISHED: Final = """
select m.fanvue_user_uuid, s.sync_type, s.last_success_at
from public.sync_state s join public.models m on m.id = s.model_id
where s.sync_type = any (%s) and s.last_success_at >= %s
"""
_HISTORY_LEFT: Final = """
select count(*) from public.fanvue_chats c
where c.model_id = %s and (c.known_until is null or not c.history_done)
"""


@dataclass(frozen=True, slots=True)
class Backfill:
    """What came of it: how late the live streams were, and what the backfill stored."""

    minutes: int
    stored: int
    refused: int
    busiest_window: int
    gaps: dict[tuple[str, str], float]
    late: dict[tuple[str, str], float]

    def longest(self, stream: str) -> float:
        """Return the longest gap of a stream among all creators, in seconds."""
        return max(gap for (_, name), gap in self.gaps.items() if name == stream)


def _silence(_: str) -> None:
    return None


async def backfill_beside_live_work(
    stack: dict[str, str],
    messages: int,
    *,
    creators: int,
    minutes: int,
    told: Callable[[str], None] = _silence,
) -> Backfill:
    """Connect a creator with so many old messages to an agency whose creators are all active.

    Goes on until their messages are stored, at least for so many minutes.
    """
    shape = Shape(
        agencies=1,
        connected=1,
        creators=creators,
        pace=3,
        beats=4,
        transactions=20,
        fans=8,
        messages=20,
        posts=2,
        subscribers=2,
        followers=2,
    )
    with new_day(stack, shape) as day:
        async with day.engine() as engine:
            await connect(day, engine)
            await day.catch_up(engine)
            await day.begin(engine)
            (made,) = day.control.add_creators(
                1, agency=AGENCY, fans=60, days=365, messages=messages, posts=2
            )
            newcomer = made["uuid"]
            day.creators.append(newcomer)
            news = News(day.truths(), shape.seed, shape.pace)
            await attach(day, engine, AGENCY, [newcomer])
            finished: dict[tuple[str, str], set[datetime]] = defaultdict(set)
            minute = 0
            while minute < minutes or _is_unread(day, newcomer):
                await day.minute(engine, news)
                minute += 1
                rows = day.database.execute(_FINISHED, (list(LIVE), day.began))
                for creator, stream, at in rows:
                    finished[creator, stream].add(at)
                told(f"minute {minute}: {stored(day, newcomer):,} messages")
                if minute > LONGEST_MINUTES:
                    raise RuntimeError("the backfill does not end")
        intervals = day.intervals()
        gaps = {
            of: _longest_gap([*sorted(instants), day.clock.instant])
            for of, instants in finished.items()
        }
        return Backfill(
            minutes=minute,
            stored=stored(day, newcomer),
            refused=day.control.stats()["total"]["throttled"],
            busiest_window=max(use_of_windows(day, newcomer)),
            gaps=gaps,
            late={of: gap for of, gap in gaps.items() if gap > 2 * intervals[of[1]]},
        )


def _longest_gap(instants: Sequence[datetime]) -> float:
    """Return the longest time between two finished polls, the last one and now among them."""
    return max((later - earlier).total_seconds() for earlier, later in pairwise(instants))


def stored(day: Day, creator: str) -> int:
    """Return how many messages of a creator we have."""
    row = day.database.execute(
        "select count(*) from public.fanvue_messages where model_id = %s", (day.models[creator],)
    ).fetchone()
    assert row is not None
    return int(row[0])


def use_of_windows(day: Day, creator: str) -> list[int]:
    """Return how many calls each of Fanvue's windows of a creator saw."""
    return [window["used"] for window in _windows(day, creator)]


def calls_of_this_window(day: Day, creator: str) -> int:
    """Return how many calls about a creator Fanvue counts in the window that is open now."""
    return int(_windows(day, creator)[-1]["used"])


def _windows(day: Day, creator: str) -> list[dict[str, Any]]:
    buckets = day.control.stats()["buckets"]
    (bucket,) = (use for name, use in buckets.items() if creator in name)
    windows: list[dict[str, Any]] = bucket["windows"]
    return windows


def _is_unread(day: Day, creator: str) -> bool:
    row = day.database.execute(_HISTORY_LEFT, (day.models[creator],)).fetchone()
    chats = day.database.execute(
        "select exists (select from public.fanvue_chats where model_id = %s)",
        (day.models[creator],),
    ).fetchone()
    assert row is not None
    assert chats is not None
    return row[0] > 0 or not chats[0]
