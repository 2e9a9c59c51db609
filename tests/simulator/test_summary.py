"""The earnings summary, the percentile and the daily subscriber counts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from simulator.sales import Sale, add_reversals, add_sale, add_sales
from tests.simulator.press import NOON


if TYPE_CHECKING:
    from simulator.clock import SimulatedClock
    from simulator.people import Creator
    from simulator.simulation import Simulation
    from simulator.world import World
    from tests.simulator.caller import Caller


SUMMARY = "/insights/earnings/summary"
NOVEMBER = {"startDate": "2026-11-01T00:00:00.000Z", "endDate": "2026-12-01T00:00:00.000Z"}


async def test_summary_has_all_its_parts(world: World, creator: Creator, me: Caller) -> None:
    add_sales(world, creator, 50)

    body = await me.json(SUMMARY, **NOVEMBER)

    assert list(body) == [
        *("totals", "breakdownBySource", "earningsByType", "overTime"),
        *("averageByDayOfWeek", "averageByHourOfDay", "period"),
    ]
    assert list(body["breakdownBySource"]) == [
        *("subs", "messages", "posts", "tips", "referrals", "renewals", "other")
    ]
    assert list(body["averageByDayOfWeek"]) == [str(day) for day in range(1, 8)]
    assert list(body["averageByHourOfDay"]) == [str(hour) for hour in range(24)]
    assert body["period"] == {**NOVEMBER, "granularity": "day", "timezone": "UTC"}
    gross = sum(row.gross for row in creator.ledger.rows())
    assert body["totals"]["allTime"]["gross"] == gross
    assert sum(part["gross"] for part in body["breakdownBySource"].values()) == gross
    assert sum(period["gross"] for period in body["overTime"]) == gross


async def test_summary_leaves_reversals_out(world: World, creator: Creator, me: Caller) -> None:
    add_sale(world, creator, Sale(source="tip", gross_cents=1000))
    add_reversals(world, creator)

    body = await me.json(SUMMARY)

    assert body["totals"]["allTime"] == {"gross": 1000, "net": 800}


async def test_summary_may_be_wrong_by_a_cent_on_a_day(
    world: World, creator: Creator, me: Caller, simulation: Simulation
) -> None:
    add_sales(world, creator, 50, since=int(NOON.timestamp() * 1000) - 5 * 86_400_000)
    right = await me.json(SUMMARY, **NOVEMBER)
    simulation.cache.clear()
    simulation.knobs.update({"summary_error_cents": {"2026-11-20": -1}}, creator.uuid)

    wrong = await me.json(SUMMARY, **NOVEMBER)

    differing = [
        (a["periodStart"][:10], b["gross"] - a["gross"], b["net"] - a["net"])
        for a, b in zip(right["overTime"], wrong["overTime"], strict=True)
        if a != b
    ]
    assert differing == [("2026-11-20", -1, -1)]
    for part in ("allTime", "thisMonth"):
        assert wrong["totals"][part]["net"] == right["totals"][part]["net"] - 1
    narrow = {"startDate": "2026-11-21T00:00:00.000Z"}
    assert sum(p["net"] for p in (await me.json(SUMMARY, **narrow))["overTime"]) == sum(
        row.net for row in creator.ledger.rows() if row.date >= "2026-11-21"
    )


async def test_summary_is_up_to_ten_minutes_old(
    world: World, creator: Creator, me: Caller, clock: SimulatedClock
) -> None:
    before = await me.json(SUMMARY)
    add_sale(world, creator, Sale(source="tip", gross_cents=1000))
    clock.advance(599)
    assert await me.json(SUMMARY) == before
    fresh = await me.json(SUMMARY, timezone="Europe/Berlin")
    assert fresh["totals"]["allTime"]["gross"] == 1000

    clock.advance(1)

    assert (await me.json(SUMMARY))["totals"]["allTime"]["gross"] == 1000


async def test_summary_cache_can_be_turned_off(
    world: World, creator: Creator, me: Caller, simulation: Simulation
) -> None:
    simulation.knobs.update({"summary_cache_seconds": 0})
    await me.json(SUMMARY)
    add_sale(world, creator, Sale(source="tip", gross_cents=1000))

    assert (await me.json(SUMMARY))["totals"]["allTime"]["gross"] == 1000


async def test_days_follow_the_timezone(world: World, creator: Creator, me: Caller) -> None:
    late = NOON.replace(day=20, hour=23, minute=30)
    add_sale(world, creator, Sale(source="tip", gross_cents=1000, at=late))

    async def days(zone: str) -> list[str]:
        body = await me.json(SUMMARY, timezone=zone, **NOVEMBER)
        return [period["periodStart"] for period in body["overTime"] if period["gross"]]

    assert await days("UTC") == ["2026-11-20T00:00:00.000Z"]
    assert await days("Europe/Berlin") == ["2026-11-20T23:00:00.000Z"]


async def test_weeks_begin_on_monday(world: World, creator: Creator, me: Caller) -> None:
    add_sale(world, creator, Sale(source="tip", at=NOON - timedelta(days=1)))

    body = await me.json(SUMMARY, granularity="week", **NOVEMBER)

    assert [p["periodStart"][:10] for p in body["overTime"] if p["gross"]] == ["2026-11-16"]


async def test_month_is_compared_with_the_one_before(
    world: World, creator: Creator, me: Caller
) -> None:
    add_sale(world, creator, Sale(source="tip", gross_cents=3000))
    add_sale(world, creator, Sale(source="tip", gross_cents=2000, at=NOON - timedelta(days=30)))

    month = (await me.json(SUMMARY))["totals"]["thisMonth"]

    assert (month["gross"], month["previousMonthGross"]) == (3000, 2000)
    assert month["grossChangePercentage"] == 50.0


async def test_bad_granularity_and_timezone_are_refused(me: Caller) -> None:
    assert (await me.get(SUMMARY, granularity="hour")).status_code == 400
    assert (await me.get(SUMMARY, timezone="Mars/Base")).status_code == 400


async def test_percentile_is_a_number(me: Caller) -> None:
    assert 0 <= (await me.json("/insights/earnings/percentile"))["percentile"] < 100


async def test_subscriber_days_add_up_to_their_total(me: Caller, creator: Creator) -> None:
    pages = await me.walk("/insights/subscribers", startDate="2026-09-01T00:00:00Z", size=20)

    days = [day for page in pages for day in page]
    assert list(days[0]) == [*("date", "total", "newSubscribersCount", "cancelledSubscribersCount")]
    assert days[0]["date"] == "2026-11-22T00:00:00.000Z"
    assert sum(day["newSubscribersCount"] for day in days) == sum(
        fan.subscription is not None for fan in creator.fans
    )
    net = sum(d["newSubscribersCount"] - d["cancelledSubscribersCount"] for d in days)
    assert days[0]["total"] == net


async def test_subscriber_days_begin_at_local_midnight(me: Caller) -> None:
    body = await me.json("/insights/subscribers", startDate="2026-11-20T00:00:00+02:00")

    assert body["data"][-1]["date"] == "2026-11-19T22:00:00.000Z"
