"""What creators and fans exchange: chats with their messages, and posts.

Plain records; instants in milliseconds, money in US cents. A chat answers for a page of a
long history by bisection; nothing here may scan it whole for a request.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Container

    from simulator.people import Fan


@dataclass(slots=True, eq=False)
class Message:
    """One chat message; `sent` means by the creator, otherwise it came from the fan."""

    uuid: str
    at: int
    text: str | None
    sent: bool
    type: str = "SINGLE_RECIPIENT"
    price: int | None = None
    purchased_at: int | None = None
    media_uuids: list[str] = field(default_factory=list)
    is_read: bool = True
    tip_source: str | None = None
    serial: int = field(default=0, init=False)

    @property
    def is_locked(self) -> bool:
        """Tell whether the fan may buy this message and has not."""
        return self.sent and self.price is not None and self.purchased_at is None


def message_key(message: Message) -> tuple[int, int]:
    """Order messages by time, then by their creation."""
    return (message.at, message.serial)


class Chat:
    """The conversation with one fan, oldest message first."""

    __slots__ = ("_by_side", "_serial", "book", "created_at", "fan", "is_muted", "unread_count")

    def __init__(self, fan: Fan, created_at: int) -> None:
        self.fan = fan
        self.created_at = created_at
        self.is_muted = False
        self.unread_count = 0
        self.book: ChatBook | None = None
        self._serial = 0
        self._by_side: dict[bool | None, list[Message]] = {None: [], True: [], False: []}

    @property
    def messages(self) -> list[Message]:
        """Return all messages, oldest first."""
        return self._by_side[None]

    def side(self, *, sent: bool) -> list[Message]:
        """Return the messages of one direction, oldest first."""
        return self._by_side[sent]

    @property
    def last_message_at(self) -> int:
        """Return when the newest message was sent, or the chat began."""
        return self.messages[-1].at if self.messages else self.created_at

    @property
    def last_seen_at(self) -> int:
        """Return when the fan wrote last, or the chat began."""
        received = self._by_side[False]
        return received[-1].at if received else self.created_at

    def add(self, message: Message) -> None:
        """Put a message in its place in time; nearly always that is the end."""
        self._serial += 1
        message.serial = self._serial
        for rows in (self._by_side[None], self._by_side[message.sent]):
            if rows and rows[-1].at > message.at:
                insort(rows, message, key=message_key)
            else:
                rows.append(message)
        self.unread_count += not message.sent and not message.is_read
        if self.book is not None:
            self.book.note(self, message)
            self.book.changed()

    def remove(self, uuids: Container[str]) -> list[Message]:
        """Take messages out; return them."""
        gone = [message for message in self.messages if message.uuid in uuids]
        for side, rows in self._by_side.items():
            self._by_side[side] = [message for message in rows if message.uuid not in uuids]
        self.unread_count -= sum(not m.sent and not m.is_read for m in gone)
        if self.book is not None:
            for message in gone:
                self.book.locked.pop(message.uuid, None)
            self.book.changed()
        return gone

    def read(self, now_ms: int) -> list[Message]:
        """Mark what the fan wrote until now as read; return what was not."""
        if not self.unread_count:
            return []
        received = self._by_side[False]
        unread = [m for m in received[: count_before(received, now_ms + 1)] if not m.is_read]
        for message in unread:
            message.is_read = True
        self.unread_count -= len(unread)
        return unread


def count_before(rows: list[Message], border: int) -> int:
    """Return how many of the rows, oldest first, are older than the border."""
    if not rows or rows[-1].at < border:
        return len(rows)
    return bisect_left(rows, (border, 0), key=message_key)


def chat_key(chat: Chat) -> tuple[int, str]:
    """Order chats by their newest message, equal instants by the fan's uuid."""
    return (chat.last_message_at, chat.fan.uuid)


class ChatBook(dict[str, Chat]):
    """A creator's chats by the fan's uuid; remembers their order until one changes."""

    def __init__(self) -> None:
        super().__init__()
        self.locked: dict[str, tuple[Chat, Message]] = {}
        self._sorted: list[Chat] | None = None

    def __setitem__(self, uuid: str, chat: Chat) -> None:
        super().__setitem__(uuid, chat)
        chat.book = self
        for message in chat.messages:
            self.note(chat, message)
        self.changed()

    def __delitem__(self, uuid: str) -> None:
        chat = self[uuid]
        super().__delitem__(uuid)
        chat.book = None
        for message in chat.messages:
            self.locked.pop(message.uuid, None)
        self.changed()

    def with_fan(self, fan: Fan, at: int) -> Chat:
        """Return the chat with a fan, which begins at an instant if there is none yet."""
        chat = self.get(fan.uuid)
        if chat is None:
            chat = self[fan.uuid] = Chat(fan, at)
        return chat

    def newest_first(self) -> list[Chat]:
        """Return the chats, most recent message first; not to be changed."""
        if self._sorted is None:
            self._sorted = sorted(self.values(), key=chat_key, reverse=True)
        return self._sorted

    def note(self, chat: Chat, message: Message) -> None:
        """Remember a message that waits to be bought."""
        if message.is_locked:
            self.locked[message.uuid] = (chat, message)

    def changed(self) -> None:
        """Forget the order."""
        self._sorted = None


@dataclass(slots=True, eq=False)
class Post:
    """A published post."""

    uuid: str
    at: int
    text: str
    price: int | None
    audience: str
    media_uuids: list[str] = field(default_factory=list)
    likes: int = 0
    comments: int = 0
    is_pinned: bool = False
    tips: list[Tip] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Tip:
    """A tip given on a post."""

    fan: Fan
    at: int
    gross: int
    net: int
