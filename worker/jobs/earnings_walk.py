"""The earnings job: walks a creator's earnings page by page, one commit a page, resumable anywhere.

Phases of a walk: `rows` (the list itself), `aside` (reversals: Fanvue's unversioned API keeps them
apart, and after a walk by cursor they are looked through once more), `verify` (money against
Fanvue's summary) and `mend` (days on which the summary showed more). Each page commits its rows
and the place after it together, so a walk killed anywhere goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from worker.errors import (
    CursorExpired,
    DatabaseUnavailable,
    Misconfigured,
    ProviderContract,
    SchemaMissing,
    ScopeMissing,
    Throttled,
    Transient,
    Unavailable,
)
from worker.fanvue.calls import Family
from worker.jobs.pages import EarningsList, PageReader
from worker.jobs.unreadable import note_unreadable, partial_of
from worker.store.walks import PageCommit
from worker.streams.earnings import EARNINGS
from worker.sync.drift import days_short, spans_of, summary_days
from worker.sync.window import HISTORY_BEGINS, Place, Span, first_place


if TYPE_CHECKING:
    from decimal import Decimal

    from worker.jobs.pages import ReadPage
    from worker.store.jobs import Job
    from worker.store.walks import WalkState, WalkStore


# By cursor, by instants, by days: a list that none of them turns is not one we understand.
PLACES_TRIED: Final = 4
REVERSAL_SOURCES: Final = "refund,chargeback"
# So often a job tries the summary before it ends its walk without.
SUMMARY_ATTEMPTS: Final = 3
# A reversal may be dated back: what is kept apart is read with this much overlap.
ASIDE_LOOKBACK: Final = timedelta(days=35)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Next:
    """The phase after this page, and the place in it; `complete` closes the walk."""

    phase: str
    place: Place
    complete: bool = False


class EarningsWalk:
    """Turns the pages of one earnings job."""

    def __init__(self, job: Job, store: WalkStore, reader: PageReader) -> None:
        self._job = job
        self._store = store
        self._reader = reader

    async def turn(self, state: WalkState) -> PageCommit:
        """Read what comes next and say what to commit."""
        if state.phase == "verify":
            return await self._verify(state)
        return await self._turn(state)

    async def _turn(self, state: WalkState) -> PageCommit:
        """Read the page at the walk's place and say what to commit."""
        place = Place(state.mode, state.cursor, state.position)
        what = _list_of(state)
        # A backfill knows that it will call again; a poll expects a single page.
        hint = None if state.kind == "incremental" else 10
        known = state.validator if _asks_the_same(state) else None
        for _ in range(PLACES_TRIED):
            try:
                page = await self._reader.read(what, place, hint=hint, known=known)
            except CursorExpired:
                # The cursor is a convenience: the instant below which the walk goes on is kept.
                log.info("cursor_expired", model_id=self._job.model_id, job_id=self._job.id)
                place = Place("window", position=state.position)
                continue
            if page.not_modified:
                return _nothing_new(state, page)
            if page.turn.reread is None:
                return self._commit_of(state, page)
            place = page.turn.reread
        raise ProviderContract("the list can be turned neither by cursor nor by instants")

    def _commit_of(self, state: WalkState, page: ReadPage) -> PageCommit:
        notes = _notes_after(state, page)
        now = replace(state, notes=notes)
        going = page.turn.after
        following = Next(state.phase, going) if going is not None else _after_list(now, page)
        if following.phase == "mend" and state.phase == "mend" and going is None:
            notes = {**notes, "mend": state.notes["mend"][1:]}
        return PageCommit(
            rows=[row.as_json() for row in page.turn.rows],
            phase=state.phase,
            next_phase=following.phase,
            mode=following.place.mode,
            cursor=following.place.cursor,
            position=following.place.position,
            ceiling=page.date,
            complete=following.complete,
            partial=partial_of(notes) if following.complete else None,
            aside_checked=state.phase == "aside" and going is None,
            notes=notes,
            validator=page.validator if _asks_the_same(state) else None,
        )

    async def _verify(self, state: WalkState) -> PageCommit:
        """Compare day sums with Fanvue's summary; days short of it are read once more."""
        spans: list[Span] = []
        notes = {**state.notes, "verified": None}
        theirs = await self._summary(state)
        if theirs is not None:
            spans = spans_of(days_short(await self._store.sale_totals(self._job.model_id), theirs))
            notes["verified"] = not spans
        notes["mend"] = [[span.start.isoformat(), _end(span)] for span in spans]
        following = Next("mend" if spans else "verify", Place("window"), complete=not spans)
        return PageCommit(
            rows=[],
            phase="verify",
            next_phase=following.phase,
            mode="window",
            cursor=None,
            position=None,
            ceiling=None,
            complete=following.complete,
            partial=partial_of(notes) if following.complete else None,
            notes=notes,
        )

    async def _summary(self, state: WalkState) -> dict[str, Decimal] | None:
        """Return Fanvue's day sums, or None: the summary is a second opinion, no more.

        Without it the enumeration itself still stands, so a summary that stays broken must not
        keep the walk from ending.
        """
        try:
            reply = await self._reader.get(
                EARNINGS.summary,
                {"startDate": HISTORY_BEGINS, "endDate": state.ceiling, "granularity": "day"},
            )
            return summary_days(reply.body)
        except (Throttled, DatabaseUnavailable, SchemaMissing):
            raise
        except Transient as error:
            if self._job.attempt < SUMMARY_ATTEMPTS:
                raise
            reason = error.message
        except (ScopeMissing, Unavailable, ProviderContract, Misconfigured, ValueError) as error:
            reason = str(error)
        log.warning("summary_unavailable", model_id=self._job.model_id, reason=reason)
        return None


def _asks_the_same(state: WalkState) -> bool:
    """Tell whether this is the request that every poll begins with.

    Its start is the floor, which stands still as long as nothing new arrives.
    """
    return state.kind == "incremental" and state.phase == "rows" and state.pages == 0


def _nothing_new(state: WalkState, page: ReadPage) -> PageCommit:
    """Close the walk, unless reversals are kept apart and are due to be looked at."""
    aside = page.family is Family.UNVERSIONED and state.aside_due
    return PageCommit(
        rows=[],
        phase=state.phase,
        next_phase="aside" if aside else state.phase,
        mode="window",
        cursor=None,
        position=None,
        ceiling=page.date,
        complete=not aside,
        notes={"family": page.family.value},
        not_modified=not aside,
        validator=page.validator,
    )


def _list_of(state: WalkState) -> EarningsList:
    start = state.floor or HISTORY_BEGINS
    match state.phase:
        case "aside":
            if state.notes.get("family") == Family.UNVERSIONED.value:
                return EarningsList(EARNINGS.reversals, Span(_aside_start(state, start)))
            return EarningsList(EARNINGS.rows, Span(start), REVERSAL_SOURCES)
        case "mend":
            first, last = state.notes["mend"][0]
            return EarningsList(
                EARNINGS.rows, Span(datetime.fromisoformat(first), datetime.fromisoformat(last))
            )
        case _:
            return EarningsList(EARNINGS.rows, Span(start))


def _aside_start(state: WalkState, start: datetime) -> datetime:
    if state.kind == "full" or state.aside_checked_at is None:
        return HISTORY_BEGINS
    return min(start, state.aside_checked_at - ASIDE_LOOKBACK)


def _after_list(state: WalkState, page: ReadPage) -> Next:
    """Say what follows the end of a phase's list."""
    turned_by_cursor = bool(state.notes.get("by_cursor"))
    if state.phase == "rows":
        if page.family is Family.UNVERSIONED and (state.kind != "incremental" or state.aside_due):
            return Next("aside", Place("window"))
        if turned_by_cursor and page.family is Family.V1:
            return Next("aside", Place("window"))
    if state.phase in {"rows", "aside"} and turned_by_cursor:
        return Next("verify", Place("window"))
    if state.phase == "mend" and len(state.notes["mend"]) > 1:
        return Next("mend", Place("window"))
    return Next(state.phase, first_place(state.kind), complete=True)


def _notes_after(state: WalkState, page: ReadPage) -> dict[str, Any]:
    notes = dict(state.notes)
    if state.phase == "rows":
        notes["family"] = page.family.value
    after = page.turn.after
    if state.phase == "rows" and after is not None and after.mode in {"cursor", "days"}:
        notes["by_cursor"] = True
    return note_unreadable(notes, page.complaints)


def _end(span: Span) -> str | None:
    return None if span.end is None else span.end.isoformat()
