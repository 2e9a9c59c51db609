"""Subscribers over time: one row per day, newest first.

`total` is the net change since the start of the window, not the number of subscribers.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.call import cursor_instant, write_cursor
from simulator.clock import stamp
from simulator.endpoint import Endpoint
from simulator.paging import CURSOR_SIZE
from simulator.replies import Reply


if TYPE_CHECKING:
    from simulator.call import Call
    from simulator.people import Creator


DAY_MS = 86_400_000


@dataclass(slots=True)
class Day:
    """How the number of subscribers changed on one day."""

    start: int
    new: int
    cancelled: int
    total: int

    def as_json(self) -> dict[str, Any]:
        """Render the day."""
        return {
            "date": stamp(self.start),
            "total": self.total,
            "newSubscribersCount": self.new,
            "cancelledSubscribersCount": self.cancelled,
        }


def subscriber_days(call: Call) -> Reply:
    """Answer /insights/subscribers."""
    size = call.size(CURSOR_SIZE)
    start, end = call.window()
    moment = call.moment("startDate")
    offset = None if moment is None else moment.utcoffset()
    shift = 0 if offset is None else round(offset.total_seconds() * 1000)
    days = days_between(call.creator, start, min(call.now + 1, end or call.now + 1), shift)
    days.reverse()
    cursor = call.cursor()
    if cursor is not None:
        border = cursor_instant(cursor)
        days = [day for day in days if day.start < border]
    shown = days[:size]
    more = len(days) > size
    return Reply(
        {
            "data": [day.as_json() for day in shown],
            "nextCursor": write_cursor({"date": stamp(shown[-1].start)}) if more else None,
        }
    )


def days_between(creator: Creator, start: int | None, end: int, shift: int = 0) -> list[Day]:
    """Return the days from start to end, oldest first; `shift` is the offset of local time."""
    joined = sorted(fan.subscription.first_at for fan in creator.fans if fan.subscription)
    left = sorted(
        fan.subscription.cancelled_at
        for fan in creator.fans
        if fan.subscription and fan.subscription.cancelled_at is not None
    )
    if start is None:
        if not joined:
            return []
        start = joined[0]
    midnight = (start + shift) // DAY_MS * DAY_MS - shift
    days: list[Day] = []
    total = 0
    while midnight < end:
        low, high = max(midnight, start), min(midnight + DAY_MS, end)
        new = bisect_left(joined, high) - bisect_left(joined, low)
        cancelled = bisect_left(left, high) - bisect_left(left, low)
        total += new - cancelled
        days.append(Day(midnight, new, cancelled, total))
        midnight += DAY_MS
    return days


ENDPOINTS = [Endpoint("/insights/subscribers", ("read:insights",), subscriber_days)]
