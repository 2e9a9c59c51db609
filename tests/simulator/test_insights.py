"""Spenders, fan insights, account and agency: shapes and agreement with the rows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from simulator.clock import to_millis
from simulator.sales import Sale, add_reversals, add_sale, add_sales
from tests.simulator.press import NOON


if TYPE_CHECKING:
    from simulator.people import Creator
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


@pytest.fixture
def boss(anyone: Caller, world: World) -> Caller:
    return anyone.sign_in(world.agencies[0])


async def test_top_spenders_agree_with_the_rows(world: World, me: Caller, creator: Creator) -> None:
    add_sales(world, creator, 200, since=to_millis(NOON - timedelta(days=20)))

    body = await me.json("/insights/top-spenders", size=50)

    paid = [row for row in creator.ledger.rows() if row.fan]
    assert list(body["data"][0]) == ["gross", "net", "messages", "user"]
    assert list(body["data"][0]["user"]) == FAN
    assert sum(row["gross"] for row in body["data"]) == sum(row.gross for row in paid)
    amounts = [row["gross"] for row in body["data"]]
    assert amounts == sorted(amounts, reverse=True)
    assert await me.json("/v1/insights/fans/top-spenders", size=50) == body
    later = await me.json("/insights/top-spenders", startDate="2026-11-22T13:00:00Z")
    assert later["data"] == []


async def test_fan_insight_is_net_of_reversals_only_in_v1(
    world: World, me: Caller, creator: Creator
) -> None:
    fan = creator.fans[0]
    add_sale(world, creator, Sale(source="tip", gross_cents=1000, fan_uuid=fan.uuid))
    add_sale(world, creator, Sale(source="post", gross_cents=500, fan_uuid=fan.uuid))
    add_reversals(world, creator)

    old = await me.json(f"/insights/fans/{fan.uuid}")
    new = await me.json(f"/v1/insights/fans/{fan.uuid}")

    assert old["spending"]["total"] == {"gross": 1500, "total": 1500}
    assert new["spending"]["total"] == {"gross": 1500, "total": 1000}
    assert list(old["spending"]) == ["lastPurchaseAt", "total", "maxSinglePayment", "sources"]
    assert list(old["subscription"]) == ["createdAt", "renewsAt", "autoRenewalEnabled"]
    assert (await me.get(f"/insights/fans/{creator.uuid}")).status_code == 404


async def test_many_fans_at_once_tell_which_are_unknown(me: Caller, creator: Creator) -> None:
    known, unknown = creator.fans[0].uuid, creator.uuid

    bulk = await me.json("/insights/fans", fanUuids=f"{known},{unknown}")
    batch = await me.post("/insights/fans/batch", {"userUuids": [known, unknown]})

    assert bulk["results"][unknown] is None
    assert bulk["errors"][0]["code"] == "NOT_FOUND"
    assert batch.json()[unknown] == {"error": "not_found"}
    assert batch.json()[known]["status"] in {"subscriber", "expired", "follower"}
    assert (await me.get("/insights/fans")).status_code == 400
    assert (await me.post("/insights/fans/batch", {"userUuids": []})).status_code == 400


async def test_profile_and_account_describe_the_creator(
    world: World, me: Caller, creator: Creator
) -> None:
    add_sale(world, creator, Sale(source="tip", gross_cents=1000))
    add_reversals(world, creator)

    profile = await me.json("/users/me")
    account = await me.json("/users/account")

    assert profile["uuid"] == account["uuid"] == creator.uuid
    assert list(profile)[-3:] == ["likesCount", "fanCounts", "contentCounts"]
    assert list(account["account"]) == ["status", "earnings", "fans"]
    assert account["account"]["earnings"]["total"] == 1000


async def test_agency_lists_its_creators(boss: Caller, me: Caller, world: World) -> None:
    body = await boss.json("/creators")

    assert list(body["data"][0]) == [*FAN, "role"]
    assert [c["uuid"] for c in body["data"]] == [c.uuid for c in world.agencies[0].creators]
    assert (await me.json("/creators"))["data"] == []


async def test_agency_earnings_are_sales_per_creator_and_day(
    world: World, boss: Caller, me: Caller, creator: Creator
) -> None:
    add_sale(world, creator, Sale(source="tip", gross_cents=1000, at=NOON - timedelta(days=1)))
    add_sale(world, creator, Sale(source="tip", gross_cents=500))
    add_sale(world, creator, Sale(source="tip", gross_cents=200))
    add_reversals(world, creator)
    window = {"startDate": "2026-11-01T00:00:00Z", "endDate": "2026-12-01T00:00:00Z"}

    body = await boss.json("/agencies/earnings", **window)

    assert [(row["date"], row["gross"], row["net"]) for row in body["data"]] == [
        ("2026-11-22", 700, 560),
        ("2026-11-21", 1000, 800),
    ]
    assert (await boss.get("/agencies/earnings")).status_code == 400
    assert (await me.get("/agencies/earnings", **window)).status_code == 403
    foreign = world.agencies[1].creators[0].uuid
    assert (await boss.get("/agencies/earnings", creatorUuids=foreign, **window)).status_code == 404


async def test_agency_sees_subscribers_chats_and_staff(boss: Caller) -> None:
    window = {"startDate": "2026-11-01T00:00:00Z", "endDate": "2026-12-01T00:00:00Z"}

    subscribers = await boss.json("/agencies/subscribers")
    history = await boss.json("/agencies/subscribers-history", **window)
    chats = await boss.json("/agencies/chats")
    staff = await boss.json("/agencies/team-members")

    assert list(subscribers["data"][0]) == [*FAN, "creatorUuid", "subscribedAt", "expiresAt"]
    assert history["data"][0]["date"] == "2026-11-22"
    assert list(chats["data"][0]) == [*CHAT, "creatorUuid"]
    assert staff[0]["isAdmin"] is True
