"""Messages of one chat, newest first, and sending one.

Unversioned: numbered pages. v1: two date cursors, one for sent and one for received
messages; a direction whose cursor is absent while the other's is given is at its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.content import Message
from simulator.conversations import read_messages, say
from simulator.endpoint import Endpoint
from simulator.paging import CURSOR_SIZE, numbered
from simulator.replies import Invalid, NotFound, Reply


if TYPE_CHECKING:
    from simulator.call import Call
    from simulator.content import Chat


MIN_PRICE_CENTS = 300
CREATED = 201


def messages(call: Call) -> Reply:
    """Answer /chats/{userUuid}/messages."""
    chat = _chat(call)
    found = [m for m in reversed(chat.messages) if m.at <= call.now]
    if call.query.get("markAsRead") == "true":
        read_messages(call.world, call.creator, chat.fan.uuid)
    if not call.v1:
        return numbered(call, found, lambda m: _message(call, chat, m))
    return _by_dates(call, chat, found)


def send(call: Call) -> Reply:
    """Answer POST /chats/{userUuid}/message; sending twice sends twice."""
    fan = call.fan()
    body = call.body if isinstance(call.body, dict) else {}
    text, price = body.get("text"), body.get("price")
    media = body.get("mediaUuids") or []
    if not isinstance(text, str | None) or not (text or media):
        raise Invalid("text must be a string")
    if price is not None and (not isinstance(price, int) or price < MIN_PRICE_CENTS):
        raise Invalid(f"price must not be less than {MIN_PRICE_CENTS}")
    message = Message(
        uuid=call.world.new_uuid(),
        at=call.now,
        text=text,
        sent=True,
        price=price,
        media_uuids=list(media),
        is_read=False,
    )
    say(call.world, call.creator, fan, message)
    return Reply({"messageUuid": message.uuid}, CREATED)


def _chat(call: Call) -> Chat:
    fan = call.fan()
    chat = call.creator.chats.get(fan.uuid)
    if chat is None:
        raise NotFound("Chat not found")
    return chat


def _by_dates(call: Call, chat: Chat, found: list[Message]) -> Reply:
    limit = call.size(CURSOR_SIZE, "limit")
    before = {True: call.instant("sentBefore"), False: call.instant("receivedBefore")}
    if any(value is not None for value in before.values()):
        found = [m for m in found if _is_before(m, before[m.sent])]
    page, rest = found[:limit], found[limit:]
    return Reply(
        {
            "data": [_message(call, chat, m) for m in page],
            "dateFilter": {
                "sentBefore": _continue(page, rest, sent=True),
                "receivedBefore": _continue(page, rest, sent=False),
            },
        }
    )


def _is_before(message: Message, border: int | None) -> bool:
    return border is not None and message.at < border


def _continue(page: list[Message], rest: list[Message], *, sent: bool) -> str | None:
    """Return where a direction goes on, or None when nothing older is left of it."""
    if not any(message.sent is sent for message in rest):
        return None
    shown = [message.at for message in page if message.sent is sent]
    return stamp(shown[-1] if shown else page[-1].at + 1)


def _message(call: Call, chat: Chat, message: Message) -> dict[str, Any]:
    creator = {"uuid": call.creator.uuid, "handle": call.creator.handle}
    fan = {"uuid": chat.fan.uuid, "handle": chat.fan.handle}
    has_media = bool(message.media_uuids)
    row: dict[str, Any] = {
        "uuid": message.uuid,
        "text": message.text,
        "sentAt": stamp(message.at),
        "sender": creator if message.sent else fan,
        "recipient": fan if message.sent else creator,
        "hasMedia": has_media,
        "mediaType": "video" if has_media else None,
        "mediaUuids": message.media_uuids,
        "type": message.type,
        "pricing": None if message.price is None else {"USD": {"price": message.price}},
        "purchasedAt": None if message.purchased_at is None else stamp(message.purchased_at),
        "isRead": message.is_read,
        "sentByUserId": None,
    }
    if call.v1:
        row |= {"gif": None, "tipSource": message.tip_source}
        row |= {"mediaPreviewUuid": None, "appUuid": None}
    return row


ENDPOINTS = [
    Endpoint("/chats/{userUuid}/messages", ("read:chat",), messages),
    Endpoint("/chats/{userUuid}/message", ("write:chat",), send, method="POST"),
]
