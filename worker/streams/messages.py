"""Chats with news, and then their new messages.

A text that is not to be kept is left out here already, so that it goes no further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from worker.fanvue.wire_lists import Chat, ChatMessage
from worker.streams.fans import named
from worker.streams.money import price
from worker.streams.stream import ChatStream, ListStream, iso


if TYPE_CHECKING:
    from worker.streams.stream import Row, Seen


SCOPES: Final = ("read:chat",)


def chat_row(chat: Chat, _: Seen) -> Row:
    """Map a row of the list of chats."""
    last = chat.last_message
    return named(chat.user) | {
        "at": iso(chat.instant),
        "undated": chat.is_undated,
        "last_message_uuid": None if last is None or last.uuid is None else str(last.uuid),
        "last_message_read": _was_read(last.status if last is not None else None),
        "unread": chat.unread_messages_count,
        "is_muted": chat.is_muted,
        "created_at": iso(chat.created_at),
    }


def _was_read(status: str | None) -> bool | None:
    return None if status is None else status.lower() == "read"


def message_row(message: ChatMessage, fan_uuid: str, keep_text: bool) -> Row:  # noqa: FBT001 - the declared shape of a chat's mapping
    """Map a message of the chat with a fan."""
    media = message.media_uuids
    usd = None if message.pricing is None else message.pricing.usd
    return {
        "message_uuid": str(message.uuid),
        "at": iso(message.sent_at),
        "sender": _sender(message, fan_uuid),
        "body": message.text if keep_text else None,
        "type": message.type,
        "has_media": message.has_media,
        "media_type": message.media_type,
        "media_count": None if media is None else len(media),
        "price": None if usd is None else price(usd.price),
        "purchased_at": iso(message.purchased_at),
        "is_read": message.is_read,
    }


def _sender(message: ChatMessage, fan_uuid: str) -> str:
    """Say who spoke; either side may be withheld, and agencies write in the creator's name."""
    sender = None if message.sender is None else message.sender.uuid
    if sender is not None:
        return "fan" if str(sender) == fan_uuid.lower() else "creator"
    recipient = None if message.recipient is None else message.recipient.uuid
    return "creator" if recipient is None or str(recipient) == fan_uuid.lower() else "fan"


def messages_path(fan_uuid: str) -> str:
    """Return the path of a chat's messages."""
    return f"/chats/{fan_uuid}/messages"


CHATS: Final = ListStream(
    sync_type="messages",
    paths=("/chats",),
    scopes=SCOPES,
    shape=Chat,
    row=chat_row,
)
MESSAGES: Final = ChatStream(
    sync_type="messages",
    path=messages_path,
    scopes=SCOPES,
    shape=ChatMessage,
    row=message_row,
    chats=CHATS,
)
