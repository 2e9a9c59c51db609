"""The truth row by row: every message, subscription and post with what the lists say of it.

Large for large accounts, so it is told only when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.rosters import subscribers_shown


if TYPE_CHECKING:
    from simulator.content import Chat, Message, Post
    from simulator.people import Creator, Subscription


def particulars(creator: Creator, now_ms: int) -> dict[str, Any]:
    """Return all rows by their uuid."""
    return {
        "message_rows": {
            message.uuid: _message(chat, message)
            for chat in creator.chats.values()
            for message in chat.messages
            if message.at <= now_ms
        },
        "subscriptions": {
            fan.uuid: _subscription(fan.subscription, now_ms)
            for fan in subscribers_shown(creator, now_ms)
            if fan.subscription is not None
        },
        "post_rows": {post.uuid: _post(post) for post in creator.posts},
    }


def _message(chat: Chat, message: Message) -> dict[str, Any]:
    return {
        "fan_uuid": chat.fan.uuid,
        "at": stamp(message.at),
        "sender": "creator" if message.sent else "fan",
        "body": message.text,
        "type": message.type,
        "media_count": len(message.media_uuids),
        "price_cents": message.price,
        "purchased_at": None if message.purchased_at is None else stamp(message.purchased_at),
        "is_read": message.is_read,
    }


def _subscription(held: Subscription, now_ms: int) -> dict[str, Any]:
    return {
        "price_cents": held.price,
        "auto_renews": held.auto_renews,
        "first_at": stamp(held.first_at),
        "period_end": stamp(held.period(now_ms)[1]),
    }


def _post(post: Post) -> dict[str, Any]:
    return {
        "at": stamp(post.at),
        "body": post.text,
        "audience": post.audience,
        "media_count": len(post.media_uuids),
    }
