"""Messages of one chat, newest first, and sending one.

Unversioned: numbered pages. v1: two date cursors, one for sent and one for received
messages; a direction whose cursor is absent while the other's is given is at its end.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.content import Message, count_before, message_key
from simulator.conversations import read_messages, say
from simulator.endpoint import Endpoint
from simulator.paging import CURSOR_SIZE, NewestFirst, listed, numbered
from simulator.replies import Invalid, NotFound, Reply


if TYPE_CHECKING:
    from simulator.call import Call
    from simulator.content import Chat


MIN_PRICE_CENTS = 300
CREATED = 201


def messages(call: Call) -> Reply:
    """Answer /chats/{userUuid}/messages."""
    chat = _chat(call)
    if call.query.get("markAsRead") == "true":
        read_messages(call.world, call.creator, chat.fan.uuid)
    if not call.v1:
        found = NewestFirst(chat.messages, count_before(chat.messages, call.now + 1))
        return numbered(call, found, lambda m: _message(call, chat, m))
    return _by_dates(call, chat)


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


def _by_dates(call: Call, chat: Chat) -> Reply:
    """Merge both directions from their borders down; what is left of each is known at once."""
    limit = call.size(CURSOR_SIZE, "limit")
    before = {True: call.instant("sentBefore"), False: call.instant("receivedBefore")}
    resumed = any(value is not None for value in before.values())
    admitted = None
    if call.list_share < 1:
        admitted = {message.uuid for message in listed(call, NewestFirst(chat.messages))}
    sides = {}
    for sent, border in before.items():
        rows = chat.side(sent=sent)
        if admitted is not None:
            rows = [message for message in rows if message.uuid in admitted]
        upto = call.now + 1 if border is None else min(border, call.now + 1)
        ended = resumed and border is None
        sides[sent] = NewestFirst(rows, 0 if ended else count_before(rows, upto))
    merged = heapq.merge(*(side[:limit] for side in sides.values()), key=message_key, reverse=True)
    page = list(islice(merged, limit))
    return Reply(
        {
            "data": [_message(call, chat, m) for m in page],
            "dateFilter": {
                "sentBefore": _continue(page, len(sides[True]), sent=True),
                "receivedBefore": _continue(page, len(sides[False]), sent=False),
            },
        }
    )


def _continue(page: list[Message], count: int, *, sent: bool) -> str | None:
    """Return where a direction of so many messages goes on, or None at its end."""
    shown = [message.at for message in page if message.sent is sent]
    if len(shown) == count:
        return None
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
