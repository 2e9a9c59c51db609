"""The shapes of Fanvue's lists of people, talk and posts, in both families.

Only what identifies a row, or puts it in its place, is essential. The two families differ in the
rest, and a counter that is absent must not hide the row that carries it.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic needs it at run time
from typing import Self
from uuid import UUID  # noqa: TC003 - pydantic needs it at run time

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from worker.fanvue.details import Detail, Expected, Part, reading_of
from worker.fanvue.wire import Cents, Count, Moment, Payer, Wire, Word


class Subscription(Wire):
    """A subscriber's running period; only `/v1` tells."""

    status: Expected[Word] = None
    price: Detail[Cents] = None
    amount_paid: Detail[Cents] = None
    current_period_start: Detail[Moment] = None
    current_period_end: Detail[Moment] = None
    auto_renewal_enabled: Detail[bool] = None


class Fan(Payer):
    """A row of `/subscribers` or `/followers`."""

    registered_at: Detail[Moment] = None
    subscription: Detail[Subscription] = None
    first_subscribed_at: Detail[Moment] = None


class Spender(Wire):
    """A row of `/insights/top-spenders`: a snapshot over the range that was asked for."""

    gross: Expected[Cents] = None
    net: Expected[Cents] = None
    messages: Detail[Count] = None
    user: Part[Fan]


class Party(Wire):
    """One side of a message; either field may be withheld."""

    uuid: Detail[UUID] = None
    handle: Detail[str] = None


class LastMessage(Wire):
    """The newest message of a chat, as the chat list shows it."""

    uuid: Expected[UUID] = None
    sent_at: Detail[Moment] = None
    sender_uuid: Detail[UUID] = None
    status: Detail[str] = None


class Chat(Wire):
    """A row of `/chats`; a chat is identified by the other side's uuid."""

    user: Part[Fan]
    created_at: Detail[Moment] = None
    last_message_at: Detail[Moment] = None
    last_message: Detail[LastMessage] = None
    is_read: Detail[bool] = None
    is_muted: Detail[bool] = None
    unread_messages_count: Detail[Count] = None

    # It has a last message, and what says when could not be read: no chat without any.
    _is_undated: bool = PrivateAttr(default=False)

    @model_validator(mode="after")
    def _note_whether_dated(self, info: ValidationInfo) -> Self:
        said = self.last_message is not None or reading_of(info).has_lost(
            "lastMessageAt", "lastMessage"
        )
        self._is_undated = said and self.instant is None
        return self

    @property
    def instant(self) -> datetime | None:
        """When its last message was sent, as far as that can be read."""
        last = self.last_message
        return self.last_message_at or (None if last is None else last.sent_at)

    @property
    def is_undated(self) -> bool:
        """Whether it has a last message of an unknown instant."""
        return self._is_undated


class Price(Wire):
    """A price in cents."""

    price: Expected[Cents] = None


class Pricing(Wire):
    """What a message costs; only dollars are kept."""

    usd: Detail[Price] = Field(default=None, alias="USD")


class ChatMessage(Wire):
    """A row of `/chats/{uuid}/messages`; `type` gains values without notice.

    Without an instant a message has not been sent yet, so one that is unreadable is no detail.
    """

    uuid: UUID
    type: Expected[Word] = None
    text: Detail[str] = None
    sent_at: Moment | None = None
    sender: Detail[Party] = None
    recipient: Detail[Party] = None
    has_media: Detail[bool] = None
    media_type: Detail[str] = None
    # Only counted.
    media_uuids: Detail[list[object]] = None
    pricing: Detail[Pricing] = None
    purchased_at: Detail[Moment] = None
    is_read: Detail[bool] = None


class PostTips(Wire):
    """What fans tipped on a post."""

    count: Expected[Count] = None
    total_gross: Expected[Cents] = None
    total_net: Expected[Cents] = None


class Post(Wire):
    """A row of `/posts`."""

    uuid: UUID
    created_at: Moment
    text: Detail[str] = None
    price: Detail[Cents] = None
    audience: Detail[str] = None
    publish_at: Detail[Moment] = None
    published_at: Detail[Moment] = None
    expires_at: Detail[Moment] = None
    is_pinned: Detail[bool] = None
    likes_count: Detail[Count] = None
    comments_count: Detail[Count] = None
    tips: Detail[PostTips] = None
