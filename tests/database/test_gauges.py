"""The engine's figures are right, and cost the same however long the history is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.database.test_cost import buffers


if TYPE_CHECKING:
    import uuid

    from tests.database.engine import Engine


@pytest.fixture
def model_id(engine: Engine) -> uuid.UUID:
    return engine.model(engine.agency(), due=False)


def gauges(engine: Engine) -> dict[str, Any]:
    return dict(engine.call("engine_gauges"))


def test_an_engine_without_anything_has_figures_too(engine: Engine) -> None:
    assert gauges(engine) == {
        "models": None,
        "jobs": {"queued": 0, "due": 0, "running": 0, "dead": 0},
        "oldest_due_s": None,
        "late": 0,
        "webhooks": {"parked": 0, "failed": 0},
        "refused": {"wrong_signature": 0, "too_old": 0, "not_configured": 0, "unsigned": 0},
        "announcement_age_s": None,
        "announcements_silent": False,
        "drift": 0,
        "budget_used": 0,
        "buckets_blocked": 0,
        "earnings_age_s": None,
        "silent": False,
        "tick_age_s": None,
        "alerts": 0,
    }


def test_jobs_are_counted_and_their_waiting_is_told_by_lane(
    engine: Engine, model_id: uuid.UUID
) -> None:
    agency_id = engine.agency()
    engine.models(agency_id, 3)
    engine.call("enqueue_due", "worker")
    engine.running_job(model_id)
    engine.rows("update public.sync_jobs set priority = 10 where state = 'queued'")
    engine.rows(
        "update public.sync_jobs set priority = 100, run_at = private.engine_now() + interval '1 h'"
        " where id = (select min(id) from public.sync_jobs where state = 'queued')"
    )
    engine.move_clock(seconds=30)

    found = gauges(engine)

    assert found["jobs"] == {"queued": 3, "due": 2, "running": 1, "dead": 0}
    assert list(found["oldest_due_s"]) == ["live"]
    assert 30 <= found["oldest_due_s"]["live"] < 40
    assert found["models"] == {"active": 4}
    assert 30 <= found["tick_age_s"]["worker"] < 40


def test_what_a_paused_agency_lets_wait_is_not_waiting(engine: Engine, model_id: uuid.UUID) -> None:
    engine.call("enqueue_sync", model_id, "earnings")
    engine.rows("update private.queue_lanes set paused = true")

    assert gauges(engine)["oldest_due_s"] is None


def test_a_paused_agency_is_neither_late_nor_silent(engine: Engine, model_id: uuid.UUID) -> None:
    engine.rows(
        "update public.sync_state set last_success_at = private.engine_now(),"
        " next_sync_at = private.engine_now()"
    )
    engine.move_clock(hours=2)
    found = gauges(engine)
    assert (found["late"], found["silent"]) == (1, True)

    engine.rows("select ops.pause_agency(agency_id) from public.models")

    found = gauges(engine)
    assert (found["late"], found["silent"], found["earnings_age_s"]) == (0, False, None)


def test_a_stream_is_late_when_it_is_due_and_nothing_of_it_is_read(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.move_clock(minutes=9)
    assert gauges(engine)["late"] == 0

    engine.move_clock(minutes=2)
    assert gauges(engine)["late"] == 1

    engine.rows("update public.sync_state set last_sync_at = private.engine_now()")
    assert gauges(engine)["late"] == 0


def test_the_fullest_window_is_told_and_empties_with_time(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.call("take_calls", "user:one", 25, "live")
    engine.call("take_calls", "user:two", 60, "live")
    engine.call("block_bucket", "user:two", 300)

    found = gauges(engine)
    assert (found["budget_used"], found["buckets_blocked"]) == (0.6, 1)

    engine.move_clock(seconds=61)
    found = gauges(engine)
    assert (found["budget_used"], found["buckets_blocked"]) == (0, 1)


def test_earnings_have_an_age_and_fall_silent_when_they_should_not(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.rows("update public.sync_state set last_success_at = private.engine_now()")
    engine.move_clock(minutes=30)
    found = gauges(engine)
    assert 1800 <= found["earnings_age_s"] < 1820
    assert found["silent"] is False

    engine.move_clock(minutes=6)

    assert gauges(engine)["silent"] is True


@pytest.mark.usefixtures("fresh_sessions")
def test_the_figures_cost_the_same_however_long_the_history_is(
    engine: Engine, model_id: uuid.UUID
) -> None:
    before = _pages(engine)
    engine.rows(
        "insert into public.sync_runs (job_id, agency_id, model_id, sync_type, state, attempt,"
        " queued_at, finished_at)"
        " select n, agency_id, id, 'earnings', 'succeeded', 1, now(), now()"
        " from public.models, generate_series(1, 5000) n"
    )
    engine.rows(
        "insert into public.webhook_events (event_id, topic, payload, status)"
        " select 'e-' || n, 'creator.payment.succeeded', '{}', 'applied'"
        " from generate_series(1, 5000) n"
    )
    engine.rows("analyze public.sync_runs, public.webhook_events")

    assert _pages(engine) < before + 50


def _pages(engine: Engine) -> int:
    engine.call("engine_gauges")
    return buffers(engine, "select public.engine_gauges()")
