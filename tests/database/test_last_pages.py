"""A poll of one page: its beginning brings the call, its last page ends the job, both but once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.engine import WAIT
from tests.database.test_walks import Walk, ledger_size, sale


if TYPE_CHECKING:
    from tests.database.engine import Engine, Worker


@pytest.fixture
def walk(engine: Engine) -> Walk:
    return Walk(engine, engine.model(engine.agency(), due=False))


def test_a_page_that_ends_its_walk_ends_the_job_too(walk: Walk) -> None:
    reply = walk.commit("p1", sale(9), complete=True, settle=walk.ends())

    assert (reply["complete"], reply["settled"]) == (True, True)
    assert walk.engine.rows("select from public.sync_jobs") == []
    assert walk.engine.rows(
        "select state, requests, pages, rows_inserted from public.sync_runs"
    ) == [{"state": "succeeded", "requests": 1, "pages": 1, "rows_inserted": 1}]
    assert (ledger_size(walk.engine), walk.stored()["high_water"]) == (1, sale(9).at)


@pytest.mark.parametrize(
    "more", [{"cursor": "c1"}, {"complete": True, "partial": "a row is unreadable"}]
)
def test_a_page_that_goes_on_or_lacks_something_ends_no_job(
    walk: Walk, more: dict[str, Any]
) -> None:
    reply = walk.commit("p1", sale(9), settle=walk.ends(), **more)

    assert reply["settled"] is False
    assert walk.engine.value("select state from public.sync_jobs") == "running"
    assert walk.engine.rows("select from public.sync_runs") == []


def test_a_page_that_ended_its_job_and_is_sent_again_gets_its_first_answer(walk: Walk) -> None:
    def send(worker: Worker) -> dict[str, Any]:
        return walk.again(
            "p1", 0, sale(9), complete=True, worker=worker, settle=walk.ends(outcome="done")
        )

    workers = walk.engine.another(), walk.engine.another()
    first, second = [future.result(WAIT) for future in [one.run(send, one) for one in workers]]

    assert first == second == send(walk.engine)
    assert walk.engine.value("select count(*) from public.sync_runs") == 1
    assert (ledger_size(walk.engine), walk.stored()["version"]) == (1, 1)


def test_a_stale_lease_ends_no_job(walk: Walk) -> None:
    walk.engine.move_clock(seconds=61)
    walk.engine.call("reap_expired_leases")

    with pytest.raises(psycopg.Error) as refused:
        walk.commit("p1", sale(9), complete=True, settle=walk.ends())

    assert refused.value.sqlstate == "PT410"
    assert walk.engine.value("select state from public.sync_jobs") == "queued"
    assert ledger_size(walk.engine) == 0


def test_a_walk_begins_with_the_calls_of_its_first_page_alone(walk: Walk) -> None:
    def begun() -> Any:
        endpoint = {"bucket": "user:c", "endpoint": "/insights/earnings"}
        calls = endpoint | {"want": 1, "lane": "live", "seen": {"limit": 200, "remaining": 150}}
        reply = walk.engine.call("begin_sync_walk", walk.job["id"], walk.job["lease_id"], calls)
        return reply.get("calls")

    first, repeated = begun(), begun()
    walk.commit("p1", sale(9), cursor="c1")

    assert first == repeated == {"granted": 1, "wait_ms": 0, "limit": 200, "valid_ms": 2000}
    assert begun() is None
    used = walk.engine.value(
        "select (select sum(s) from unnest(b.slots) s) from private.api_budgets b"
    )
    # what others had used by Fanvue's word, and two of ours
    assert used == 52
