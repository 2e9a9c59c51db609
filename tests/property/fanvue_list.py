"""A pure model of Fanvue's earnings list: filters, pages and cursors, in every way it may behave.

Knows nothing of the worker's decisions. Rows stand in Fanvue's order, newest first; rows that share
an instant stand in the order in which they were made, reversed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING

from worker.sync.rows import LedgerRow, dollars


if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.sync.window import Span


INSTANT = timedelta(milliseconds=1)


class Cursors(StrEnum):
    """What a cursor is made of, and so what it does to rows that share an instant at a border."""

    EXACT = "an instant and a row"
    OFFSET = "a number of rows, in whatever list is asked for"
    SKIP = "an instant, exclusive"
    REPEAT = "an instant, inclusive"


# Cursors that can split an instant.
SPLITTING = (Cursors.EXACT, Cursors.OFFSET)


class Order(StrEnum):
    """In which order rows stand."""

    NEWEST_FIRST = "newest first"
    SHUFFLED_PAGES = "shuffled within each page"
    SWAPPED = "neighbours swapped now and then, at borders too"
    DISPLACED = "rows up to sixty places too late now and then"
    ANY = "none at all"


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


Item = tuple[datetime, int, LedgerRow]


@dataclass
class FanvueList:
    """A list that stands still while it is walked."""

    rows: list[LedgerRow]
    size: int
    cursors: Cursors = Cursors.EXACT
    dates: Dates = Dates.TO_THE_INSTANT
    expires: Callable[[], bool] = never
    order: Order = Order.NEWEST_FIRST
    chance: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - no secret
    calls: int = 0
    _cursors: dict[str, tuple[datetime, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        order = sorted(range(len(self.rows)), key=lambda n: (self.rows[n].at, n), reverse=True)
        self._ordered: list[Item] = [(self.rows[n].at, n, self.rows[n]) for n in order]
        if self.order is Order.SWAPPED:
            self._swap()
        elif self.order is Order.DISPLACED:
            self._displace()
        elif self.order is Order.ANY:
            self.chance.shuffle(self._ordered)

    def _swap(self) -> None:
        """Swap neighbours, each at most once, that share their instants with no other row."""
        times = Counter(at for at, _, _ in self._ordered)
        n = 1
        while n < len(self._ordered):
            pair = self._ordered[n - 1 : n + 1]
            if all(times[at] == 1 for at, _, _ in pair) and self.chance.random() < 0.3:
                self._ordered[n - 1 : n + 1] = pair[::-1]
                n += 1
            n += 1

    def _displace(self) -> None:
        """Move rows to later places."""
        for n in reversed(range(len(self._ordered))):
            if self.chance.random() < 0.1:
                late = self._ordered.pop(n)
                self._ordered.insert(n + self.chance.randint(2, 60), late)

    def within(self, span: Span) -> list[LedgerRow]:
        """Return what the filter lets through."""
        return [row for _, _, row in self._within(span)]

    def _within(self, span: Span) -> list[Item]:
        start, end = span.start, span.end
        if self.dates is Dates.TO_THE_DAY:
            start, end = _midnight(start), None if end is None else _midnight(end)
        if self.dates is Dates.START_EXCLUSIVE:
            start += INSTANT
        return [
            item for item in self._ordered if start <= item[0] and (end is None or item[0] < end)
        ]

    def page(
        self, span: Span, cursor: str | None, size: int | None = None
    ) -> tuple[list[LedgerRow], str | None]:
        """Answer one call."""
        self.calls += 1
        size = min(size or self.size, self.size)
        found = self._within(span)
        before = 0
        if cursor is not None:
            if self.expires():
                raise CursorRefused
            if self.cursors is Cursors.OFFSET:
                before = int(cursor)
            else:
                border = self._cursors[cursor]
                found = [item for item in found if (item[0], item[1]) < border]
        shown, rest = found[before : before + size], found[before + size :]
        following = self._cursor(shown, rest, before + size) if rest else None
        rows = [row for _, _, row in shown]
        if self.order is Order.SHUFFLED_PAGES:
            self.chance.shuffle(rows)
        return rows, following

    def _cursor(self, rows: list[Item], rest: list[Item], offset: int) -> str | None:
        at, serial, _ = rows[-1]
        border = (at, serial)
        match self.cursors:
            case Cursors.OFFSET:
                return str(offset)
            case Cursors.SKIP:
                if all(item[0] == at for item in rest):
                    return None
                border = (at, -1)
            case Cursors.REPEAT:
                border = (rest[0][0] + INSTANT, -1)
            case Cursors.EXACT:
                pass
        name = f"{border[0].isoformat()}/{border[1]}"
        self._cursors[name] = border
        return name


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
