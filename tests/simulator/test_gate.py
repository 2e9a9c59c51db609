"""What every API call meets first: version, token, bucket, scope, creator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulator.sales import Sale, add_sale


if TYPE_CHECKING:
    from simulator.clock import SimulatedClock
    from simulator.people import Agency, Creator
    from simulator.simulation import Simulation
    from simulator.world import World
    from tests.simulator.caller import Caller


EARNINGS = "/v1/insights/earnings"


@pytest.fixture
def agency(world: World) -> Agency:
    return world.agencies[0]


@pytest.fixture
def boss(anyone: Caller, agency: Agency) -> Caller:
    return anyone.sign_in(agency)


async def test_missing_or_unknown_version_is_refused(me: Caller) -> None:
    for version in ("", "2024-05-05"):
        me.headers["X-Fanvue-API-Version"] = version
        response = await me.get(EARNINGS)
        assert response.status_code == 400
        assert response.json()["error"] == "Unsupported API version"
        assert set(response.json()) == {"error", "message"}


async def test_sunset_version_names_the_next(me: Caller) -> None:
    me.headers["X-Fanvue-API-Version"] = "2024-01-01"

    response = await me.get(EARNINGS)

    assert response.status_code == 410
    assert response.json() == {
        "error": "API version no longer supported",
        "message": "API version '2024-01-01' was sunset on 2024-12-31T00:00:00.000Z",
        "nextVersion": "2025-06-26",
    }


@pytest.mark.parametrize(("state", "status"), [("missing", 404), ("sunset", 410)])
async def test_a_family_may_be_gone_while_the_other_is_served(
    me: Caller, simulation: Simulation, state: str, status: int
) -> None:
    simulation.knobs.update({"v1": state})

    assert (await me.get(EARNINGS)).status_code == status
    assert (await me.get("/insights/earnings")).status_code == 200


async def test_missing_and_unknown_tokens_are_unauthorized(anyone: Caller) -> None:
    for header in ("", "Bearer nonsense", "Basic abc"):
        anyone.headers["Authorization"] = header
        response = await anyone.get(EARNINGS)
        assert (response.status_code, response.json()) == (401, {"error": "Unauthorized"})


async def test_missing_scope_is_forbidden(anyone: Caller, creator: Creator) -> None:
    caller = anyone.sign_in(creator, "read:self")

    response = await caller.get(EARNINGS)

    assert (response.status_code, response.json()) == (403, {"error": "Forbidden"})


async def test_unknown_path_is_not_found_in_json(me: Caller) -> None:
    response = await me.get("/v1/nothing/here")

    assert (response.status_code, response.json()) == (404, {"message": "Not found"})


async def test_date_header_is_the_simulators_time(me: Caller, clock: SimulatedClock) -> None:
    clock.advance(60)

    response = await me.get(EARNINGS)

    assert response.headers["Date"] == "Sun, 22 Nov 2026 12:01:00 GMT"


async def test_headers_tell_the_rest_of_the_bucket(me: Caller, simulation: Simulation) -> None:
    simulation.knobs.update({"rate_limit": 3})

    remaining = [(await me.get(EARNINGS)).headers["X-RateLimit-Remaining"] for _ in range(3)]
    refused = await me.get(EARNINGS)

    assert remaining == ["2", "1", "0"]
    assert (refused.status_code, refused.json()) == (429, {"error": "Too many requests"})
    assert refused.headers["Retry-After"] == "60"
    assert refused.headers["X-RateLimit-Limit"] == "3"
    assert refused.headers["X-RateLimit-Reset"] == str(1795348800 + 60)


async def test_bucket_refills_whole_a_window_after_its_first_call(
    me: Caller, simulation: Simulation, clock: SimulatedClock
) -> None:
    simulation.knobs.update({"rate_limit": 2})
    await me.get(EARNINGS)
    clock.advance(59)
    await me.get(EARNINGS)
    assert (await me.get(EARNINGS)).headers["Retry-After"] == "1"

    clock.advance(1)

    assert (await me.get(EARNINGS)).headers["X-RateLimit-Remaining"] == "1"


async def test_limit_and_window_are_knobs_per_creator(
    me: Caller, simulation: Simulation, creator: Creator
) -> None:
    simulation.knobs.update({"rate_limit": 1, "rate_window_seconds": 10}, creator.uuid)

    assert (await me.get(EARNINGS)).headers["X-RateLimit-Limit"] == "1"
    assert (await me.get(EARNINGS)).headers["Retry-After"] == "10"


async def test_an_endpoint_may_have_a_limit_and_a_count_of_its_own(
    me: Caller, simulation: Simulation
) -> None:
    simulation.knobs.update({"endpoint_limits": {"/chats": 1, "posts": 0}})

    chats = [await me.get("/chats") for _ in range(2)]
    money = await me.get(EARNINGS)

    assert [answer.status_code for answer in chats] == [200, 429]
    assert chats[0].headers["X-RateLimit-Limit"] == "1"
    assert (await me.get("/posts")).status_code == 429
    assert money.headers["X-RateLimit-Limit"] == "10000"
    assert money.headers["X-RateLimit-Remaining"] == "9999"


async def test_refusals_also_carry_the_headers(me: Caller) -> None:
    response = await me.get(EARNINGS, size=99)

    assert response.status_code == 400
    assert "X-RateLimit-Remaining" in response.headers


async def test_each_creator_path_has_a_bucket_of_its_own(
    boss: Caller, agency: Agency, simulation: Simulation
) -> None:
    simulation.knobs.update({"rate_limit": 1})
    one, two = agency.creators

    assert (await boss.get(f"/creators/{one.uuid}/insights/earnings")).status_code == 200
    assert (await boss.get(f"/creators/{two.uuid}/insights/earnings")).status_code == 200
    assert (await boss.get("/creators")).status_code == 200
    assert (await boss.get(f"/creators/{one.uuid}/chats")).status_code == 429
    report = simulation.buckets.report()
    assert f"simulator-client:{agency.owner.uuid}:{one.uuid}" in report
    assert f"simulator-client:{agency.owner.uuid}" in report


async def test_agency_sees_its_creators_but_nobody_elses(
    world: World, boss: Caller, agency: Agency
) -> None:
    own, foreign = agency.creators[0], world.agencies[1].creators[0]
    add_sale(world, own, Sale(source="tip", gross_cents=700))

    body = await boss.json(f"/v1/creators/{own.uuid}/insights/earnings")
    refused = await boss.get(f"/v1/creators/{foreign.uuid}/insights/earnings")

    assert [row["gross"] for row in body["data"]] == [700]
    assert (refused.status_code, refused.json()) == (404, {"message": "Creator not found"})


async def test_own_account_is_not_found_below_creators(
    me: Caller, creator: Creator, simulation: Simulation
) -> None:
    path = f"/creators/{creator.uuid}/insights/earnings"
    assert (await me.get(path)).status_code == 404

    simulation.knobs.update({"own_creator_path_is_404": False})

    assert (await me.get(path)).status_code == 200


async def test_creator_paths_need_their_own_scope(anyone: Caller, agency: Agency) -> None:
    caller = anyone.sign_in(agency, "read:insights")

    response = await caller.get(f"/creators/{agency.creators[0].uuid}/insights/earnings")

    assert response.status_code == 403


async def test_malformed_uuid_in_the_path_is_named(boss: Caller, me: Caller) -> None:
    twin = await boss.get("/creators/not-a-uuid/insights/earnings")
    fan = await me.get("/chats/not-a-uuid/messages")

    assert (twin.status_code, twin.json()["message"]) == (
        400,
        "creatorUserUuid is not a valid UUID",
    )
    assert fan.json() == {"message": "userUuid is not a valid UUID"}


async def test_agency_administrator_has_no_money_of_its_own(boss: Caller) -> None:
    assert (await boss.get(EARNINGS)).status_code == 404
    assert (await boss.json("/users/me"))["isCreator"] is False


async def test_every_request_is_written_down(
    me: Caller, simulation: Simulation, creator: Creator
) -> None:
    await me.get(EARNINGS, size=2)

    entry = simulation.journal.read(path="/insights/earnings")[-1].as_json()

    assert entry["n"] == 1
    assert entry["creator"] == creator.uuid
    assert (entry["status"], entry["rows"], entry["query"]) == (200, 0, {"size": "2"})
    assert entry["time"] == "2026-11-22T12:00:00.000Z"
