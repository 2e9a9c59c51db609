from __future__ import annotations

import asyncio
import uuid
from random import Random
from typing import TYPE_CHECKING, Any, cast

import jwt
import psycopg
import pytest
from postgrest import APIError, SyncPostgrestClient

from local.processes import wait_until
from tests.local.scratch import SECONDS, key_headers
from tests.support.postgres import as_superuser
from worker.clock import SystemClock
from worker.settings import SupabaseSettings
from worker.store.database import Database, open_database_http


if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    import httpx

    from local.stack import Stack

pytestmark = pytest.mark.system
DESCRIBE = "/rest/v1/rpc/describe_arguments"


def test_arguments_reach_the_function_with_their_types(
    http: httpx.Client, as_service: dict[str, str]
) -> None:
    document = {"list": [1, "two", None, {"three": 3.5}], "text": 'quote " and ü'}

    answer = http.post(
        DESCRIBE, json={"p_document": document, "p_ids": [1, 2**53 - 1]}, headers=as_service
    )

    assert answer.status_code == 200
    assert answer.json()["document"] == document
    assert answer.json()["kind"] == "object"
    assert answer.json()["ids"] == [1, 2**53 - 1]


def test_numbers_keep_every_digit_on_their_way_in_and_out(
    http: httpx.Client, as_service: dict[str, str]
) -> None:
    body = '{"p_document": {"amount": 12345678901234567890.10}, "p_ids": [9007199254740993]}'

    answer = http.post(
        DESCRIBE, content=body, headers={**as_service, "content-type": "application/json"}
    )

    assert "12345678901234567890.10" in answer.text
    assert answer.json()["ids"] == [9007199254740993]


def test_the_real_client_calls_functions_and_reads_errors(env: dict[str, str]) -> None:
    arguments: Any = {"p_document": {"a": 1}, "p_ids": [1]}
    headers = key_headers(env["SUPABASE_SECRET_KEY"])
    with SyncPostgrestClient(f"{env['SUPABASE_URL']}/rest/v1", headers=headers) as client:
        answer = client.rpc("describe_arguments", arguments).execute()
        nothing = client.rpc("do_nothing", {}).execute()
        with pytest.raises(APIError) as refusal:
            client.rpc("fail_with", {"p_state": "PT409"}).execute()

    assert cast("dict[str, object]", answer.data)["document"] == {"a": 1}
    assert not nothing.data
    assert refusal.value.code == "PT409"
    assert refusal.value.hint == "what to do"


@pytest.mark.parametrize(("who", "limit"), [("as_anon", "3s"), ("as_service", "8s")])
def test_callers_have_the_time_limits_of_hosted_projects(
    http: httpx.Client, request: pytest.FixtureRequest, who: str, limit: str
) -> None:
    headers = request.getfixturevalue(who)

    short = http.post("/rest/v1/rpc/time_limit", json={}, headers=headers)
    long = http.get("/rest/v1/rpc/time_limit", headers=headers)

    assert short.json() == long.json() == limit


def test_a_call_with_an_unknown_argument_is_not_found(
    http: httpx.Client, as_service: dict[str, str]
) -> None:
    answer = http.post(DESCRIBE, json={"p_nonsense": 1}, headers=as_service)

    assert answer.status_code == 404
    assert answer.json()["code"] == "PGRST202"


def test_a_function_may_choose_its_own_answer(
    http: httpx.Client, as_service: dict[str, str]
) -> None:
    answer = http.post("/rest/v1/rpc/answer_itself", json={}, headers=as_service)

    assert answer.status_code == 418
    assert answer.json()["message"] == "short and stout"


@pytest.mark.parametrize("document", [[1, 2], "text", 7, True])
def test_json_that_is_no_object_arrives_as_what_it_is(
    http: httpx.Client, as_service: dict[str, str], document: object
) -> None:
    answer = http.post(DESCRIBE, json={"p_document": document, "p_ids": []}, headers=as_service)

    assert answer.json()["document"] == document


def test_the_secret_key_acts_as_service_role(
    http: httpx.Client, as_service: dict[str, str]
) -> None:
    answer = http.post(DESCRIBE, json={"p_document": {}, "p_ids": []}, headers=as_service)

    assert answer.json()["role"] == "service_role"


def test_the_publishable_key_acts_as_anon(http: httpx.Client, as_anon: dict[str, str]) -> None:
    answer = http.post(DESCRIBE, json={"p_document": {}, "p_ids": []}, headers=as_anon)

    assert answer.json()["role"] == "anon"
    assert answer.json()["user"] is None


def test_a_users_token_acts_as_that_user(
    http: httpx.Client, as_user: dict[str, str], user_id: str
) -> None:
    answer = http.post(DESCRIBE, json={"p_document": {}, "p_ids": []}, headers=as_user)

    assert answer.json()["role"] == "authenticated"
    assert answer.json()["user"] == user_id
    assert answer.json()["claims"]["sub"] == user_id


def test_old_style_keys_act_as_the_role_inside(http: httpx.Client, env: dict[str, str]) -> None:
    key = jwt.encode({"role": "service_role"}, env["SUPABASE_JWT_SECRET"])

    answer = http.get("/rest/v1/secrets", headers={"apikey": key})

    assert answer.status_code == 200


def test_a_request_without_a_key_is_refused(http: httpx.Client) -> None:
    assert http.get("/rest/v1/notes").status_code == 401


def test_a_forged_token_is_refused(
    http: httpx.Client, env: dict[str, str], user_id: str, mint_token: Callable[..., str]
) -> None:
    token = mint_token(user_id, secret="somebody else's secret, long enough")

    answer = http.get(
        "/rest/v1/notes",
        headers={"apikey": env["SUPABASE_PUBLISHABLE_KEY"], "authorization": f"Bearer {token}"},
    )

    assert answer.status_code == 401
    assert answer.json()["code"] == "PGRST301"


def test_an_expired_token_is_refused(
    http: httpx.Client, env: dict[str, str], user_id: str, mint_token: Callable[..., str]
) -> None:
    token = mint_token(user_id, seconds=-60)

    answer = http.get(
        "/rest/v1/notes",
        headers={"apikey": env["SUPABASE_PUBLISHABLE_KEY"], "authorization": f"Bearer {token}"},
    )

    assert answer.status_code == 401


def test_row_security_shows_users_their_own_rows_only(
    http: httpx.Client, as_service: dict[str, str], as_user: dict[str, str], user_id: str
) -> None:
    rows = [{"owner_id": owner, "body": "b"} for owner in (user_id, str(uuid.uuid4()))]
    http.post("/rest/v1/notes", json=rows, headers=as_service).raise_for_status()

    mine = http.get("/rest/v1/notes?select=owner_id", headers=as_user)

    assert mine.json() == [{"owner_id": user_id}]


def test_what_a_migration_revoked_stays_revoked(
    http: httpx.Client, as_anon: dict[str, str], as_user: dict[str, str], as_service: dict[str, str]
) -> None:
    assert http.get("/rest/v1/secrets", headers=as_service).status_code == 200

    assert http.get("/rest/v1/secrets", headers=as_anon).status_code == 401
    assert http.get("/rest/v1/secrets", headers=as_user).status_code == 403


def test_numbers_and_times_are_printed_as_postgrest_prints_them(
    http: httpx.Client, as_service: dict[str, str], user_id: str
) -> None:
    answer = http.post(
        "/rest/v1/notes",
        json={"owner_id": user_id, "body": "b"},
        headers={**as_service, "prefer": "return=representation"},
    )

    assert answer.status_code == 201
    assert answer.json()[0]["amount"] == 12.3
    assert answer.json()[0]["created_at"] == "2026-11-22T22:26:51.97+00:00"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("P0001", 400),
        ("PT409", 409),
        ("PT429", 429),
        ("23505", 409),
        ("57014", 500),
    ],
)
def test_errors_carry_the_sql_state_and_postgrests_status(
    http: httpx.Client, as_service: dict[str, str], state: str, status: int
) -> None:
    answer = http.post("/rest/v1/rpc/fail_with", json={"p_state": state}, headers=as_service)

    assert answer.status_code == status
    assert answer.json()["code"] == state
    assert answer.json()["message"] == "refused"


class UntilServed(SystemClock):
    """Lets the server read the new schema, and waits until it has."""

    def __init__(self, held: psycopg.Connection[Any], served: Callable[[], bool]) -> None:
        self._held = held
        self._served = served
        self.waits = 0

    async def sleep(self, delay: timedelta) -> None:  # noqa: ARG002 - the server sets the pace
        self.waits += 1
        self._held.rollback()
        assert await asyncio.to_thread(wait_until, self._served, SECONDS)


async def test_a_worker_waits_for_a_function_that_the_server_does_not_know_yet(
    stack: Stack, http: httpx.Client, env: dict[str, str], as_service: dict[str, str]
) -> None:
    def served() -> bool:
        return http.post("/rest/v1/rpc/just_made", json={}, headers=as_service).text == "41"

    settings = SupabaseSettings(
        SUPABASE_URL=env["SUPABASE_URL"], SUPABASE_SECRET_KEY=env["SUPABASE_SECRET_KEY"]
    )
    with psycopg.connect(as_superuser(env["SUPABASE_DB_URL"])) as held:
        # What the server reads when it looks at the schema.
        held.execute("lock table pg_catalog.pg_constraint in access exclusive mode")
        stack.query("create function public.just_made() returns integer return 41")
        clock = UntilServed(held, served)

        async with open_database_http(connections=1) as rest:
            assert await Database(rest, settings, clock, Random()).call("just_made") == 41  # noqa: S311 - no secret

    assert clock.waits == 1


def test_nobody_comes_in_without_a_key_of_this_instance(
    http: httpx.Client, as_user: dict[str, str], env: dict[str, str]
) -> None:
    authorization = as_user["authorization"]
    own = authorization.removeprefix("Bearer ")
    forged = jwt.encode({"role": "service_role"}, "another secret of the usual length")
    ended = jwt.encode({"role": "service_role", "exp": 1}, env["SUPABASE_JWT_SECRET"])
    secret = env["SUPABASE_JWT_SECRET"]
    # A word that every object knows is no role and no key.
    inherited = jwt.encode({"role": "constructor"}, secret)
    strangers = ("", "anything", "constructor", "sb_secret_of_another_project")
    for key in (*strangers, own, forged, ended, inherited):
        headers = {"authorization": authorization, "apikey": key}

        assert http.get("/rest/v1/notes", headers=headers).status_code == 401, key


def test_the_secret_key_does_not_work_in_a_browser(
    http: httpx.Client, as_service: dict[str, str]
) -> None:
    browser = {**as_service, "user-agent": "Mozilla/5.0 (X11; Linux x86_64)"}

    assert http.get("/rest/v1/notes", headers=browser).status_code == 401
    assert http.get("/rest/v1/notes", headers=as_service).status_code == 200


def test_a_read_is_cut_at_the_number_of_rows_that_the_project_names(
    stack: Stack, http: httpx.Client, as_service: dict[str, str]
) -> None:
    stack.query("insert into public.secrets select generate_series(1, 1001)")

    assert len(http.get("/rest/v1/secrets", headers=as_service).json()) == 1000


def test_browsers_may_call_from_anywhere(http: httpx.Client) -> None:
    answer = http.options(
        "/rest/v1/notes",
        headers={"origin": "http://x", "access-control-request-headers": "apikey,x-own"},
    )

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "x-own" in answer.headers["access-control-allow-headers"]


def test_people_sign_up_with_tokens_that_anybody_can_verify(
    http: httpx.Client, env: dict[str, str], as_anon: dict[str, str]
) -> None:
    account = {"email": f"{uuid.uuid4()}@example.com", "password": "a good one"}
    headers = {"apikey": env["SUPABASE_PUBLISHABLE_KEY"]}
    made = http.post("/auth/v1/signup", json=account, headers=headers).json()
    renewed = http.post(
        "/auth/v1/token?grant_type=refresh_token",
        json={"refresh_token": made["refresh_token"]},
        headers=headers,
    ).json()
    published = http.get("/auth/v1/.well-known/jwks.json").json()["keys"]

    for token in (made["access_token"], renewed["access_token"]):
        claims = jwt.decode(token, jwt.PyJWK(published[0]), ["ES256"], audience="authenticated")
        theirs = {**headers, "authorization": f"Bearer {token}"}
        answer = http.post(DESCRIBE, json={"p_document": {}, "p_ids": []}, headers=theirs)
        known = http.get("/auth/v1/user", headers=theirs).json()
        assert answer.json()["user"] == made["user"]["id"] == claims["sub"] == known["id"]


def test_the_secret_key_alone_makes_users(http: httpx.Client, env: dict[str, str]) -> None:
    account = {"email": f"{uuid.uuid4()}@example.com", "password": "a good one"}
    users = "/auth/v1/admin/users"
    publishable = {"apikey": env["SUPABASE_PUBLISHABLE_KEY"]}

    refused = http.post(users, json=account, headers=publishable)
    made = http.post(users, json=account, headers={"apikey": env["SUPABASE_SECRET_KEY"]}).json()
    where = "/auth/v1/token?grant_type=password"
    session = http.post(where, json=account, headers=publishable).json()

    assert refused.status_code == 403
    assert session["user"]["id"] == made["id"]


def test_the_origin_says_what_it_serves(http: httpx.Client) -> None:
    assert "/rest/v1" in http.get("/").json()["paths"]
    assert http.get("/nowhere").status_code == 404
