"""Drives a walk: page after page, one commit each, until its end or the end of the slice.

What a page is, a turn decides: it reads one page at the walk's place and says what to commit.
Rows and the place after them are committed together, so a walk killed anywhere goes on there.
The next page is asked for while the last one is committed, where it is certain to be wanted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import structlog

from worker.jobs.outcomes import Cancelled, Done, Result, Yielded, settle_result
from worker.store.walks import PageCommit, WalkState


if TYPE_CHECKING:
    from worker.clock import Clock
    from worker.fanvue.calls import RequestMeter
    from worker.store.jobs import Job
    from worker.store.walks import Committed, WalkStore


Turn: TypeAlias = Callable[[WalkState], Coroutine[Any, Any, PageCommit]]

# Half of the shortest lease: later than this after the last word of the database it may be lost,
# and then the page in hand is committed before Fanvue is asked for more.
CERTAIN: Final = timedelta(seconds=5)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Slice:
    """How long a walk may go on before it lets others have their turn."""

    pages: int
    duration: timedelta


class Walk:
    """One run of a walking job."""

    def __init__(  # noqa: PLR0913, PLR0917 - each one is a party to the walk
        self,
        job: Job,
        store: WalkStore,
        clock: Clock,
        limits: Slice,
        stopping: Callable[[], bool],
        meter: RequestMeter,
    ) -> None:
        self._job = job
        self._store = store
        self._clock = clock
        self._limits = limits
        self._stopping = stopping
        self._meter = meter

    async def run(self, turn: Turn) -> Result:
        """Walk until the end, the end of the slice, or a reason to stop."""
        started = asked = self._clock.monotonic()
        state = await self._store.begin(self._job)
        pages = 0
        ahead: asyncio.Task[PageCommit] | None = None
        try:
            while True:
                page = await (turn(state) if ahead is None else ahead)
                pages += 1
                following = _advance(state, page)
                ahead = None
                if page.onward and self._since(asked) < CERTAIN and not self._ends(pages, started):
                    ahead = asyncio.create_task(turn(following), name="page-ahead")
                asked = self._clock.monotonic()
                committed = await self._commit(state, page)
                if committed.complete:
                    return Done(partial=committed.partial, settled=committed.settled)
                if committed.cancel:
                    return Cancelled()
                # A page that was asked for already is part of the slice.
                if ahead is None and self._ends(pages, started):
                    return Yielded()
                state = _committed(following, committed)
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)

    def _ends(self, pages: int, started: float) -> bool:
        """Tell whether the slice ends with so many pages."""
        return (
            self._stopping()
            or pages >= self._limits.pages
            or self._since(started) >= self._limits.duration
        )

    def _since(self, moment: float) -> timedelta:
        return timedelta(seconds=self._clock.monotonic() - moment)

    async def _commit(self, state: WalkState, page: PageCommit) -> Committed:
        settle = None
        if not (page.onward or page.partial or page.unlisted):
            settle = settle_result(self._job, Done(), self._meter).as_item()
        self._meter.ending = settle is not None
        committed = await self._store.commit(self._job, state, page, settle)
        self._meter.ending = committed.settled
        log.info(
            "page_applied",
            model_id=self._job.model_id,
            job_id=self._job.id,
            phase=page.phase,
            rows=len(page.rows),
            inserted=committed.inserted,
            updated=committed.updated,
            not_modified=page.not_modified,
        )
        return committed


def _advance(state: WalkState, page: PageCommit) -> WalkState:
    """Return the state after a page, as far as the page alone tells it."""
    return replace(
        state,
        phase=page.next_phase,
        mode=page.mode,
        cursor=page.cursor,
        position=page.position,
        ceiling=state.ceiling or page.ceiling,
        pages=state.pages + 1,
        rows=state.rows + len(page.rows),
        notes={**state.notes, **page.notes},
        validator=None,
    )


def _committed(state: WalkState, committed: Committed) -> WalkState:
    """Return the state as the database has it after a commit."""
    # Where nothing was counted at first, what a page comes to is known, whoever brought it.
    before = 0 if state.counted else committed.updated + committed.unchanged
    return replace(
        state,
        version=committed.version,
        todo=committed.todo,
        known=state.known + committed.inserted + before,
    )
