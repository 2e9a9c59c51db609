"""An engineer is told once of each trouble, once when it grew, and once when it is over."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.engine import WAIT
from tests.database.test_cost import reading


if TYPE_CHECKING:
    from tests.database.engine import Engine, Worker


SECRET = "secret-handle"


def told(worker: Worker) -> list[tuple[str, str]]:
    """Take what is to be told and tell it."""
    alerts = worker.call("claim_alerts", worker.name)
    if alerts:
        assert worker.call("settle_alerts", worker.name, alerts, p_sent=True) == len(alerts)
    return [(alert["kind"], alert["state"]) for alert in alerts]


@pytest.fixture
def model_id(engine: Engine) -> uuid.UUID:
    return engine.model(engine.agency(), due=False, handle=SECRET)


def succeed(engine: Engine, model_id: uuid.UUID) -> None:
    engine.rows(
        "update public.sync_state set last_success_at = private.engine_now(),"
        " consecutive_failures = 0 where model_id = %s",
        model_id,
    )


def demand_reauth(engine: Engine, model_id: uuid.UUID) -> None:
    engine.rows(
        "select private.demand_reauth(%s, 'access_refused', 'Fanvue refused the grant')", model_id
    )


def finding(engine: Engine, model_id: uuid.UUID, subject: str) -> None:
    engine.rows(
        "insert into public.reconciliation_findings"
        " (agency_id, model_id, run_id, kind, state, subject, day, happened_at, transactions,"
        "  first_seen_at, last_seen_at)"
        " select agency_id, id, gen_random_uuid(), 'unconfirmed', 'open', %s, current_date, now(),"
        " 1, now(), now() from public.models where id = %s",
        subject,
        model_id,
    )


def test_where_all_is_well_nothing_is_told(engine: Engine, model_id: uuid.UUID) -> None:
    assert told(engine) == []
    assert engine.rows("select * from ops.alerts") == []


def test_a_creator_who_must_reconnect_is_told_once_and_once_when_they_did(
    engine: Engine, model_id: uuid.UUID
) -> None:
    demand_reauth(engine, model_id)

    assert told(engine) == [("reauth_required", "raised")]
    assert told(engine) == []
    engine.rows("update public.models set status = 'active'")
    assert told(engine) == [("reauth_required", "clear")]
    assert told(engine) == []


def test_an_active_creator_without_a_grant_is_told_after_half_an_hour(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.rows("update public.models set fanvue_access_token = null, fanvue_refresh_token = null")
    engine.rows("update public.sync_state set next_sync_at = null")
    engine.move_clock(minutes=29)
    assert told(engine) == []

    engine.move_clock(minutes=2)

    assert told(engine) == [("no_grant", "raised")]
    engine.rows("update public.models set fanvue_refresh_token = 'r'")
    assert told(engine) == [("no_grant", "clear")]


def test_an_agencys_account_is_one_word_however_many_creators_wait_behind_it(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.rows(
        "insert into public.agency_connections (agency_id, fanvue_user_uuid, refresh_token)"
        " select id, gen_random_uuid()::text, 'r' from public.agencies"
    )
    engine.rows("update public.models set connection_id = (select id from agency_connections)")
    engine.rows(
        "select private.demand_reauth(id, 'access_refused', 'gone') from public.agency_connections"
    )

    (alert,) = engine.call("claim_alerts", "w0")

    assert alert["kind"] == "agency_reauth"
    assert "1 creator is not synced" in alert["problem"]


def test_a_connection_that_is_being_made_is_no_trouble(engine: Engine, model_id: uuid.UUID) -> None:
    engine.call("connect_agency", "Atlas", uuid.uuid4(), "fingerprint")

    assert told(engine) == []


def test_a_dead_job_is_over_when_its_stream_succeeds_not_when_it_is_tried_again(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.settle(engine.running_job(model_id), "dead", error={"kind": "bug", "message": SECRET})
    assert told(engine) == [("dead_job", "raised")]

    for _ in range(3):
        engine.move_clock(hours=7)
        engine.call("enqueue_due", "worker")
        assert ("dead_job", "clear") not in told(engine)
        (job,) = engine.claim()
        engine.settle(job, "dead", error={"kind": "bug", "message": "again"})
        assert "dead_job" not in dict(told(engine))
    engine.move_clock(hours=7)
    engine.call("enqueue_due", "worker")
    (job,) = engine.claim()
    engine.settle(job, "done")
    succeed(engine, model_id)

    assert ("dead_job", "clear") in told(engine)


def test_new_drift_is_told_beside_old_drift(engine: Engine, model_id: uuid.UUID) -> None:
    finding(engine, model_id, "one")
    assert told(engine) == [("drift", "raised")]
    assert told(engine) == []

    finding(engine, model_id, "two")
    assert told(engine) == [("drift", "raised")]

    engine.rows(
        "update public.reconciliation_findings set state = 'resolved' where subject = 'two'"
    )
    assert told(engine) == []
    engine.rows("update public.reconciliation_findings set state = 'resolved'")
    assert told(engine) == [("drift", "clear")]


def test_silence_is_told_when_what_was_due_was_not_read(
    engine: Engine, model_id: uuid.UUID
) -> None:
    succeed(engine, model_id)
    engine.move_clock(minutes=34)
    assert told(engine) == []

    engine.move_clock(minutes=2)
    assert told(engine) == [("silence", "raised")]

    succeed(engine, model_id)
    assert told(engine) == [("silence", "clear")]


def test_a_paused_agency_is_not_silent_nor_in_the_moment_when_it_goes_on(
    engine: Engine, model_id: uuid.UUID
) -> None:
    succeed(engine, model_id)
    agency_id = engine.value("select agency_id from public.models")
    engine.rows("select ops.pause_agency(%s)", agency_id)
    engine.move_clock(hours=5)
    assert told(engine) == []

    engine.rows("select ops.resume_agency(%s)", agency_id)
    assert told(engine) == []

    engine.move_clock(minutes=36)
    assert told(engine) == [("silence", "raised")]


def test_a_paused_agency_hides_nobody_elses_silence(engine: Engine, model_id: uuid.UUID) -> None:
    other = engine.model(engine.agency(), due=False)
    succeed(engine, model_id)
    engine.rows("select ops.pause_agency(agency_id) from public.models where id = %s", model_id)
    succeed(engine, other)
    engine.move_clock(minutes=36)

    assert told(engine) == [("silence", "raised")]


def test_a_cap_of_no_jobs_is_silence(engine: Engine, model_id: uuid.UUID) -> None:
    succeed(engine, model_id)
    engine.rows("update private.queue_lanes set max_running = 0")
    engine.move_clock(minutes=36)

    assert told(engine) == [("silence", "raised")]


def test_quiet_creators_who_are_polled_every_hour_are_not_silent(
    engine: Engine, model_id: uuid.UUID
) -> None:
    succeed(engine, model_id)
    engine.rows("update public.sync_state set quiet_runs = 100")

    engine.move_clock(minutes=79)
    assert told(engine) == []
    engine.move_clock(minutes=2)
    assert told(engine) == [("silence", "raised")]


def test_a_long_first_reading_is_not_silence(engine: Engine, model_id: uuid.UUID) -> None:
    engine.running_job(model_id)
    engine.move_clock(hours=5)
    engine.rows("update public.sync_state set last_sync_at = private.engine_now()")

    assert told(engine) == []


def test_without_active_creators_there_is_no_silence(engine: Engine, model_id: uuid.UUID) -> None:
    engine.rows("update public.models set status = 'paused'")
    engine.move_clock(hours=50)

    assert told(engine) == []


def test_a_scheduler_that_stopped_is_told_also_while_another_does_its_work(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.call("enqueue_due", "pg_cron")
    engine.move_clock(minutes=6)
    engine.call("enqueue_due", "worker")

    (alert,) = engine.call("claim_alerts", "w0")

    assert (alert["kind"], alert["subject"]) == ("schedule", "pg_cron")
    assert "another one does its work" in alert["problem"]


def test_broken_webhooks_are_told_at_one_and_at_ten(engine: Engine, model_id: uuid.UUID) -> None:
    def fail(number: int) -> None:
        engine.rows(
            "insert into public.webhook_events (event_id, topic, payload, status)"
            " select 'e-' || gen_random_uuid(), 'creator.payment.succeeded', '{}', 'failed'"
            " from generate_series(1, %s)",
            number,
        )

    fail(1)
    assert told(engine) == [("webhooks_failed", "raised")]
    fail(8)
    assert told(engine) == []
    fail(1)
    assert told(engine) == [("webhooks_failed", "raised")]
    engine.rows("delete from public.webhook_events")
    assert told(engine) == [("webhooks_failed", "clear")]


@pytest.mark.usefixtures("model_id")
def test_a_webhook_that_is_tried_again_is_told_once_that_did_not_help(engine: Engine) -> None:
    event = {"id": "e-1", "type": "creator.payment.succeeded", "data": {"id": "p-1"}}
    engine.call("receive_webhook_event", event, p_apply=False)
    assert told(engine) == []

    engine.move_clock(minutes=11)

    assert told(engine) == [("webhooks_failed", "raised")]


STUDIO = {
    'policy "for all" on public.models': (
        'create policy "for all" on public.models using (true)',
        'drop policy "for all" on public.models',
    ),
    "right to insert on public.agencies of anon": (
        "grant insert on public.agencies to anon",
        "revoke insert on public.agencies from anon",
    ),
    "function public.all_models()": (
        (
            "create function public.all_models() returns setof public.models language sql"
            " security definer begin atomic table public.models; end"
        ),
        "drop function public.all_models()",
    ),
}


@pytest.mark.parametrize("what", STUDIO)
def test_what_somebody_opens_in_studio_is_told_until_it_is_closed(
    engine: Engine, what: str
) -> None:
    opens, closes = STUDIO[what]
    engine.rows(opens)
    # the catalog is read every five minutes
    engine.move_clock(seconds=301)
    try:
        assert told(engine) == [("foreign_access", "raised")]
        assert what in engine.value("select problem from ops.alerts")
        assert told(engine) == []
    finally:
        engine.rows(closes)
    engine.move_clock(seconds=301)
    assert told(engine) == [("foreign_access", "clear")]


def test_what_is_kept_with_a_reason_is_over_at_once(engine: Engine) -> None:
    what = 'policy "read all" on public.models'
    engine.rows(f"create {what} for select using (true)")
    engine.move_clock(seconds=301)
    try:
        assert told(engine) == [("foreign_access", "raised")]
        engine.rows("select ops.keep_access(%s, 'a test of it')", what)

        assert engine.rows("select * from ops.alerts") == []
        assert told(engine) == [("foreign_access", "clear")]
        engine.move_clock(seconds=301)
        assert told(engine) == []
    finally:
        engine.rows(f"drop {what}")
        engine.rows("delete from private.kept_access where object = %s", what)


def test_ten_workers_tell_each_trouble_once(engine: Engine, model_id: uuid.UUID) -> None:
    for _ in range(20):
        engine.model(engine.agency(), due=False, status="reauth_required")
    workers = [engine.another() for _ in range(10)]

    for _ in range(3):
        claims = [worker.start("claim_alerts", worker.name) for worker in workers]
        subjects = [alert["subject"] for claim in claims for alert in claim.result(WAIT)]
        assert len(subjects) == len(set(subjects))
        assert len(subjects) in {0, 20}
    assert engine.value("select count(*) from private.alert_states where claimed_by is null") == 0


def test_what_a_vanished_worker_claimed_is_told_by_another(
    engine: Engine, model_id: uuid.UUID
) -> None:
    demand_reauth(engine, model_id)
    engine.call("claim_alerts", "vanished")
    assert told(engine) == []

    engine.move_clock(seconds=61)

    assert told(engine) == [("reauth_required", "raised")]


def test_a_failed_try_is_repeated_ever_more_seldom_and_by_anybody(
    engine: Engine, model_id: uuid.UUID
) -> None:
    demand_reauth(engine, model_id)
    waits: list[int] = []
    for _ in range(9):
        alerts: list[Any] = engine.call("claim_alerts", "w0")
        engine.call("settle_alerts", "w0", alerts, p_sent=False)
        wait = 0
        while not (
            due := engine.value(
                "select min(claimed_until) <= private.engine_now() from private.alert_states"
            )
        ):
            engine.move_clock(seconds=15)
            wait += 15
        assert due
        waits.append(wait)
    assert engine.value("select telling from ops.alerts") == "sending fails"

    assert told(engine.another()) == [("reauth_required", "raised")]
    assert waits == sorted(waits)
    assert waits[-1] == 900
    assert engine.value("select telling from ops.alerts") == "told"


def test_what_is_over_before_it_could_be_told_is_not_told(
    engine: Engine, model_id: uuid.UUID
) -> None:
    demand_reauth(engine, model_id)
    alerts = engine.call("claim_alerts", "w0")
    engine.call("settle_alerts", "w0", alerts, p_sent=False)
    engine.rows("update public.models set status = 'active'")

    engine.move_clock(minutes=1)

    assert told(engine) == []


def test_what_ends_while_it_is_sent_is_told_as_over_next(
    engine: Engine, model_id: uuid.UUID
) -> None:
    demand_reauth(engine, model_id)
    sending = engine.call("claim_alerts", "w0")
    engine.rows("update public.models set status = 'active'")
    assert told(engine.another()) == []

    engine.call("settle_alerts", "w0", sending, p_sent=True)

    assert told(engine) == [("reauth_required", "clear")]


def test_solved_troubles_are_forgotten_after_a_month(engine: Engine, model_id: uuid.UUID) -> None:
    demand_reauth(engine, model_id)
    told(engine)
    engine.rows("update public.models set status = 'paused'")
    told(engine)

    engine.move_clock(hours=31 * 24)
    told(engine)

    assert engine.rows("select * from private.alert_states") == []


def test_no_text_names_a_person_or_a_secret(engine: Engine, model_id: uuid.UUID) -> None:
    engine.settle(engine.running_job(model_id), "dead", error={"kind": SECRET, "message": SECRET})
    finding(engine, model_id, SECRET)
    engine.model(
        engine.agency(SECRET), handle=SECRET, status="reauth_required", status_reason=SECRET
    )

    alerts = engine.call("claim_alerts", "w0")

    assert {alert["kind"] for alert in alerts} == {"dead_job", "drift", "reauth_required"}
    assert SECRET not in str(alerts)


def test_where_nobody_is_told_operators_see_it_all_the_same(
    engine: Engine, model_id: uuid.UUID
) -> None:
    demand_reauth(engine, model_id)

    assert engine.call("claim_alerts", "w0", 0) == []

    assert engine.rows("select kind, telling from ops.alerts") == [
        {"kind": "reauth_required", "telling": "not told yet"}
    ]
    assert told(engine) == [("reauth_required", "raised")]


@pytest.mark.usefixtures("fresh_sessions")
def test_thousands_of_troubles_are_each_looked_at_a_few_times(
    engine: Engine, model_id: uuid.UUID
) -> None:
    engine.rows("analyze private.alert_states")
    engine.rows("set session_replication_role = replica")
    engine.rows(
        "insert into public.models (agency_id, fanvue_user_uuid, status)"
        " select agency_id, gen_random_uuid()::text, 'reauth_required'"
        " from public.models, generate_series(1, 2000)"
    )
    engine.rows("reset session_replication_role")
    engine.call("claim_alerts", "w0", 0)

    with reading(engine, "alert_states", "models") as meter:
        told_now = engine.value("select jsonb_array_length(public.claim_alerts('w0'))")

    assert told_now == 1000
    assert meter.rows <= 20 * 2000


def test_telling_changes_nothing_where_nothing_changed(engine: Engine, model_id: uuid.UUID) -> None:
    demand_reauth(engine, model_id)
    told(engine)
    before = engine.rows("select s::text, xmin::text, xmax::text from private.alert_states s")

    assert told(engine) == []

    assert (
        engine.rows("select s::text, xmin::text, xmax::text from private.alert_states s") == before
    )
