"""Earnings rows, reversals and the cursor: shapes, order, borders and exact sums."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from simulator.books import books
from simulator.sales import (
    Sale,
    add_sale,
    add_sales,
    add_sales_with_ties,
)
from tests.simulator.press import NOON


if TYPE_CHECKING:
    from simulator.people import Creator
    from simulator.simulation import Simulation
    from simulator.world import World
    from tests.simulator.caller import Caller


UNVERSIONED_KEYS = ["date", "gross", "net", "currency", "source"]
SINCE_MID_2026 = ["transactionOrderId", "transactionOrderStatus"]
FAN_KEYS = ["uuid", "handle", "displayName", "nickname", "isTopSpender"]


def flat(pages: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [row for page in pages for row in page]


async def test_five_thousand_rows_at_fifty_are_exactly_one_hundred_pages(
    world: World, creator: Creator, me: Caller
) -> None:
    add_sales(world, creator, 5000)

    pages = await me.walk("/v1/insights/earnings", size=50)

    assert [len(page) for page in pages] == [50] * 100
    rows = flat(pages)
    truth = books(world, creator)
    assert sum(row["gross"] for row in rows) == truth.gross_cents
    assert sum(row["net"] for row in rows) == truth.net_cents
    assert len({row["transactionOrderId"] for row in rows}) == 5000
    assert [row["date"] for row in rows] == sorted((r["date"] for r in rows), reverse=True)


async def test_unversioned_row_has_the_shape_of_mid_2026(
    world: World, creator: Creator, me: Caller
) -> None:
    add_sale(world, creator, Sale(source="tip", gross_cents=700, post_uuid=creator.posts[0].uuid))
    add_sale(world, creator, Sale(source="subscription", gross_cents=999))

    first, tip = (await me.json("/insights/earnings"))["data"]

    assert list(first) == [*UNVERSIONED_KEYS, *SINCE_MID_2026, "user"]
    assert list(tip) == [*UNVERSIONED_KEYS, "postUuid", *SINCE_MID_2026, "user"]
    assert list(first["user"]) == FAN_KEYS
    assert (first["gross"], first["net"]) == (999, 799)
    assert first["date"] == "2026-11-22T12:00:00.000Z"
    assert first["transactionOrderStatus"] == "pendingBalance"
    assert first["transactionOrderId"].startswith("FV-ORDER-")


async def test_v1_row_adds_what_left_the_card(world: World, creator: Creator, me: Caller) -> None:
    add_sale(world, creator, Sale(source="message", gross_cents=2500, total_cents=2980))

    (row,) = (await me.json("/v1/insights/earnings"))["data"]

    assert list(row) == [
        *("date", "total", "gross", "net", "currency", "source", "messageUuid"),
        *SINCE_MID_2026,
        "user",
    ]
    assert (row["total"], row["gross"], row["net"]) == (2980, 2500, 2000)


async def test_empty_window_is_an_empty_page_without_cursor(me: Caller) -> None:
    assert await me.json("/insights/earnings") == {"data": [], "nextCursor": None}


async def test_rows_of_before_2026_have_neither_id_nor_status(
    world: World, creator: Creator, me: Caller, simulation: Simulation
) -> None:
    add_sale(world, creator, Sale(source="subscription"))
    simulation.knobs.update({"ids": "absent"})

    (row,) = (await me.json("/insights/earnings"))["data"]

    assert list(row) == [*UNVERSIONED_KEYS, "user"]


async def test_optional_content_may_be_null_instead_of_absent(
    world: World, creator: Creator, me: Caller, simulation: Simulation
) -> None:
    add_sale(world, creator, Sale(source="subscription"))
    simulation.knobs.update({"null_optionals": True})

    (row,) = (await me.json("/insights/earnings"))["data"]

    assert row["messageUuid"] is None
    assert row["postUuid"] is None


async def test_unversioned_gross_may_mean_what_the_fan_paid(
    world: World, creator: Creator, me: Caller, simulation: Simulation
) -> None:
    add_sale(world, creator, Sale(source="tip", gross_cents=2500, total_cents=2980))
    simulation.knobs.update({"unversioned_gross": "paid"})

    (row,) = (await me.json("/insights/earnings"))["data"]

    assert row["gross"] == 2980


async def test_duplicate_ids_put_two_distinct_rows_under_one_id(
    world: World, creator: Creator, me: Caller, simulation: Simulation
) -> None:
    add_sales(world, creator, 10)
    simulation.knobs.update({"ids": "duplicate"})

    rows = flat(await me.walk("/v1/insights/earnings"))

    assert len({row["transactionOrderId"] for row in rows}) == 5
    assert len({row["date"] for row in rows}) == 10


@pytest.mark.parametrize("source", ["referral", "affiliate", "giveaway"])
async def test_rewards_have_no_user_and_no_fee(
    world: World, creator: Creator, me: Caller, source: str
) -> None:
    add_sale(world, creator, Sale(source=source, gross_cents=500))

    (row,) = (await me.json("/v1/insights/earnings"))["data"]

    assert row["user"] is None
    assert row["total"] == row["gross"] == row["net"] == 500


async def test_unknown_source_is_served_as_data(world: World, creator: Creator, me: Caller) -> None:
    add_sale(world, creator, Sale(source="hologram", gross_cents=500))

    (row,) = (await me.json("/insights/earnings"))["data"]

    assert row["source"] == "hologram"


async def test_identical_tips_in_one_millisecond_are_two_rows(
    world: World, creator: Creator, me: Caller
) -> None:
    fan = creator.fans[0].uuid
    add_sale(world, creator, Sale(source="tip", gross_cents=500, fan_uuid=fan, copies=2))

    one, two = (await me.json("/insights/earnings"))["data"]

    assert one["transactionOrderId"] != two["transactionOrderId"]
    assert (one["date"], one["gross"], one["user"]) == (two["date"], two["gross"], two["user"])


@pytest.mark.parametrize(("ties", "seen"), [("exact", 30), ("skip", 28), ("repeat", 32)])
async def test_ties_at_page_borders_are_exact_lost_or_repeated(  # noqa: PLR0913, PLR0917 - fixtures and cases
    world: World, creator: Creator, me: Caller, simulation: Simulation, ties: str, seen: int
) -> None:
    add_sales_with_ties(world, creator, 30, page_size=10, borders=(1, 2), width=4)
    simulation.knobs.update({"ties": ties})

    rows = flat(await me.walk("/v1/insights/earnings", size=10))

    assert len(rows) == seen
    assert len({row["transactionOrderId"] for row in rows}) == min(seen, 30)


async def test_repeating_cursor_gets_past_a_tie_wider_than_a_page(
    world: World, creator: Creator, me: Caller, simulation: Simulation
) -> None:
    add_sale(world, creator, Sale(source="tip", copies=25))
    simulation.knobs.update({"ties": "repeat"})

    rows = flat(await me.walk("/insights/earnings", size=10))

    assert len({row["transactionOrderId"] for row in rows}) == 25


async def test_date_cursor_holds_nothing_but_the_last_date(
    world: World, creator: Creator, me: Caller, simulation: Simulation
) -> None:
    add_sales(world, creator, 5)
    simulation.knobs.update({"ties": "skip"})

    body = await me.json("/insights/earnings", size=2)

    text = body["nextCursor"]
    content = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert content == {"date": body["data"][-1]["date"]}


async def test_start_is_inclusive_and_end_exclusive(
    world: World, creator: Creator, me: Caller
) -> None:
    for hours in (3, 2, 1):
        add_sale(world, creator, Sale(source="tip", at=NOON - timedelta(hours=hours)))

    body = await me.json(
        "/insights/earnings",
        startDate="2026-11-22T09:00:00.000Z",
        endDate="2026-11-22T11:00:00+00:00",
    )

    assert [row["date"][11:13] for row in body["data"]] == ["10", "09"]


async def test_dates_may_be_cut_to_days_as_in_2025(
    world: World, creator: Creator, me: Caller, simulation: Simulation
) -> None:
    add_sale(world, creator, Sale(source="tip", at=NOON - timedelta(hours=3)))
    simulation.knobs.update({"dates_truncated_to_day": True})

    body = await me.json("/insights/earnings", startDate="2026-11-22T11:00:00Z")

    assert len(body["data"]) == 1


async def test_source_filter_shows_only_the_named(
    world: World, creator: Creator, me: Caller
) -> None:
    add_sales(world, creator, 200)

    rows = flat(await me.walk("/insights/earnings", source="tip,post", size=50))

    expected = [r for r in creator.ledger.rows() if r.source in {"tip", "post"}]
    assert [row["transactionOrderId"] for row in rows] == [r.order_id for r in reversed(expected)]


async def test_order_id_filter_shows_only_the_named(
    world: World, creator: Creator, me: Caller
) -> None:
    rows = add_sales(world, creator, 5)

    body = await me.json("/v1/insights/earnings", transactionOrderIds=rows[2].order_id)

    assert [row["transactionOrderId"] for row in body["data"]] == [rows[2].order_id]


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"size": 51}, "size must not be greater than 50"),
        ({"size": 0}, "size must not be less than 1"),
        ({"size": "many"}, "size must be an integer number"),
        ({"startDate": "2026-11-01"}, "startDate must be an ISO 8601 datetime"),
        ({"endDate": "2026-11-01T00:00:00"}, "endDate must be an ISO 8601 datetime"),
        ({"cursor": "????"}, "cursor is invalid or has expired"),
        ({"cursor": "e30"}, "cursor is invalid or has expired"),
    ],
)
async def test_bad_parameters_are_refused(me: Caller, params: dict[str, Any], error: str) -> None:
    response = await me.get("/insights/earnings", **params)

    assert response.status_code == 400
    assert response.json() == {"errors": [error]}


async def test_unknown_source_filter_is_refused(me: Caller) -> None:
    response = await me.get("/insights/earnings", source="refund")

    assert response.status_code == 400
    assert "source" in response.json()["errors"][0]


async def test_validation_error_may_be_empty(me: Caller, simulation: Simulation) -> None:
    simulation.knobs.update({"empty_error_400": True})

    response = await me.get("/insights/earnings", size=51)

    assert (response.status_code, response.json()) == (400, {"error": ""})
