"""Where a walk over earnings goes on: phases, windows, and what may be committed of a page.

Pure. Two ways to turn a page: by Fanvue's cursor (no row is read twice), and by instants, where
the oldest instant of a page is left for the next one, so that rows sharing a millisecond stay
together. Fanvue's cursor may skip or repeat such rows, and rows without an id cannot be told from
their repetition; instants are right in every case and cost one row in fifty. A third mode, by days,
serves a Fanvue that ignores the time of day in its filters.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from worker.sync.rows import newest_first


if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.sync.rows import LedgerRow


PAGE_SIZE: Final = 50
INSTANT: Final = timedelta(milliseconds=1)
# Fanvue accepts it, and no creator is older.
HISTORY_BEGINS: Final = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of instants to read: `start` inclusive, `end` exclusive; None is open."""

    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list stands: by cursor, or below `position`."""

    mode: str
    cursor: str | None = None
    position: datetime | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What to do with a page: the rows to commit, and the place after it (None: the list ended)."""

    rows: list[LedgerRow] = field(default_factory=list)
    after: Place | None = None
    reread: Place | None = None


def query_span(span: Span, place: Place) -> Span:
    """Return the range to ask Fanvue for at a place of a list."""
    if place.cursor is None and place.position is not None:
        # The instant itself once more: what shares it may not all have been seen.
        return replace(span, end=place.position + INSTANT)
    return span


def turn_page(rows: Sequence[LedgerRow], next_cursor: str | None, place: Place) -> Turn:
    """Decide what of a page may be committed, and where the list goes on.

    Raises `ValueError` when the page is not newest first or holds rows above the place.
    """
    if not newest_first(rows):
        raise ValueError("the page is not in order, newest first")
    if place.position is not None and rows and rows[0].at > place.position:
        raise ValueError("the page holds rows newer than the page before it")
    if place.mode == "window" and place.cursor is None and place.position is not None:
        if not rows or rows[0].at != place.position:
            # We asked for an instant that was there and got none of it: Fanvue ignores the time
            # of day (its documentation once said so). Begin with the whole day, by cursor.
            return Turn(reread=Place("days", position=_end_of_day(place.position)))
    elif place.mode == "cursor" and any(row.fanvue_id is None for row in rows):
        # Rows without an id are counted, not named: their instants must be read whole.
        if place.cursor is not None:
            return Turn(reread=Place("window", position=place.position))
        place = replace(place, mode="window")
    if next_cursor is None:
        return Turn(rows=list(rows))
    return _turn_on(rows, next_cursor, place)


def _turn_on(rows: Sequence[LedgerRow], next_cursor: str, place: Place) -> Turn:
    if not rows:
        # An empty page that promises more: follow the cursor, it is all there is.
        return Turn(after=replace(place, cursor=next_cursor))
    oldest = rows[-1].at
    if place.mode != "window" or rows[0].at == oldest:
        # A page that is one single instant cannot be split by instants; the cursor can.
        return Turn(rows=list(rows), after=Place(place.mode, next_cursor, oldest))
    kept = [row for row in rows if row.at > oldest]
    return Turn(rows=kept, after=Place("window", None, oldest))


def _end_of_day(moment: datetime) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1) - INSTANT


def first_place(kind: str) -> Place:
    """Return where a new list begins: all of history by cursor, anything shorter by instants."""
    return Place("cursor" if kind == "full" else "window")
