"""What happens to people and content: bought messages, posts, leavers, and batches of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from simulator.accounts import rename_fan
from simulator.client import SimulatorControl
from simulator.conversations import delete_chat, mute_chat
from simulator.happenings import Kind
from simulator.memberships import Change, change_subscriptions, follow_again, unfollow
from simulator.population import add_model
from simulator.posting import add_posts, delete_posts, react_to_posts
from simulator.server import running
from simulator.unlocking import buy_messages


if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.happenings import Happening
    from simulator.people import Creator
    from simulator.world import World
    from tests.simulator.caller import Caller
    from tests.simulator.press import Press


@pytest.fixture
def heard(world: World) -> list[Happening]:
    happenings: list[Happening] = []
    world.listeners.append(happenings.append)
    return happenings


@pytest.fixture
def control(world: World) -> Iterator[SimulatorControl]:
    with running(world, world.clock) as sim, SimulatorControl(sim.url) as control:
        yield control


async def message_row(me: Caller, fan_uuid: str, uuid: str) -> dict[str, Any]:
    body = await me.json(f"/chats/{fan_uuid}/messages", size=50)
    row: dict[str, Any] = next(row for row in body["data"] if row["uuid"] == uuid)
    return row


async def test_generated_content_has_locked_and_bought_messages(world: World) -> None:
    creator = add_model(world, transactions=40)

    messages = [message for chat in creator.chats.values() for message in chat.messages]

    priced = [message for message in messages if message.price is not None]
    assert {message.purchased_at is None for message in priced} == {True, False}
    assert len(priced) < len(messages)
    assert {m.uuid for m in priced if m.purchased_at is None} == set(creator.chats.locked)


async def test_bought_message_is_paid_once_and_names_its_sale(
    world: World, me: Caller, creator: Creator, heard: list[Happening]
) -> None:
    uuid, (chat, message) = next(iter(creator.chats.locked.items()))
    assert (await message_row(me, chat.fan.uuid, uuid))["purchasedAt"] is None

    ((fan, bought, row),) = buy_messages(world, creator, [uuid])

    shown = await message_row(me, fan.uuid, uuid)
    assert (fan, bought) == (chat.fan, message)
    assert (row.source, row.gross, row.message_uuid) == ("message", message.price, uuid)
    assert shown["purchasedAt"] == row.date
    assert shown["pricing"] == {"USD": {"price": row.gross}}
    assert [(h.kind, h.row) for h in heard] == [(Kind.PAID, row)]
    with pytest.raises(KeyError, match="no locked message"):
        buy_messages(world, creator, [uuid])


def test_latest_locked_messages_are_bought_first(control: SimulatorControl) -> None:
    first, second = (
        control.add_messages("nova-1", sent=True, price=price)["messages"][0]
        for price in (500, 900)
    )
    sales = control.buy_messages("nova-1", count=2)
    with pytest.raises(RuntimeError, match="no locked message"):
        control.buy_messages("nova-1", second["uuid"])

    assert [sale["message_uuid"] for sale in sales] == [second["uuid"], first["uuid"]]
    assert [sale["gross_cents"] for sale in sales] == [900, 500]
    assert control.books("nova-1").gross_cents == 1400


def test_bought_message_is_announced_as_a_payment(press: Press) -> None:
    press.control.add_messages(press.creator.handle, sent=True, price=700)
    (sale,) = press.control.buy_messages(press.creator.handle)

    payment = press.only("creator.payment.succeeded")["data"]

    assert (payment["message_uuid"], payment["gross"]) == (sale["message_uuid"], 700)


async def test_posts_are_liked_commented_on_and_deleted(
    world: World, me: Caller, creator: Creator
) -> None:
    old, new = add_posts(world, creator, 2)

    react_to_posts(world, creator, [], likes=3, comments=2)
    react_to_posts(world, creator, [new.uuid], likes=-1)
    delete_posts(world, creator, [old.uuid])

    rows = (await me.json("/posts", size=50))["data"]
    assert (rows[0]["uuid"], rows[0]["likesCount"], rows[0]["commentsCount"]) == (new.uuid, 2, 2)
    assert old.uuid not in [row["uuid"] for row in rows]
    assert (await me.get(f"/posts/{old.uuid}/tips")).status_code == 404
    with pytest.raises(KeyError, match="has no post"):
        delete_posts(world, creator, [old.uuid])


async def test_fans_who_leave_are_followers_no_more_until_they_return(
    world: World, me: Caller, creator: Creator, heard: list[Happening]
) -> None:
    before = [row["uuid"] for row in (await me.json("/followers", size=50))["data"]]

    (gone,) = unfollow(world, creator, [])
    left = [row["uuid"] for row in (await me.json("/followers", size=50))["data"]]
    assert heard == []
    (back,) = follow_again(world, creator, [])
    after = [row["uuid"] for row in (await me.json("/followers", size=50))["data"]]

    assert left == before[:-1]
    assert gone is back
    assert after == [back.uuid, *left]
    assert [happening.kind for happening in heard] == [Kind.FOLLOWED]


async def test_ended_subscription_can_return(world: World, me: Caller, creator: Creator) -> None:
    (fan,) = change_subscriptions(world, creator, 1, Change.END)
    assert fan.uuid not in str(await me.json("/subscribers", size=50))

    returned = change_subscriptions(world, creator, 50, Change.RETURN)

    assert fan in returned
    assert fan.uuid in str(await me.json("/subscribers", size=50))


def test_balance_is_paid_out_and_the_account_suspended(control: SimulatorControl) -> None:
    sale = {"source": "tip", "gross_cents": 1000, "available_at": "2026-11-22T12:00:00Z"}
    control.add_sales("nova-1", rows=[sale])
    before = control.audience("nova-1").account

    paid = control.pay_out("nova-1")
    control.set_account_status("nova-1", "suspended")
    after = control.audience("nova-1").account

    assert (before.available_balance_cents, before.last_payout_at) == (800, None)
    assert (paid, after.available_balance_cents) == (800, 0)
    assert after.last_payout_at == "2026-11-22T12:00:00.000Z"
    assert (after.status, after.total_gross_cents) == ("suspended", 1000)


async def test_chats_are_muted_renamed_and_deleted(
    world: World, me: Caller, creator: Creator
) -> None:
    fan_uuid = (await me.json("/chats"))["data"][0]["user"]["uuid"]

    mute_chat(world, creator, fan_uuid, muted=True)
    rename_fan(world, creator, fan_uuid, handle="new-handle", display_name="New Name")

    row = (await me.json("/chats"))["data"][0]
    assert (row["isMuted"], row["user"]["handle"]) == (True, "new-handle")
    assert row["user"]["displayName"] == "New Name"
    assert delete_chat(world, creator, fan_uuid) > 0
    assert fan_uuid not in str(await me.json("/chats", size=50))
    assert (await me.get(f"/chats/{fan_uuid}/messages")).status_code == 404
    assert all(chat.fan.uuid != fan_uuid for chat, _ in creator.chats.locked.values())


def test_many_things_happen_for_many_creators_in_one_call(control: SimulatorControl) -> None:
    names = [made["handle"] for made in control.add_creators(20, fans=4)]
    fan = {name: next(iter(control.audience(name).chats)) for name in names}
    before = control.audience(names[0])
    orders = [
        order
        for name in names
        for order in (
            {"do": "sales", "creator": name, "count": 3},
            {"do": "messages", "creator": name, "count": 2, "fan_uuid": fan[name]},
            {"do": "messages", "creator": name, "sent": True, "price": 500},
            {"do": "purchases", "creator": name},
            {"do": "fans", "creator": name, "followers": 2, "subscribers": 1},
            {"do": "cancellations", "creator": name},
            {"do": "unfollows", "creator": name},
            {"do": "posts", "creator": name},
            {"do": "posts/react", "creator": name},
            {"do": "messages/read", "creator": name, "fan_uuid": fan[name]},
        )
    ]

    answers = control.happen(*orders)

    assert len(answers) == len(orders)
    assert [answer["count"] for answer in answers[::10]] == [3] * 20
    told = control.audience(names[0])
    assert control.books(names[0]).count == 4
    assert len(told.posts) == len(before.posts) + 1
    assert told.chats[fan[names[0]]].unread == 0
    assert told.account.followers + told.account.subscribers == 4 + 3 - 1


@pytest.mark.parametrize(
    ("orders", "reason"),
    [
        ([], "at least 1"),
        ([{"do": "grants", "creator": "nova-1"}], "order 0: do must be one of"),
        ([{"do": "posts", "creator": "nova-1"}, {"do": "posts"}], "order 1 .posts."),
        ([{"do": "posts", "creator": "nobody"}], "order 0 .posts.: no creator"),
    ],
)
def test_wrong_order_in_a_batch_is_named(
    control: SimulatorControl, orders: list[dict[str, Any]], reason: str
) -> None:
    with pytest.raises(RuntimeError, match=reason):
        control.happen(*orders)
