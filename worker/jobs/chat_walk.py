"""Walks chats: which of them have news (`rows`), then their messages (`talk`, `history`).

Which chats are read next, and back to where, the database says; it also closes the walk when
nothing is left. A chat that Fanvue no longer has is passed over and noted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from worker.errors import CursorExpired, ProviderContract, Unavailable
from worker.fanvue.wire import Complaints
from worker.jobs.chat_pages import ChatPages
from worker.jobs.list_pages import CALLS_AHEAD, ListPages, advance
from worker.jobs.list_walk import ATTEMPTS
from worker.jobs.unreadable import note_unreadable, partial_of
from worker.store.walks import PageCommit
from worker.sync.listing import ENDLESS, is_endless
from worker.sync.talk import reached, steps_down


if TYPE_CHECKING:
    from worker.fanvue.wire_lists import ChatMessage
    from worker.jobs.chat_pages import ChatPage
    from worker.jobs.list_pages import ListPage
    from worker.jobs.pages import PageReader
    from worker.store.jobs import Job
    from worker.store.walks import ChatToRead, WalkState
    from worker.streams.stream import ChatStream


HISTORY: Final = "history"
TALK: Final = "talk"

log = structlog.get_logger(__name__)


class ChatWalk:
    """Turns the pages of one messages or message_history job."""

    def __init__(self, job: Job, stream: ChatStream[ChatMessage], reader: PageReader) -> None:
        self._job = job
        self._stream = stream
        self._reader = reader
        self._chats = ChatPages(stream, reader)
        self._list = None if stream.chats is None else ListPages(stream.chats, reader)

    async def turn(self, state: WalkState) -> PageCommit:
        """Read what comes next and say what to commit."""
        if self._list is not None and state.phase == "rows":
            return await self._list_chats(self._list, state)
        return await self._read_chat(state)

    async def _list_chats(self, chats: ListPages, state: WalkState) -> PageCommit:
        """Read a page of the list, most recent first, down to the floor."""
        if is_endless(state.pages, state.known):
            # What the list has shown is read all the same.
            return _commit(TALK, {**state.notes, "stopped": ENDLESS}, listing="rows")
        asked = state.cursor
        try:
            page = await chats.read(state, asked)
        except CursorExpired:
            log.info("cursor_expired", model_id=self._job.model_id, job_id=self._job.id)
            asked = None
            page = await chats.read(state, asked)
        notes = note_unreadable(state.notes, page.complaints)
        following = None if _below(page, state.floor) else page.following
        if following is not None:
            notes |= advance(following, asked, state)
        return PageCommit(
            rows=page.rows,
            phase="rows",
            next_phase="rows" if following is not None else TALK,
            mode="cursor",
            cursor=following,
            position=None,
            ceiling=page.date,
            complete=page.not_modified,
            partial=partial_of(notes),
            notes=notes,
            not_modified=page.not_modified,
            validator=page.validator,
            onward=following is not None and not is_endless(state.pages + 1, state.known),
            joins=True,
        )

    async def _read_chat(self, state: WalkState) -> PageCommit:
        phase = TALK if self._list is not None else HISTORY
        skipped = state.notes.get("skipped", [])
        chat = next((one for one in state.todo if one.fan_uuid not in skipped), None)
        if chat is None:
            # What was skipped is tried again by the next walk.
            return replace(_commit(phase, dict(state.notes)), complete=True)
        hint = CALLS_AHEAD if phase == HISTORY else None
        notes = dict(state.notes)
        try:
            page = await self._chats.read(chat, keep_text=state.keep_text, hint=hint)
        except Unavailable as error:
            await self._creator_is_there(error)
            log.info("chat_gone", model_id=self._job.model_id, job_id=self._job.id)
            notes["chats_gone"] = int(notes.get("chats_gone", 0)) + 1
            return replace(_commit(phase, notes), chat=chat.fan_uuid, chat_done=True)
        except ProviderContract as error:
            if self._job.attempt < ATTEMPTS:
                raise
            # One chat that stays unreadable must not keep the others from being read.
            notes = note_unreadable(notes, Complaints([error]))
            return _commit(phase, {**notes, "skipped": [*skipped, chat.fan_uuid]})
        notes = note_unreadable(notes, page.complaints)
        try:
            notes["reading"] = steps_down(notes.get("reading"), chat.fan_uuid, page.instants)
        except ValueError as error:
            notes = note_unreadable(notes, Complaints([ProviderContract(str(error))]))
            return _commit(phase, {**notes, "skipped": [*skipped, chat.fan_uuid]})
        if page.crowded:
            notes["crowded"] = int(notes.get("crowded", 0)) + 1
        return replace(
            _commit(phase, notes),
            rows=page.rows,
            ceiling=page.date,
            chat=chat.fan_uuid,
            chat_done=_is_done(phase, chat, page),
            chat_cursor=page.cursor,
        )

    async def _creator_is_there(self, error: Unavailable) -> None:
        """Make sure that it is the chat which is missing, and not everything.

        Otherwise a creator who is not visible for a while would look like chats at their end.
        """
        try:
            await self._reader.get("/chats", {"size": 1})
        except Unavailable:
            raise error from None


def _commit(phase: str, notes: dict[str, Any], *, listing: str | None = None) -> PageCommit:
    return PageCommit(
        rows=[],
        phase=listing or phase,
        next_phase=phase,
        mode="cursor",
        cursor=None,
        position=None,
        ceiling=None,
        # Said on every page: the database may close the walk on any of them.
        partial=partial_of(notes),
        notes=notes,
    )


def _is_done(phase: str, chat: ChatToRead, page: ChatPage) -> bool:
    """Tell whether nothing more of the chat is to be read in this walk."""
    if page.cursor is None:
        return True
    if phase == HISTORY:
        return False
    # Of a chat met for the first time only the newest page is news; the rest is history.
    return chat.known_until is None or reached(page.instants, chat.known_until)


def _below(page: ListPage, floor: datetime | None) -> bool:
    """Tell whether a page ends below the floor: what follows it is older still.

    Its last chat decides, since one that is pinned to the top may be as old as it likes.
    """
    instants = [row["at"] for row in page.rows if row["at"] is not None]
    return floor is not None and bool(instants) and datetime.fromisoformat(instants[-1]) < floor
