"""Drives a walk: page after page, one commit each, until its end or the end of the slice.

What a page is, a turn decides: it reads one page at the walk's place and says what to commit.
Rows and the place after them are committed together, so a walk killed anywhere goes on there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

import structlog

from worker.jobs.outcomes import Cancelled, Done, Result, Yielded
from worker.store.walks import PageCommit, WalkState


if TYPE_CHECKING:
    from worker.clock import Clock
    from worker.store.jobs import Job
    from worker.store.walks import Committed, WalkStore


Turn: TypeAlias = Callable[[WalkState], Awaitable[PageCommit]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Slice:
    """How long a walk may go on before it lets others have their turn."""

    pages: int
    duration: timedelta


class Walk:
    """One run of a walking job."""

    def __init__(
        self,
        job: Job,
        store: WalkStore,
        clock: Clock,
        limits: Slice,
        stopping: Callable[[], bool],
    ) -> None:
        self._job = job
        self._store = store
        self._clock = clock
        self._limits = limits
        self._stopping = stopping

    async def run(self, turn: Turn) -> Result:
        """Walk until the end, the end of the slice, or a reason to stop."""
        started = self._clock.monotonic()
        state = await self._store.begin(self._job)
        pages = 0
        while True:
            page = await turn(state)
            committed = await self._commit(state, page)
            if committed.complete:
                return Done(partial=committed.partial)
            if committed.cancel:
                return Cancelled()
            pages += 1
            elapsed = timedelta(seconds=self._clock.monotonic() - started)
            if self._stopping() or pages >= self._limits.pages or elapsed >= self._limits.duration:
                return Yielded()
            state = _advance(state, page, committed)

    async def _commit(self, state: WalkState, page: PageCommit) -> Committed:
        committed = await self._store.commit(self._job, state, page)
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


def _advance(state: WalkState, page: PageCommit, committed: Committed) -> WalkState:
    """Return the state as the database has it after a commit."""
    # Where nothing was counted at first, what a page comes to is known, whoever brought it.
    before = 0 if state.counted else committed.updated + committed.unchanged
    return replace(
        state,
        version=committed.version,
        phase=page.next_phase,
        mode=page.mode,
        cursor=page.cursor,
        position=page.position,
        ceiling=state.ceiling or page.ceiling,
        pages=state.pages + 1,
        rows=state.rows + len(page.rows),
        notes={**state.notes, **page.notes},
        todo=committed.todo,
        validator=None,
        known=state.known + committed.inserted + before,
    )
