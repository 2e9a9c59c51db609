from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from local.processes import wait_until


if TYPE_CHECKING:
    from local.stack import Stack

pytestmark = pytest.mark.system


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
    back = http.get("/rest/v1/notes", headers=as_service)

    assert {answer.status_code for answer in [*down, rpc, health]} == {503}
    assert rpc.json()["code"] == "PGRST001"
    assert back.status_code == 200
    assert stack.running()["gateway"] == gateway


def test_schema_changes_are_still_noticed_after_a_restart_of_the_database(
    stack: Stack, http: httpx.Client, as_service: dict[str, str]
) -> None:
    stack.stop_postgres()
    stack.start_postgres()
    stack.query("create function public.made_later() returns integer language sql as 'select 42'")

    def served() -> bool:
        return http.post("/rest/v1/rpc/made_later", json={}, headers=as_service).text == "42"

    assert wait_until(served, 20)


def test_the_cache_fails_without_redis_and_recovers_with_it(
    stack: Stack, env: dict[str, str]
) -> None:
    headers = {"authorization": f"Bearer {env['UPSTASH_REDIS_REST_TOKEN']}"}
    with httpx.Client(base_url=env["UPSTASH_REDIS_REST_URL"], headers=headers) as cache:
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
