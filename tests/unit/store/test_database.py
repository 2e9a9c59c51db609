"""RPCs are repeated when that helps, and each refusal has the error that says how to recover."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.support.clock import ManualClock
from tests.unit.store.rpc_stub import KEY, Refusal, RpcStub
from worker.errors import (
    DatabaseUnavailable,
    LeaseLost,
    Misconfigured,
    Rejected,
    SchemaMissing,
    SyncError,
)
from worker.store.database import ATTEMPTS, LONGEST_BACKOFF, DatabaseBroken


LEGACY_KEY = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl"


def stub(*instead: httpx.Response | Exception, reply: Any = None) -> RpcStub:
    made = RpcStub(ManualClock(skips=True), ping=lambda _: {"pong": 1} if reply is None else reply)
    made.instead = list(instead)
    return made


def refused(status: int, code: str, message: str = "said so") -> httpx.Response:
    return httpx.Response(status, json={"code": code, "message": message, "hint": "do this"})


PASSING = [
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("slow"),
    httpx.ConnectTimeout("slow"),
    httpx.PoolTimeout("busy"),
    httpx.ReadError("connection reset"),
    httpx.RemoteProtocolError("server disconnected"),
    httpx.Response(502, html="<html>bad gateway</html>"),
    httpx.Response(503, text="upstream down"),
    httpx.Response(504),
    httpx.Response(429, json={"message": "slow down"}),
    httpx.Response(500, html="<html>oops</html>"),
    httpx.Response(522, html="<html>connection timed out</html>"),
    httpx.Response(200, html="<html>welcome</html>"),
    httpx.Response(200, content=b'{"pong": '),
    refused(503, "PGRST000"),
    refused(503, "PGRST001"),
    refused(503, "PGRST002"),
    refused(504, "PGRST003"),
    refused(500, "08006"),
    refused(500, "53300"),
    refused(503, "57P01"),
    refused(503, "57P03"),
    refused(500, "58030"),
    refused(401, "PGRST301"),
    refused(401, "PGRST303", "JWT issued at future"),
    refused(404, "PGRST202"),
    refused(404, "PGRST205"),
    refused(404, "42883"),
    refused(404, "42P01"),
    refused(500, "40001"),
    refused(500, "40P01"),
    refused(500, "55P03"),
    refused(500, "57014"),
]


def name_of(value: object) -> str:
    if isinstance(value, httpx.Response):
        return f"{value.status_code} {value.text[:28]}"
    return type(value).__name__


@pytest.mark.parametrize("failure", PASSING, ids=name_of)
async def test_what_may_pass_is_tried_again(failure: httpx.Response | Exception) -> None:
    database = stub(failure)

    assert await database.database.call("ping") == {"pong": 1}
    assert len(database.requests) == 2
    assert len(database.clock.slept) == 1


@pytest.mark.parametrize("failure", PASSING[:8], ids=name_of)
async def test_a_database_that_stays_away_is_unavailable_after_bounded_waits(
    failure: httpx.Response | Exception,
) -> None:
    database = stub(*[failure] * ATTEMPTS)

    with pytest.raises(DatabaseUnavailable, match="did not answer ping"):
        await database.database.call("ping")

    assert len(database.requests) == ATTEMPTS
    assert len(database.clock.slept) == ATTEMPTS - 1
    assert all(timedelta(0) <= wait <= LONGEST_BACKOFF for wait in database.clock.slept)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refused(410, "PT410"), LeaseLost),
        (refused(404, "PT404"), Rejected),
        (refused(409, "PT409"), Rejected),
        (refused(422, "PT422"), Rejected),
        (refused(429, "PT429"), Rejected),
        (refused(403, "42501"), Misconfigured),
        (refused(401, "PGRST302"), Misconfigured),
        (httpx.Response(401, json={"message": "Invalid API key"}), Misconfigured),
        (httpx.Response(403, html="<html>forbidden</html>"), Misconfigured),
        (httpx.Response(404, html="<html>not here</html>"), Misconfigured),
        (refused(500, "XX000"), DatabaseBroken),
        (refused(400, "22P02"), DatabaseBroken),
        (refused(409, "23505"), DatabaseBroken),
        (httpx.Response(302, headers={"location": "https://elsewhere.test"}), DatabaseBroken),
        (httpx.Response(413, text="too large"), DatabaseBroken),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else name_of(value),
)
async def test_each_refusal_has_its_error_and_is_not_repeated(
    answer: httpx.Response, expected: type[SyncError]
) -> None:
    database = stub(answer)

    with pytest.raises(SyncError) as caught:
        await database.database.call("ping")

    assert type(caught.value) is expected
    assert len(database.requests) == 1
    assert database.clock.slept == []


async def test_the_hint_of_a_rejection_is_the_remedy() -> None:
    def refuse(_: object) -> None:
        raise Refusal(409, "PT409", "connected already", "connect with --replace")

    database = RpcStub(ManualClock(), connect_model=refuse)

    with pytest.raises(Rejected) as caught:
        await database.database.call("connect_model")

    assert caught.value.operator_message == "connected already; connect with --replace"


@pytest.mark.parametrize(
    "answer",
    [
        refused(404, "PGRST202"),
        refused(404, "PGRST205"),
        refused(406, "PGRST106"),
        refused(404, "42883"),
        refused(404, "42P01"),
        refused(406, "3F000"),
    ],
    ids=name_of,
)
async def test_what_stays_missing_points_at_the_migrations(answer: httpx.Response) -> None:
    database = stub(*[answer] * ATTEMPTS)

    with pytest.raises(SchemaMissing, match="the database has no ping") as caught:
        await database.database.call("ping")

    assert "migrations" in caught.value.remedy
    assert len(database.requests) == ATTEMPTS
    # A person waits for this: seconds, at the very worst.
    assert sum(database.clock.slept, timedelta()) < timedelta(seconds=6)


@pytest.mark.parametrize("code", ["PGRST301", "PGRST303"])
async def test_a_key_whose_every_token_is_refused_is_a_wrong_one(code: str) -> None:
    database = stub(*[refused(401, code)] * ATTEMPTS)

    with pytest.raises(Misconfigured, match="the database refuses the key"):
        await database.database.call("ping")

    assert len(database.requests) == ATTEMPTS


async def test_a_new_key_travels_in_one_header() -> None:
    database = stub()

    await database.database.call("ping")

    headers = database.requests[0].headers
    assert headers["apikey"] == KEY
    assert KEY not in headers.get("authorization", "")


async def test_a_key_of_the_old_form_travels_in_both_headers() -> None:
    database = stub()

    await database.connect(LEGACY_KEY).call("ping")

    headers = database.requests[0].headers
    assert headers["apikey"] == LEGACY_KEY
    assert headers["authorization"] == f"Bearer {LEGACY_KEY}"


async def test_no_error_repeats_the_key() -> None:
    database = stub(refused(401, "PGRST302", f"bad key {KEY} in Bearer {LEGACY_KEY}"))

    with pytest.raises(Misconfigured) as caught:
        await database.database.call("ping")

    assert KEY not in str(caught.value)
    assert LEGACY_KEY not in str(caught.value)


async def test_a_call_posts_its_parameters_by_name() -> None:
    database = stub()

    await database.database.call("ping", {"p_rows": [{"amount": "0.10"}], "p_none": None})

    request = database.requests[0]
    assert (request.method, request.url.path) == ("POST", "/rest/v1/rpc/ping")
    assert json.loads(request.content) == {"p_rows": [{"amount": "0.10"}], "p_none": None}


@pytest.mark.parametrize("reply", [True, False, 0, [], [1], {"a": {"b": None}}], ids=repr)
async def test_every_kind_of_json_comes_back_as_it_is(reply: Any) -> None:
    assert await stub(reply=reply).database.call("ping") == reply


async def read(database: RpcStub, **asked: str) -> list[dict[str, Any]]:
    return await database.database.select("sync_jobs", "id,state", **asked)


@pytest.mark.parametrize("failure", PASSING, ids=name_of)
async def test_reading_rows_is_tried_again_alike(failure: httpx.Response | Exception) -> None:
    database = stub(failure, httpx.Response(200, json=[{"id": 1}]))

    assert await read(database, model_id="m") == [{"id": 1}]
    assert len(database.requests) == 2


@pytest.mark.parametrize(
    ("answer", "expected", "requests"),
    [
        (httpx.Response(503), DatabaseUnavailable, ATTEMPTS),
        (refused(404, "PGRST205"), Misconfigured, ATTEMPTS),
        (refused(403, "42501"), Misconfigured, 1),
    ],
    ids=name_of,
)
async def test_reading_rows_maps_refusals_alike(
    answer: httpx.Response, expected: type[SyncError], requests: int
) -> None:
    database = stub(*[answer] * ATTEMPTS)

    with pytest.raises(expected):
        await read(database, model_id="m")

    assert len(database.requests) == requests


async def test_the_newest_row_is_asked_for_alone() -> None:
    database = stub(httpx.Response(200, json=[]))

    assert await read(database, newest_by="run_at", model_id="m") == []
    assert dict(database.requests[0].url.params) == {
        "select": "id,state",
        "model_id": "eq.m",
        "order": "run_at.desc",
        "limit": "1",
    }
