from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from local.processes import wait_until
from tests.local.scratch import SECONDS


if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack

pytestmark = pytest.mark.system


# What PostgREST says of a database that is away: a session of its pool was ended, none can be had,
# one was lost under way, or it was about to read the schema again.
AWAY = {"57P01", "PGRST000", "PGRST001", "PGRST002"}


@pytest.fixture(autouse=True)
def served_again(http: httpx.Client, as_service: dict[str, str]) -> Iterator[None]:
    """End when PostgREST, too, has found the database again: other tests share the instance."""
    yield
    assert wait_until(lambda: http.get("/rest/v1/notes", headers=as_service).is_success, SECONDS)


def test_rest_is_unavailable_without_the_database_and_recovers_with_it(
    stack: Stack, http: httpx.Client, as_service: dict[str, str]
) -> None:
    gateway = stack.running()["gateway"]
    assert http.get("/rest/v1/notes", headers=as_service).status_code == 200

    stack.stop_postgres()
    try:
        down = [http.get("/rest/v1/notes", headers=as_service) for _ in range(3)]
        rpc = http.post("/rest/v1/rpc/fail_with", json={"p_state": "P0001"}, headers=as_service)
        health = http.get("/health")
    finally:
        stack.start_postgres()

    assert {answer.status_code for answer in [*down, rpc, health]} == {503}
    assert {answer.json()["code"] for answer in [*down, rpc]} <= AWAY
    assert wait_until(lambda: http.get("/rest/v1/notes", headers=as_service).is_success, SECONDS)
    assert stack.running()["gateway"] == gateway


def test_schema_changes_are_still_noticed_after_a_restart_of_the_database(
    stack: Stack, http: httpx.Client, as_service: dict[str, str]
) -> None:
    stack.stop_postgres()
    stack.start_postgres()
    stack.query("create function public.made_later() returns integer language sql as 'select 42'")

    def served() -> bool:
        return http.post("/rest/v1/rpc/made_later", json={}, headers=as_service).text == "42"

    assert wait_until(served, SECONDS)


def test_people_sign_in_again_after_a_restart_of_the_database(
    stack: Stack, http: httpx.Client, env: dict[str, str]
) -> None:
    account = {"email": "again@example.com", "password": "a good one"}
    headers = {"apikey": env["SUPABASE_PUBLISHABLE_KEY"]}

    def sign_in() -> int:
        where = "/auth/v1/token?grant_type=password"
        return http.post(where, json=account, headers=headers).status_code

    http.post("/auth/v1/signup", json=account, headers=headers).raise_for_status()
    stack.stop_postgres()
    try:
        down = sign_in()
    finally:
        stack.start_postgres()

    assert down == httpx.codes.SERVICE_UNAVAILABLE
    assert wait_until(lambda: sign_in() == httpx.codes.OK, SECONDS)


def test_the_cache_fails_without_redis_and_recovers_with_it(
    stack: Stack, env: dict[str, str]
) -> None:
    headers = {"authorization": f"Bearer {env['UPSTASH_REDIS_REST_TOKEN']}"}
    where = env["UPSTASH_REDIS_REST_URL"]
    with httpx.Client(base_url=where, headers=headers, timeout=SECONDS) as cache:
        assert cache.post("/", json=["ping"]).status_code == 200

        stack.stop_redis()
        try:
            down = cache.post("/", json=["ping"])
        finally:
            stack.start_redis()
        back = cache.post("/", json=["ping"])

    assert down.status_code == 503
    assert "error" in down.json()
    assert back.json() == {"result": "PONG"}
