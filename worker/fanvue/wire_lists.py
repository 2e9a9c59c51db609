"""The shapes of Fanvue's lists of people, talk and posts, in both families.

Only what identifies a row is strict. Everything else may be missing or null, because the two
families differ in it and a counter that is absent must not hide the row that carries it.
"""

from __future__ import annotations

from uuid import UUID  # noqa: TC003 - pydantic needs it at run time

from worker.fanvue.wire import Cents, Count, Moment, Wire, Word


class Subscription(Wire):
    """A subscriber's running period; only `/v1` tells."""

    status: Word
    price: Cents | None = None
    amount_paid: Cents | None = None
    current_period_start: Moment | None = None
    current_period_end: Moment | None = None
    auto_renewal_enabled: bool | None = None


class Fan(Wire):
    """A row of `/subscribers` or `/followers`."""

    uuid: UUID
    handle: str | None = None
    display_name: str | None = None
    nickname: str | None = None
    is_top_spender: bool | None = None
    registered_at: Moment | None = None
    subscription: Subscription | None = None
    first_subscribed_at: Moment | None = None


class Spender(Wire):
    """A row of `/insights/top-spenders`: a snapshot over the range that was asked for."""

    gross: Cents
    net: Cents
    messages: Count | None = None
    user: Fan


class Party(Wire):
    """One side of a message; either field may be withheld."""

    uuid: UUID | None = None
    handle: str | None = None


class LastMessage(Wire):
    """The newest message of a chat, as the chat list shows it."""

    uuid: UUID
    sent_at: Moment | None = None
    sender_uuid: UUID | None = None
    status: str | None = None


class Chat(Wire):
    """A row of `/chats`; a chat is identified by the other side's uuid."""

    user: Fan
    created_at: Moment | None = None
    last_message_at: Moment | None = None
    last_message: LastMessage | None = None
    is_read: bool | None = None
    is_muted: bool | None = None
    unread_messages_count: Count | None = None


class Price(Wire):
    """A price in cents."""

    price: Cents


class ChatMessage(Wire):
    """A row of `/chats/{uuid}/messages`; `type` gains values without notice."""

    uuid: UUID
    type: Word
    text: str | None = None
    sent_at: Moment | None = None
    sender: Party | None = None
    recipient: Party | None = None
    has_media: bool | None = None
    media_type: str | None = None
    media_uuids: list[UUID] | None = None
    pricing: dict[str, Price] | None = None
    purchased_at: Moment | None = None
    is_read: bool | None = None


class PostTips(Wire):
    """What fans tipped on a post."""

    count: Count
    total_gross: Cents
    total_net: Cents


class Post(Wire):
    """A row of `/posts`."""

    uuid: UUID
    created_at: Moment
    text: str | None = None
    price: Cents | None = None
    audience: str | None = None
    publish_at: Moment | None = None
    published_at: Moment | None = None
    expires_at: Moment | None = None
    is_pinned: bool | None = None
    likes_count: Count | None = None
    comments_count: Count | None = None
    tips: PostTips | None = None
