"""Consent and the exchange of its code: what is asked, refused and given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.oauth_steps import (
    REDIRECT,
    authorize,
    exchange,
    opens_api,
    request_for,
)


if TYPE_CHECKING:
    import httpx

    from simulator.clock import SimulatedClock
    from simulator.people import Creator
    from simulator.simulation import Simulation


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


async def test_discovery_names_the_endpoints(
    http: httpx.AsyncClient, simulation: Simulation
) -> None:
    body = (await http.get("/.well-known/openid-configuration")).json()

    assert body["token_endpoint"] == "http://simulator.test/oauth2/token"
    assert body["token_endpoint_auth_methods_supported"] == ["client_secret_basic"]


@pytest.mark.parametrize("named", [True, False])
async def test_a_scope_that_is_not_ticked_in_the_app_sends_the_browser_back(
    http: httpx.AsyncClient, creator: Creator, simulation: Simulation, *, named: bool
) -> None:
    simulation.knobs.update({"app_scopes": ["openid", "read:self"], "scope_named": named})

    back = await authorize(http, creator, scope="openid read:self read:insights")

    assert back["error"] == "invalid_scope"
    assert ("'read:insights'" in back["error_description"]) is named
