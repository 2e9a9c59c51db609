"""What puts work into the queue: ticks that repeat harmlessly, due streams, "sync now"."""

from __future__ import annotations

import json
import uuid
from threading import Barrier
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.engine import WAIT


if TYPE_CHECKING:
    from tests.database.engine import Engine


_WRITES = "select ctid::text, xmin::text from public.sync_jobs order by id"


def test_two_schedulers_ticking_at_once_queue_each_stream_once(engine: Engine) -> None:
    for _ in range(4):
        engine.models(engine.agency(), 100)
    start = Barrier(4)
    schedulers = [engine.another() for _ in range(4)]

    def tick(worker: Any) -> int:
        start.wait()
        return int(worker.call("enqueue_due", worker.name)["enqueued"])

    ticks = [worker.run(tick, worker) for worker in schedulers]

    assert sum(future.result(WAIT) for future in ticks) == 400
    assert engine.value("select count(*) from public.sync_jobs") == 400


def test_a_repeated_tick_writes_nothing_but_its_own_mark(engine: Engine) -> None:
    engine.models(engine.agency(), 50)
    engine.call("enqueue_due")
    before = engine.rows(_WRITES)
    state = engine.rows("select xmin::text, xmax::text from public.sync_state order by id")

    assert engine.call("enqueue_due") == {"enqueued": 0, "revived": 0}

    assert engine.rows(_WRITES) == before
    assert engine.rows("select xmin::text, xmax::text from public.sync_state order by id") == state
    assert engine.value("select ticks from private.scheduler_ticks") == 2


def test_a_running_stream_is_not_queued_again(engine: Engine) -> None:
    engine.models(engine.agency(), 1)
    engine.call("enqueue_due")
    engine.claim()

    assert engine.call("enqueue_due")["enqueued"] == 0


def test_a_finished_stream_is_due_again_in_its_next_slot(engine: Engine) -> None:
    engine.models(engine.agency(), 1)
    engine.call("enqueue_due")
    (job,) = engine.claim()
    engine.settle(job, "done")
    assert engine.call("enqueue_due")["enqueued"] == 0

    engine.move_clock(minutes=15)

    assert engine.call("enqueue_due")["enqueued"] == 1


def test_slots_are_spread_over_the_interval_and_keep_their_phase(engine: Engine) -> None:
    slots = engine.rows("""
      select extract(epoch from slot)::bigint %% 900 as phase,
             slot - at as wait, private.next_slot(id, 'earnings', interval '15 minutes', slot) - slot as period
      from (select i.id, n.at, private.next_slot(i.id, 'earnings', interval '15 minutes', n.at) as slot
            from (select gen_random_uuid() as id from generate_series(1, 1000)) i,
                 (select now() as at) n) s
    """)  # noqa: E501

    assert len({row["phase"] for row in slots}) > 500
    assert all(0 < row["wait"].total_seconds() <= 900 for row in slots)
    assert {row["period"].total_seconds() for row in slots} == {900}


@pytest.mark.parametrize("status", ["paused", "reauth_required"])
def test_a_stopped_model_is_emptied_from_the_queue_and_costs_nothing(
    engine: Engine, status: str
) -> None:
    model_id = engine.model(engine.agency())
    engine.call("enqueue_due")

    engine.rows("update public.models set status = %s", status)

    assert engine.call("enqueue_due") == {"enqueued": 0, "revived": 0}
    assert engine.claim() == []
    assert engine.rows("select state from public.sync_runs") == [{"state": "cancelled"}]
    with pytest.raises(psycopg.Error) as refused:
        engine.call("enqueue_sync", model_id, "earnings")
    assert refused.value.sqlstate == "PT409"


def test_a_running_job_of_a_stopped_model_is_told_to_stop(engine: Engine) -> None:
    model_id = engine.model(engine.agency(), due=False)
    job = engine.running_job(model_id)

    engine.rows("update public.models set status = 'paused'")

    lease = {"id": job["id"], "lease_id": job["lease_id"]}
    assert engine.call("heartbeat_sync_jobs", "w0", [lease])[0]["cancel"] is True


def test_a_resumed_model_is_due_at_once(engine: Engine) -> None:
    engine.model(engine.agency(), due=False)
    engine.rows("update public.models set status = 'paused'")

    engine.rows("update public.models set status = 'active'")

    assert engine.call("enqueue_due")["enqueued"] == 1


def test_a_model_without_a_grant_is_not_scheduled(engine: Engine) -> None:
    engine.model(engine.agency(), fanvue_access_token=None, fanvue_refresh_token=None)

    assert engine.call("enqueue_due")["enqueued"] == 0


def test_a_new_grant_does_not_pull_a_stream_forward(engine: Engine) -> None:
    engine.model(engine.agency(), due=False)

    engine.rows("update public.models set fanvue_access_token = 'access-1'")

    assert engine.call("enqueue_due")["enqueued"] == 0


def test_deleting_an_agency_takes_all_that_is_hers(engine: Engine) -> None:
    agency_id = engine.agency(owner_id=uuid.uuid4())
    model_id = engine.model(agency_id)
    engine.call("enqueue_due")
    engine.rows(
        "insert into public.fanvue_transactions"
        " (agency_id, model_id, fanvue_id, amount, fanvue_created_at)"
        " values (%s, %s, 'A', 5, now())",
        agency_id,
        model_id,
    )
    engine.call("begin_token_refresh", model_id, "w0", 0)

    engine.rows("delete from public.agencies")

    for table in ("models", "sync_jobs", "sync_state", "fanvue_transactions", "earnings_daily"):
        assert engine.value(f"select count(*) from public.{table}") == 0  # noqa: S608 - names above


# Sync now --------------------------------------------------------------------------------------


def ask(engine: Engine, user_id: uuid.UUID, model_id: uuid.UUID, stream: str = "earnings") -> Any:
    """Call request_sync as a signed-in user."""
    with engine.owner.transaction():
        engine.rows(
            "select set_config('request.jwt.claims', %s, true)", json.dumps({"sub": str(user_id)})
        )
        engine.rows("set local role authenticated")
        return engine.value("select public.request_sync(%s, %s)", model_id, stream)


@pytest.fixture
def member_id() -> uuid.UUID:
    return uuid.uuid4()


@pytest.fixture
def model_id(engine: Engine, member_id: uuid.UUID) -> uuid.UUID:
    return engine.model(engine.agency(owner_id=member_id), due=False)


def test_a_member_may_sync_now(engine: Engine, member_id: uuid.UUID, model_id: uuid.UUID) -> None:
    job = ask(engine, member_id, model_id)

    assert (job["state"], job["priority"]) == ("queued", 5)
    assert [claimed["id"] for claimed in engine.claim()] == [job["id"]]


def test_asking_again_returns_the_work_that_waits_or_runs(
    engine: Engine, member_id: uuid.UUID, model_id: uuid.UUID
) -> None:
    job = ask(engine, member_id, model_id)
    assert ask(engine, member_id, model_id)["id"] == job["id"]

    engine.claim()

    assert ask(engine, member_id, model_id)["state"] == "running"


def test_asking_for_a_backfill_leaves_it_in_its_place_and_writes_once(
    engine: Engine, member_id: uuid.UUID, model_id: uuid.UUID
) -> None:
    engine.call("enqueue_sync", model_id, "earnings", p_priority=100)
    assert ask(engine, member_id, model_id)["priority"] == 100
    before = engine.rows(_WRITES)

    for _ in range(3):
        ask(engine, member_id, model_id)

    assert engine.rows(_WRITES) == before
    (job,) = engine.claim()
    assert job["priority"] == 100
    engine.settle(job, "done", state="succeeded")
    assert engine.value("select count(*) from public.sync_runs") == 1


def test_asking_for_a_backfill_that_failed_tries_it_now_and_behind_live_work(
    engine: Engine, member_id: uuid.UUID, model_id: uuid.UUID
) -> None:
    engine.call("enqueue_sync", model_id, "earnings", p_priority=100)
    engine.settle(engine.claim()[0], "retry", retry_in_s=600)
    assert engine.claim() == []

    asked = ask(engine, member_id, model_id)

    (job,) = engine.claim()
    assert (job["id"], job["priority"], job["attempt"]) == (asked["id"], 100, 2)


@pytest.mark.parametrize(("outcome", "anew"), [("done", True), ("yield", False)])
def test_asking_while_the_job_is_settled_answers_with_work_that_is_there(
    engine: Engine, member_id: uuid.UUID, model_id: uuid.UUID, outcome: str, *, anew: bool
) -> None:
    first = ask(engine, member_id, model_id)
    engine.move_clock(minutes=2)
    (job,) = engine.claim()
    member = engine.another()
    claims = json.dumps({"sub": str(member_id)})
    member.connection.execute("select set_config('request.jwt.claims', %s, false)", (claims,))
    member.connection.execute("reset role")
    member.connection.execute("set role authenticated")

    with engine.connection.transaction():
        engine.settle(job, outcome)
        asked = member.start("request_sync", model_id, "earnings")
        engine.wait_until_blocked(member)
    answer = asked.result(WAIT)

    jobs = engine.rows("select id, state from public.sync_jobs")
    assert (answer["id"], answer["state"]) == (jobs[0]["id"], "queued")
    assert len(jobs) == 1
    assert (answer["id"] != first["id"]) == anew


def test_asking_too_soon_after_the_last_sync_is_refused(
    engine: Engine, member_id: uuid.UUID, model_id: uuid.UUID
) -> None:
    ask(engine, member_id, model_id)
    engine.settle(engine.claim()[0], "done")

    with pytest.raises(psycopg.Error) as refused:
        ask(engine, member_id, model_id)
    assert refused.value.sqlstate == "PT429"

    engine.move_clock(seconds=61)
    assert ask(engine, member_id, model_id)["state"] == "queued"


def test_another_agencys_model_does_not_exist_for_a_member(
    engine: Engine, model_id: uuid.UUID
) -> None:
    stranger = uuid.uuid4()
    engine.agency(owner_id=stranger)

    with pytest.raises(psycopg.Error) as theirs:
        ask(engine, stranger, model_id)
    with pytest.raises(psycopg.Error) as nobodys:
        ask(engine, stranger, uuid.uuid4())

    assert theirs.value.sqlstate == nobodys.value.sqlstate == "PT404"
    assert str(theirs.value) == str(nobodys.value)


def test_a_paused_model_and_an_unknown_stream_are_refused(
    engine: Engine, member_id: uuid.UUID, model_id: uuid.UUID
) -> None:
    with pytest.raises(psycopg.Error) as unknown:
        ask(engine, member_id, model_id, "gossip")
    engine.rows("update public.models set status = 'paused'")
    with pytest.raises(psycopg.Error) as paused:
        ask(engine, member_id, model_id)

    assert (unknown.value.sqlstate, paused.value.sqlstate) == ("PT422", "PT409")
