"""The reconcile job: reads a creator's money again, completely, and says what it proves.

Every page goes through the same parsing and identity as a live sync, one commit a page, resumable
anywhere. When all lists were read to their ends the sums are compared with Fanvue's summary; days
on which Fanvue has more are read once more before anything is said. Nothing is ever deleted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from worker.fanvue.calls import Family
from worker.jobs.earnings_pages import EarningsList, EarningsPages
from worker.jobs.outcomes import Cancelled, Done, Result, Yielded
from worker.jobs.reconcile_sums import FanvueSums
from worker.jobs.unreadable import NO_REVERSALS, note_doubts, note_unreadable, partial_of
from worker.store.reconcile import RunCommit
from worker.streams.earnings import EARNINGS as MONEY
from worker.sync.listing import ENDLESS, is_endless
from worker.sync.reconcile import (
    AGAIN,
    EARNINGS,
    SPENDING,
    Days,
    Difference,
    Reading,
    around,
    compare,
    held,
    is_known,
    judged_days,
    read_again,
)
from worker.sync.window import HISTORY_BEGINS, Place, Span


if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from worker.clock import Clock
    from worker.jobs.earnings_pages import ReadPage
    from worker.jobs.pages import PageReader
    from worker.jobs.walk import Slice
    from worker.store.jobs import Job
    from worker.store.reconcile import OurSums, ReconcileStore, RunState


PATHS: Final = {EARNINGS: MONEY.rows, AGAIN: MONEY.rows, SPENDING: MONEY.reversals}
# An agency's report is compared over so many days at most.
LONGEST_REPORT: Final = timedelta(days=90)
UNCOMPARED: Final = "every row was read, but no day was compared with Fanvue's summary"
NOT_SETTLED: Final = "no day has settled yet"
# Many pages follow: the budget is taken in blocks.
CALLS_AHEAD: Final = 10

log = structlog.get_logger(__name__)


class Reconciliation:
    """One run of the reconcile job."""

    def __init__(  # noqa: PLR0913, PLR0917 - each one is a party to the run
        self,
        job: Job,
        store: ReconcileStore,
        reader: PageReader,
        clock: Clock,
        limits: Slice,
        stopping: Callable[[], bool],
    ) -> None:
        self._job = job
        self._store = store
        self._pages = EarningsPages(reader)
        self._has_reversals = reader.offers(MONEY.reversals)
        self._fanvue = FanvueSums(job, reader)
        # Days of which no net can be told.
        self._without_net: set[date] = set()
        self._clock = clock
        self._limits = limits
        self._stopping = stopping

    async def run(self) -> Result:
        """Read until the end, the end of the slice, or a reason to stop."""
        started = self._clock.monotonic()
        state = await self._store.begin(self._job)
        steps = 0
        while True:
            step = await self._read(state) if state.todo else await self._judge(state)
            if isinstance(step, Done):
                return step
            committed = await self._store.commit(self._job, state, step)
            log.info(
                "page_reconciled",
                model_id=self._job.model_id,
                job_id=self._job.id,
                rows=len(step.rows),
                mended=committed.mended,
            )
            if committed.cancel:
                return Cancelled()
            steps += 1
            elapsed = timedelta(seconds=self._clock.monotonic() - started)
            if self._stopping() or steps >= self._limits.pages or elapsed >= self._limits.duration:
                return Yielded()
            state = replace(
                state,
                version=committed.version,
                todo=step.todo,
                mode=step.mode,
                cursor=step.cursor,
                position=step.position,
                ceiling=state.ceiling or step.ceiling or self._clock.now(),
                notes={**state.notes, **step.notes},
                pages=state.pages + step.pages,
                known=state.known + committed.inserted,
            )

    # Reading --------------------------------------------------------------------------------------

    async def _read(self, state: RunState) -> RunCommit:
        """Read the page at the run's place and say what to commit."""
        # Each list for itself: many short ones are not one that does not end.
        if is_endless(state.pages - int(state.notes.get("read_before", 0)), state.known):
            return RunCommit([], notes={**state.notes, "stopped": ENDLESS}, pages=0)
        reading = Reading.from_json(state.todo[0])
        place = Place.resumed(state.mode, state.cursor, state.position, state.notes.get("place"))
        what = EarningsList(PATHS[reading.list], reading.span)
        page = await self._pages.read(what, place, hint=CALLS_AHEAD)
        return _commit_of(state, page, has_reversals=self._has_reversals)

    # Judging --------------------------------------------------------------------------------------

    async def _judge(self, state: RunState) -> RunCommit | Done:
        """Compare sums; return what to read once more, or how the run ended."""
        whole = self._days_of(state)
        partial = partial_of(state.notes)
        sums: list[dict[str, Any]] = []
        if whole is not None and partial is None:
            differences, again = await self._against_summary(state, whole)
            if again is not None:
                return again
            if differences is not None:
                sums.append(_verdict("summary", whole, differences))
            reported = Days(max(whole.first, whole.until - LONGEST_REPORT), whole.until)
            differences = await self._against_report(state, reported)
            if differences is not None:
                sums.append(_verdict("agency", reported, differences))
        unasked = NOT_SETTLED if whole is None else self._fanvue.missing.get("summary")
        uncompared = None if unasked is None else f"{UNCOMPARED}: {unasked}"
        if unasked is None and self._without_net:
            example = min(self._without_net).isoformat()
            uncompared = (
                f"Fanvue listed rows without what is left of them after fees, on {example} first: "
                f"the days they are of were not compared ({len(self._without_net)})"
            )
        unproved = "; ".join(filter(None, [state.notes.get("unlisted"), uncompared])) or None
        proved = await self._store.finish(self._job, state, sums, partial, unproved)
        log.info(
            "reconciled",
            model_id=self._job.model_id,
            job_id=self._job.id,
            mended=proved["mended"],
            drift=proved["drift"],
        )
        return Done(partial=proved["partial"])

    def _days_of(self, state: RunState) -> Days | None:
        """Return the days to judge: those that were asked for, else all of history."""
        first = _ranges(state)[0].start if state.requested else HISTORY_BEGINS
        return judged_days(first, state.ceiling or self._clock.now(), state.settle)

    async def _against_summary(
        self, state: RunState, whole: Days
    ) -> tuple[list[Difference] | None, RunCommit | None]:
        """Return the differences that stand, or what to read before they can be told.

        A difference counts only when it outlasts a second reading of the days that lack money,
        and a second, fresh summary: the first may be from before a row that was just listed.
        """
        doubtful = _days_from(state.notes.get("doubtful"))
        if doubtful is None:
            theirs = await self._fanvue.summary(whole.span.start, state.ceiling)
        else:
            # Another end than the first time: what is cached for one is not for the other.
            theirs = await self._fanvue.summary(doubtful.span.start, doubtful.span.end)
        if theirs is None:
            return None, None
        ours = await self._store.sums(self._job, whole.first, whole.until)
        self._without_net |= ours.unknown
        differences = _certain(state, ours, compare(held(ours.days), theirs, doubtful or whole))
        if doubtful is not None:
            return differences, None
        news = [found for found in differences if not is_known(found, ours.known)]
        if not news:
            return differences, None
        # Known ones are judged again beside the news, so the days span all of them.
        notes = {"doubtful": _days_json(around(differences))}
        again = [reading.as_json() for reading in read_again(news, _ranges(state))]
        return None, RunCommit(again, notes={**notes, "place": Place().as_json()}, pages=0)

    async def _against_report(self, state: RunState, days: Days) -> list[Difference] | None:
        """Return the days on which an agency's report differs; None where there is none."""
        theirs = await self._fanvue.report(days)
        if theirs is None:
            return None
        ours = await self._store.sums(self._job, days.first, days.until)
        # A day that the report leaves out, or has in other currencies, says nothing.
        reported = {day: sums for day, sums in held(ours.days).items() if day in theirs}
        return _certain(state, ours, compare(reported, theirs, days))


def _certain(state: RunState, ours: OurSums, differences: list[Difference]) -> list[Difference]:
    """Return the differences that neither a net which nobody told explains, nor reversals.

    What is a finding already stays one.
    """
    only_missing = "unlisted" in state.notes
    return [
        found
        for found in differences
        if found.day in ours.known
        or (found.day not in ours.unknown and (found.missing or not only_missing))
    ]


def _verdict(kind: str, days: Days, differences: list[Difference]) -> dict[str, Any]:
    return {
        "kind": kind,
        "from": days.first.isoformat(),
        "until": days.until.isoformat(),
        "differ": [found.as_json() for found in differences],
    }


def _commit_of(state: RunState, page: ReadPage, *, has_reversals: bool) -> RunCommit:
    reading, rest = Reading.from_json(state.todo[0]), state.todo[1:]
    apart = Reading(SPENDING, reading.start, reading.end).as_json()
    # This family keeps reversals in a list of their own.
    kept_apart = reading.list == EARNINGS and page.family is Family.UNVERSIONED
    if kept_apart and has_reversals and apart not in rest:
        rest = [*rest, apart]
    going = page.turn.after
    place = going or Place()
    notes = note_doubts(state.notes, page.turn.trouble, page.withheld)
    if going is None:
        notes["read_before"] = state.pages + 1
    if kept_apart and not has_reversals:
        notes["unlisted"] = NO_REVERSALS
    return RunCommit(
        todo=rest if going is None else [state.todo[0], *rest],
        mode=place.mode,
        cursor=place.cursor,
        position=place.column,
        rows=[row.as_json() for row in page.turn.rows],
        ceiling=page.date,
        notes={**note_unreadable(notes, page.complaints), "place": place.as_json()},
    )


def _ranges(state: RunState) -> list[Span]:
    readings = [Reading.from_json({**item, "list": EARNINGS}) for item in state.ranges]
    return [Span(reading.start, reading.end) for reading in readings]


def _days_json(days: Days) -> list[str]:
    return [days.first.isoformat(), days.until.isoformat()]


def _days_from(note: list[str] | None) -> Days | None:
    return None if note is None else Days.from_texts(*note)
