"""What the stores send and how they read the answers: exact money, aware times, fenced leases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from tests.support.clock import NOON, ManualClock
from tests.unit.jobs.test_outcomes import JOB
from tests.unit.jobs.walk_book import floats_in
from tests.unit.store.rpc_stub import RpcStub
from worker.store.grants import GrantStore, GrantView
from worker.store.jobs import JobStore, Settlement
from worker.store.walks import PageCommit, WalkStore


LEASE = timedelta(seconds=45)
STATE = {
    "version": 3,
    "walk_id": "walk",
    "kind": "deep",
    "phase": "rows",
    "mode": "cursor",
    "cursor": "c1",
    "floor": "2026-11-01T00:00:00+00:00",
    "ceiling": None,
    "position": "2026-11-20T10:00:00.123+00:00",
    "newest": None,
    "pages": 2,
    "rows": 90,
    "notes": None,
    "aside_due": True,
    "aside_checked_at": None,
}


def answering(name: str, reply: Any) -> RpcStub:
    return RpcStub(ManualClock(skips=True), **{name: lambda _: reply})


def job_reply(**changes: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "lease_id": 70,
        "agency_id": "agency",
        "model_id": "model",
        "sync_type": "earnings",
        "attempt": 1,
        "max_attempts": 8,
        "priority": 20,
        "bucket": "app:creator",
        "model": {"fanvue_user_uuid": "uuid", "handle": "ann"},
        "waited_ms": 1500,
        **changes,
    }


async def test_a_claim_brings_jobs_and_says_when_the_next_is_due() -> None:
    stub = answering("claim_sync_jobs", {"jobs": [job_reply()], "next_due_in": 1.5})

    claim = await JobStore(stub.database, "worker one", LEASE).claim(4)

    (job,) = claim.jobs
    assert (job.id, job.lease_id, job.handle, job.waited) == (7, 70, "ann", timedelta(seconds=1.5))
    assert claim.next_due == timedelta(seconds=1.5)
    (asked,) = stub.named("claim_sync_jobs")
    assert (asked["p_worker"], asked["p_limit"], asked["p_lease_seconds"]) == ("worker one", 4, 45)


async def test_every_claim_has_its_own_name_so_that_a_lost_reply_can_be_asked_for_again() -> None:
    stub = answering("claim_sync_jobs", {"jobs": [], "next_due_in": None})
    store = JobStore(stub.database, "worker one", LEASE)

    claims = [await store.claim(1) for _ in range(3)]

    assert len({asked["p_claim_id"] for asked in stub.named("claim_sync_jobs")}) == 3
    assert [claim.next_due for claim in claims] == [None] * 3


async def test_a_repeated_claim_keeps_its_name() -> None:
    stub = answering("claim_sync_jobs", {"jobs": [], "next_due_in": 0})
    stub.instead = [httpx.ReadError("reset")]

    claim = await JobStore(stub.database, "worker one", LEASE).claim(1)

    bodies = {request.content for request in stub.requests}
    assert len(stub.requests) == 2
    assert len(bodies) == 1
    assert claim.next_due == timedelta(0)


async def test_heartbeats_name_job_and_lease_and_tell_who_is_to_stop() -> None:
    stub = answering("heartbeat_sync_jobs", [{"id": 7, "cancel": True}])

    held = await JobStore(stub.database, "worker one", LEASE).heartbeat([JOB])

    assert held == {7: True}
    assert stub.named("heartbeat_sync_jobs")[0]["p_jobs"] == [{"id": 7, "lease_id": 70}]


async def test_a_settlement_says_only_what_there_is_to_say() -> None:
    stub = answering("settle_sync_jobs", [7])
    settlements = [
        Settlement(JOB, "done", state="succeeded", stats={"requests": 2}),
        Settlement(JOB, "snooze", retry_in=timedelta(0)),
        Settlement(JOB, "retry", error={"kind": "transient", "message": "503"}),
    ]

    accepted = await JobStore(stub.database, "worker one", LEASE).settle(settlements)

    fence = {"id": 7, "lease_id": 70, "model_id": JOB.model_id, "sync_type": JOB.sync_type}
    assert accepted == {7}
    assert stub.named("settle_sync_jobs")[0]["p_items"] == [
        {**fence, "outcome": "done", "state": "succeeded", "stats": {"requests": 2}},
        {**fence, "outcome": "snooze", "retry_in_s": 0, "stats": {}},
        {
            **fence,
            "outcome": "retry",
            "error": {"kind": "transient", "message": "503"},
            "stats": {},
        },
    ]


async def test_a_walk_is_read_with_aware_times() -> None:
    state = await WalkStore(answering("begin_sync_walk", STATE).database, LEASE).begin(JOB)

    assert state.floor == datetime(2026, 11, 1, tzinfo=UTC)
    assert state.position == datetime(2026, 11, 20, 10, 0, 0, 123_000, tzinfo=UTC)
    assert (state.ceiling, state.notes, state.aside_due) == (None, {}, True)


async def test_a_commit_is_fenced_by_lease_and_version_and_carries_no_float() -> None:
    reply = {
        "version": 4,
        "inserted": 1,
        "updated": 2,
        "unchanged": 3,
        "amount": "-12.30",
        "cancel": False,
    }
    stub = answering("begin_sync_walk", STATE)
    stub.functions["commit_sync_page"] = lambda _: reply
    store = WalkStore(stub.database, LEASE)
    page = PageCommit(
        rows=[{"amount": "0.10"}],
        phase="rows",
        next_phase="aside",
        mode="window",
        cursor=None,
        position=NOON,
        ceiling=NOON,
    )

    committed = await store.commit(JOB, await store.begin(JOB), page)

    (asked,) = stub.named("commit_sync_page")
    assert (committed.amount, committed.version) == (Decimal("-12.30"), 4)
    assert (asked["p_job_id"], asked["p_lease_id"], asked["p_version"]) == (7, 70, 3)
    assert asked["p_page"]["key"] == "70:3"
    assert asked["p_page"]["position"] == "2026-11-22T12:00:00+00:00"
    assert floats_in(asked) == []


async def test_a_grant_is_read_with_its_times_and_shows_no_token() -> None:
    reply = {
        "state": "ready",
        "version": 5,
        "access_token": "sealed-access",
        "refresh_token": "sealed-refresh",
        "use_for_s": 12.5,
    }
    store = GrantStore(answering("begin_token_refresh", reply).database)

    view = await store.begin("model", "holder", None)

    assert (view.version, view.use_for, view.retry_in) == (
        5,
        timedelta(seconds=12.5),
        timedelta(0),
    )
    assert "sealed-" not in repr(view)


async def test_a_new_pair_is_stored_under_its_fence_and_version() -> None:
    stub = answering("finish_token_refresh", {"state": "stored", "version": 6})
    view = GrantView("refresh", "m", version=5, fence=9)

    state = await GrantStore(stub.database).finish(view, "a", "r", timedelta(hours=1))

    assert state == "stored"
    assert stub.named("finish_token_refresh") == [
        {
            "p_grant_id": "m",
            "p_fence": 9,
            "p_version": 5,
            "p_access_token": "a",
            "p_refresh_token": "r",
            "p_expires_in_s": 3600,
        }
    ]


async def test_a_verdict_without_a_pause_is_read_as_none() -> None:
    stub = answering("fail_token_refresh", {"state": "reauth_required", "retry_in_s": None})

    verdict = await GrantStore(stub.database).fail(GrantView("refresh", "m"), "transient", "503")

    assert verdict == ("reauth_required", timedelta(0))
