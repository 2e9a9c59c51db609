"""Things that happen to one model at once wait for each other; they never dead-lock.

Each test holds one lock by hand, so that the others meet in the worst order every time.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.database.books import Sale
from tests.database.engine import WAIT
from tests.database.streams import Creator
from tests.database.test_webhook_storage import slow_to_book


if TYPE_CHECKING:
    from tests.database.engine import Engine


SALE = Sale(instant=0, cents=500, order_id="A", fan="f1", source="tip").listed()
# What a page commit takes last.
_HOLD_STATE = "select from public.sync_state where model_id = %s for update"


def test_pausing_a_model_while_its_page_commits_lets_both_succeed(engine: Engine) -> None:
    model_id = engine.model(engine.agency(), due=False)
    job = engine.running_job(model_id)
    walk = engine.begin(job)
    worker, operator, blocker = engine.another(), engine.another(), engine.another()

    with blocker.connection.transaction():
        blocker.connection.execute(_HOLD_STATE, [model_id])
        commit = worker.start(
            "commit_sync_page", job["id"], job["lease_id"], 0, engine.page(walk, "p1", SALE)
        )
        engine.wait_until_blocked(worker)
        pause = operator.run(
            operator.connection.execute,
            "update public.models set status = 'paused' where id = %s",
            [model_id],
        )
        engine.wait_until_blocked(operator)

    assert commit.result(WAIT)["inserted"] == 1
    assert pause.result(WAIT).rowcount == 1


def test_a_stored_grant_while_its_page_commits_lets_both_succeed(engine: Engine) -> None:
    model_id = engine.model(engine.agency(), due=False, fanvue_access_token=None)
    job = engine.running_job(model_id)
    walk = engine.begin(job)
    worker, refresher, blocker = engine.another(), engine.another(), engine.another()
    grant = refresher.call("begin_token_refresh", model_id, "w2")

    with blocker.connection.transaction():
        blocker.connection.execute(_HOLD_STATE, [model_id])
        commit = worker.start(
            "commit_sync_page", job["id"], job["lease_id"], 0, engine.page(walk, "p1", SALE)
        )
        engine.wait_until_blocked(worker)
        stored = refresher.start(
            "finish_token_refresh", model_id, grant["fence"], 0, "access-1", "refresh-1", 3600
        )
        engine.wait_until_blocked(refresher)

    assert commit.result(WAIT)["inserted"] == 1
    assert stored.result(WAIT)["state"] == "stored"


def test_a_heartbeat_and_a_settle_of_the_same_jobs_let_each_other_through(engine: Engine) -> None:
    agency_id = engine.agency()
    jobs = [engine.running_job(engine.model(agency_id, due=False)) for _ in range(3)]
    first, second, third = sorted(jobs, key=lambda job: uuid.UUID(job["model_id"]).bytes)
    beating, settling, blocker = engine.another(), engine.another(), engine.another()
    leases = [{"id": job["id"], "lease_id": job["lease_id"]} for job in (second, third, first)]

    with blocker.connection.transaction():
        blocker.connection.execute(
            "select from public.sync_jobs where id = %s for update", [third["id"]]
        )
        beat = beating.start("heartbeat_sync_jobs", "w0", leases)
        engine.wait_until_blocked(beating)
        settle = settling.start(
            "settle_sync_jobs",
            "w0",
            [
                {"id": job["id"], "lease_id": job["lease_id"], "outcome": "yield"}
                for job in (first, second)
            ],
        )
        engine.wait_until_blocked(settling)

    assert {row["id"] for row in beat.result(WAIT)} >= {third["id"]}
    assert sorted(settle.result(WAIT)) == sorted([first["id"], second["id"]])


def test_two_schedulers_at_once_queue_a_stream_once_even_when_it_is_claimed_meanwhile(
    engine: Engine,
) -> None:
    agency_id = engine.agency()
    early, late = engine.model(agency_id), engine.model(agency_id)
    low, high = sorted((early, late), key=lambda model_id: model_id.bytes)
    engine.rows(
        "update public.sync_state set next_sync_at = next_sync_at - interval '1 hour'"
        " where model_id = %s",
        high,
    )
    slow, quick, blocker = engine.another(), engine.another(), engine.another()

    with blocker.connection.transaction(force_rollback=True):
        blocker.connection.execute(
            "insert into public.sync_jobs (agency_id, model_id, sync_type)"
            " values (%s, %s, 'earnings')",
            [agency_id, low],
        )
        first = slow.start("enqueue_due", "slow")
        engine.wait_until_blocked(slow)
        second = quick.run(lambda: (quick.call("enqueue_due", "quick", 1), engine.claim()))
        while not (second.done() or engine.is_blocked(quick)):
            pass
    first.result(WAIT)
    second.result(WAIT)
    for job in engine.claim():
        engine.settle(job, "yield")

    assert engine.value("select count(*) from public.sync_jobs") == 2


def dead_jobs(engine: Engine, count: int) -> list[uuid.UUID]:
    """Let the job of several models die, and their streams be due; return the models in order."""
    agency_id = engine.agency()
    models = sorted(
        (engine.model(agency_id, due=False) for _ in range(count)), key=lambda one: one.bytes
    )
    for model_id in models:
        engine.settle(engine.running_job(model_id), "dead")
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    return models


def test_a_job_that_somebody_queues_for_a_dead_stream_does_not_fail_the_tick(
    engine: Engine,
) -> None:
    models = dead_jobs(engine, 3)
    scheduler, somebody = engine.another(), engine.another()

    with somebody.connection.transaction():
        somebody.call("enqueue_sync", models[1], "earnings")
        tick = scheduler.start("enqueue_due", "scheduler")
        engine.wait_until_blocked(scheduler)

    assert tick.result(WAIT)["revived"] == 2
    jobs = engine.rows("select model_id, state from public.sync_jobs order by model_id")
    assert [row["model_id"] for row in jobs] == models
    assert {row["state"] for row in jobs} == {"queued"}


def test_retrying_what_is_dead_while_the_schedule_ticks(engine: Engine) -> None:
    models = dead_jobs(engine, 3)
    numbers = [
        row["id"] for row in engine.rows("select id from public.sync_jobs order by model_id")
    ]
    operator, scheduler, blocker = engine.another(), engine.another(), engine.another()

    with blocker.connection.transaction():
        blocker.connection.execute(
            "select from public.sync_jobs where model_id = %s for update", [models[1]]
        )
        retry = operator.run(operator.connection.execute, "select ops.retry_dead_jobs() as done")
        engine.wait_until_blocked(operator)
        tick = scheduler.start("enqueue_due", "scheduler")
        engine.wait_until_blocked(scheduler)

    assert retry.result(WAIT).fetchone()["done"]["message"].startswith("3 jobs run again")
    assert tick.result(WAIT) == {"enqueued": 0, "revived": 0}
    jobs = engine.rows("select id, state from public.sync_jobs order by model_id")
    # under the numbers that the operator has on the screen
    assert jobs == [{"id": number, "state": "queued"} for number in numbers]


@pytest.mark.parametrize("of", ["two creators", "one creator"])
def test_late_webhooks_are_applied_while_the_schedule_ticks(engine: Engine, of: str) -> None:
    pair = [
        Creator(engine, "earnings", "messages") for _ in range(2 if of == "two creators" else 1)
    ]
    low, *others = sorted(pair, key=lambda one: one.model_id.bytes)
    high = others[0] if others else low
    fan = {"uuid": "f1"}
    wrote = high.event("message.received", uuid="m-1", sender="fan", text="x", fan=fan)
    paid = low.event("payment.succeeded", id="FV-1", gross=500, source="tip", purchaser=fan)
    # what waits longest is what the schedule queues last
    for event in (wrote, paid):
        engine.call("receive_webhook_event", event, p_apply=False)
    engine.rows(
        "update public.sync_state set next_sync_at = private.engine_now()"
        " where sync_type in ('earnings', 'messages')"
    )
    retrying, ticking = engine.another(), engine.another()

    with slow_to_book(engine, 1):
        retry = retrying.start("retry_webhook_events")
        engine.wait_until_blocked(retrying)
        tick = ticking.start("enqueue_due", "scheduler")
        while not (tick.done() or engine.is_blocked(ticking)):
            pass

    assert tick.result(WAIT)["enqueued"] == 2 * len(pair)
    assert retry.result(WAIT) == {"applied": 2, "failed": 0, "more": True}
