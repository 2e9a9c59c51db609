"""Rotation, grace, reuse, lifetimes and revocation of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from simulator.faults import Fault, Match
from tests.simulator.oauth_steps import (
    BASIC,
    authorize,
    exchange,
    opens_api,
    refresh,
)


if TYPE_CHECKING:
    import httpx

    from simulator.clock import SimulatedClock
    from simulator.people import Creator
    from simulator.simulation import Simulation


@pytest.fixture
async def pair(http: httpx.AsyncClient, creator: Creator, simulation: Simulation) -> dict[str, Any]:
    answer = await authorize(http, creator)
    body: dict[str, Any] = (await exchange(http, answer["code"])).json()
    return body


async def test_secret_in_the_body_is_refused(http: httpx.AsyncClient, pair: dict[str, Any]) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    form |= {"client_id": BASIC[0], "client_secret": BASIC[1]}
    response = await http.post("/oauth2/token", data=form)

    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


async def test_wrong_secret_is_refused(http: httpx.AsyncClient, pair: dict[str, Any]) -> None:
    response = await refresh(http, pair["refresh_token"], auth=(BASIC[0], "wrong"))

    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


async def test_refresh_rotates_both_tokens(
    http: httpx.AsyncClient, pair: dict[str, Any], simulation: Simulation, creator: Creator
) -> None:
    response = await refresh(http, pair["refresh_token"])

    body = response.json()
    assert list(body) == ["access_token", "expires_in", "refresh_token", "scope", "token_type"]
    assert body["refresh_token"] != pair["refresh_token"]
    assert body["access_token"] != pair["access_token"]
    assert simulation.stats.by_creator()[creator.uuid]["refreshes"] == 1


async def test_same_token_within_the_grace_gives_the_same_pair(
    http: httpx.AsyncClient, pair: dict[str, Any], simulation: Simulation, clock: SimulatedClock
) -> None:
    first = (await refresh(http, pair["refresh_token"])).json()
    clock.advance(29)

    again = (await refresh(http, pair["refresh_token"])).json()

    assert again["access_token"] == first["access_token"]
    assert again["refresh_token"] == first["refresh_token"]
    assert again["expires_in"] == first["expires_in"] - 29
    assert simulation.stats.total()["grace_hits"] == 1
    assert simulation.stats.total()["refreshes"] == 1


async def test_grace_may_give_a_new_pair_each_time(
    http: httpx.AsyncClient, pair: dict[str, Any], simulation: Simulation
) -> None:
    simulation.knobs.update({"grace_answer": "new"})
    first = (await refresh(http, pair["refresh_token"])).json()

    again = (await refresh(http, pair["refresh_token"])).json()

    assert again["refresh_token"] != first["refresh_token"]
    assert (await refresh(http, first["refresh_token"])).status_code == 200


async def test_reuse_after_the_grace_kills_the_whole_chain(
    http: httpx.AsyncClient, pair: dict[str, Any], simulation: Simulation, clock: SimulatedClock
) -> None:
    new = (await refresh(http, pair["refresh_token"])).json()
    clock.advance(31)

    reuse = await refresh(http, pair["refresh_token"])

    assert (reuse.status_code, reuse.json()["error"]) == (400, "invalid_grant")
    assert set(reuse.json()) == {"error", "error_description"}
    assert (await refresh(http, new["refresh_token"])).json()["error"] == "invalid_grant"
    assert not await opens_api(http, simulation, new["access_token"])
    assert not await opens_api(http, simulation, pair["access_token"])
    assert simulation.stats.total()["chain_kills"] == 1


async def test_other_grants_of_the_creator_survive_a_killed_chain(
    http: httpx.AsyncClient,
    pair: dict[str, Any],
    simulation: Simulation,
    clock: SimulatedClock,
    creator: Creator,
) -> None:
    other = simulation.tokens.grant(BASIC[0], creator.uuid, ("read:self", "offline"))
    await refresh(http, pair["refresh_token"])
    clock.advance(31)
    await refresh(http, pair["refresh_token"])

    assert await opens_api(http, simulation, other.access.text)


async def test_access_token_expires_after_an_hour(
    http: httpx.AsyncClient, pair: dict[str, Any], simulation: Simulation, clock: SimulatedClock
) -> None:
    clock.advance(3599)
    assert await opens_api(http, simulation, pair["access_token"])
    clock.advance(1)
    assert not await opens_api(http, simulation, pair["access_token"])


async def test_lifetimes_are_knobs(
    http: httpx.AsyncClient, pair: dict[str, Any], simulation: Simulation, clock: SimulatedClock
) -> None:
    simulation.knobs.update({"access_token_seconds": 60, "refresh_token_seconds": 100})
    body = (await refresh(http, pair["refresh_token"])).json()
    assert body["expires_in"] == 59
    clock.advance(101)

    assert (await refresh(http, body["refresh_token"])).json()["error"] == "invalid_grant"


async def test_refresh_may_revoke_the_old_access_token(
    http: httpx.AsyncClient, pair: dict[str, Any], simulation: Simulation
) -> None:
    simulation.knobs.update({"refresh_revokes_access": True})
    await refresh(http, pair["refresh_token"])

    assert not await opens_api(http, simulation, pair["access_token"])


async def test_revoked_refresh_token_ends_the_grant(
    http: httpx.AsyncClient, pair: dict[str, Any], simulation: Simulation
) -> None:
    form = {"token": pair["refresh_token"], "token_type_hint": "refresh_token"}
    response = await http.post("/oauth2/revoke", data=form, auth=BASIC)

    assert response.status_code == 200
    assert (await refresh(http, pair["refresh_token"])).json()["error"] == "invalid_grant"
    assert not await opens_api(http, simulation, pair["access_token"])


async def test_revoking_needs_the_client_but_forgives_unknown_tokens(
    http: httpx.AsyncClient, simulation: Simulation
) -> None:
    form = {"token": "unknown"}

    assert (await http.post("/oauth2/revoke", data=form)).status_code == 401
    assert (await http.post("/oauth2/revoke", data=form, auth=BASIC)).status_code == 200


async def test_unknown_grant_type_and_unknown_token_are_told_apart(
    http: httpx.AsyncClient, simulation: Simulation
) -> None:
    unknown = await refresh(http, "never-issued")
    other = await refresh(http, "x", grant_type="client_credentials")

    assert unknown.json()["error"] == "invalid_grant"
    assert other.json()["error"] == "unsupported_grant_type"


async def test_lost_answer_of_a_refresh_leaves_the_rotation_done(
    http: httpx.AsyncClient, pair: dict[str, Any], simulation: Simulation
) -> None:
    simulation.faults.arm(
        Fault(match=Match(path="/oauth2/token"), kind="status", moment="after", next_n=1)
    )

    assert (await refresh(http, pair["refresh_token"])).status_code == 503
    assert simulation.stats.total()["refreshes"] == 1
    assert (await refresh(http, pair["refresh_token"])).status_code == 200
    assert simulation.stats.total()["grace_hits"] == 1
