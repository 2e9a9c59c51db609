"""Where a walk over earnings goes on: places, filters, and what may be committed of a page.

Pure. A list is turned by instants: the oldest instant of a page is left for the next one, which is
asked for by date, so that rows sharing a millisecond stay together. It costs one row in fifty and
trusts no cursor. The next page begins above everything that this one left, so a row that Fanvue
lists one place too late shows there, too; a page that is not in order leaves more of itself.
Where the filters ignore the time of day (Fanvue's documentation once said so) the unit is a day.
A list whose order or dates do not hold is read on by cursor, and proves nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from worker.sync.rows import out_of_place


if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from worker.sync.rows import LedgerRow


PAGE_SIZE: Final = 50
INSTANT: Final = timedelta(milliseconds=1)
DAY: Final = timedelta(days=1)
# Fanvue accepts it, and no creator is older.
HISTORY_BEGINS: Final = datetime(2020, 1, 1, tzinfo=UTC)
# Of a page that is not in order so many rows are left for the next one, if it has them.
LEFT_IN_DISORDER: Final = 10

BY_INSTANTS: Final = "window"
BY_DAYS: Final = "days"
BY_CURSOR: Final = "cursor"
NOT_IN_ORDER: Final = "Fanvue's list is not in order from page to page, so rows may be missing"
NOT_LED_ON: Final = "Fanvue's cursor does not lead on, so rows may be missing"
NOT_WITHIN_DATES: Final = "Fanvue's list ignores the dates asked for, so rows may be missing"


@dataclass(frozen=True, slots=True)
class Span:
    """A range of instants to read: `start` inclusive, `end` exclusive; None is open."""

    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list stands.

    `position` is the oldest instant seen, `below` the end date to ask for: a cursor goes back with
    the one it was given for. `left` rows between the two were seen and left for the next page, the
    newest of them at `newest` where that is not `position`.
    """

    mode: str = BY_INSTANTS
    cursor: str | None = None
    position: datetime | None = None
    below: datetime | None = None
    left: int = 0
    newest: datetime | None = None

    @property
    def column(self) -> datetime | None:
        """Return the position to store: an older worker goes on there, and skips nothing left.

        It asks for the rows up to this instant, itself included, and expects to find it; by days,
        where such an end is cut to its day, the last instant of a day stands for the whole of it.
        """
        if self.mode == BY_DAYS and self.below is not None:
            return self.below - INSTANT
        return self.newest or self.position

    def as_json(self) -> dict[str, object]:
        """Return what no column keeps."""
        return {
            "position": _text(self.position),
            "below": _text(self.below),
            "left": self.left,
            "newest": _text(self.newest),
        }

    @classmethod
    def resumed(
        cls,
        mode: str | None,
        cursor: str | None,
        position: datetime | None,
        kept: Mapping[str, object] | None,
    ) -> Place:
        """Return the place that was stored; `position` is what its column had.

        A list that an older worker turned by cursor is begun again.
        """
        if mode is not None and kept is not None:
            place = cls(
                mode,
                cursor,
                _moment(kept.get("position")),
                _moment(kept.get("below")),
                int(str(kept["left"])),
                _moment(kept.get("newest")),
            )
            # Else an older worker went on meanwhile.
            if place.column == position:
                return place
        if mode == BY_INSTANTS and cursor is None and position is not None:
            return cls(BY_INSTANTS, None, position, position + INSTANT)
        return cls()


@dataclass(frozen=True, slots=True)
class Turn:
    """What to do with a page: the rows to commit, and the place after it (None: the list ended).

    `reread`: read this place instead. `crowded`: the page is one instant (or day) that may go on;
    it is to be read whole. `trouble`: why the list proves nothing from here on.
    """

    rows: list[LedgerRow] = field(default_factory=list)
    after: Place | None = None
    reread: Place | None = None
    crowded: bool = False
    trouble: str | None = None


def resume_below(place: Place) -> Place:
    """Return the place of a list whose cursor expired: the instant below which it goes on."""
    if place.position is None:
        return Place()
    below = place.below
    if place.mode == BY_CURSOR or below is None:
        below = place.position + INSTANT
    return replace(place, mode=BY_INSTANTS, cursor=None, below=below)


def query_span(span: Span, place: Place) -> Span:
    """Return the range to ask Fanvue for at a place of a list."""
    if place.below is None:
        return span
    return replace(span, end=place.below if span.end is None else min(span.end, place.below))


def turn_page(
    rows: Sequence[LedgerRow], next_cursor: str | None, place: Place, *, full: bool = False
) -> Turn:
    """Decide what of a page may be committed, and where the list goes on.

    `full`: the page holds as many rows as were asked for. Such a page is no end, cursor or not:
    a cursor made of a date ends where nothing is older, whatever else shares that instant.
    """
    found = sorted(rows, key=lambda row: row.at, reverse=True)
    trouble = _trouble(found, next_cursor, place)
    if place.mode == BY_CURSOR or trouble is not None:
        return _on_by_cursor(found, next_cursor, place, trouble)
    if place.mode == BY_INSTANTS and _lacks_what_was_left(found, next_cursor, place):
        # An instant that was there does not come back: the filters ignore the time of day.
        return Turn(reread=_whole_day_of(place))
    if not found:
        # An empty page that promises more: follow the cursor, it is all there is.
        return Turn(after=None if next_cursor is None else replace(place, cursor=next_cursor))
    if next_cursor is None and not full:
        return Turn(rows=found)
    if _begin(place.mode, found[0].at) == _begin(place.mode, found[-1].at):
        return Turn(rows=found, crowded=True)
    return _on_by_date(found, place.mode, out_of_place(rows))


def _trouble(found: Sequence[LedgerRow], next_cursor: str | None, place: Place) -> str | None:
    """Say why a list proves nothing from this page on, if it does not."""
    if next_cursor is not None and next_cursor == place.cursor:
        return NOT_LED_ON
    if place.mode == BY_CURSOR:
        return None
    if found and place.below is not None and found[0].at >= place.below:
        return NOT_WITHIN_DATES
    if _between(found, place.position, place.below) > place.left:
        return NOT_IN_ORDER
    return None


def _lacks_what_was_left(found: Sequence[LedgerRow], next_cursor: str | None, place: Place) -> bool:
    position = place.position
    if position is None or place.below is None or position >= place.below:
        return False
    if next_cursor is not None and (not found or found[-1].at > position):
        return False
    shown = any(row.at == position for row in found)
    return not shown or _between(found, position, place.below) < place.left


def _whole_day_of(place: Place) -> Place:
    """Return the place above the day of the newest instant that was asked for."""
    assert place.below is not None  # noqa: S101 - only a list asked for by date lacks an instant
    return Place(BY_DAYS, below=_begin(BY_DAYS, place.below - INSTANT) + DAY)


def _between(found: Sequence[LedgerRow], position: datetime | None, below: datetime | None) -> int:
    if position is None or below is None:
        return 0
    return sum(position < row.at < below for row in found)


def _on_by_cursor(
    found: list[LedgerRow], next_cursor: str | None, place: Place, trouble: str | None
) -> Turn:
    """Take the page as it is, and go on with its own cursor."""
    if next_cursor is None or next_cursor == place.cursor:
        return Turn(found, trouble=trouble)
    seen = [row.at for row in found[-1:]] + ([] if place.position is None else [place.position])
    after = Place(BY_CURSOR, next_cursor, min(seen, default=None), place.below)
    return Turn(found, after, trouble=trouble)


def _on_by_date(found: list[LedgerRow], mode: str, disorder: int) -> Turn:
    """Leave the oldest instant (or day) of a page, and more of a page that is not in order."""
    least = min(max(LEFT_IN_DISORDER, 2 * disorder), len(found) // 2) if disorder else 0
    borders = sorted({_begin(mode, row.at) for row in found})[1:]
    below = next((b for b in borders if sum(row.at < b for row in found) >= least), borders[-1])
    oldest, newest = found[-1].at, max(row.at for row in found if row.at < below)
    after = Place(mode, None, oldest, below, _between(found, oldest, below))
    if newest != oldest:
        after = replace(after, newest=newest)
    return Turn([row for row in found if row.at >= below], after)


def _begin(mode: str, moment: datetime) -> datetime:
    """Return where the instant, or the day, of a row begins."""
    if mode == BY_INSTANTS:
        return moment
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


# Crowds -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Crowd:
    """An instant (or day) that fills a page, as one reading by cursor shows it.

    `older` is the newest instant below it that the reading came to.
    """

    pages: list[list[LedgerRow]]
    ended: bool
    older: datetime | None = None
    # After how many rows of the list a page ended and another one followed.
    borders: tuple[int, ...] = ()


def other_size(count: int, position: int = 0, borders: Collection[int] = ()) -> int:
    """Return a page size that puts a border of a second reading where the first had none."""
    largest = max(1, count * 3 // 4)
    sizes = (size for size in range(largest, 0, -1) if position + size not in borders)
    return next(sizes, largest)


def of_crowd(
    rows: Sequence[LedgerRow], mode: str, crowd: datetime
) -> tuple[list[LedgerRow], datetime | None]:
    """Return the rows of a page that belong to a crowd, and the newest instant below it."""
    begin = _begin(mode, crowd)
    older = max((row.at for row in rows if row.at < begin), default=None)
    return [row for row in rows if row.at >= begin], older


def brings_news(pages: Sequence[Sequence[LedgerRow]]) -> bool:
    """Tell whether the last page of a crowd may show a row that the ones before did not."""
    seen = {row.fanvue_id for page in pages[:-1] for row in page}
    return any(row.fanvue_id is None or row.fanvue_id not in seen for row in pages[-1])


def settle_crowd(first: Crowd, second: Crowd) -> tuple[list[LedgerRow], bool]:
    """Return the rows of a crowd, and whether they are all of it.

    Only two readings with different borders that agree prove that the cursor neither skips nor
    repeats rows of one instant. Else only what single pages show is certain: no page shows a row
    twice, but the next one may.
    """
    smaller = len(second.pages[0]) < len(first.pages[0]) or len(first.pages[0]) == 1
    agree = first.ended and second.ended and smaller and _counted(first) == _counted(second)
    if agree and not _may_repeat(first, second):
        return [row for page in first.pages for row in page], True
    certain: Counter[LedgerRow] = Counter()
    for page in [*first.pages, *second.pages]:
        certain |= Counter(page)
    return list(certain.elements()), False


def _counted(crowd: Crowd) -> Counter[object]:
    """Count rows without an id as often as they are shown, named ones once."""
    rows = [row for page in crowd.pages for row in page]
    named = {(row.fanvue_id, row.at, row.amount) for row in rows if row.fanvue_id is not None}
    return Counter([*named, *(row for row in rows if row.fanvue_id is None)])


def _may_repeat(first: Crowd, second: Crowd) -> bool:
    """Tell whether rows without an id may stand twice in both readings because both repeat them.

    A cursor that repeats an instant shows all of it on the page after the border, wherever the
    border is; one that splits it leaves another rest for each border.
    """
    return any(
        len(ours) > 1
        and len(theirs) > 1
        and ours[-1] == theirs[-1]
        and all(part <= ours[-1] for part in [*ours, *theirs])
        for ours, theirs in (
            (_parts(first, instant), _parts(second, instant))
            for instant in {row.at for page in first.pages for row in page if not row.fanvue_id}
        )
    )


def _parts(crowd: Crowd, instant: datetime) -> list[Counter[LedgerRow]]:
    """Return what each page shows of an instant, but for the pages that show nothing of it."""
    parts = (Counter(row for row in page if row.at == instant) for page in crowd.pages)
    return [part for part in parts if part]


def after_crowd(mode: str, crowd: datetime, older: datetime | None) -> Place:
    """Return the place below an instant (or day) that was read to its end."""
    begin = _begin(mode, crowd)
    return Place(mode, None, older or begin, begin)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: object) -> datetime | None:
    return None if text is None else datetime.fromisoformat(str(text))
