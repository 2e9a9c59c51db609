from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from local.processes import wait_until
from tests.local.scratch import SECONDS


if TYPE_CHECKING:
    from local.stack import Stack

pytestmark = pytest.mark.system

# Connections that the gateway keeps (local/gateway/rest.mjs).
POOL = 16


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

    assert wait_until(served, SECONDS)


def test_a_connection_that_was_lost_in_the_middle_is_not_used_again(
    stack: Stack, http: httpx.Client, as_service: dict[str, str]
) -> None:
    def looks() -> list[int]:
        found = held.execute(
            "select pid from pg_stat_activity where application_name = 'gateway'"
            " and wait_event_type = 'Lock'"
        )
        return [pid for (pid,) in found]

    def read() -> int:
        return http.get("/rest/v1/notes", headers=as_service).status_code

    def is_cut_short() -> bool:
        # The gateway hears a moment later that the schema changed; until then it does not look.
        answer = aside.submit(read)
        assert wait_until(lambda: answer.done() or bool(looks()), SECONDS)
        for pid in looks():
            held.execute("select pg_terminate_backend(%s)", (pid,))
        return answer.result() == httpx.codes.SERVICE_UNAVAILABLE

    url = stack.env()["SUPABASE_DB_URL"]
    with psycopg.connect(url) as held, ThreadPoolExecutor(1) as aside:
        held.execute("lock table pg_catalog.pg_constraint in access exclusive mode")
        stack.query("notify pgrst")

        assert wait_until(is_cut_short, SECONDS)
        held.rollback()

    # The next look may still be cut short; after it no connection of the pool is a lost one.
    assert wait_until(lambda: read() == httpx.codes.OK, SECONDS)
    with ThreadPoolExecutor(POOL) as readers:
        assert set(readers.map(lambda _: read(), range(2 * POOL))) == {httpx.codes.OK}


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
