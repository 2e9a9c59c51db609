"""Drives a walk: page after page, until its end or the end of the slice.

What a page is, a turn decides: it reads one page at the walk's place and says what to commit.
Rows and the place after them are committed together, so a walk killed anywhere goes on there.
Pages are read beside the commit of those before them, where they are certain to be wanted, and a
few of them are committed as one; the first one of a walk is committed at once.
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
# So many pages are committed as one at most: a webhook of the creator waits no longer for them, and
# a walk that breaks off asks for no more of them again.
PAGES_AT_ONCE: Final = 5

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
        self._started = self._asked = clock.monotonic()
        self._read = 0
        self._ahead: asyncio.Task[PageCommit] | None = None
        self._commit: asyncio.Task[Committed] | None = None
        self._meter = meter

    async def run(self, turn: Turn) -> Result:
        """Walk until the end, the end of the slice, or a reason to stop."""
        self._started = self._asked = self._clock.monotonic()
        try:
            return await self._walk(turn, await self._store.begin(self._job))
        finally:
            tasks = [task for task in (self._ahead, self._commit) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _walk(self, turn: Turn, state: WalkState) -> Result:
        last: PageCommit | None = None
        while True:
            page, state = await self._gather(turn, state, last)
            if self._commit is not None:
                committed, self._commit = await self._commit, None
                if committed.complete:
                    return Done(partial=committed.partial, settled=committed.settled)
                if committed.cancel:
                    return Cancelled()
                state = _committed(state, committed)
            if page is not None:
                self._commit = asyncio.create_task(self._write(state, page), name="page-commit")
            elif self._ahead is None and self._ends():
                # A page that was asked for already is part of the slice.
                return Yielded()
            last = page

    async def _gather(
        self, turn: Turn, state: WalkState, last: PageCommit | None
    ) -> tuple[PageCommit | None, WalkState]:
        """Read beside the last commit; return the pages to commit next, as one, and the place.

        What fails is kept until all before it is committed, and so is a page that is to be
        committed by itself.
        """
        held: PageCommit | None = None
        room = PAGES_AT_ONCE if state.pages else 1
        while held is None or held.pages < room:
            if self._ahead is None:
                if last is not None and not self._goes_on(last):
                    break
                self._ahead = asyncio.create_task(turn(state), name="page-ahead")
            if not await self._comes(self._ahead):
                break
            if self._ahead.exception() is not None and (held or self._commit):
                break
            page = self._ahead.result()
            if held is not None and not page.joins:
                break
            self._ahead, self._read = None, self._read + 1
            held = page if held is None else held.joined(page)
            last, state = page, _advance(state, page)
        return held, state

    async def _comes(self, ahead: asyncio.Task[PageCommit]) -> bool:
        """Wait for a page, and no longer than the walk goes on."""
        if self._commit is not None:
            await asyncio.wait({ahead, self._commit}, return_when=asyncio.FIRST_COMPLETED)
            if self._commit.done() and (
                self._commit.exception() is not None or self._commit.result().is_last
            ):
                return False
        await asyncio.wait({ahead})
        return True

    def _goes_on(self, page: PageCommit) -> bool:
        """Tell whether the page after this one is read before this one is committed."""
        return page.onward and self._since(self._asked) < CERTAIN and not self._ends()

    def _ends(self) -> bool:
        """Tell whether the slice ends with the pages that were read."""
        return (
            self._stopping()
            or self._read >= self._limits.pages
            or self._since(self._started) >= self._limits.duration
        )

    def _since(self, moment: float) -> timedelta:
        return timedelta(seconds=self._clock.monotonic() - moment)

    async def _write(self, state: WalkState, page: PageCommit) -> Committed:
        asked = self._clock.monotonic()
        settle = None
        if not (page.onward or page.partial or page.unlisted):
            settle = settle_result(self._job, Done(), self._meter).as_item()
        self._meter.ending = settle is not None
        committed = await self._store.commit(self._job, state, page, settle)
        self._meter.ending = committed.settled
        self._asked = asked
        log.info(
            "page_applied",
            model_id=self._job.model_id,
            job_id=self._job.id,
            phase=page.phase,
            pages=page.pages,
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
