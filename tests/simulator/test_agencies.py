"""One grant for many creators: twins of every endpoint, own account, moves, daily earnings."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from simulator.client import SimulatorControl
from simulator.endpoints.catalogue import ENDPOINTS
from simulator.population import add_model
from simulator.sales import Sale, add_reversals, add_sale, add_sales
from simulator.server import running
from tests.simulator.press import NOON


if TYPE_CHECKING:
    from simulator.people import Agency, Creator
    from simulator.simulation import Simulation
    from simulator.world import World
    from tests.simulator.caller import Caller


DAYS = "/agencies/earnings"
WINDOW = {"startDate": "2026-11-01T00:00:00Z", "endDate": "2026-12-01T00:00:00Z"}
TWINS = [
    ("/v1" if family == "v1" else "", endpoint.path, endpoint.twin_path or endpoint.path)
    for endpoint in ENDPOINTS
    if endpoint.twin and endpoint.method == "GET"
    for family in endpoint.families
]


@pytest.fixture
def agency(world: World) -> Agency:
    return world.agencies[0]


@pytest.fixture
def boss(anyone: Caller, agency: Agency) -> Caller:
    return anyone.sign_in(agency)


@pytest.fixture
def runner(world: World, agency: Agency) -> Creator:
    """Return a creator who administers the agency."""
    return add_model(world, agency=agency.uuid, handle="runner", administrator=True)


async def sums(boss: Caller) -> list[tuple[Any, ...]]:
    rows = (await boss.json(DAYS, **WINDOW))["data"]
    return [(row["date"], row["gross"], row["net"], row["currency"]) for row in rows]


@pytest.mark.parametrize(("family", "path", "twin_path"), TWINS)
async def test_a_twin_of_a_path_gives_the_same_answer(  # noqa: PLR0913, PLR0917 - a world and two paths
    world: World, boss: Caller, me: Caller, creator: Creator, family: str, path: str, twin_path: str
) -> None:
    me.simulation.knobs.update({"v1_spending": True})
    add_sales(world, creator, 40)
    fan = next(iter(creator.chats))
    names = {"userUuid": fan, "uuid": creator.posts[0].uuid, "listUuid": "subscribers"}

    own = await me.json(family + path.format(**names))
    twin = await boss.json(f"{family}/creators/{creator.uuid}{twin_path.format(**names)}")

    assert twin == own


async def test_administrator_may_be_a_creator_on_personal_paths_only(
    world: World, runner: Creator, agency: Agency, anyone: Caller
) -> None:
    add_sale(world, runner, Sale(source="tip", gross_cents=900))
    boss = anyone.sign_in(agency)
    other = agency.creators[0]

    own = await boss.json("/v1/insights/earnings")
    below = await boss.get(f"/v1/creators/{runner.uuid}/insights/earnings")
    listed = (await boss.json("/creators"))["data"]

    assert agency.owner is runner.user
    assert [row["gross"] for row in own["data"]] == [900]
    assert below.status_code == 404
    assert runner.uuid not in [row["uuid"] for row in listed]
    assert (await boss.get(f"/v1/creators/{other.uuid}/insights/earnings")).status_code == 200
    assert (await boss.json("/users/me"))["isCreator"] is True


async def test_agency_paths_share_the_bucket_of_the_personal_ones(
    boss: Caller, agency: Agency, simulation: Simulation
) -> None:
    for path in ("/creators", "/users/me", "/agencies/team-members", "/agencies/subscribers"):
        await boss.json(path)
    await boss.json(f"/creators/{agency.creators[0].uuid}/account")

    report = simulation.buckets.report()

    shared = f"simulator-client:{agency.owner.uuid}"
    assert report[shared]["max_used"] == 4
    assert report[f"{shared}:{agency.creators[0].uuid}"]["max_used"] == 1


@pytest.mark.parametrize("path", ["/users/account", "/insights/fans", "/chats/unread"])
async def test_what_only_the_creators_themselves_may_ask_is_not_there_for_an_agency(
    boss: Caller, agency: Agency, path: str
) -> None:
    answer = await boss.get(f"/creators/{agency.creators[0].uuid}{path}")

    assert answer.status_code == 404


async def test_creator_who_left_is_not_found_any_more(
    world: World, boss: Caller, agency: Agency, anyone: Caller
) -> None:
    leaver = agency.creators[0]
    path = f"/creators/{leaver.uuid}/account"
    assert (await boss.get(path)).status_code == 200

    world.move_creator(leaver, world.agencies[1])

    assert (await boss.get(path)).status_code == 404
    assert (await anyone.sign_in(world.agencies[1]).get(path)).status_code == 200


async def test_daily_earnings_leave_out_what_the_knobs_say(
    world: World, boss: Caller, creator: Creator, simulation: Simulation
) -> None:
    add_sale(world, creator, Sale(source="tip", gross_cents=100))
    add_sale(world, creator, Sale(source="tip", gross_cents=1000, available_at=NOON))
    add_sale(world, creator, Sale(source="referral", gross_cents=10_000))
    (gone,) = add_sale(world, creator, Sale(source="tip", gross_cents=100_000))
    add_reversals(world, creator, order_ids=[gone.order_id])
    seen = {}

    for knob in ("agency_pending", "agency_rewards", "agency_reversed"):
        simulation.cache.clear()
        simulation.knobs.replace({knob: False})
        seen[knob] = [row[1] for row in await sums(boss)]

    simulation.cache.clear()
    simulation.knobs.replace({})
    assert [row[1] for row in await sums(boss)] == [111_100]
    assert seen == {
        "agency_pending": [1000],
        "agency_rewards": [101_100],
        "agency_reversed": [11_100],
    }


async def test_days_may_be_in_another_currency_or_in_none(
    world: World, boss: Caller, creator: Creator, simulation: Simulation
) -> None:
    simulation.knobs.update({"agency_currencies": {"2026-11-21": "EUR", "2026-11-20": None}})
    for days in range(3):
        at = NOON - timedelta(days=days)
        add_sale(world, creator, Sale(source="tip", gross_cents=1000, at=at))

    assert await sums(boss) == [
        ("2026-11-22", 1000, 800, "USD"),
        ("2026-11-21", 920, 736, "EUR"),
        ("2026-11-20", 1000, 800, None),
    ]


async def test_daily_earnings_follow_the_ledger(
    world: World, boss: Caller, creator: Creator
) -> None:
    add_sale(world, creator, Sale(source="tip", gross_cents=100))
    before = await sums(boss)

    add_sale(world, creator, Sale(source="tip", gross_cents=100))

    assert [row[1] for row in before] == [100]
    assert [row[1] for row in await sums(boss)] == [200]


def test_administrators_and_moves_can_be_ordered(world: World) -> None:
    with running(world, world.clock) as sim, SimulatorControl(sim.url) as control:
        (made,) = control.add_creators(handle="chief", agency="Agency 1", administrator=True)
        moved = control.move_creator("nova-1", "Agency 2")
        listed = {agency["name"]: agency for agency in control.world()["agencies"]}
        by_agency = control.agency_grant("Agency 1")
        by_uuid = control.grant(listed["Agency 2"]["owner_uuid"], scopes=["read:creator"])
        with pytest.raises(RuntimeError, match="runs its agency"):
            control.move_creator("chief", "Agency 2")

    assert listed["Agency 1"]["owner_uuid"] == by_agency.creator_uuid == made["uuid"]
    assert listed["Agency 1"]["owner_is_creator"] is True
    assert listed["Agency 2"]["uuid"] == moved["agency"]
    assert "nova-1" in [creator["handle"] for creator in listed["Agency 2"]["creators"]]
    assert by_uuid.creator_uuid == listed["Agency 2"]["owner_uuid"]
