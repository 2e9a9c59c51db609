"""Claims: no job twice, caps exact, agencies served fairly, at any number of workers."""

from __future__ import annotations

import uuid
from collections import Counter
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.engine import WAIT


if TYPE_CHECKING:
    from tests.database.engine import Engine, Worker


def claim_until(worker: Worker, stop: Event, start: Barrier) -> list[dict[str, Any]]:
    """Claim until nothing comes after the signal to stop."""
    start.wait()
    taken: list[dict[str, Any]] = []
    while True:
        last = stop.is_set()
        jobs = worker.claim(7)
        taken += jobs
        if last and not jobs:
            return taken


def enqueue(worker: Worker, model_ids: list[uuid.UUID], start: Barrier) -> None:
    start.wait()
    for model_id in model_ids:
        worker.call("enqueue_sync", model_id, "earnings")


def test_eight_claimers_and_three_producers_share_every_job_exactly_once(engine: Engine) -> None:
    agencies = [engine.agency() for _ in range(6)]
    for agency_id in agencies:
        engine.models(agency_id, 15, due=False)
    ids = [row["id"] for row in engine.rows("select id from public.models")]
    start, stop = Barrier(11), Event()
    claimers = [engine.another() for _ in range(8)]
    producers = [engine.another() for _ in range(3)]

    claims = [worker.run(claim_until, worker, stop, start) for worker in claimers]
    writes = [
        worker.run(enqueue, worker, ids[place::3], start) for place, worker in enumerate(producers)
    ]
    for write in writes:
        write.result(WAIT)
    stop.set()
    taken = [job for claim in claims for job in claim.result(WAIT)]
    # A claimer may find every agency's lane held by another; what is left is taken here.
    while jobs := engine.claim(100):
        taken += jobs

    assert len(taken) == 90
    assert len({job["id"] for job in taken}) == 90
    assert len({job["lease_id"] for job in taken}) == 90


def test_an_agencys_cap_holds_exactly_under_eight_claimers(engine: Engine) -> None:
    agency_id = engine.agency()
    engine.models(agency_id, 60)
    engine.rows("update private.queue_lanes set max_running = 7")
    engine.call("enqueue_due")
    start, stop = Barrier(8), Event()
    stop.set()
    claimers = [engine.another() for _ in range(8)]

    claims = [worker.run(claim_until, worker, stop, start) for worker in claimers]
    taken = [job for claim in claims for job in claim.result(WAIT)]

    assert len(taken) == 7
    assert engine.claim(100) == []


def test_an_agency_with_a_cap_of_nothing_gets_nothing(engine: Engine) -> None:
    engine.models(engine.agency(), 3)
    engine.rows("update private.queue_lanes set max_running = 0")
    engine.call("enqueue_due")

    assert engine.claim(100) == []


def test_ten_jobs_are_served_beside_hundreds_of_another_agency(engine: Engine) -> None:
    big, small = engine.agency(), engine.agency()
    engine.models(big, 400)
    engine.call("enqueue_due")
    engine.models(small, 10)
    engine.call("enqueue_due")

    first, second = engine.claim(16), engine.claim(16)

    served = Counter(job["agency_id"] for job in [*first, *second])
    assert served == {str(big): 22, str(small): 10}


def test_a_heavier_agency_gets_its_share(engine: Engine) -> None:
    heavy, light = engine.agency(), engine.agency()
    for agency_id in (heavy, light):
        engine.models(agency_id, 40)
    engine.rows("update private.queue_lanes set weight = 3 where agency_id = %s", heavy)
    engine.call("enqueue_due")

    served = Counter(job["agency_id"] for job in engine.claim(20))

    assert served == {str(heavy): 15, str(light): 5}


def test_live_work_goes_before_backfill_within_an_agency(engine: Engine) -> None:
    agency_id = engine.agency()
    backfill, live = engine.model(agency_id), engine.model(agency_id)
    engine.rows(
        "update public.sync_state set high_water = private.engine_now() where model_id = %s", live
    )
    engine.call("enqueue_due")

    assert [job["model_id"] for job in engine.claim(2)] == [str(live), str(backfill)]


def test_the_same_claim_sent_again_gets_the_same_jobs(engine: Engine) -> None:
    engine.models(engine.agency(), 9)
    engine.call("enqueue_due")
    claim_id = uuid.uuid4()

    first = engine.claim(4, p_claim_id=claim_id)
    again = engine.claim(4, p_claim_id=claim_id)

    assert first == again
    assert len(first) == 4
    assert engine.value("select count(*) from public.sync_jobs where state = 'running'") == 4


def test_a_stream_that_runs_is_not_started_a_second_time(engine: Engine) -> None:
    model_id = engine.model(engine.agency(), due=False)
    engine.running_job(model_id)
    engine.call("enqueue_sync", model_id, "earnings")

    assert engine.claim() == []
    assert engine.another().call("claim_model_job", "w9", model_id, "earnings")["jobs"] == []


def test_a_targeted_claim_names_the_worker_that_was_first(engine: Engine) -> None:
    model_id = engine.model(engine.agency(), due=False)
    engine.running_job(model_id)

    reply = engine.another().call("claim_model_job", "w9", model_id, "earnings")

    assert reply == {"jobs": [], "running_by": "w0", "due_in": 0}


def test_a_claim_and_a_targeted_claim_at_once_start_one_job(engine: Engine) -> None:
    model_ids = [engine.model(engine.agency(), due=False) for _ in range(20)]
    for model_id in model_ids:
        engine.call("enqueue_sync", model_id, "earnings")
    start = Barrier(3)
    people = [engine.another() for _ in range(2)]

    def take_each(worker: Worker) -> int:
        start.wait()
        replies = [
            worker.call("claim_model_job", worker.name, model_id, "earnings")
            for model_id in model_ids
        ]
        return sum(len(reply["jobs"]) for reply in replies)

    taken = [worker.run(take_each, worker) for worker in people]
    start.wait()
    claimed = 0
    while jobs := engine.claim(2):
        claimed += len(jobs)
    total = claimed + sum(future.result(WAIT) for future in taken) + len(engine.claim(100))

    assert total == 20


def test_jobs_of_an_exhausted_rate_budget_are_passed_over(engine: Engine) -> None:
    agency_id = engine.agency()
    blocked, free = engine.model(agency_id), engine.model(agency_id)
    engine.call("enqueue_due")
    (bucket,) = engine.rows("select bucket from public.sync_jobs where model_id = %s", blocked)
    engine.call("block_bucket", bucket["bucket"], 30)

    assert [job["model_id"] for job in engine.claim()] == [str(free)]

    engine.move_clock(seconds=31)
    assert [job["model_id"] for job in engine.claim()] == [str(blocked)]


@pytest.mark.parametrize("obstacle", ["a full cap", "an exhausted budget"])
def test_forty_agencies_that_cannot_run_do_not_keep_another_waiting(
    engine: Engine, obstacle: str
) -> None:
    for _ in range(40):
        engine.models(engine.agency(), 2)
    engine.call("enqueue_due")
    if obstacle == "a full cap":
        engine.rows("update private.queue_lanes set max_running = 0")
    else:
        engine.rows("select public.block_bucket(j.bucket, 3600) from public.sync_jobs j")
    served_last = engine.agency()
    model_id = engine.model(served_last)
    engine.rows(
        "update private.queue_lanes set served_at = private.engine_now() where agency_id = %s",
        served_last,
    )
    engine.call("enqueue_due")

    assert [job["model_id"] for job in engine.claim()] == [str(model_id)]


def test_an_idle_worker_is_told_how_long_it_may_sleep(engine: Engine) -> None:
    model_id = engine.model(engine.agency(), due=False)
    assert engine.call("claim_sync_jobs", "w0", 1) == {"jobs": [], "next_due_in": None}
    job = engine.running_job(model_id)

    engine.settle(job, "snooze", retry_in_s=90)

    assert 80 < engine.call("claim_sync_jobs", "w0", 1)["next_due_in"] <= 90


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_claim_of_nothing_or_of_everything_is_refused(engine: Engine, limit: int) -> None:
    with pytest.raises(Exception, match="limit"):
        engine.claim(limit)


def test_a_claimed_job_carries_no_secret(engine: Engine) -> None:
    engine.models(engine.agency(), 1)
    engine.call("enqueue_due")

    (job,) = engine.claim()

    assert "refresh-0" not in str(job)
    assert "token" not in str(set(job) | set(job["model"]) - {"token_version"})


def test_a_job_that_another_worker_is_just_taking_is_not_taken_for_gone(engine: Engine) -> None:
    model_id = engine.model(engine.agency(), due=False)
    engine.call("enqueue_sync", model_id, "earnings")
    other = engine.another()

    with other.connection.transaction():
        other.connection.execute("select from public.sync_jobs for update")
        reply = engine.call("claim_model_job", "w0", model_id, "earnings")

    assert reply == {"jobs": [], "running_by": "another worker", "due_in": 0}


def test_a_refused_endpoint_holds_back_the_streams_that_need_it_alone(engine: Engine) -> None:
    engine.rows("update private.sync_streams set enabled = true")
    model_id = engine.model(engine.agency(), due=False)
    for stream in ("earnings", "messages", "posts"):
        engine.call("enqueue_sync", model_id, stream)
    bucket = engine.value("select distinct bucket from public.sync_jobs")

    engine.call("block_bucket", bucket, 30, "/chats")

    assert {job["sync_type"] for job in engine.claim()} == {"earnings", "posts"}
    idle = engine.call("claim_sync_jobs", "w0", 1)
    assert idle["jobs"] == []
    assert 29 < idle["next_due_in"] <= 30
    engine.move_clock(seconds=31)
    assert {job["sync_type"] for job in engine.claim()} == {"messages"}


@pytest.mark.parametrize("due_in", [10, 90])
def test_an_idle_worker_sleeps_until_a_block_ends_or_a_job_is_due_whichever_is_first(
    engine: Engine, due_in: int
) -> None:
    agency_id = engine.agency()
    for stops in (30, 60):
        blocked = engine.model(agency_id)
        engine.call("enqueue_due")
        engine.rows(
            "select public.block_bucket(bucket, %s) from public.sync_jobs where model_id = %s",
            stops,
            blocked,
        )
    later = engine.running_job(engine.model(agency_id, due=False))
    engine.settle(later, "snooze", retry_in_s=due_in)

    idle = engine.call("claim_sync_jobs", "w0", 1)

    assert idle["jobs"] == []
    expected = min(due_in, 30)
    assert expected - 5 < idle["next_due_in"] <= expected
