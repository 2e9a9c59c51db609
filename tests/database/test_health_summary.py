"""What `fanvue-sync status` begins with: nothing when all is well, else one remedy per trouble."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest


if TYPE_CHECKING:
    from uuid import UUID

    from tests.database.engine import Engine


@pytest.fixture
def well(engine: Engine) -> Engine:
    """Return an engine with one creator whose schedule ticks and whose money was proved."""
    engine.rows("update private.reconcile_settings set last_night_at = private.engine_now()")
    engine.call("enqueue_due", "worker")
    return engine


def attention(engine: Engine) -> list[dict[str, Any]]:
    return list(engine.call("engine_attention"))


def only(engine: Engine) -> dict[str, Any]:
    (trouble,) = attention(engine)
    return trouble


def kill(engine: Engine, model_id: UUID) -> int:
    job = engine.running_job(model_id)
    error = {"kind": "provider_contract", "message": "a row without a date", "remedy": "look"}
    engine.settle(job, "dead", error=error)
    return int(job["id"])


def test_an_engine_that_works_wants_nothing(well: Engine) -> None:
    well.model(well.agency(), due=False)

    assert attention(well) == []


def test_a_dead_job_comes_with_the_call_that_runs_it_again(well: Engine) -> None:
    job_id = kill(well, well.model(well.agency(), due=False))

    told = {one["question"]: one for one in attention(well)}

    dead = told["Did any job give up?"]
    assert dead["where_to_look"] == "ops.dead_jobs"
    assert f"select ops.retry_job({job_id})" in dead["remedy"]


def test_a_creator_who_must_connect_again_comes_with_who_has_to_act(well: Engine) -> None:
    well.model(well.agency(), status="reauth_required")

    trouble = only(well)

    assert trouble["question"] == "Are all accounts connected?"
    assert "connect" in trouble["remedy"]


def test_a_failed_webhook_comes_with_the_call_that_applies_it(well: Engine) -> None:
    event = well.value(
        "insert into public.webhook_events (event_id, topic, payload, status, error)"
        " values (%s, 'creator.payment.succeeded', '{}', 'failed', 'no amount') returning id",
        str(uuid4()),
    )

    assert str(event) in only(well)["remedy"]
    assert "ops.replay_webhook" in only(well)["remedy"]


def test_a_silent_schedule_comes_with_its_tick(well: Engine) -> None:
    well.model(well.agency(), due=False)
    well.move_clock(minutes=10)

    (trouble,) = [one for one in attention(well) if one["question"] == "Does the schedule tick?"]

    assert trouble["remedy"]


def test_every_trouble_has_a_remedy_and_every_call_in_one_can_be_run(well: Engine) -> None:
    agency = well.agency()
    kill(well, well.model(agency, due=False))
    well.model(agency, status="reauth_required")
    well.model(agency)
    well.call("enqueue_due", "worker")
    well.move_clock(minutes=30)

    troubles = attention(well)

    assert len(troubles) >= 4
    for trouble in troubles:
        assert trouble["remedy"]
        for call in re.findall(r"select ops\.\w+\([^)]*\)", trouble["remedy"]):
            well.rows(call)


def test_one_root_cause_is_told_once(well: Engine) -> None:
    kill(well, well.model(well.agency(), due=False))
    dead = [one["where_to_look"] for one in attention(well)]
    well.rows("delete from public.sync_jobs")
    well.rows("update public.sync_state set next_sync_at = private.engine_now()")
    well.call("enqueue_due", "worker")
    well.move_clock(minutes=10)
    well.call("enqueue_due", "worker")
    waiting = [one["where_to_look"] for one in attention(well)]

    assert dead == ["ops.dead_jobs"]
    assert waiting == ["ops.running"]


def test_members_and_strangers_cannot_ask(well: Engine) -> None:
    for role in ("anon", "authenticated"):
        allowed = well.value(
            "select has_function_privilege(%s, 'public.engine_attention()', 'execute')", role
        )
        assert not allowed
