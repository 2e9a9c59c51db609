"""Walks a modelled list with the worker's own reading and books what it commits.

The state after a crash is what the last commit left; a page read but not committed is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tests.property.fanvue_list import CursorRefused, never
from tests.property.ledger import Entry, Ledger
from worker.errors import CursorExpired
from worker.fanvue.calls import Family, Reply
from worker.jobs.earnings_pages import EarningsList, EarningsPages
from worker.jobs.unreadable import note_doubts, partial_of
from worker.sync.drift import DaySum
from worker.sync.reconcile import NOTHING, Days, compare
from worker.sync.window import BY_CURSOR, Place, Span


if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.property.fanvue_list import FanvueList
    from worker.jobs.earnings_pages import ReadPage
    from worker.jobs.pages import PageReader
    from worker.sync.rows import LedgerRow


LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_T = TypeVar("_T")


@dataclass
class Calls:
    """Answers the worker's calls from a modelled list."""

    fanvue: FanvueList

    async def get_if_changed(
        self, _: str, params: dict[str, Any], known: None, *, hint: int | None = None
    ) -> tuple[Reply, None]:
        assert (known, hint) == (None, None)
        span = Span(params["startDate"] or LONG_AGO, params["endDate"])
        try:
            rows, following = self.fanvue.page(span, params["cursor"], params["size"])
        except CursorRefused as error:
            raise CursorExpired("cursor is invalid or has expired") from error
        body = {"data": [wire(row) for row in rows], "nextCursor": following}
        return Reply(200, body, {}, None, None, Family.V1), None


def wire(row: LedgerRow) -> dict[str, Any]:
    """Render a row as Fanvue does."""
    return {
        "date": row.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "gross": int(row.amount * 100),
        "net": None if row.net is None else int(row.net * 100),
        "currency": row.currency,
        "source": row.source,
        "transactionOrderId": row.fanvue_id,
    }


@dataclass
class Walker:
    """One walk from its first place to its end."""

    fanvue: FanvueList
    span: Span
    crashes: Callable[[], bool] = never
    ledger: Ledger = field(default_factory=Ledger)
    border: list[Entry] = field(default_factory=list)
    place: Place = field(default_factory=Place)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def partial(self) -> str | None:
        """Say why the walk proves nothing, if it does not."""
        return partial_of(self.notes)

    def walk(self) -> Ledger:
        """Walk to the end; a walk that does not end fails."""
        patience = 20 * (len(self.fanvue.rows) + 10)
        going = True
        while going:
            assert self.fanvue.calls < patience, "the walk does not end"
            page = self._read()
            if self.crashes():
                continue
            going = self._commit(page)
        self._compare()
        return self.ledger

    def _compare(self) -> None:
        """Compare sales by day with what Fanvue says they come to, as a walk's end does."""
        if self.partial is None and self.fanvue.calls > 1:
            listed = Ledger()
            listed.apply(self.fanvue.within(self.span), [])
            ours, theirs = _sales(self.ledger), _sales(listed)
            days = Days(date.min, date.max)
            short = [found for found in compare(ours, theirs, days) if found.missing]
            if short:
                self.notes["short"] = {"days": len(short), "example": str(short[0].day)}

    def _read(self) -> ReadPage:
        # As a job that knows only what the database keeps.
        kept, place = self.place.as_json(), self.place
        place = Place.resumed(place.mode, place.cursor, place.column, kept)
        pages = EarningsPages(cast("PageReader", Calls(self.fanvue)), self.fanvue.size)
        return result_of(pages.read(EarningsList("/", self.span), place, hint=None))

    def _commit(self, page: ReadPage) -> bool:
        self.notes = note_doubts(self.notes, page.turn.trouble, page.withheld)
        self.ledger.apply(page.turn.rows, self.border)
        if page.turn.after is None:
            return False
        self.place = page.turn.after
        by_cursor = self.place.mode == BY_CURSOR
        self.border = self.ledger.at(self.place.position) if by_cursor else []
        return True


def _sales(ledger: Ledger) -> dict[date, DaySum]:
    days: dict[date, DaySum] = {}
    for entry in ledger.entries:
        if entry.amount > 0:
            held = days.get(entry.at.date(), NOTHING)
            days[entry.at.date()] = DaySum(held.gross + entry.amount, held.net + entry.amount)
    return days


def result_of(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run what never really waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast("_T", end.value)
    raise AssertionError("it waits")
