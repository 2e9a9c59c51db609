"""The shapes of Fanvue's lists of people, talk and posts, in both families.

Only what identifies a row, or puts it in its place, is essential. The two families differ in the
rest, and a counter that is absent must not hide the row that carries it.
"""

from __future__ import annotations

from typing import Self
from uuid import UUID  # noqa: TC003 - pydantic needs it at run time

from pydantic import Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

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

    gross: Cents
    net: Cents
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

    @model_validator(mode="after")
    def _has_its_place(self, info: ValidationInfo) -> Self:
        """Refuse a chat whose news cannot be dated: it would pass for one without any."""
        instant = self.last_message_at or (self.last_message and self.last_message.sent_at)
        if instant is None and reading_of(info).has_lost("lastMessageAt", "lastMessage"):
            raise PydanticCustomError("undated_news", "it does not say when its last message was")
        return self


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
