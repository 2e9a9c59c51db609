"""Consent, token exchange, rotation, grace, reuse and revocation."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from simulator.faults import Fault, Match
from tests.simulator.caller import Caller


if TYPE_CHECKING:
    import httpx

    from simulator.clock import SimulatedClock
    from simulator.people import Creator
    from simulator.simulation import Simulation


BASIC = ("simulator-client", "simulator-secret")
REDIRECT = "http://127.0.0.1:9000/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
SCOPE = "openid offline_access offline read:self read:insights"


def request_for(creator: Creator, **changes: Any) -> dict[str, Any]:
    query = {
        "response_type": "code",
        "client_id": BASIC[0],
        "redirect_uri": REDIRECT,
        "scope": SCOPE,
        "state": "state-12345",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "login_hint": creator.uuid,
    }
    return {k: v for k, v in (query | changes).items() if v is not None}


async def authorize(http: httpx.AsyncClient, creator: Creator, **changes: Any) -> dict[str, str]:
    response = await http.get("/oauth2/auth", params=request_for(creator, **changes))
    assert response.status_code == 302, response.text
    query = parse_qs(urlsplit(response.headers["location"]).query)
    return {name: values[0] for name, values in query.items()}


async def exchange(http: httpx.AsyncClient, code: str, **changes: Any) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
    }
    return await http.post("/oauth2/token", data=form | changes, auth=BASIC)


async def refresh(
    http: httpx.AsyncClient, token: str, auth: tuple[str, str] = BASIC, **changes: Any
) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return await http.post("/oauth2/token", data=form | changes, auth=auth)


@pytest.fixture
async def pair(http: httpx.AsyncClient, creator: Creator, simulation: Simulation) -> dict[str, Any]:
    answer = await authorize(http, creator)
    body: dict[str, Any] = (await exchange(http, answer["code"])).json()
    return body


async def opens_api(http: httpx.AsyncClient, simulation: Simulation, token: str) -> bool:
    caller = Caller(http, simulation)
    caller.headers["Authorization"] = f"Bearer {token}"
    return (await caller.get("/users/me")).status_code == 200


async def test_consent_by_login_hint_leads_to_a_working_grant(
    http: httpx.AsyncClient, creator: Creator, simulation: Simulation
) -> None:
    answer = await authorize(http, creator)
    response = await exchange(http, answer["code"])

    body = response.json()
    assert answer["state"] == "state-12345"
    assert list(body) == [
        *("access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type")
    ]
    assert body["expires_in"] == 3599
    assert body["token_type"] == "bearer"
    assert body["access_token"].count(".") == 2
    assert await opens_api(http, simulation, body["access_token"])


async def test_without_login_hint_a_page_asks(
    http: httpx.AsyncClient, creator: Creator, simulation: Simulation
) -> None:
    response = await http.get("/oauth2/auth", params=request_for(creator, login_hint=None))

    assert response.status_code == 200
    assert "Nova 1" in response.text
    assert "Deny" in response.text


async def test_denied_consent_returns_access_denied(
    http: httpx.AsyncClient, creator: Creator, simulation: Simulation
) -> None:
    answer = await authorize(http, creator, sim_consent="deny")

    assert answer["error"] == "access_denied"
    assert answer["state"] == "state-12345"


async def test_consent_may_be_denied_by_knob(
    http: httpx.AsyncClient, creator: Creator, simulation: Simulation
) -> None:
    simulation.knobs.update({"consent": "deny"}, creator.uuid)

    assert (await authorize(http, creator))["error"] == "access_denied"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"state": None}, "invalid_state"),
        ({"scope": "read:everything"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
async def test_incomplete_authorize_request_is_sent_back(
    http: httpx.AsyncClient,
    creator: Creator,
    simulation: Simulation,
    changes: dict[str, Any],
    error: str,
) -> None:
    assert (await authorize(http, creator, **changes))["error"] == error


async def test_unregistered_redirect_is_never_followed(
    http: httpx.AsyncClient, creator: Creator, simulation: Simulation
) -> None:
    query = request_for(creator, redirect_uri="https://elsewhere.test/callback")

    assert (await http.get("/oauth2/auth", params=query)).status_code == 400


async def test_code_needs_its_verifier_and_redirect(
    http: httpx.AsyncClient, creator: Creator, simulation: Simulation
) -> None:
    for changes in ({"code_verifier": "w" * 43}, {"redirect_uri": REDIRECT + "/x"}):
        code = (await authorize(http, creator))["code"]
        response = await exchange(http, code, **changes)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


async def test_code_used_twice_revokes_what_it_gave(
    http: httpx.AsyncClient, creator: Creator, simulation: Simulation
) -> None:
    code = (await authorize(http, creator))["code"]
    first = (await exchange(http, code)).json()

    again = await exchange(http, code)

    assert again.json()["error"] == "invalid_grant"
    assert not await opens_api(http, simulation, first["access_token"])


async def test_code_expires(
    http: httpx.AsyncClient, creator: Creator, simulation: Simulation, clock: SimulatedClock
) -> None:
    code = (await authorize(http, creator))["code"]
    clock.advance(601)

    assert (await exchange(http, code)).json()["error"] == "invalid_grant"


async def test_without_offline_access_there_is_no_refresh_token(
    http: httpx.AsyncClient, creator: Creator, simulation: Simulation
) -> None:
    code = (await authorize(http, creator, scope="read:self"))["code"]

    assert "refresh_token" not in (await exchange(http, code)).json()


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


async def test_discovery_names_the_endpoints(
    http: httpx.AsyncClient, simulation: Simulation
) -> None:
    body = (await http.get("/.well-known/openid-configuration")).json()

    assert body["token_endpoint"] == "http://simulator.test/oauth2/token"
    assert body["token_endpoint_auth_methods_supported"] == ["client_secret_basic"]


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
