"""The token endpoint's answers are sorted into pairs and three kinds of refusal."""

from __future__ import annotations

import base64
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest

from tests.support.clock import NOON, ManualClock
from tests.support.fanvue_stub import Answer, ScriptedFanvue, fanvue_settings, json_answer
from worker.errors import GrantInvalid, Misconfigured, Transient
from worker.fanvue.oauth import Refused, TokenEndpoint, TokenPair


PAIR = {"access_token": "new-access", "refresh_token": "new-refresh", "expires_in": 3599}


def endpoint(*answers: Answer) -> tuple[ScriptedFanvue, TokenEndpoint]:
    fanvue = ScriptedFanvue(*answers)
    return fanvue, TokenEndpoint(fanvue.http, ManualClock(), fanvue_settings())


async def test_a_refresh_authenticates_with_basic_and_a_form() -> None:
    fanvue, oauth = endpoint(json_answer(PAIR))

    await oauth.refresh("old-refresh")

    request = fanvue.requests[0]
    assert str(request.url) == "https://auth.fanvue.test/oauth2/token"
    scheme, _, encoded = request.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(encoded)) == ("Basic", b"client%20id%2B1:made%3Aup%2Fsecret")
    form = parse_qs(request.content.decode())
    assert form["grant_type"] == ["refresh_token"]
    assert form["refresh_token"] == ["old-refresh"]
    assert "client_secret" not in form


async def test_a_new_pair_expires_counted_from_the_question() -> None:
    _, oauth = endpoint(json_answer(PAIR))

    pair = await oauth.refresh("old-refresh")

    assert pair == TokenPair("new-access", "new-refresh", NOON + timedelta(seconds=3599), None)
    assert "new-" not in repr(pair)


async def test_a_missing_refresh_token_keeps_the_old_one_and_a_missing_lifetime_is_an_hour() -> (
    None
):
    _, oauth = endpoint(json_answer({"access_token": "new-access"}))

    pair = await oauth.refresh("old-refresh")

    assert isinstance(pair, TokenPair)
    assert pair.refresh_token == "old-refresh"
    assert pair.expires_at == NOON + timedelta(hours=1)


@pytest.mark.parametrize("odd", [0, -5, "soon", None, 10**12, [1], 1.5])
async def test_an_odd_lifetime_is_taken_for_an_hour(odd: object) -> None:
    _, oauth = endpoint(json_answer(PAIR | {"expires_in": odd}))

    pair = await oauth.refresh("old-refresh")

    assert isinstance(pair, TokenPair)
    assert pair.expires_at == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (json_answer({"error": "invalid_grant", "error_description": "x"}, 400), "invalid_grant"),
        (json_answer({"error": "invalid_grant"}, 401), "invalid_grant"),
        (json_answer({"error": "invalid_client"}, 401), "config"),
        (json_answer({"error": "unauthorized_client"}, 400), "config"),
        (json_answer({"message": "no"}, 401), "config"),
        (httpx.Response(404, text="not here"), "config"),
        (httpx.Response(302, headers={"location": "https://elsewhere.test"}), "config"),
        (httpx.Response(401, html="<html>proxy</html>"), "transient"),
        (json_answer({"error": "server_error"}, 400), "transient"),
        (httpx.Response(400, html="<html>?</html>"), "transient"),
        (httpx.Response(500, text="oops"), "transient"),
        (httpx.Response(200, html="<html>hello</html>"), "transient"),
        (json_answer({"token_type": "bearer"}), "transient"),
        (json_answer(["access_token"]), "transient"),
    ],
)
async def test_each_refusal_has_its_kind_and_is_not_repeated(
    answer: httpx.Response, kind: str
) -> None:
    fanvue, oauth = endpoint(answer)

    refused = await oauth.refresh("old-refresh")

    assert isinstance(refused, Refused)
    assert refused.kind == kind
    assert "old-refresh" not in refused.message
    assert len(fanvue.requests) == 1


async def test_a_429_says_how_long_to_wait() -> None:
    _, oauth = endpoint(httpx.Response(429, headers={"retry-after": "17"}))

    refused = await oauth.refresh("old-refresh")

    assert isinstance(refused, Refused)
    assert (refused.kind, refused.retry_after) == ("throttled", timedelta(seconds=17))


async def test_a_connection_that_broke_early_is_tried_once_more_at_once() -> None:
    fanvue, oauth = endpoint(httpx.RemoteProtocolError("cut"), json_answer(PAIR))

    assert isinstance(await oauth.refresh("old-refresh"), TokenPair)
    assert len(fanvue.requests) == 2


async def test_a_second_break_is_left_to_the_caller() -> None:
    fanvue, oauth = endpoint(httpx.ConnectError("a"), httpx.ConnectError("b"))

    refused = await oauth.refresh("old-refresh")

    assert isinstance(refused, Refused)
    assert refused.kind == "transient"
    assert len(fanvue.requests) == 2


async def test_a_time_out_is_not_repeated_because_the_token_may_be_spent() -> None:
    fanvue, oauth = endpoint(httpx.ReadTimeout("slow"))

    refused = await oauth.refresh("old-refresh")

    assert isinstance(refused, Refused)
    assert refused.kind == "transient"
    assert len(fanvue.requests) == 1


async def test_a_code_is_exchanged_with_its_verifier() -> None:
    fanvue, oauth = endpoint(json_answer(PAIR))

    pair = await oauth.exchange_code(
        "c0de", redirect_uri="https://x.test/cb", code_verifier="v" * 43
    )

    form = parse_qs(fanvue.requests[0].content.decode())
    assert isinstance(pair, TokenPair)
    assert form["grant_type"] == ["authorization_code"]
    assert form["code_verifier"] == ["v" * 43]


def test_a_refusal_becomes_the_error_of_its_kind() -> None:
    assert isinstance(Refused("invalid_grant", "x").as_error(), GrantInvalid)
    assert isinstance(Refused("config", "x").as_error(), Misconfigured)
    assert isinstance(Refused("transient", "x").as_error(), Transient)
