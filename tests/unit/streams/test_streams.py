"""Every stream maps Fanvue's rows to ours: exact money, UTC instants, and nothing made up."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.unit.fanvue.test_wire_lists import (
    CHAT,
    FAN,
    MESSAGE,
    POST,
    SPENDER,
    SUBSCRIBER_V1,
    UUID_ONE,
    UUID_TWO,
)
from worker.fanvue.wire import Wire, parse
from worker.fanvue.wire_lists import ChatMessage
from worker.streams.followers import FOLLOWERS
from worker.streams.messages import CHATS, MESSAGES, message_row
from worker.streams.posts import POSTS
from worker.streams.registry import STREAMS
from worker.streams.stream import ListStream, Seen
from worker.streams.subscribers import SUBSCRIBERS
from worker.streams.top_fans import TOP_FANS


AT = "2026-11-21T18:00:00.000+00:00"
WHO = {"fan_uuid": UUID_ONE, "handle": "mara-k", "display_name": "Mara K."}


def mapped(
    stream: ListStream[Any], raw: dict[str, Any], place: int = 0, *, keep_text: bool = True
) -> dict[str, Any]:
    row: Wire = parse(stream.shape, raw)
    return stream.row(row, Seen(place, keep_text=keep_text))


def test_every_stream_is_registered_under_its_own_name_and_says_what_it_takes() -> None:
    assert list(STREAMS) == [stream.sync_type for stream in STREAMS.values()]
    assert set(STREAMS) == {
        "earnings",
        "messages",
        "message_history",
        "subscribers",
        "followers",
        "posts",
        "top_fans",
        "account",
    }
    assert all(stream.scopes for stream in STREAMS.values())
    assert all(stream.page_size == 50 for stream in STREAMS.values())


def test_a_subscriber_of_v1_comes_with_the_terms() -> None:
    assert mapped(SUBSCRIBERS, SUBSCRIBER_V1) == WHO | {
        "registered_at": AT,
        "is_top_spender": True,
        "subscription_status": "active",
        "price": "9.99",
        "expires_at": None,
        "auto_renews": True,
        "subscribed_at": AT,
    }


def test_an_unversioned_subscriber_is_one_without_terms() -> None:
    row = mapped(SUBSCRIBERS, FAN)

    assert row["fan_uuid"] == UUID_ONE
    assert {row[name] for name in ("subscription_status", "price", "auto_renews")} == {None}


def test_a_follower_is_a_fan() -> None:
    assert mapped(FOLLOWERS, FAN) == WHO | {"registered_at": AT, "is_top_spender": True}


def test_a_post_comes_with_its_counters() -> None:
    row = mapped(POSTS, POST | {"price": 1500, "text": "hello", "publishAt": AT})

    assert row == {
        "post_uuid": UUID_TWO,
        "at": AT,
        "body": "hello",
        "price": "15.00",
        "audience": "subscribers",
        "publish_at": AT,
        "published_at": AT,
        "expires_at": None,
        "is_pinned": False,
        "likes": 12,
        "comments": 3,
        "tips": 1,
        "tips_gross": "7.00",
        "tips_net": "5.60",
    }


def test_a_text_that_is_not_to_be_kept_is_left_out_of_a_post() -> None:
    assert mapped(POSTS, POST | {"text": "hello"}, keep_text=False)["body"] is None


def test_a_post_without_tips_says_nothing_of_them() -> None:
    row = mapped(POSTS, {name: value for name, value in POST.items() if name != "tips"})

    assert (row["tips"], row["tips_gross"]) == (None, None)


def test_a_top_fan_is_ranked_by_the_place_on_the_list() -> None:
    assert mapped(TOP_FANS, SPENDER, place=4) == WHO | {
        "rank": 5,
        "gross": "452.00",
        "net": "361.60",
        "messages": 310,
    }


def test_top_fans_are_asked_for_the_same_range_all_day() -> None:
    assert TOP_FANS.window(date(2026, 3, 1)) == {
        "startDate": datetime(2026, 1, 31, tzinfo=UTC),
        "endDate": datetime(2026, 3, 2, tzinfo=UTC),
    }


def test_a_chat_says_when_its_newest_message_was_sent() -> None:
    assert mapped(CHATS, CHAT) == WHO | {
        "at": AT,
        "last_message_uuid": UUID_TWO,
        "last_message_read": None,
        "unread": 2,
        "is_muted": False,
        "created_at": AT,
        "undated": False,
    }


@pytest.mark.parametrize(
    ("status", "read"), [("Read", True), ("Delivered", False), ("Sent", False), (None, None)]
)
def test_a_chat_of_v1_says_whether_its_newest_message_was_read(
    status: str | None, *, read: bool | None
) -> None:
    last = CHAT["lastMessage"] | {"status": status}

    assert mapped(CHATS, CHAT | {"lastMessage": last})["last_message_read"] is read


def test_the_newest_message_tells_the_time_where_the_chat_does_not() -> None:
    assert mapped(CHATS, CHAT | {"lastMessageAt": None})["at"] == AT
    assert mapped(CHATS, {"user": FAN})["at"] is None


def test_a_message_comes_with_its_price_and_media() -> None:
    row = message_row(parse(ChatMessage, MESSAGE | {"text": "hi"}), UUID_ONE, keep_text=True)

    assert row == {
        "message_uuid": UUID_TWO,
        "at": AT,
        "sender": "fan",
        "body": "hi",
        "type": "A_TYPE_OF_TOMORROW",
        "has_media": True,
        "media_type": "video",
        "media_count": 1,
        "price": "25.00",
        "purchased_at": None,
        "is_read": True,
    }


@pytest.mark.parametrize(
    ("sender", "recipient", "spoke"),
    [
        ({"uuid": UUID_ONE}, None, "fan"),
        ({"uuid": UUID_TWO}, {"uuid": UUID_ONE}, "creator"),
        (None, {"uuid": UUID_ONE}, "creator"),
        ({}, {"uuid": UUID_TWO}, "fan"),
        (None, None, "creator"),
    ],
)
def test_the_sender_is_told_from_either_side(
    sender: dict[str, str] | None, recipient: dict[str, str] | None, spoke: str
) -> None:
    message = parse(ChatMessage, MESSAGE | {"sender": sender, "recipient": recipient})

    assert message_row(message, UUID_ONE, keep_text=True)["sender"] == spoke


def test_messages_are_read_at_the_chats_own_path() -> None:
    assert MESSAGES.path(UUID_ONE) == f"/chats/{UUID_ONE}/messages"
