"""Reversals, late rows, status flips and the books."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from simulator.books import books
from simulator.sales import (
    Sale,
    add_reversals,
    add_sale,
    flip_statuses,
)
from tests.simulator.press import NOON


if TYPE_CHECKING:
    from simulator.clock import SimulatedClock
    from simulator.people import Creator
    from simulator.simulation import Simulation
    from simulator.world import World
    from tests.simulator.caller import Caller


UNVERSIONED_KEYS = ["date", "gross", "net", "currency", "source"]
SINCE_MID_2026 = ["transactionOrderId", "transactionOrderStatus"]
FAN_KEYS = ["uuid", "handle", "displayName", "nickname", "isTopSpender"]


async def test_v1_reversal_is_a_row_of_its_own_and_leaves_the_sale_alone(
    world: World, creator: Creator, me: Caller, clock: SimulatedClock
) -> None:
    (sale,) = add_sale(world, creator, Sale(source="message", gross_cents=2500))
    clock.advance(60)
    add_reversals(world, creator, order_ids=[sale.order_id], kind="chargeback")

    back, original = (await me.json("/v1/insights/earnings"))["data"]

    assert (back["source"], back["gross"], back["net"]) == ("chargeback", -2500, -2000)
    assert back["reversedTransactionOrderId"] == original["transactionOrderId"]
    assert back["transactionOrderId"] != original["transactionOrderId"]
    assert back["messageUuid"] == original["messageUuid"]
    assert (original["source"], original["gross"]) == ("message", 2500)


@pytest.mark.parametrize(
    ("reversal_ids", "shares", "has_id"), [("shared", True, True), ("none", False, False)]
)
async def test_v1_reversal_may_share_its_sales_id_or_have_none(  # noqa: PLR0913, PLR0917 - fixtures and cases
    world: World,
    creator: Creator,
    me: Caller,
    simulation: Simulation,
    reversal_ids: str,
    shares: bool,
    has_id: bool,
) -> None:
    add_sale(world, creator, Sale(source="tip"))
    add_reversals(world, creator)
    simulation.knobs.update({"reversal_ids": reversal_ids})

    back, original = (await me.json("/v1/insights/earnings"))["data"]

    assert ("transactionOrderId" in back) is has_id
    assert (back.get("transactionOrderId") == original["transactionOrderId"]) is shares
    assert back["reversedTransactionOrderId"] == original["transactionOrderId"]


async def test_unversioned_reversals_are_only_in_spending_and_without_ids(
    world: World, creator: Creator, me: Caller
) -> None:
    add_sale(world, creator, Sale(source="subscription", gross_cents=999))
    add_reversals(world, creator)

    earned = (await me.json("/insights/earnings"))["data"]
    (back,) = (await me.json("/insights/spending"))["data"]

    assert [row["source"] for row in earned] == ["subscription"]
    assert list(back) == [*UNVERSIONED_KEYS, "user"]
    assert (back["gross"], back["net"], back["source"]) == (-999, -799, "refund")
    assert (await me.get("/v1/insights/spending")).status_code == 404


async def test_late_row_appears_with_its_old_date(
    world: World, creator: Creator, me: Caller, clock: SimulatedClock
) -> None:
    add_sale(
        world,
        creator,
        Sale(source="tip", at=NOON - timedelta(days=3), visible_at=NOON + timedelta(minutes=30)),
    )
    assert (await me.json("/insights/earnings"))["data"] == []
    assert books(world, creator).count == 0

    clock.advance(1800)

    (row,) = (await me.json("/insights/earnings"))["data"]
    assert row["date"] == "2026-11-19T12:00:00.000Z"
    assert books(world, creator).count == 1


async def test_status_flips_when_told_and_when_a_week_is_over(
    world: World, creator: Creator, me: Caller, clock: SimulatedClock
) -> None:
    add_sale(world, creator, Sale(source="tip"))
    add_sale(world, creator, Sale(source="tip"))

    async def statuses() -> list[str]:
        rows = (await me.json("/insights/earnings"))["data"]
        return [row["transactionOrderStatus"] for row in rows]

    assert await statuses() == ["pendingBalance", "pendingBalance"]
    flip_statuses(world, creator, count=1)
    assert await statuses() == ["pendingBalance", "availableForPayout"]
    clock.advance(7 * 86_400)
    fresh = me.sign_in(creator)
    rows = (await fresh.json("/insights/earnings"))["data"]
    assert [row["transactionOrderStatus"] for row in rows] == ["availableForPayout"] * 2


async def test_books_count_everything_once(world: World, creator: Creator) -> None:
    add_sale(world, creator, Sale(source="tip", gross_cents=1000, at=NOON - timedelta(days=1)))
    add_sale(world, creator, Sale(source="post", gross_cents=500))
    add_reversals(world, creator, kind="refund")

    found = books(world, creator).as_json()

    assert (found["count"], found["gross_cents"], found["net_cents"]) == (3, 1000, 800)
    assert found["by_category"]["refund"] == {"count": 1, "gross_cents": -500, "net_cents": -400}
    assert found["by_day"]["2026-11-22"]["gross_cents"] == 0
    assert found["by_day"]["2026-11-21"]["count"] == 1
