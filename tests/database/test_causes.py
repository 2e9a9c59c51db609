"""Every job says who wanted it, from the queue to the history."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.ear import Ear


if TYPE_CHECKING:
    from tests.database.engine import Engine


CREATOR = "7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01"


def sale(event_id: str) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": "creator.payment.succeeded",
        "timestamp": "2026-11-20T12:00:01Z",
        "data": {
            "object": "payment",
            "source": "tip",
            "gross": 1000,
            "net": 800,
            "currency": "USD",
            "paid_at": "2026-11-20T12:00:00Z",
            "creator": {"uuid": CREATOR},
            "purchaser": {"uuid": "fan-1", "handle": "fan-1"},
        },
    }


@pytest.fixture
def model_id(engine: Engine) -> uuid.UUID:
    return engine.model(engine.agency(), due=False, fanvue_user_uuid=CREATOR)


def claimed_cause(engine: Engine) -> str:
    engine.move_clock(minutes=2)
    (job,) = engine.claim()
    return str(job["cause"])


def test_a_tick_is_known_by_its_time_in_its_answer_and_in_all_its_jobs(engine: Engine) -> None:
    engine.models(engine.agency(), 3)

    tick = engine.call("enqueue_due")

    assert {job["cause"] for job in engine.claim()} == {tick["cause"]}
    word, moment = tick["cause"].split()
    assert word == "tick"
    assert datetime.fromisoformat(moment).tzinfo is not None


def test_a_tick_that_queues_nothing_causes_nothing(engine: Engine, model_id: uuid.UUID) -> None:
    assert "cause" not in engine.call("enqueue_due")


def test_a_delivery_is_the_cause_of_the_poll_that_it_brings_forward(
    engine: Engine, model_id: uuid.UUID
) -> None:
    assert engine.call("receive_webhook_event", sale("evt-1"))["status"] == "applied"

    assert claimed_cause(engine) == "webhook evt-1"


def test_an_endless_event_id_does_not_make_an_endless_cause(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.call("receive_webhook_event", sale("e" * 5000))

    assert len(claimed_cause(engine)) < 100


def ask(engine: Engine, model_id: uuid.UUID) -> tuple[uuid.UUID, dict[str, Any]]:
    """Ask for a sync as a member; return who asked, and the job that is the answer."""
    user = uuid.uuid4()
    engine.rows(
        "insert into public.agency_members (agency_id, user_id, role)"
        " select agency_id, %s, 'member' from public.models",
        user,
    )
    member = engine.another()
    with member.connection.transaction():
        member.connection.execute("set local role authenticated")
        member.connection.execute(
            "select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": str(user)})]
        )
        return user, member.call("request_sync", model_id, "earnings")


def test_a_user_who_asks_is_the_cause_of_what_runs(engine: Engine, model_id: uuid.UUID) -> None:
    user, _ = ask(engine, model_id)

    assert claimed_cause(engine) == f"request {user}"


@pytest.mark.parametrize("taken", [False, True], ids=["waiting", "running"])
def test_a_poll_that_somebody_asks_for_meanwhile_is_told_and_kept(
    engine: Engine, model_id: uuid.UUID, taken: bool
) -> None:
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.call("enqueue_due", "worker")
    claimed = engine.claim() if taken else []
    ear = Ear(engine)

    _, asked = ask(engine, model_id)

    (job,) = claimed or engine.claim()
    engine.settle(job, "done", state="succeeded")
    assert asked["id"] == job["id"]
    assert [payload["state"] for event, payload in ear.heard() if event == "job"][-1] == "succeeded"
    assert engine.rows("select state from public.sync_runs") == [{"state": "succeeded"}]


def test_whoever_brings_a_waiting_job_forward_is_its_cause(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.call("receive_webhook_event", sale("evt-1"))

    engine.call("enqueue_sync", model_id, "earnings")

    assert claimed_cause(engine) == "operator"


def test_a_job_that_is_tried_again_keeps_its_cause(engine: Engine, model_id: uuid.UUID) -> None:
    job = engine.running_job(model_id)

    engine.settle(job, "retry", retry_in_s=1)

    assert claimed_cause(engine) == "operator"


@pytest.mark.parametrize("outcome", ["done", "cancelled", "fail", "dead"])
def test_history_keeps_the_cause(engine: Engine, model_id: uuid.UUID, outcome: str) -> None:
    engine.settle(engine.running_job(model_id), outcome)

    assert engine.value("select detail ->> 'cause' from public.sync_runs") == "operator"


def test_a_job_that_leaves_with_its_model_keeps_the_cause(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.call("receive_webhook_event", sale("evt-1"))

    engine.rows("update public.models set status = 'paused'")

    assert engine.value("select detail ->> 'cause' from public.sync_runs") == "webhook evt-1"


def test_a_dead_job_that_a_tick_revives_is_the_ticks(engine: Engine, model_id: uuid.UUID) -> None:
    engine.settle(engine.running_job(model_id), "dead", error={"kind": "bug", "message": "x"})
    engine.move_clock(hours=7)

    tick = engine.call("enqueue_due")

    (job,) = engine.claim()
    assert job["cause"] == tick["cause"]


def test_the_night_is_the_cause_of_its_proofs(engine: Engine, model_id: uuid.UUID) -> None:
    engine.rows("select private.start_nightly_reconcile()")

    assert engine.value("select cause from public.sync_jobs") == "night"
