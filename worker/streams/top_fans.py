"""Who spent most in the last thirty days: one page, a snapshot of the current UTC day.

The range ends with the day, not with the moment, so that the request is the same all day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from worker.fanvue.wire_lists import Spender
from worker.streams.fans import named
from worker.streams.money import price
from worker.streams.stream import Extent, ListStream


if TYPE_CHECKING:
    from worker.streams.stream import Row, Seen, Window


RANGE: Final = timedelta(days=30)


def _window(day: date) -> Window:
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return {"startDate": end - RANGE, "endDate": end}


def _row(spender: Spender, seen: Seen) -> Row:
    return named(spender.user) | {
        "rank": seen.place + 1,
        "gross": price(spender.gross),
        "net": price(spender.net),
        "messages": spender.messages,
    }


TOP_FANS: Final = ListStream(
    sync_type="top_fans",
    # The second one is what some callers of /v1 use.
    paths=("/insights/top-spenders", "/insights/fans/top-spenders"),
    scopes=("read:insights", "read:fan"),
    shape=Spender,
    row=_row,
    window=_window,
    extent=Extent.FIRST_PAGE,
)
