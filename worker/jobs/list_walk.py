"""Walks a list of rows that stand for themselves: subscribers, followers, posts and their like.

A full walk reads to the end, and only then says that it saw the whole list: who is missing from
it has gone. A poll reads from the top until a page brings nothing new, which the database sees.
Rows may be read twice; a list that could not be read whole closes as partial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from worker.errors import CursorExpired, ProviderContract
from worker.jobs.list_pages import ListPages, advance
from worker.jobs.unreadable import note_unreadable, partial_of
from worker.store.walks import PageCommit
from worker.streams.stream import Extent
from worker.sync.listing import ENDLESS, is_endless


if TYPE_CHECKING:
    from worker.jobs.list_pages import ListPage
    from worker.jobs.pages import PageReader
    from worker.store.jobs import Job
    from worker.store.walks import WalkState
    from worker.streams.stream import ListStream


# So often a page is tried in vain, or a list begun again, before the walk ends without the rest.
ATTEMPTS: Final = 3
RESTARTS: Final = 3

log = structlog.get_logger(__name__)


class ListWalk:
    """Turns the pages of one list."""

    def __init__(self, job: Job, stream: ListStream[Any], reader: PageReader) -> None:
        self._job = job
        self._stream = stream
        self._pages = ListPages(stream, reader)

    async def turn(self, state: WalkState) -> PageCommit:
        """Read the page at the walk's place and say what to commit."""
        if is_endless(_pages_of(state, state.notes), state.known):
            return _give_up(state, ENDLESS)
        try:
            page = await self._pages.read(state, state.cursor)
            return self._commit(state, state.cursor, page, state.notes)
        except CursorExpired:
            return await self._begin_again(state)
        except ProviderContract as error:
            if state.pages == 0 or self._job.attempt < ATTEMPTS:
                raise
            return _give_up(state, error.message)

    async def _begin_again(self, state: WalkState) -> PageCommit:
        """Read from the top: without its cursor an interrupted list has no other place."""
        restarts = int(state.notes.get("restarts", 0)) + 1
        log.info("cursor_expired", model_id=self._job.model_id, job_id=self._job.id, times=restarts)
        if restarts > RESTARTS:
            return _give_up(state, "its cursor expired again and again")
        page = await self._pages.read(state, None)
        # An earlier round is no reason to take this one for endless.
        notes = {**state.notes, "restarts": restarts, "restarted_at": state.pages}
        return self._commit(state, None, page, notes)

    def _commit(
        self, state: WalkState, asked: str | None, page: ListPage, notes: dict[str, Any]
    ) -> PageCommit:
        following = page.following
        if following is not None:
            notes = {**notes, **advance(following, asked, state)}
        notes = note_unreadable(notes, page.complaints)
        until_known = state.kind == "incremental" and self._stream.extent is Extent.WHOLE
        return PageCommit(
            rows=page.rows,
            phase=state.phase,
            next_phase=state.phase,
            mode="cursor",
            cursor=following,
            position=None,
            ceiling=page.date,
            complete=following is None,
            # Said on every page: a poll may be closed by the database on any of them.
            partial=partial_of(notes),
            notes=notes,
            until_known=until_known,
            not_modified=page.not_modified,
            validator=page.validator,
            onward=following is not None
            and not until_known
            and not is_endless(_pages_of(state, notes) + 1, state.known),
            joins=not until_known,
        )


def _pages_of(state: WalkState, notes: dict[str, Any]) -> int:
    """Return how many pages were read since the list was begun, or begun again."""
    return state.pages - int(notes.get("restarted_at", 0))


def _give_up(state: WalkState, reason: str) -> PageCommit:
    """Close the walk with what it has; as partial it proves nobody's absence."""
    notes = {**state.notes, "stopped": reason}
    return PageCommit(
        rows=[],
        phase=state.phase,
        next_phase=state.phase,
        mode="cursor",
        cursor=None,
        position=None,
        ceiling=None,
        complete=True,
        partial=partial_of(notes),
        notes=notes,
    )
