"""Reads pages of a list of earnings, and whole instants that fill a page.

Nothing is committed here. A page that breaks its shape, its order or its dates is asked for once
more before that counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import structlog

from worker.errors import CursorExpired, ProviderContract
from worker.fanvue.pages import read_envelope
from worker.fanvue.wire import Complaints, EarningRow, parse_rows
from worker.jobs.unreadable import second_look
from worker.sync.rows import to_ledger
from worker.sync.window import (
    PAGE_SIZE,
    Crowd,
    Place,
    Span,
    Turn,
    after_crowd,
    brings_news,
    of_crowd,
    other_size,
    query_span,
    resume_below,
    settle_crowd,
    turn_page,
)


if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from worker.fanvue.calls import Family
    from worker.fanvue.client import Parameter
    from worker.jobs.pages import PageReader
    from worker.store.walks import OfferedValidator
    from worker.sync.rows import LedgerRow


# By instants, by days, and again after an expired cursor.
PLACES_TRIED: Final = 4
# So many pages of one single instant are held together at most.
LONGEST_CROWD: Final = 40
# So many of them in a row may bring nothing new.
IDLE_PAGES: Final = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EarningsList:
    """A list to walk down: its path, its range."""

    path: str
    span: Span


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page as Fanvue sent it; `count` rows, of which some may be unreadable."""

    rows: list[LedgerRow]
    following: str | None
    count: int
    family: Family
    date: datetime | None
    complaints: Complaints = field(default_factory=Complaints)
    not_modified: bool = False
    validator: OfferedValidator | None = None


@dataclass(frozen=True, slots=True)
class ReadPage:
    """A page as read: what may be committed, and what could not be understood.

    `not_modified`: Fanvue sent no page, because it is the same as last time. `withheld`: an instant
    of which Fanvue does not show all rows.
    """

    turn: Turn
    family: Family
    date: datetime | None
    complaints: Complaints = field(default_factory=Complaints)
    not_modified: bool = False
    validator: OfferedValidator | None = None
    withheld: datetime | None = None


class EarningsPages:
    """Reads for one job."""

    def __init__(self, reader: PageReader, size: int = PAGE_SIZE) -> None:
        self._reader = reader
        self._size = size

    async def read(
        self,
        what: EarningsList,
        place: Place,
        *,
        hint: int | None,
        known: OfferedValidator | None = None,
    ) -> ReadPage:
        """Read the page at a place; what stays unreadable at the second look is named.

        An instant that fills a page is read on until it is whole, and is one page to whoever
        commits it: rows without an id are counted among their equals.
        """
        for _ in range(PLACES_TRIED):
            try:
                page = await self._read(what, place, hint, known)
            except CursorExpired:
                # The cursor is a convenience: the instant below which the list goes on is kept.
                log.info("cursor_expired", path=what.path)
                place = resume_below(place)
                continue
            if page.turn.reread is None:
                return page
            place = page.turn.reread
        raise ProviderContract("the list can be turned neither by instants nor by cursor")

    async def _read(
        self, what: EarningsList, place: Place, hint: int | None, known: OfferedValidator | None
    ) -> ReadPage:
        sheet = await self._look(what, place, hint, known)
        turn = self._turn(sheet, place)
        if turn.trouble is not None:
            sheet = await self._look(what, place, hint, None)
            turn = self._turn(sheet, place)
        if turn.crowded:
            return await self._read_crowd(what, place, sheet, hint)
        return _page_of(sheet, turn)

    def _turn(self, sheet: Sheet, place: Place) -> Turn:
        if sheet.not_modified:
            return Turn()
        return turn_page(sheet.rows, sheet.following, place, full=sheet.count >= self._size)

    async def _read_crowd(
        self, what: EarningsList, place: Place, opening: Sheet, hint: int | None
    ) -> ReadPage:
        """Read an instant (or day) that fills a page to its end, and again with other borders."""
        at = opening.rows[-1].at
        first, complaints = await self._collect(
            what, place, opening, at, hint, lambda _: self._size
        )

        def elsewhere(position: int) -> int:
            return other_size(opening.count, position, first.borders)

        again = await self._look(what, place, hint, None, elsewhere(0))
        second, _ = await self._collect(what, place, again, at, hint, elsewhere)
        rows, whole = settle_crowd(first, second)
        turn = Turn(rows, after_crowd(place.mode, at, first.older))
        page = _page_of(opening, turn)
        return replace(page, complaints=complaints, withheld=None if whole else at)

    async def _collect(  # noqa: PLR0913, PLR0917 - what is read, where, and how
        self,
        what: EarningsList,
        place: Place,
        sheet: Sheet,
        at: datetime,
        hint: int | None,
        size_at: Callable[[int], int],
    ) -> tuple[Crowd, Complaints]:
        """Follow the cursor of a crowded page to the end of its instant (or day).

        `size_at`: the size of the page after so many rows.
        """
        pages: list[list[LedgerRow]] = []
        complaints = Complaints()
        asked = place.cursor
        idle = 0
        position = 0
        borders: list[int] = []
        while True:
            rows, older = of_crowd(sheet.rows, place.mode, at)
            pages.append(rows)
            position += sheet.count
            complaints += sheet.complaints
            if older is not None or sheet.following is None:
                return Crowd(pages, ended=True, older=older, borders=tuple(borders)), complaints
            idle = 0 if brings_news(pages) else idle + 1
            if len(pages) == LONGEST_CROWD or idle > IDLE_PAGES or sheet.following == asked:
                return Crowd(pages, ended=False), complaints
            asked = sheet.following
            borders.append(position)
            onward, size = replace(place, cursor=asked), size_at(position)
            try:
                sheet = await self._look(what, onward, hint, None, size)
            except CursorExpired:
                return Crowd(pages, ended=False), complaints

    async def _look(
        self,
        what: EarningsList,
        place: Place,
        hint: int | None,
        known: OfferedValidator | None,
        size: int | None = None,
    ) -> Sheet:
        asked = size or self._size
        return await second_look(lambda: self._fetch(what, place, hint, known, asked))

    async def _fetch(
        self,
        what: EarningsList,
        place: Place,
        hint: int | None,
        known: OfferedValidator | None,
        size: int,
    ) -> Sheet:
        span = query_span(what.span, place)
        params: dict[str, Parameter] = {
            "startDate": span.start,
            "endDate": span.end,
            "cursor": place.cursor,
            "size": size,
        }
        reply, offered = await self._reader.get_if_changed(what.path, params, known, hint=hint)
        if reply.not_modified:
            unchanged = Sheet([], None, 0, reply.family, reply.date, not_modified=True)
            return replace(unchanged, validator=offered)
        raw, following = read_envelope(reply)
        good, complaints = parse_rows(EarningRow, raw)
        rows = [to_ledger(row) for row in good]
        # One page vouches for the whole list only where it is the whole list.
        whole = following is None and not complaints.records and len(raw) < size
        return Sheet(
            rows,
            following,
            len(raw),
            reply.family,
            reply.date,
            complaints,
            validator=offered if whole else None,
        )


def _page_of(sheet: Sheet, turn: Turn) -> ReadPage:
    return ReadPage(
        turn,
        sheet.family,
        sheet.date,
        sheet.complaints,
        not_modified=sheet.not_modified,
        validator=sheet.validator,
    )
