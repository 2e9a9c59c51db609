"""Reads one page of a chat's messages, in whichever way the answering family pages them.

Always asks that nothing be marked as read. A text that is not to be kept ends here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.errors import ProviderContract
from worker.fanvue.calls import Family
from worker.fanvue.pages import PAGE_CURSOR, position, read_dates, read_envelope
from worker.fanvue.wire import Complaints, parse_rows
from worker.jobs.unreadable import second_look
from worker.sync.talk import bound_of, onward_by_dates


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.fanvue.calls import Reply
    from worker.fanvue.client import Parameter
    from worker.fanvue.wire_lists import ChatMessage
    from worker.jobs.pages import PageReader
    from worker.store.walks import ChatToRead
    from worker.streams.stream import ChatStream, Row


@dataclass(frozen=True, slots=True)
class ChatPage:
    """A page of a chat; `cursor` is where older messages go on, None at the chat's beginning."""

    rows: list[Row] = field(repr=False)
    instants: list[datetime]
    cursor: str | None
    date: datetime | None
    complaints: Complaints = field(default_factory=Complaints)
    crowded: bool = False


class ChatPages:
    """Reads pages of chats for one job."""

    def __init__(self, stream: ChatStream[ChatMessage], reader: PageReader) -> None:
        self._stream = stream
        self._reader = reader

    async def read(self, chat: ChatToRead, *, keep_text: bool, hint: int | None) -> ChatPage:
        """Read the page at the chat's cursor, its newest one without."""
        return await second_look(lambda: self._read(chat, keep_text=keep_text, hint=hint))

    async def _read(self, chat: ChatToRead, *, keep_text: bool, hint: int | None) -> ChatPage:
        reply = await self._reader.get(
            self._stream.path(chat.fan_uuid),
            lambda family: self._params(family, chat.cursor),
            hint=hint,
        )
        dated = read_dates(reply)
        if dated is None:
            return self._by_number(reply, chat, keep_text=keep_text)
        raw, bounds = dated
        rows, instants, complaints = self._map(raw, chat, keep_text=keep_text)
        if not raw or bounds.newest is None:
            return ChatPage(rows, instants, None, reply.date, complaints)
        try:
            onward = onward_by_dates(instants, bound_of(chat.cursor), bounds.newest)
        except ValueError as error:
            raise ProviderContract(str(error), json_path="dateFilter") from error
        return ChatPage(rows, instants, onward.cursor, reply.date, complaints, onward.crowded)

    def _params(self, family: Family, cursor: str | None) -> Mapping[str, Parameter]:
        """Ask in the family's own way; a cursor of the other's is left out, which begins again."""
        asked: dict[str, Parameter] = {"markAsRead": "false"}
        if family is Family.V1:
            bound = bound_of(cursor)
            return asked | {
                "limit": self._stream.page_size,
                "sentBefore": bound,
                "receivedBefore": bound,
            }
        numbered = cursor if cursor is not None and cursor.startswith(PAGE_CURSOR) else None
        return asked | {"size": self._stream.page_size, **position(numbered)}

    def _by_number(self, reply: Reply, chat: ChatToRead, *, keep_text: bool) -> ChatPage:
        raw, following = read_envelope(reply)
        if following is not None and following == chat.cursor:
            raise ProviderContract("the page does not advance", json_path="pagination.page")
        rows, instants, complaints = self._map(raw, chat, keep_text=keep_text)
        return ChatPage(rows, instants, following, reply.date, complaints)

    def _map(
        self, raw: list[Any], chat: ChatToRead, *, keep_text: bool
    ) -> tuple[list[Row], list[datetime], Complaints]:
        good, complaints = parse_rows(self._stream.shape, raw)
        # Without an instant it has not been sent yet.
        sent = [message for message in good if message.sent_at is not None]
        rows = [self._stream.row(message, chat.fan_uuid, keep_text) for message in sent]
        instants = [message.sent_at for message in sent if message.sent_at is not None]
        return rows, instants, complaints
