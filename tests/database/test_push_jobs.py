"""What a commit tells of jobs and streams: what people wait for, and what was found or failed."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.books import Sale
from tests.database.ear import Ear, topic
from worker.runner import TOLD_WAIT


if TYPE_CHECKING:
    from tests.database.engine import Engine


@pytest.fixture
def agency(engine: Engine) -> uuid.UUID:
    return engine.agency()


@pytest.fixture
def model(engine: Engine, agency: uuid.UUID) -> uuid.UUID:
    return engine.model(agency, due=False)


@pytest.fixture
def ear(engine: Engine, model: uuid.UUID) -> Ear:
    assert model.int
    return Ear(engine)


def scheduled_job(engine: Engine, model: uuid.UUID) -> dict[str, Any]:
    """Claim a job that nobody waits for, as the schedule makes them."""
    engine.call("enqueue_sync", model, "earnings", p_priority=20)
    (job,) = engine.claim()
    return job


def test_a_page_of_a_backfill_is_one_message_with_the_progress_of_its_job(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    job = engine.running_job(model)
    state = engine.begin(job)
    ear = Ear(engine)
    for number in range(1, 6):
        sales = [
            Sale(100 * number + n, 500, f"O{number}-{n}", "f1", "tip").listed() for n in range(10)
        ]
        page = engine.page(
            state, f"p{number}", *sales, position=sales[-1]["at"], complete=number == 5
        )
        state |= engine.call("commit_sync_page", job["id"], job["lease_id"], number - 1, page)

    heard = ear.heard(topic(agency))
    assert [event for event, _ in heard] == ["transactions"] * 5
    assert ear.most_per_commit() == 1
    for number, (_, payload) in enumerate(heard, start=1):
        assert payload["inserted"] == 10
        assert payload["job"]["job_id"] == job["id"]
        assert payload["job"]["progress"]["pages"] == number
    assert heard[-1][1]["changed"] == ["transactions", "job", "sync_state"]


def test_a_page_committed_again_is_told_once(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    job = engine.running_job(model)
    state = engine.begin(job)
    ear = Ear(engine)
    page = engine.page(state, "p1", Sale(1, 500, "O1", "f1", "tip").listed(), complete=True)
    for _ in range(3):
        engine.call("commit_sync_page", job["id"], job["lease_id"], 0, page)

    assert [event for event, _ in ear.heard(topic(agency))] == ["transactions"]


def test_polls_that_find_nothing_are_not_told(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    def poll() -> None:
        job = scheduled_job(engine, model)
        state = engine.begin(job)
        page = engine.page(state, str(uuid.uuid4()), complete=True)
        engine.call("commit_sync_page", job["id"], job["lease_id"], state["version"], page)
        engine.settle(job, "done", state="succeeded")
        engine.move_clock(minutes=30)

    poll()
    ear = Ear(engine)
    for _ in range(3):
        poll()

    assert ear.heard(topic(agency)) == []


@pytest.mark.parametrize(("priority", "told"), [(20, 0), (50, 0), (100, 2)])
def test_a_list_that_is_read_whole_every_day_is_not_told_and_history_is(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, priority: int, told: int
) -> None:
    engine.rows("update public.sync_state set last_success_at = private.engine_now()")
    engine.call("enqueue_sync", model, "earnings", p_full=True, p_priority=priority)
    (job,) = engine.claim()
    ear = Ear(engine)
    state = engine.begin(job)
    page = engine.page(state, "p1", cursor="c", position="2026-01-01T00:00:00Z")
    engine.call("commit_sync_page", job["id"], job["lease_id"], 0, page)
    engine.settle(job, "done", state="succeeded")

    heard = [event for event, _ in ear.heard(topic(agency))]
    assert heard == ["job"] * told


def test_a_poll_that_somebody_asks_for_while_it_runs_is_told(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    job = scheduled_job(engine, model)
    engine.rows("update public.sync_jobs set asked_at = claimed_at where id = %s", job["id"])
    ear = Ear(engine)

    engine.settle(job, "done", state="succeeded")

    ((event, payload),) = ear.heard(topic(agency))
    assert (event, payload["state"]) == ("job", "succeeded")


def test_the_dead_mans_switch_of_a_tokens_refresh_is_not_told(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    version = engine.value("select token_version from public.models")
    begun = engine.call("begin_token_refresh", model, "w0", version)
    assert begun["state"] == "refresh"
    engine.call("finish_token_refresh", model, begun["fence"], begun["version"], "a", "r", 3600)

    assert engine.value("select count(*) from public.sync_jobs") == 0
    assert ear.heard(topic(agency)) == []


def test_a_failure_and_the_success_after_it_are_told(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    job = scheduled_job(engine, model)
    ear = Ear(engine)
    engine.settle(job, "fail", error={"kind": "gone", "message": "Fanvue says 410"})

    ((event, payload),) = ear.heard(topic(agency))
    assert (event, payload["failures"]) == ("sync_state", 1)

    job = scheduled_job(engine, model)
    state = engine.begin(job)
    ear = Ear(engine)
    page = engine.page(state, "p1", complete=True)
    engine.call("commit_sync_page", job["id"], job["lease_id"], state["version"], page)

    ((_, payload),) = ear.heard(topic(agency))
    assert "sync_state" in payload["changed"]


def test_a_sync_that_somebody_asked_for_is_told_from_queue_to_end(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    engine.call("enqueue_sync", model, "earnings")
    (job,) = engine.claim()
    state = engine.begin(job)
    page = engine.page(state, "p1", complete=True)
    engine.call("commit_sync_page", job["id"], job["lease_id"], 0, page)
    engine.settle(job, "done", state="succeeded")

    told = [payload["state"] for event, payload in ear.heard(topic(agency)) if event == "job"]
    assert told[:2] == ["queued", "running"]
    assert told[-1] == "succeeded"
    assert ear.most_per_commit() == 1


def test_scheduled_polls_are_not_told_as_jobs(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.call("enqueue_due", "worker")
    (job,) = engine.claim()
    engine.settle(job, "snooze")

    assert ear.heard(topic(agency)) == []


def test_a_dead_job_is_told(engine: Engine, agency: uuid.UUID, model: uuid.UUID) -> None:
    job = scheduled_job(engine, model)
    ear = Ear(engine)
    engine.settle(job, "dead", error={"kind": "bug", "message": "cannot go on"})

    ((event, payload),) = ear.heard(topic(agency))
    assert (event, payload["state"]) == ("job", "dead")
    assert payload["changed"] == ["job", "sync_state"]


def test_work_that_becomes_due_wakes_the_workers(
    engine: Engine, model: uuid.UUID, ear: Ear
) -> None:
    engine.call("enqueue_sync", model, "earnings")

    assert ear.heard("workers") == [("due", {"jobs": 1, "changed": ["due"]})]


@pytest.mark.parametrize(
    ("outcome", "more"), [("retry", {"retry_in_s": 600}), ("yield", {}), ("snooze", {})]
)
def test_work_that_a_worker_gives_back_wakes_nobody(
    engine: Engine, model: uuid.UUID, outcome: str, more: dict[str, Any]
) -> None:
    engine.call("enqueue_sync", model, "earnings")
    (job,) = engine.claim()
    ear = Ear(engine)

    engine.settle(job, outcome, **more)

    assert ear.heard("workers") == []


@pytest.mark.parametrize(
    ("outcome", "more", "told"),
    [
        ("yield", {}, 1),
        ("snooze", {"retry_in_s": 0}, 1),
        # before an idle worker looks by itself: it learns when
        ("retry", {"retry_in_s": TOLD_WAIT.total_seconds() - 1}, 1),
        ("retry", {"retry_in_s": 600}, 0),
        ("done", {"state": "succeeded"}, 0),
    ],
)
def test_what_a_leaving_worker_gives_back_wakes_the_others_where_it_is_due(
    engine: Engine, model: uuid.UUID, outcome: str, more: dict[str, Any], told: int
) -> None:
    engine.call("enqueue_sync", model, "earnings")
    (job,) = engine.claim()
    ear = Ear(engine)

    engine.settle(job, outcome, leaving=True, **more)

    assert ear.heard("workers") == [("due", {"jobs": 1, "changed": ["due"]})] * told


def test_what_vanished_workers_had_wakes_the_others_once(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    for one in (model, engine.model(agency, due=False)):
        engine.call("enqueue_sync", one, "earnings")
    assert len(engine.claim()) == 2
    ear = Ear(engine)
    engine.call("reap_expired_leases")
    assert ear.heard("workers") == []
    engine.move_clock(minutes=5)

    engine.call("reap_expired_leases")

    assert ear.heard("workers") == [("due", {"jobs": 2, "changed": ["due"]})]


@pytest.mark.parametrize("repair", ["release_job", "reset_cursor"])
def test_a_job_that_an_operator_takes_back_wakes_the_workers(
    engine: Engine, model: uuid.UUID, repair: str
) -> None:
    job = engine.running_job(model)
    ear = Ear(engine)

    if repair == "release_job":
        engine.rows("select ops.release_job(%s)", job["id"])
    else:
        engine.rows("select ops.reset_cursor(%s, 'earnings')", model)

    assert ear.heard("workers") == [("due", {"jobs": 1, "changed": ["due"]})]


@pytest.mark.parametrize("waiting", [0, 1])
def test_an_agency_that_goes_on_wakes_the_workers_where_something_waits(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, waiting: int
) -> None:
    engine.rows("select ops.pause_agency(%s)", agency)
    if waiting:
        engine.call("enqueue_sync", model, "earnings")
    assert engine.claim() == []
    ear = Ear(engine)

    engine.rows("select ops.resume_agency(%s)", agency)

    assert [event for event, _ in ear.heard("workers")] == ["due"] * waiting


def test_a_bucket_that_is_opened_wakes_the_workers(engine: Engine, model: uuid.UUID) -> None:
    engine.call("enqueue_sync", model, "earnings")
    bucket = engine.value("select bucket from public.sync_jobs")
    engine.call("block_bucket", bucket, 90)
    ear = Ear(engine)

    engine.rows("select ops.unblock_bucket(%s)", bucket)

    assert [event for event, _ in ear.heard("workers")] == ["due"]


def test_dead_jobs_that_run_again_wake_the_workers(engine: Engine, model: uuid.UUID) -> None:
    engine.settle(scheduled_job(engine, model), "dead", error={"kind": "bug", "message": "no"})
    ear = Ear(engine)

    engine.rows("select ops.retry_dead_jobs()")

    assert [event for event, _ in ear.heard("workers")] == ["due"]


def test_work_that_is_brought_forward_wakes_the_workers(engine: Engine, model: uuid.UUID) -> None:
    engine.call("enqueue_sync", model, "earnings")
    (job,) = engine.claim()
    engine.settle(job, "retry", retry_in_s=600)
    ear = Ear(engine)

    engine.call("enqueue_sync", model, "earnings")

    assert [event for event, _ in ear.heard("workers")] == ["due"]


def test_a_dead_job_that_a_success_clears_away_is_not_told_again(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    engine.settle(scheduled_job(engine, model), "dead", error={"kind": "bug", "message": "no"})
    job = scheduled_job(engine, model)
    ear = Ear(engine)

    engine.settle(job, "done", state="succeeded")

    assert "job" not in [event for event, _ in ear.heard(topic(agency))]
