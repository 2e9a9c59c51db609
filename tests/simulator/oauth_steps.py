"""The steps of a sign-in, one call each, for the tests of consent and of tokens.

They send what a correct client sends unless a test changes it; they judge nothing else.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.simulator.caller import Caller


if TYPE_CHECKING:
    import httpx

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


async def opens_api(http: httpx.AsyncClient, simulation: Simulation, token: str) -> bool:
    caller = Caller(http, simulation)
    caller.headers["Authorization"] = f"Bearer {token}"
    return (await caller.get("/users/me")).status_code == 200
