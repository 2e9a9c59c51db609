"""The earnings job: walks a creator's earnings page by page, one commit a page, resumable anywhere.

Phases of a walk: `rows` (the list itself) and `aside` (reversals, which Fanvue's unversioned API
keeps apart). Each page commits its rows and the place after it together, so a walk killed anywhere
goes on where it was. A list that cannot be vouched for ends the walk as partial. A full or deep one
of several pages ends with one look at Fanvue's summary: order between pages is no promise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from worker.fanvue.calls import Family
from worker.jobs.earnings_pages import EarningsList, EarningsPages
from worker.jobs.reconcile_sums import FanvueSums
from worker.jobs.unreadable import NO_REVERSALS, note_doubts, note_unreadable, partial_of
from worker.store.walks import PageCommit
from worker.streams.earnings import EARNINGS
from worker.sync.listing import ENDLESS, is_endless
from worker.sync.reconcile import compare, held, is_known, whole_days
from worker.sync.window import BY_CURSOR, BY_INSTANTS, HISTORY_BEGINS, PAGE_SIZE, Place, Span


if TYPE_CHECKING:
    from datetime import datetime

    from worker.jobs.earnings_pages import ReadPage
    from worker.jobs.pages import PageReader
    from worker.store.jobs import Job
    from worker.store.walks import WalkState, WalkStore


# A reversal may be dated back: what is kept apart is read with this much overlap.
ASIDE_LOOKBACK: Final = timedelta(days=35)
# Of walks by cursor that an older worker left open: they are begun again.
OLD_PHASES: Final = frozenset({"verify", "mend"})


@dataclass(frozen=True, slots=True)
class Next:
    """The phase after this page, and the place in it; `complete` closes the walk.

    `unlisted`: what Fanvue has no list of and was due to be looked at.
    """

    phase: str
    place: Place
    complete: bool = False
    unlisted: str | None = None


class EarningsWalk:
    """Turns the pages of one earnings job."""

    def __init__(self, job: Job, store: WalkStore, reader: PageReader) -> None:
        self._job = job
        self._store = store
        # The sums are a net below the list: without them the walk ends as it would have.
        self._fanvue = FanvueSums(job, reader, attempts=1)
        self._pages = EarningsPages(reader)
        self._has_reversals = reader.offers(EARNINGS.reversals)

    async def turn(self, state: WalkState) -> PageCommit:
        """Read the page at the walk's place and say what to commit."""
        if state.phase in OLD_PHASES:
            state = replace(state, phase="rows", mode=None, cursor=None, position=None)
        if "ended" in state.notes:
            return await self._against_summary(state)
        if is_endless(state.pages, state.known):
            return _close(state, {"stopped": ENDLESS})
        place = Place.resumed(state.mode, state.cursor, state.position, state.notes.get("place"))
        what = _list_of(state)
        # A backfill knows that it will call again; a poll expects a single page.
        hint = None if state.kind == "incremental" else 10
        known = state.validator if _asks_the_same(state) else None
        page = await self._pages.read(what, place, hint=hint, known=known)
        if page.not_modified:
            return self._nothing_new(state, page)
        return self._commit_of(state, page, joins=_joins(place, page))

    def _commit_of(self, state: WalkState, page: ReadPage, *, joins: bool) -> PageCommit:
        going = page.turn.after
        following = Next(state.phase, going) if going is not None else self._after_list(state, page)
        notes, position = _notes_after(state, page, following.place), following.place.column
        if _wants_the_summary(state, notes) and following.complete:
            # The place stays: an older worker reads this page once more and ends there.
            kept = Place(state.mode or BY_INSTANTS, state.cursor)
            position = state.position
            notes |= {"place": state.notes.get("place"), "ended": following.unlisted}
            following = Next(state.phase, kept)
        # Our sums are asked for when they hold this page.
        onward = not following.complete and "ended" not in notes
        return PageCommit(
            rows=[row.as_json() for row in page.turn.rows],
            phase=state.phase,
            next_phase=following.phase,
            mode=following.place.mode,
            cursor=following.place.cursor,
            position=position,
            ceiling=page.date,
            complete=following.complete,
            partial=partial_of(notes) if following.complete else None,
            unlisted=following.unlisted,
            aside_checked=(state.phase == "aside" and going is None)
            or following.unlisted is not None,
            notes=notes,
            validator=page.validator if _asks_the_same(state) else None,
            onward=onward and not is_endless(state.pages + 1, state.known),
            joins=joins,
        )

    def _nothing_new(self, state: WalkState, page: ReadPage) -> PageCommit:
        """Close the walk, unless reversals are kept apart and are due to be looked at."""
        due = page.family is Family.UNVERSIONED and state.aside_due
        aside = due and self._has_reversals
        return PageCommit(
            rows=[],
            phase=state.phase,
            next_phase="aside" if aside else state.phase,
            mode="window",
            cursor=None,
            position=None,
            ceiling=page.date,
            complete=not aside,
            unlisted=NO_REVERSALS if due and not aside else None,
            aside_checked=due and not aside,
            notes={"family": page.family.value},
            not_modified=not aside,
            validator=page.validator,
        )

    async def _against_summary(self, state: WalkState) -> PageCommit:
        """Close a walk that was read to its end, as partial where Fanvue's days have more."""
        doubts: dict[str, Any] = {}
        days = whole_days(state.floor, state.ceiling) if state.ceiling is not None else None
        theirs = None
        if days is not None:
            theirs = await self._fanvue.summary(days.span.start, state.ceiling)
        if days is not None and theirs is not None:
            # Asked after Fanvue: what arrives meanwhile must not look missing.
            ours = await self._store.sums(self._job, days.first, days.until)
            lacking = [found for found in compare(held(ours.days), theirs, days) if found.missing]
            short = [
                found
                for found in lacking
                if found.day not in ours.unknown and not is_known(found, ours.known)
            ]
            if short:
                doubts["short"] = {"days": len(short), "example": short[0].day.isoformat()}
        return _close(state, doubts, unlisted=state.notes["ended"])

    def _after_list(self, state: WalkState, page: ReadPage) -> Next:
        """Say what follows the end of a phase's list."""
        kept_apart = state.phase == "rows" and page.family is Family.UNVERSIONED
        if not kept_apart or (state.kind == "incremental" and not state.aside_due):
            return Next(state.phase, Place(), complete=True)
        if not self._has_reversals:
            return Next(state.phase, Place(), complete=True, unlisted=NO_REVERSALS)
        return Next("aside", Place())


def _wants_the_summary(state: WalkState, notes: dict[str, Any]) -> bool:
    """Tell whether something may hide between pages that nothing else would show."""
    return state.kind != "incremental" and state.pages > 0 and partial_of(notes) is None


def _close(state: WalkState, doubts: dict[str, Any], unlisted: str | None = None) -> PageCommit:
    """Close a walk with what it read; what it has doubts about stays to be read again."""
    notes = {**state.notes, **doubts}
    return PageCommit(
        rows=[],
        phase=state.phase,
        next_phase=state.phase,
        mode="window",
        cursor=None,
        position=None,
        ceiling=None,
        complete=True,
        partial=partial_of(notes),
        unlisted=unlisted,
        aside_checked=unlisted is not None,
        notes=notes,
    )


def _asks_the_same(state: WalkState) -> bool:
    """Tell whether this is the request that every poll begins with.

    Its start is the floor, which stands still as long as nothing new arrives.
    """
    return state.kind == "incremental" and state.phase == "rows" and state.pages == 0


def _joins(place: Place, page: ReadPage) -> bool:
    """Tell whether a page may be committed as one with the page before it.

    Its rows must be below the instant down to which that one was committed: of two equal rows
    without ids one page has two, and two pages may have one. What is longer than a page is enough.
    """
    below, rows = place.below, page.turn.rows
    if below is None or place.mode == BY_CURSOR or len(rows) > PAGE_SIZE:
        return False
    return all(row.at < below for row in rows)


def _list_of(state: WalkState) -> EarningsList:
    start = state.floor or HISTORY_BEGINS
    match state.phase:
        case "rows":
            return EarningsList(EARNINGS.rows, Span(start))
        case "aside":
            return EarningsList(EARNINGS.reversals, Span(_aside_start(state, start)))
        case other:
            raise AssertionError(f"no phase {other!r}")


def _aside_start(state: WalkState, start: datetime) -> datetime:
    if state.kind == "full" or state.aside_checked_at is None:
        return HISTORY_BEGINS
    return min(start, state.aside_checked_at - ASIDE_LOOKBACK)


def _notes_after(state: WalkState, page: ReadPage, place: Place) -> dict[str, Any]:
    notes = {**state.notes, "place": place.as_json()}
    if state.phase == "rows":
        notes["family"] = page.family.value
    return note_unreadable(note_doubts(notes, page.turn.trouble, page.withheld), page.complaints)
