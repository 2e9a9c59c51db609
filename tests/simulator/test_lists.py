"""Fans, chats, messages and posts: shapes, paging and filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulator.clock import to_millis
from simulator.content import Chat, Message
from simulator.sales import Sale, add_sale, add_sales
from tests.simulator.press import NOON


if TYPE_CHECKING:
    from simulator.people import Creator, Fan
    from simulator.world import World
    from tests.simulator.caller import Caller


FAN = ["uuid", "handle", "displayName", "nickname", "isTopSpender", "avatarUrl", "registeredAt"]
PAGINATION = ["page", "size", "hasMore"]
MESSAGE = [
    *("uuid", "text", "sentAt", "sender", "recipient", "hasMedia", "mediaType", "mediaUuids"),
    *("type", "pricing", "purchasedAt", "isRead", "sentByUserId"),
]
CHAT = [
    *("createdAt", "lastMessageAt", "isRead", "isMuted", "unreadMessagesCount", "user"),
    "lastMessage",
]


@pytest.mark.parametrize("path", ["/subscribers", "/followers", "/chats", "/posts"])
async def test_unversioned_lists_are_numbered_pages(me: Caller, path: str) -> None:
    pages = []
    for number in range(1, 50):
        body = await me.json(path, page=number, size=1)
        assert list(body["pagination"]) == PAGINATION
        assert body["pagination"]["size"] == len(body["data"])
        pages.append(body["data"])
        if not body["pagination"]["hasMore"]:
            break

    whole = (await me.json(path, size=50))["data"]
    assert [row for page in pages for row in page] == whole
    assert len(whole) > 1


@pytest.mark.parametrize("path", ["/v1/subscribers", "/v1/followers", "/v1/chats"])
async def test_v1_lists_go_by_cursor(me: Caller, path: str) -> None:
    pages = await me.walk(path, size=2)
    (whole,) = await me.walk(path, size=50)

    assert [row for page in pages for row in page] == whole
    assert (await me.get(path, cursor="e30")).status_code == 400


async def test_fans_are_subscribers_or_followers(me: Caller, creator: Creator) -> None:
    subscribers = (await me.json("/subscribers", size=50))["data"]
    followers = (await me.json("/followers", size=50))["data"]

    assert list(subscribers[0]) == list(followers[0]) == FAN
    uuids = [fan["uuid"] for fan in subscribers + followers]
    assert sorted(uuids) == sorted(fan.uuid for fan in creator.fans)


async def test_v1_subscriber_tells_of_the_subscription(me: Caller) -> None:
    row = (await me.json("/v1/subscribers"))["data"][0]

    assert list(row) == [*FAN, "subscription", "firstSubscribedAt"]
    assert list(row["subscription"]) == [
        *("status", "price", "amountPaid", "currentPeriodStart", "currentPeriodEnd"),
        "autoRenewalEnabled",
    ]


async def test_smart_lists_count_their_members(me: Caller) -> None:
    lists = await me.json("/chats/lists/smart")

    assert {entry["uuid"] for entry in lists} >= {"subscribers", "expired_subscribers"}
    for entry in lists:
        body = await me.json(f"/chats/lists/smart/{entry['uuid']}", size=50)
        assert len(body["data"]) == entry["count"]
    assert (await me.get("/chats/lists/smart/unknown")).status_code == 404
    assert (await me.json("/v1/chats/lists/smart/followers"))["total"] > 0


async def test_chats_are_sorted_by_their_newest_message(me: Caller) -> None:
    rows = (await me.json("/chats", size=50))["data"]

    assert list(rows[0]) == CHAT
    dates = [row["lastMessageAt"] for row in rows]
    assert dates == sorted(dates, reverse=True)


async def test_v1_chat_knows_presence_and_the_senders_role(me: Caller) -> None:
    body = await me.json("/v1/chats")

    assert list(body) == ["data", "nextCursor", "total"]
    row = body["data"][0]
    assert list(row) == [*CHAT, "isCreator", "online", "lastSeenAt"]
    assert row["lastMessage"]["senderRole"] in {"FAN", "CREATOR"}


async def test_chats_can_be_filtered_searched_and_sorted(me: Caller, creator: Creator) -> None:
    unread = (await me.json("/chats", filter="unread", size=50))["data"]
    name = creator.fans[0].handle
    found = (await me.json("/chats", search=name))["data"]

    assert all(row["unreadMessagesCount"] > 0 for row in unread)
    assert [row["user"]["handle"] for row in found] == [name]
    assert (await me.get("/chats", filter="nonsense")).status_code == 400
    assert (await me.get("/chats", sortBy="nonsense")).status_code == 400
    assert (await me.get("/chats", sortBy="online_now")).status_code == 200
    counts = await me.json("/chats/unread")
    assert counts["unreadChatsCount"] == len(unread)


@pytest.mark.parametrize("word", ["subscribers", "followers", "not_answered", "spenders"])
async def test_each_chat_filter_is_understood(me: Caller, word: str) -> None:
    assert (await me.get("/chats", filter=word)).status_code == 200


def conversation(creator: Creator, count: int) -> Fan:
    """Replace the chat with the first fan by messages of alternating direction."""
    fan = creator.fans[0]
    chat = creator.chats[fan.uuid] = Chat(fan, fan.followed_at)
    end = to_millis(NOON)
    for number in range(count):
        chat.add(
            Message(
                uuid=f"00000000-0000-4000-8000-{number:012d}",
                at=end - (count - number) * 1000,
                text=f"message {number}",
                sent=number % 2 == 0,
                is_read=False,
            )
        )
    return fan


async def test_messages_come_newest_first(me: Caller, creator: Creator) -> None:
    fan = conversation(creator, 5)

    body = await me.json(f"/chats/{fan.uuid}/messages")

    assert list(body["data"][0]) == MESSAGE
    assert [m["text"][-1] for m in body["data"]] == ["4", "3", "2", "1", "0"]
    assert body["data"][0]["sender"]["uuid"] == creator.uuid
    assert body["data"][1]["sender"] == {"uuid": fan.uuid, "handle": fan.handle}


async def test_v1_messages_go_by_one_date_cursor_per_direction(
    me: Caller, creator: Creator
) -> None:
    fan = conversation(creator, 11)
    path = f"/v1/chats/{fan.uuid}/messages"
    seen: list[str] = []
    cursors: dict[str, str] = {}
    while True:
        body = await me.json(path, limit=3, **cursors)
        assert list(body) == ["data", "dateFilter"]
        seen += [message["text"] for message in body["data"]]
        cursors = {k: v for k, v in body["dateFilter"].items() if v is not None}
        if not cursors:
            break

    assert list(body["data"][0]) == [*MESSAGE, "gif", "tipSource", "mediaPreviewUuid", "appUuid"]
    assert seen == [f"message {number}" for number in range(10, -1, -1)]


async def test_messages_are_marked_as_read_only_when_asked(me: Caller, creator: Creator) -> None:
    fan = conversation(creator, 4)
    path = f"/chats/{fan.uuid}/messages"

    await me.json(path, markAsRead="false")
    assert creator.chats[fan.uuid].unread_count == 2
    await me.json(path, markAsRead="true")
    assert creator.chats[fan.uuid].unread_count == 0


async def test_sending_twice_sends_two_messages(
    me: Caller, creator: Creator, anyone: Caller
) -> None:
    fan = conversation(creator, 1)
    path = f"/chats/{fan.uuid}/message"

    one = await me.post(path, {"text": "hello"})
    two = await me.post(path, {"text": "hello"})

    assert one.status_code == two.status_code == 201
    assert one.json()["messageUuid"] != two.json()["messageUuid"]
    assert (await me.post(path, {"text": "x", "price": 100})).status_code == 400
    assert (await me.post(path, {})).status_code == 400
    reader = anyone.sign_in(creator, "read:chat")
    assert (await reader.post(path, {"text": "hello"})).status_code == 403


async def test_paid_message_exists_in_its_chat(world: World, me: Caller, creator: Creator) -> None:
    (row,) = add_sale(world, creator, Sale(source="message", gross_cents=2500))

    assert row.fan is not None
    body = await me.json(f"/chats/{row.fan.uuid}/messages", size=50)

    (message,) = [m for m in body["data"] if m["uuid"] == row.message_uuid]
    assert message["pricing"] == {"USD": {"price": 2500}}
    assert message["purchasedAt"] == row.date


async def test_tips_count_on_their_post(world: World, me: Caller, creator: Creator) -> None:
    for row in add_sales(world, creator, 300):
        assert row.total >= row.gross > 0
    posts = (await me.json("/posts", size=50))["data"]
    tipped = next(post for post in posts if post["tips"]["count"])

    tips = (await me.json(f"/posts/{tipped['uuid']}/tips", size=50))["data"]

    assert list(tips[0]) == ["user", "createdAt", "gross", "net"]
    assert sum(tip["gross"] for tip in tips) == tipped["tips"]["totalGross"]
    rows = [r for r in creator.ledger.rows("tip") if r.post_uuid == tipped["uuid"]]
    assert sum(r.gross for r in rows) == tipped["tips"]["totalGross"]
    assert (await me.get(f"/posts/{creator.uuid}/tips")).status_code == 404
