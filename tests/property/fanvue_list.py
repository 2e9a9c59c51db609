"""A pure model of Fanvue's earnings list: filters, pages and cursors, in every way it may behave.

Knows nothing of the worker's decisions. Rows stand in Fanvue's order, newest first; rows that share
an instant stand in the order in which they were made, reversed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.sync.rows import LedgerRow, dollars


if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.sync.window import Span


INSTANT = timedelta(milliseconds=1)


class Ties(StrEnum):
    """What a cursor does to rows that share the instant at a page's border."""

    EXACT = "exact"
    SKIP = "skip"
    REPEAT = "repeat"


class Dates(StrEnum):
    """How the date filters are understood."""

    TO_THE_INSTANT = "to the instant"
    TO_THE_DAY = "truncated to the day"
    START_EXCLUSIVE = "start exclusive"


class CursorRefused(Exception):  # noqa: N818 - says what is the case
    """The cursor is no longer accepted."""


def never() -> bool:
    return False


def earning(at: datetime, cents: int, order_id: str | None) -> LedgerRow:
    return LedgerRow(
        fanvue_id=order_id,
        at=at,
        source="tip",
        category="tip",
        amount=dollars(cents),
        net=dollars(cents),
        currency="USD",
        status=None,
        fan_uuid=None,
        fan_handle=None,
        message_uuid=None,
        post_uuid=None,
        reverses_fanvue_id=None,
    )


@dataclass
class FanvueList:
    """A list that stands still while it is walked."""

    rows: list[LedgerRow]
    size: int
    ties: Ties = Ties.EXACT
    dates: Dates = Dates.TO_THE_INSTANT
    expires: Callable[[], bool] = never
    calls: int = 0
    _cursors: dict[str, tuple[datetime, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        order = sorted(range(len(self.rows)), key=lambda n: (self.rows[n].at, n), reverse=True)
        self._ordered = [(self.rows[n].at, n, self.rows[n]) for n in order]

    def within(self, span: Span) -> list[LedgerRow]:
        """Return what the filter lets through."""
        return [row for _, _, row in self._within(span)]

    def _within(self, span: Span) -> list[tuple[datetime, int, LedgerRow]]:
        start, end = span.start, span.end
        if self.dates is Dates.TO_THE_DAY:
            start, end = _midnight(start), None if end is None else _midnight(end)
        if self.dates is Dates.START_EXCLUSIVE:
            start += INSTANT
        return [
            item for item in self._ordered if start <= item[0] and (end is None or item[0] < end)
        ]

    def page(self, span: Span, cursor: str | None) -> tuple[list[LedgerRow], str | None]:
        """Answer one call."""
        self.calls += 1
        found = self._within(span)
        if cursor is not None:
            if self.expires():
                raise CursorRefused
            border = self._cursors[cursor]
            found = [item for item in found if (item[0], item[1]) < border]
        rows, rest = found[: self.size], found[self.size :]
        following = self._cursor(rows, rest[0]) if rest else None
        return [row for _, _, row in rows], following

    def _cursor(
        self,
        rows: list[tuple[datetime, int, LedgerRow]],
        following: tuple[datetime, int, LedgerRow],
    ) -> str:
        at, serial, _ = rows[-1]
        border = (at, serial)
        if self.ties is Ties.SKIP:
            border = (at, -1)
        elif self.ties is Ties.REPEAT and following[0] != rows[0][0]:
            border = (following[0] + INSTANT, -1)
        name = f"{border[0].isoformat()}/{border[1]}"
        self._cursors[name] = border
        return name


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
