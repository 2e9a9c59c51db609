"""What creators and fans exchange: chats with their messages, and posts.

Plain records; instants in milliseconds, money in US cents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING


if TYPE_CHECKING:
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


@dataclass(slots=True, eq=False)
class Chat:
    """The conversation with one fan, oldest message first."""

    fan: Fan
    created_at: int
    messages: list[Message] = field(default_factory=list)
    is_muted: bool = False

    @property
    def unread_count(self) -> int:
        """Return how many of the fan's messages the creator has not read."""
        return sum(not m.sent and not m.is_read for m in self.messages)

    @property
    def last_message_at(self) -> int:
        """Return when the newest message was sent, or the chat began."""
        return self.messages[-1].at if self.messages else self.created_at

    def add(self, message: Message) -> None:
        """Put a message in its place in time; nearly always that is the end."""
        self.messages.append(message)
        if len(self.messages) > 1 and self.messages[-2].at > message.at:
            self.messages.sort(key=lambda m: m.at)


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
