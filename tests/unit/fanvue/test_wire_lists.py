"""Lists of people, talk and posts are read in both families; only essentials are strict."""

from __future__ import annotations

from typing import Any

import pytest

from worker.errors import ProviderContract
from worker.fanvue.wire import Wire, parse, parse_rows
from worker.fanvue.wire_lists import (
    Chat,
    ChatMessage,
    Fan,
    Post,
    Spender,
)


UUID_ONE = "b2d90c11-3f58-4b57-9d0e-0c2a5a6e1101"
UUID_TWO = "0d7e5b1c-77aa-4f0b-8c1e-5a5d2f3b2202"
MOMENT = "2026-11-21T18:00:00.000Z"

FAN: dict[str, Any] = {
    "uuid": UUID_ONE,
    "handle": "mara-k",
    "displayName": "Mara K.",
    "nickname": None,
    "isTopSpender": True,
    "avatarUrl": None,
    "registeredAt": MOMENT,
}
SUBSCRIBER_V1 = FAN | {
    "subscription": {
        "status": "active",
        "price": 999,
        "amountPaid": 999,
        "currentPeriodStart": MOMENT,
        "currentPeriodEnd": None,
        "autoRenewalEnabled": True,
    },
    "firstSubscribedAt": MOMENT,
}
CHAT: dict[str, Any] = {
    "createdAt": MOMENT,
    "lastMessageAt": MOMENT,
    "isRead": False,
    "isMuted": False,
    "unreadMessagesCount": 2,
    "user": FAN,
    "lastMessage": {"uuid": UUID_TWO, "text": "hi", "sentAt": MOMENT, "senderUuid": UUID_ONE},
}
MESSAGE: dict[str, Any] = {
    "uuid": UUID_TWO,
    "text": None,
    "sentAt": MOMENT,
    "sender": {"uuid": UUID_ONE, "handle": "mara-k"},
    "recipient": {},
    "hasMedia": True,
    "mediaType": "video",
    "mediaUuids": [UUID_ONE],
    "type": "A_TYPE_OF_TOMORROW",
    "pricing": {"USD": {"price": 2500}},
    "purchasedAt": None,
    "isRead": True,
}
POST: dict[str, Any] = {
    "uuid": UUID_TWO,
    "createdAt": MOMENT,
    "text": None,
    "price": None,
    "audience": "subscribers",
    "publishedAt": MOMENT,
    "expiresAt": None,
    "isPinned": False,
    "likesCount": 12,
    "commentsCount": 3,
    "tips": {"count": 1, "totalGross": 700, "totalNet": 560},
    "collections": [],
}
SPENDER = {"gross": 45200, "net": 36160, "messages": 310, "user": FAN}


def test_a_subscriber_of_either_family_is_a_fan() -> None:
    unversioned, v1 = parse(Fan, FAN), parse(Fan, SUBSCRIBER_V1)

    assert unversioned.subscription is None
    assert v1.subscription is not None
    assert v1.subscription.amount_paid == 999


def test_a_message_of_an_unknown_type_is_a_message() -> None:
    message = parse(ChatMessage, MESSAGE)

    assert message.type == "A_TYPE_OF_TOMORROW"
    assert message.pricing is not None
    assert message.pricing.usd is not None
    assert message.pricing.usd.price == 2500
    assert message.recipient is not None
    assert message.recipient.uuid is None


def test_chats_posts_and_spenders_are_read() -> None:
    chat, post = parse(Chat, CHAT), parse(Post, POST)

    assert str(chat.user.uuid) == UUID_ONE
    assert chat.last_message is not None
    assert post.tips is not None
    assert post.tips.total_net == 560
    assert parse(Spender, SPENDER).gross == 45200


@pytest.mark.parametrize(
    ("shape", "raw", "identity"),
    [
        (Fan, FAN, "uuid"),
        (Chat, CHAT, "user"),
        (ChatMessage, MESSAGE, "uuid"),
        (Post, POST, "uuid"),
    ],
)
def test_a_row_without_its_identity_breaks_the_contract(
    shape: type[Wire], raw: dict[str, Any], identity: str
) -> None:
    with pytest.raises(ProviderContract) as caught:
        parse(shape, {name: value for name, value in raw.items() if name != identity})

    assert caught.value.json_path == f"$.{identity}"


@pytest.mark.parametrize(("shape", "raw"), [(Fan, {"uuid": UUID_ONE}), (Chat, {"user": FAN})])
def test_identity_alone_is_enough(shape: type[Wire], raw: dict[str, Any]) -> None:
    assert parse(shape, raw).model_fields_set == set(raw)


@pytest.mark.parametrize(
    ("shape", "raw", "lost"),
    [
        (
            Post,
            POST | {"tips": {"count": None, "totalGross": 700}},
            ["tips.count", "tips.totalNet"],
        ),
        (Chat, CHAT | {"lastMessage": {"uuid": None}}, ["lastMessage.uuid"]),
        (ChatMessage, MESSAGE | {"type": None}, ["type"]),
        (ChatMessage, MESSAGE | {"mediaUuids": [None, 5]}, []),
        (Fan, SUBSCRIBER_V1 | {"subscription": "active"}, ["subscription"]),
        (Spender, SPENDER | {"messages": "many"}, ["messages"]),
        (Spender, SPENDER | {"gross": None}, ["gross"]),
        (Chat, {"user": FAN, "lastMessageAt": "soon"}, ["lastMessageAt"]),
    ],
)
def test_a_row_is_read_without_a_detail(
    shape: type[Wire], raw: dict[str, Any], lost: list[str]
) -> None:
    (_,), complaints = parse_rows(shape, [raw])

    assert complaints.details == [f"data[0].{path}" for path in lost]


@pytest.mark.parametrize(
    ("shape", "raw", "path"),
    [
        # It would pass for a message that is not sent yet.
        (ChatMessage, MESSAGE | {"sentAt": "soon"}, "$.sentAt"),
        (Post, POST | {"createdAt": "soon"}, "$.createdAt"),
    ],
)
def test_an_instant_that_places_a_row_is_no_detail(
    shape: type[Wire], raw: dict[str, Any], path: str
) -> None:
    with pytest.raises(ProviderContract) as caught:
        parse(shape, raw)

    assert caught.value.json_path == path


@pytest.mark.parametrize(
    ("said", "undated"),
    [
        ({}, False),
        ({"lastMessageAt": None, "lastMessage": None}, False),
        ({"lastMessageAt": "soon"}, True),
        ({"lastMessage": {"uuid": UUID_ONE, "sentAt": "soon"}}, True),
        ({"lastMessage": "hello"}, True),
        ({"lastMessageAt": "soon", "lastMessage": {"sentAt": "2026-11-22T10:00:00Z"}}, False),
    ],
)
def test_a_chat_whose_last_message_has_no_date_is_no_chat_without_messages(
    said: dict[str, Any], undated: bool
) -> None:
    assert parse(Chat, {"user": FAN, **said}).is_undated is undated
