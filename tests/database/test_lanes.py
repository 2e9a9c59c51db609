"""Lanes under stress: what cannot be served never keeps the rest waiting, nor do finished jobs.

A snapshot held elsewhere keeps every finished job's index entries; claims must not walk them.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.database.test_cost import buffers


if TYPE_CHECKING:
    from tests.database.engine import Engine


def enqueue_all(engine: Engine) -> None:
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.call("enqueue_due")


def drain(engine: Engine) -> int:
    """Finish everything that is queued; return how many jobs there were."""
    done = 0
    while jobs := engine.claim(50, p_claim_id=uuid.uuid4()):
        items = [{"id": job["id"], "lease_id": job["lease_id"], "outcome": "done"} for job in jobs]
        done += len(engine.call("settle_sync_jobs", "w0", items))
    return done


def pages_touched_by_a_claim(engine: Engine, limit: int) -> int:
    """Claim once and count the database pages it looked at."""
    claim = "select public.claim_sync_jobs('w0', %s, 60, gen_random_uuid())"
    return buffers(engine, claim, limit, connection=engine.connection)


def test_lanes_without_room_or_budget_do_not_keep_the_others_waiting(engine: Engine) -> None:
    stuck = [engine.agency() for _ in range(12)]
    for agency_id in stuck:
        engine.models(agency_id, 3)
    engine.call("enqueue_due")
    engine.rows(
        "update private.queue_lanes set max_running = 0 where agency_id = any(%s)", stuck[:6]
    )
    for row in engine.rows(
        "select bucket from public.sync_jobs where agency_id = any(%s)", stuck[6:]
    ):
        engine.call("block_bucket", row["bucket"], 60)
    last = engine.model(engine.agency())
    engine.call("enqueue_due")

    assert [job["model_id"] for job in engine.claim(1)] == [str(last)]


def test_every_agency_is_served_in_turn_however_small_the_claims(engine: Engine) -> None:
    agencies = [engine.agency() for _ in range(12)]
    for agency_id in agencies:
        engine.models(agency_id, 12)
    engine.call("enqueue_due")

    served = [engine.claim(1)[0]["agency_id"] for _ in range(24)]

    assert set(served[:12]) == set(served[12:]) == {str(agency_id) for agency_id in agencies}


def test_a_running_job_given_to_another_agency_counts_against_its_cap(engine: Engine) -> None:
    old, new = engine.agency(), engine.agency()
    model_id = engine.model(old, due=False)
    engine.running_job(model_id)
    engine.models(new, 9)
    engine.rows("update private.queue_lanes set max_running = 3 where agency_id = %s", new)
    engine.call("enqueue_due")
    first = engine.claim(1)

    engine.rows("update public.models set agency_id = %s where id = %s", new, model_id)

    assert len(first) == 1
    assert len(engine.claim(9)) == 1


def test_a_long_runner_is_counted_while_younger_jobs_come_and_go(engine: Engine) -> None:
    agency_id = engine.agency()
    engine.models(agency_id, 8)
    engine.rows("update private.queue_lanes set max_running = 2")
    engine.call("enqueue_due")
    engine.claim(1)

    for _ in range(4):
        (job,) = engine.claim(5)
        engine.settle(job, "done")

    assert len(engine.claim(5)) == 1


@pytest.mark.usefixtures("fresh_sessions")
@pytest.mark.parametrize("analyzed", ["never", "empty", "full"])
def test_a_claim_under_a_held_snapshot_does_not_walk_the_finished_jobs(
    engine: Engine, analyzed: str
) -> None:
    for _ in range(8):
        engine.models(engine.agency(), 25)
    enqueue_all(engine)
    clean = pages_touched_by_a_claim(engine, 10)

    holder = engine.another()
    with holder.connection.transaction():
        holder.connection.execute("set transaction isolation level repeatable read")
        holder.connection.execute("select count(*) from public.sync_jobs")
        assert drain(engine) == 190
        for _ in range(8):
            enqueue_all(engine)
            assert len(engine.rows("delete from public.sync_jobs returning id")) >= 190
        # Autovacuum may come at any moment, also while there is nothing to see.
        if analyzed == "empty":
            engine.rows("vacuum analyze public.sync_jobs")
        enqueue_all(engine)
        if analyzed == "full":
            engine.rows("vacuum analyze public.sync_jobs")
        held = pages_touched_by_a_claim(engine, 10)

    # one walk over the heads of a few lanes, not several over all that was ever queued
    assert held < 3 * clean


@pytest.mark.usefixtures("fresh_sessions")
def test_an_idle_claim_costs_the_same_however_much_is_due_behind_a_full_cap(
    engine: Engine,
) -> None:
    agency_id = engine.agency()
    engine.call("block_bucket", "user:somebody", 600)
    engine.rows("update private.queue_lanes set max_running = 0")
    pages = []
    for more in (10, 290):
        engine.models(agency_id, more)
        enqueue_all(engine)
        engine.rows("vacuum analyze public.sync_jobs")
        # the first one pays for the plan
        assert engine.call("claim_sync_jobs", "w0", 1) == {"jobs": [], "next_due_in": 0}
        pages.append(pages_touched_by_a_claim(engine, 10))

    few, many = pages
    assert many < few + 20


@pytest.mark.usefixtures("fresh_sessions")
def test_an_idle_claim_costs_the_same_however_many_agencies_there_are(engine: Engine) -> None:
    pages = []
    for more in (40, 960):
        engine.rows(
            "insert into public.agencies (name) select gen_random_uuid()::text"
            " from generate_series(1, %s)",
            more,
        )
        engine.rows("vacuum analyze private.queue_lanes")
        assert engine.call("claim_sync_jobs", "w0", 1) == {"jobs": [], "next_due_in": None}
        pages.append(pages_touched_by_a_claim(engine, 10))

    few, many = pages
    # the lanes' own pages: forty to a page, where a look into the queue for each was three
    assert many < few + 960 / 10


@pytest.mark.usefixtures("fresh_sessions")
@pytest.mark.parametrize("blocked", [False, True])
def test_an_idle_claim_costs_the_same_however_many_agencies_wait_for_later(
    engine: Engine, blocked: bool
) -> None:
    if blocked:
        engine.models(engine.agency(), 1)
        engine.call("enqueue_due")
        engine.call("block_bucket", engine.value("select min(bucket) from public.sync_jobs"), 60)
    pages = []
    for more in (300, 700):
        engine.rows(
            "with a as (insert into public.agencies (name) select gen_random_uuid()::text"
            " from generate_series(1, %s) returning id),"
            " m as (insert into public.models (agency_id, fanvue_user_uuid, fanvue_refresh_token)"
            " select id, gen_random_uuid()::text, 'refresh-0' from a returning id, agency_id)"
            " insert into public.sync_jobs (agency_id, model_id, sync_type, run_at)"
            " select agency_id, id, 'earnings', private.engine_now() + interval '30 minutes'"
            " from m",
            more,
        )
        engine.rows("vacuum analyze public.sync_jobs")
        engine.rows("vacuum analyze private.queue_lanes")
        reply = engine.call("claim_sync_jobs", "w0", 1)
        assert reply["jobs"] == []
        assert (59 if blocked else 1799) < reply["next_due_in"] <= 1800
        pages.append(pages_touched_by_a_claim(engine, 10))

    few, many = pages
    assert many < few + 100


def test_a_batch_is_filled_from_busy_lanes_beyond_those_that_waited_longest(
    engine: Engine,
) -> None:
    engine.models(engine.agency(), 1)
    for _ in range(60):
        engine.agency()
    busy = [engine.agency() for _ in range(40)]
    for agency_id in busy:
        engine.models(agency_id, 2)
    engine.rows("update private.queue_lanes set served_at = now() where agency_id = any(%s)", busy)
    engine.call("enqueue_due")
    assert engine.value("select count(*) from public.sync_jobs") == 81

    claim_id = uuid.uuid4()
    jobs = engine.claim(50, p_claim_id=claim_id)

    assert len(jobs) == 50
    # spread over as many lanes as are taken at once
    assert len({job["agency_id"] for job in jobs}) == 33
    assert {job["id"] for job in engine.claim(50, p_claim_id=claim_id)} == {
        job["id"] for job in jobs
    }


def test_the_only_busy_agency_is_found_behind_any_number_of_idle_ones(engine: Engine) -> None:
    for _ in range(70):
        engine.agency()
    busy = engine.agency()
    model_id = engine.model(busy)
    engine.rows("update private.queue_lanes set served_at = now() where agency_id = %s", busy)
    engine.call("enqueue_due")

    assert [job["model_id"] for job in engine.claim(5)] == [str(model_id)]


def test_an_idle_claim_says_when_the_next_job_of_any_agency_is_due(engine: Engine) -> None:
    for _ in range(40):
        engine.agency()
    model_id = engine.model(engine.agency(), due=False)
    job = engine.running_job(model_id)
    engine.settle(job, "snooze", retry_in_s=50)

    reply = engine.call("claim_sync_jobs", "w0", 5)

    assert reply["jobs"] == []
    assert 49 < reply["next_due_in"] <= 50


def test_an_agency_with_room_is_found_behind_very_many_without(engine: Engine) -> None:
    for _ in range(70):
        engine.models(engine.agency(), 1)
    engine.rows("update private.queue_lanes set max_running = 0")
    model_id = engine.model(engine.agency())
    engine.rows("update private.queue_lanes set served_at = now() where max_running > 0")
    engine.call("enqueue_due")

    assert [job["model_id"] for job in engine.claim(5)] == [str(model_id)]
