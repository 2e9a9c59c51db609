"""How work is given back: every outcome, stale leases, lost replies, and the reaper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest


if TYPE_CHECKING:
    import uuid

    from tests.database.engine import Engine


def the_job(engine: Engine) -> dict[str, Any]:
    (job,) = engine.rows("select * from public.sync_jobs")
    return job


def runs(engine: Engine) -> list[str]:
    return [row["state"] for row in engine.rows("select state from public.sync_runs order by id")]


@pytest.fixture
def model_id(engine: Engine) -> uuid.UUID:
    return engine.model(engine.agency(), due=False)


def test_a_finished_job_leaves_for_the_history(engine: Engine, model_id: uuid.UUID) -> None:
    job = engine.running_job(model_id)

    assert engine.settle(job, "done", stats={"requests": 3, "throttled": 1}) == [job["id"]]

    assert engine.rows("select * from public.sync_jobs") == []
    (run,) = engine.rows("select state, requests, throttled, worker from public.sync_runs")
    assert run == {"state": "succeeded", "requests": 3, "throttled": 1, "worker": "w0"}


@pytest.mark.parametrize("outcome", ["done", "cancelled", "fail", "dead"])
def test_a_settle_whose_reply_was_lost_is_accepted_again_and_counted_once(
    engine: Engine, model_id: uuid.UUID, outcome: str
) -> None:
    job = engine.running_job(model_id)

    assert engine.settle(job, outcome) == [job["id"]]
    assert engine.settle(job, outcome) == [job["id"]]

    assert len(runs(engine)) == 1


@pytest.mark.parametrize("outcome", ["snooze", "yield"])
def test_waiting_for_a_limit_or_ending_a_slice_costs_no_attempt(
    engine: Engine, model_id: uuid.UUID, outcome: str
) -> None:
    job = engine.running_job(model_id)

    engine.settle(job, outcome, stats={"requests": 2})

    waiting = the_job(engine)
    assert (waiting["state"], waiting["attempt"], waiting["requests"]) == ("queued", 0, 2)
    assert waiting["lease_id"] is None


def test_a_slice_that_ended_goes_behind_live_work(engine: Engine, model_id: uuid.UUID) -> None:
    engine.settle(engine.running_job(model_id), "yield")

    assert the_job(engine)["priority"] == 100


def test_a_failing_job_is_retried_and_dies_after_its_last_attempt(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.running_job(model_id)
    engine.rows("update public.sync_jobs set max_attempts = 3")
    for attempt in (1, 2, 3):
        job = the_job(engine)
        assert (job["state"], job["attempt"]) == ("running", attempt)
        engine.settle(job, "retry", error={"kind": "http", "message": "503"})
        engine.move_clock(hours=1)
        engine.claim()

    dead = the_job(engine)
    assert (dead["state"], dead["last_error"]["message"]) == ("dead", "503")
    assert runs(engine) == ["failed"]
    failures = "select consecutive_failures from public.sync_state"
    assert engine.value(failures) == 1


def test_retries_wait_longer_each_time(engine: Engine, model_id: uuid.UUID) -> None:
    engine.running_job(model_id)
    waits = []
    for _ in range(4):
        engine.settle(the_job(engine), "retry")
        waits.append(
            engine.value(
                "select extract(epoch from run_at - private.engine_now())::float"
                " from public.sync_jobs"
            )
        )
        engine.move_clock(hours=1)
        engine.claim()

    assert waits == sorted(waits)
    assert 7 < waits[0] <= 12
    assert waits[3] > 60


def test_a_dead_job_lives_again_when_its_stream_is_due(engine: Engine, model_id: uuid.UUID) -> None:
    engine.settle(engine.running_job(model_id), "dead", error={"kind": "bug", "message": "x"})
    engine.move_clock(hours=7)

    assert engine.call("enqueue_due")["revived"] == 1

    job = the_job(engine)
    assert (job["state"], job["attempt"]) == ("queued", 0)


def test_a_success_clears_the_dead_job_of_its_stream(engine: Engine, model_id: uuid.UUID) -> None:
    engine.settle(engine.running_job(model_id), "dead")
    job = engine.running_job(model_id)

    engine.settle(job, "done")

    assert engine.rows("select * from public.sync_jobs") == []


@pytest.mark.parametrize("outcome", ["retry", "snooze", "yield"])
def test_a_job_with_a_successor_folds_into_it(
    engine: Engine, model_id: uuid.UUID, outcome: str
) -> None:
    job = engine.running_job(model_id)
    successor = engine.call("enqueue_sync", model_id, "earnings")

    assert engine.settle(job, outcome) == [job["id"]]

    assert the_job(engine)["id"] == successor["id"]
    assert runs(engine) == ["partial"]


@pytest.mark.parametrize("outcome", ["retry", "snooze", "yield"])
def test_a_cancelled_job_does_not_come_back_whatever_its_worker_says(
    engine: Engine, model_id: uuid.UUID, outcome: str
) -> None:
    job = engine.running_job(model_id)
    engine.call("cancel_sync_job", job["id"])

    engine.settle(job, outcome)

    assert engine.rows("select * from public.sync_jobs") == []
    assert runs(engine) == ["cancelled"]


@pytest.mark.parametrize("status", ["paused", "reauth_required"])
@pytest.mark.parametrize("outcome", ["retry", "snooze", "yield"])
def test_no_job_of_a_stopped_model_goes_back_to_the_queue(
    engine: Engine, model_id: uuid.UUID, outcome: str, status: str
) -> None:
    job = engine.running_job(model_id)
    engine.rows("update public.models set status = %s", status)
    # A claim may have forgotten the wish to cancel: the status alone decides.
    engine.rows("update public.sync_jobs set cancel_requested = false")

    engine.settle(job, outcome)

    assert engine.rows("select * from public.sync_jobs") == []


def test_a_stale_lease_settles_nothing(engine: Engine, model_id: uuid.UUID) -> None:
    job = engine.running_job(model_id)

    assert engine.settle(job | {"lease_id": job["lease_id"] - 1}, "done") == []

    assert the_job(engine)["state"] == "running"


def test_the_reaper_takes_back_what_a_silent_worker_held(
    engine: Engine, model_id: uuid.UUID
) -> None:
    job = engine.running_job(model_id)
    assert engine.call("reap_expired_leases") == {"reaped": 0}
    engine.move_clock(minutes=2)

    assert engine.call("reap_expired_leases") == {"reaped": 1}

    waiting = the_job(engine)
    assert (waiting["state"], waiting["last_error"]["kind"]) == ("queued", "lease_expired")
    assert engine.claim()[0]["lease_id"] > job["lease_id"]


def test_a_reaped_worker_is_refused_everywhere(engine: Engine, model_id: uuid.UUID) -> None:
    job = engine.running_job(model_id)
    walk = engine.begin(job)
    engine.move_clock(minutes=2)
    engine.call("reap_expired_leases")
    engine.claim()
    lease = {"id": job["id"], "lease_id": job["lease_id"]}

    assert engine.call("heartbeat_sync_jobs", "w0", [lease]) == []
    assert engine.settle(job, "done") == []
    with pytest.raises(psycopg.Error) as begun:
        engine.begin(job)
    with pytest.raises(psycopg.Error) as committed:
        engine.call("commit_sync_page", *lease.values(), 0, engine.page(walk, "p1"))
    assert (begun.value.sqlstate, committed.value.sqlstate) == ("PT410", "PT410")
    assert the_job(engine)["state"] == "running"


def test_a_heartbeat_keeps_the_lease_and_carries_the_wish_to_cancel(
    engine: Engine, model_id: uuid.UUID
) -> None:
    job = engine.running_job(model_id)
    engine.call("cancel_sync_job", job["id"])
    lease = {"id": job["id"], "lease_id": job["lease_id"]}

    assert engine.call("heartbeat_sync_jobs", "w0", [lease], 3600) == [
        {"id": job["id"], "cancel": True}
    ]

    engine.move_clock(minutes=50)
    assert engine.call("reap_expired_leases") == {"reaped": 0}


def test_an_unknown_outcome_is_refused_and_settles_nothing(
    engine: Engine, model_id: uuid.UUID
) -> None:
    job = engine.running_job(model_id)

    with pytest.raises(psycopg.Error) as refused:
        engine.settle(job, "perhaps")

    assert refused.value.sqlstate == "PT422"
    assert the_job(engine)["state"] == "running"


def test_an_operators_retry_gives_a_waiting_job_all_its_attempts_back(
    engine: Engine, model_id: uuid.UUID
) -> None:
    job = engine.running_job(model_id)
    engine.settle(job, "retry", retry_in_s=600)
    assert the_job(engine)["attempt"] == 1

    engine.call("retry_sync_job", job["id"])

    assert the_job(engine)["attempt"] == 0
    assert len(engine.claim()) == 1


def test_an_operators_retry_brings_a_dead_job_back(engine: Engine, model_id: uuid.UUID) -> None:
    job = engine.running_job(model_id)
    engine.settle(job, "dead")

    engine.call("retry_sync_job", job["id"])

    (again,) = engine.claim()
    assert again["attempt"] == 1
