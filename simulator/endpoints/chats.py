"""Chats: the list with its filters, and the unread counters.

A chat is known by the counterpart's user uuid. Messages are in `messages`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.content import chat_key
from simulator.endpoint import Endpoint
from simulator.endpoints.fan_card import fan_card
from simulator.endpoints.fans import BIG_SPENDER_CENTS, members, spent
from simulator.paging import by_key, listed, numbered
from simulator.replies import Invalid, Reply


if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.call import Call
    from simulator.content import Chat, Message
    from simulator.people import Creator


ONLINE_MS = 5 * 60_000
RECENT_MS = 7 * 86_400_000
FILTERS = (
    *("unread", "online", "subscribed_to", "not_muted", "subscribers", "followers"),
    *("recent_subscribers", "not_answered", "spent_more_than_50", "on_free_trial"),
    *("has_tipped", "spenders", "exclude_creators"),
)
SORTS = ("most_recent_messages", "online_now", "most_unanswered_chats")


def chats(call: Call) -> Reply:
    """Answer /chats."""
    key = _sort_key(call)
    found = _filtered(call, call.creator.chats.newest_first())
    if key is not chat_key:
        found = sorted(found, key=key, reverse=True)
    if not call.v1:
        return numbered(call, found, lambda chat: chat_row(call.creator, chat))
    reply = by_key(call, found, lambda chat: _v1_row(call, chat), key)
    reply.body["total"] = len(listed(call, found))
    return reply


def unread(call: Call) -> Reply:
    """Answer /chats/unread."""
    counts = [chat.unread_count for chat in call.creator.chats.values()]
    return Reply(
        {
            "unreadChatsCount": sum(count > 0 for count in counts),
            "unreadMessagesCount": sum(counts),
            "unreadNotifications": {
                "newFollower": 0,
                "newPostComment": 0,
                "newPostLike": 0,
                "newPurchase": 0,
                "newSubscriber": 0,
                "newTip": 0,
                "newPromotion": 0,
            },
        }
    )


def chat_row(creator: Creator, chat: Chat) -> dict[str, Any]:
    """Render a chat as the unversioned family does."""
    last = chat.messages[-1] if chat.messages else None
    count = chat.unread_count
    return {
        "createdAt": stamp(chat.created_at),
        "lastMessageAt": stamp(chat.last_message_at),
        "isRead": count == 0,
        "isMuted": chat.is_muted,
        "unreadMessagesCount": count,
        "user": fan_card(chat.fan),
        "lastMessage": None if last is None else _last_message(creator, chat, last),
    }


def _v1_row(call: Call, chat: Chat) -> dict[str, Any]:
    row = chat_row(call.creator, chat)
    if chat.messages:
        last = chat.messages[-1]
        row["lastMessage"] |= {
            "hasGif": False,
            "senderRole": "CREATOR" if last.sent else "FAN",
            "status": "Read" if last.is_read else "Delivered",
        }
    seen_at = chat.last_seen_at
    row["isCreator"] = False
    row["online"] = call.now - seen_at < ONLINE_MS
    row["lastSeenAt"] = stamp(seen_at)
    return row


def _last_message(creator: Creator, chat: Chat, message: Message) -> dict[str, Any]:
    return {
        "uuid": message.uuid,
        "text": message.text,
        "type": message.type,
        "sentAt": stamp(message.at),
        "hasMedia": bool(message.media_uuids),
        "mediaType": "video" if message.media_uuids else None,
        "senderUuid": creator.uuid if message.sent else chat.fan.uuid,
        "sentByUserId": None,
    }


def _filtered(call: Call, found: list[Chat]) -> list[Chat]:
    for word in call.words("filter"):
        if word not in FILTERS:
            raise Invalid(f"each value in filter must be one of: {', '.join(FILTERS)}")
        found = [chat for chat in found if _passes(call, word, chat)]
    for word in call.words("smartListIds"):
        listed = {fan.uuid for fan in members(call, call.creator, word)}
        found = [chat for chat in found if chat.fan.uuid in listed]
    text = call.query.get("search", "").lower()
    if text:
        found = [
            c for c in found if text in c.fan.handle.lower() or text in c.fan.display_name.lower()
        ]
    return found


def _passes(call: Call, word: str, chat: Chat) -> bool:
    fan = chat.fan
    subscription = fan.subscription
    active = subscription is not None and subscription.is_active(call.now)
    recent = subscription is not None and call.now - subscription.first_at < RECENT_MS
    tests: dict[str, Callable[[], bool]] = {
        "unread": lambda: chat.unread_count > 0,
        "online": lambda: call.now - chat.last_seen_at < ONLINE_MS,
        "not_muted": lambda: not chat.is_muted,
        "subscribers": lambda: active,
        "followers": lambda: not active,
        "recent_subscribers": lambda: active and recent,
        "not_answered": lambda: bool(chat.messages) and not chat.messages[-1].sent,
        "spent_more_than_50": lambda: spent(call.creator).get(fan.uuid, 0) > BIG_SPENDER_CENTS,
        "has_tipped": lambda: any(tip.fan is fan for p in call.creator.posts for tip in p.tips),
        "spenders": lambda: spent(call.creator).get(fan.uuid, 0) > 0,
        "exclude_creators": lambda: True,
    }
    return tests[word]() if word in tests else False


def _sort_key(call: Call) -> Callable[[Chat], tuple[Any, ...]]:
    order = call.query.get("sortBy", SORTS[0])
    if order not in SORTS:
        raise Invalid(f"sortBy must be one of the following values: {', '.join(SORTS)}")
    if order == "online_now":
        return lambda chat: (chat.last_seen_at, *chat_key(chat))
    if order == "most_unanswered_chats":
        return lambda chat: (chat.unread_count, *chat_key(chat))
    return chat_key


ENDPOINTS = [
    Endpoint("/chats", ("read:chat",), chats),
    Endpoint("/chats/unread", ("read:chat",), unread, twin=False),
]
