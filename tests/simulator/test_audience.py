"""The truth about people and content equals what the endpoints show, list by list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from simulator.audience import audience
from simulator.client import SimulatorControl
from simulator.memberships import Change, change_subscriptions
from simulator.particulars import particulars
from simulator.sales import add_sales
from simulator.server import running
from simulator.truths import Audience, read_audience
from tests.simulator.press import NOON


if TYPE_CHECKING:
    from simulator.people import Creator
    from simulator.simulation import Simulation
    from simulator.world import World
    from tests.simulator.caller import Caller


@pytest.fixture
def truth(world: World, creator: Creator, simulation: Simulation) -> Audience:
    add_sales(world, creator, 80)
    change_subscriptions(world, creator, 1, Change.END)
    return read_audience(audience(world, creator, simulation.knobs.of(creator.uuid)))


async def numbered(me: Caller, path: str) -> list[dict[str, Any]]:
    """Read a numbered list to its end."""
    rows: list[dict[str, Any]] = []
    for page in range(1, 1000):
        body = await me.json(path, page=page, size=7)
        rows += body["data"]
        if not body["pagination"]["hasMore"]:
            break
    return rows


@pytest.mark.parametrize("name", ["subscribers", "followers"])
async def test_people_are_listed_as_the_truth_has_them(
    me: Caller, truth: Audience, name: str
) -> None:
    listed = await numbered(me, f"/{name}")
    by_cursor = [row for page in await me.walk(f"/v1/{name}", size=3) for row in page]

    assert [fan["uuid"] for fan in listed] == getattr(truth, name)
    assert [fan["uuid"] for fan in by_cursor] == getattr(truth, name)
    assert getattr(truth.account, name) == len(listed) > 0


async def test_every_chat_holds_the_messages_that_the_truth_names(
    me: Caller, truth: Audience
) -> None:
    chats = await numbered(me, "/chats")

    assert {chat["user"]["uuid"] for chat in chats} == set(truth.chats)
    count = 0
    for chat in chats:
        told = truth.chats[chat["user"]["uuid"]]
        rows = await numbered(me, f"/chats/{chat['user']['uuid']}/messages")
        assert [row["uuid"] for row in rows] == told.message_uuids
        assert chat["lastMessageAt"] == told.last_message_at == rows[0]["sentAt"]
        assert chat["unreadMessagesCount"] == told.unread
        count += len(rows)
    assert count == truth.messages > 10


async def test_posts_have_the_counters_that_the_truth_names(me: Caller, truth: Audience) -> None:
    posts = await numbered(me, "/posts")

    assert {post["uuid"] for post in posts} == set(truth.posts)
    for post in posts:
        told = truth.posts[post["uuid"]]
        assert (post["likesCount"], post["commentsCount"]) == (told.likes, told.comments)
        assert post["tips"] == {
            "count": told.tips,
            "totalGross": told.tips_gross_cents,
            "totalNet": told.tips_net_cents,
        }


async def test_spenders_and_account_are_as_the_truth_has_them(me: Caller, truth: Audience) -> None:
    rows = await numbered(me, "/insights/top-spenders")
    body = (await me.json("/users/account"))["account"]

    assert [(row["user"]["uuid"], row["gross"], row["messages"]) for row in rows] == [
        (told.fan_uuid, told.gross_cents, told.messages) for told in truth.top_spenders
    ]
    assert body["earnings"]["total"] == truth.account.total_gross_cents > 0
    assert body["earnings"]["availableBalance"] == truth.account.available_balance_cents


async def test_details_tell_every_row(world: World, creator: Creator, me: Caller) -> None:
    add_sales(world, creator, 40)
    rows = particulars(creator, world.clock.now_ms())

    for uuid in creator.chats:
        for shown in await numbered(me, f"/chats/{uuid}/messages"):
            told = rows["message_rows"].pop(shown["uuid"])
            price = shown["pricing"] and shown["pricing"]["USD"]["price"]
            assert (told["fan_uuid"], told["at"], told["body"]) == (
                uuid,
                shown["sentAt"],
                shown["text"],
            )
            assert (told["price_cents"], told["purchased_at"]) == (price, shown["purchasedAt"])
            assert (told["sender"] == "fan") == (shown["sender"]["uuid"] == uuid)
            assert told["is_read"] == shown["isRead"]
    assert rows["message_rows"] == {}
    listed = {
        fan["uuid"]: fan["subscription"] for fan in (await me.json("/v1/subscribers"))["data"]
    }
    assert {uuid: told["period_end"] for uuid, told in rows["subscriptions"].items()} == {
        uuid: held["currentPeriodEnd"] for uuid, held in listed.items()
    }


def test_one_control_call_tells_everything(world: World, creator: Creator) -> None:
    with running(world, world.clock) as sim, SimulatorControl(sim.url) as control:
        control.add_sales(creator.handle, rows=[{"source": "message", "gross_cents": 900}])
        told = control.audience(creator.handle)
        later = control.audience(creator.handle, start=NOON.replace(day=23))

        assert [spender.gross_cents for spender in told.top_spenders] == [900]
        assert later.top_spenders == []
        assert told.message_rows == {}
        detailed = control.audience(creator.handle, details=True)
        assert len(detailed.message_rows) == told.messages
        assert set(detailed.subscriptions) == set(told.subscribers)
        assert set(detailed.post_rows) == set(told.posts)
        assert told.creator == creator.uuid
        assert told.now == "2026-11-22T12:00:00.000Z"
