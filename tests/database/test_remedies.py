"""Every remedy that a view of the console, an alert or `status` shows runs as it stands there."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.agency import Agency
from tests.database.streams import Creator
from tests.support.remedies import commands_in, runs, sql_in


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.database.engine import Engine


# The columns of the console that tell what to run.
TOLD = "remedy", "dismissal", "to_stop_it", "remedy_call"
ERRORS: list[dict[str, str]] = [
    {"kind": kind, "message": "it's broken (really)", "remedy": "take the first step"}
    for kind in ("bug", "provider_contract", "scope_missing", "cursor_expired", "partial")
]


def failed_event(engine: Engine, status: str, creator: str | None) -> None:
    engine.rows(
        "insert into public.webhook_events (event_id, topic, payload, status, creator_uuid, error)"
        " values (gen_random_uuid()::text, 'creator.payment.succeeded', '{}', %s, %s, 'no amount')",
        status,
        creator,
    )


def dead_jobs(engine: Engine) -> None:
    for error in ERRORS:
        job = engine.running_job(Creator(engine, "earnings").model_id)
        engine.settle(job, "dead", error=error)
    kept = Creator(engine, "earnings")
    engine.settle(engine.running_job(kept.model_id), "dead", error=ERRORS[0])
    engine.rows(
        "insert into private.sync_overrides (model_id, sync_type, enabled)"
        " values (%s, 'earnings', false)",
        kept.model_id,
    )


def failing_jobs(engine: Engine) -> None:
    for error in ERRORS:
        job = engine.running_job(Creator(engine, "earnings").model_id)
        engine.settle(job, "retry", retry_in_s=600, error=error)


def failing_streams(engine: Engine) -> None:
    for kind in ("partial", "transient", "not_found"):
        creator = Creator(engine, "earnings")
        engine.rows(
            "update public.sync_state set consecutive_failures = 3, last_success_at = now(),"
            " next_sync_at = private.engine_now() + interval '1 day',"
            " last_error = jsonb_build_object('kind', %s::text, 'message', 'it''s cut')"
            " where model_id = %s and sync_type = 'earnings'",
            kind,
            creator.model_id,
        )


def accounts_that_must_connect(engine: Engine) -> None:
    agency = engine.agency()
    engine.model(agency, status="reauth_required")
    # Of an older application, which never knew whose the model is.
    engine.model(agency, status="reauth_required", fanvue_user_uuid=None)
    Agency(engine, creators=2).die()


def a_model_without_grant(engine: Engine) -> None:
    agency = engine.agency()
    bare: dict[str, Any] = {"fanvue_access_token": None, "fanvue_refresh_token": None}
    engine.model(agency, **bare)
    engine.model(agency, **bare, fanvue_user_uuid=None)
    engine.move_clock(minutes=31)


def a_worker_that_went(engine: Engine) -> None:
    engine.running_job(Creator(engine, "earnings").model_id)
    engine.move_clock(minutes=20)


def a_worker_that_is_stuck(engine: Engine) -> None:
    engine.running_job(Creator(engine, "earnings").model_id)
    engine.move_clock(minutes=20)
    engine.rows("update public.sync_jobs set lease_until = private.engine_now() + interval '1 h'")


def no_worker(engine: Engine) -> None:
    Creator(engine, "earnings")
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.call("enqueue_due", "worker")
    engine.move_clock(minutes=10)


def no_schedule(engine: Engine) -> None:
    Creator(engine, "earnings")
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.call("enqueue_due", "pg_cron")
    engine.call("enqueue_due", "worker")
    engine.rows("delete from public.sync_jobs")
    engine.move_clock(minutes=10)


def a_job_behind_others(engine: Engine) -> None:
    one, _ = (Creator(engine, "earnings") for _ in range(2))
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.call("enqueue_due", "worker")
    engine.move_clock(minutes=6)
    engine.call("claim_model_job", "w0", one.model_id, "earnings", 60)


def a_blocked_budget(engine: Engine) -> None:
    creator = Creator(engine, "earnings")
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.call("enqueue_due", "worker")
    engine.call("block_bucket", f"user:{creator.uuid}", 600)


def things_that_were_stopped(engine: Engine) -> None:
    paused, capped, silent = (Creator(engine, "earnings") for _ in range(3))
    engine.rows("select ops.pause_model(%s, 'it''s a holiday')", paused.model_id)
    engine.rows(
        "update private.queue_lanes set max_running = 0 where agency_id = %s", capped.agency_id
    )
    engine.rows("select ops.pause_agency(%s, 'a holiday')", silent.agency_id)
    engine.rows(
        "insert into private.sync_overrides (agency_id, sync_type, enabled)"
        " values (%s, 'posts', false)",
        capped.agency_id,
    )
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.call("enqueue_due", "worker")
    engine.move_clock(minutes=10)


def nobodys_money_is_read(engine: Engine) -> None:
    Creator(engine, "earnings")
    engine.rows("update private.sync_streams set enabled = false where sync_type = 'earnings'")


def waiting_events(engine: Engine) -> None:
    failed_event(engine, "failed", Creator(engine, "earnings").uuid)
    failed_event(engine, "parked", Creator(engine, "earnings").uuid)
    for creator in (str(uuid.uuid4()), None, "no uuid"):
        failed_event(engine, "parked", creator)


def an_event_of_a_stranger(engine: Engine) -> None:
    Creator(engine, "earnings")
    failed_event(engine, "parked", str(uuid.uuid4()))


def drift(engine: Engine) -> None:
    creator = Creator(engine, "earnings")
    for kind in ("not_listed", "unconfirmed", "summary"):
        engine.rows(
            "insert into public.reconciliation_findings (agency_id, model_id, kind, subject,"
            " run_id, day, happened_at, ledger_gross, first_seen_at, last_seen_at) values"
            " (%s, %s, %s, %s, gen_random_uuid(), current_date, now(), 20, now(), now())",
            creator.agency_id,
            creator.model_id,
            kind,
            kind,
        )


def unproved_money(engine: Engine) -> None:
    Creator(engine, "earnings")
    engine.call("enqueue_due", "worker")
    engine.move_clock(hours=60)


STATES: list[Callable[[Engine], None]] = [
    accounts_that_must_connect,
    a_blocked_budget,
    a_job_behind_others,
    a_model_without_grant,
    a_worker_that_is_stuck,
    a_worker_that_went,
    an_event_of_a_stranger,
    dead_jobs,
    drift,
    failing_jobs,
    failing_streams,
    no_schedule,
    no_worker,
    nobodys_money_is_read,
    things_that_were_stopped,
    unproved_money,
    waiting_events,
]


def told(engine: Engine) -> set[str]:
    """Collect what the console, the alerts and `status` tell now."""
    columns = engine.rows(
        "select table_name as view, column_name as name from information_schema.columns"
        " where table_schema = 'ops' and column_name = any (%s)",
        list(TOLD),
    )
    texts = {
        str(row["said"])
        for column in columns
        for row in engine.rows(
            f"select {column['name']} as said from ops.{column['view']}"  # noqa: S608 - the catalog's names
        )
        if row["said"] is not None
    }
    texts |= {one["remedy"] for one in engine.call("engine_attention")}
    texts |= {row["remedy"] for row in engine.rows("select remedy from ops.late")}
    troubles = engine.rows("select remedy from private.troubles(private.engine_now())")
    return texts | {row["remedy"] for row in troubles}


def complaint(engine: Engine, statement: str) -> str | None:
    """Run a statement for nothing; return what the database has against it."""
    try:
        with engine.owner.transaction(force_rollback=True):
            engine.rows(statement.replace("%", "%%"))
    except psycopg.Error as error:
        return f"{statement}: {error}"
    return None


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_what_is_told_runs_as_it_stands(engine: Engine, state: Callable[[Engine], None]) -> None:
    state(engine)

    texts = told(engine)

    assert texts
    for text in texts:
        assert [said for said in commands_in(text) if not runs(said)] == [], text
        assert [c for c in (complaint(engine, one) for one in sql_in(text)) if c] == [], text
        # Nothing that looks like a call is left over for a person to fill in.
        rest = text
        for statement in sql_in(text):
            rest = rest.replace(statement, "")
        assert "(id" not in rest or "accept_drift(id, note)" in rest, text


def test_each_cause_of_lateness_and_each_alert_is_among_the_states(engine: Engine) -> None:
    causes, alerts = set(), set()
    for state in STATES:
        state(engine)
        causes |= {row["cause"] for row in engine.rows("select cause from ops.late")}
        found = engine.rows("select kind from private.troubles(private.engine_now())")
        alerts |= {row["kind"] for row in found}

    assert causes >= {
        *("agency_paused", "budget", "dead", "failing", "failing_stream", "no_grant"),
        *("no_worker", "not_queued", "partial", "paused", "reauth_required", "switched_off"),
        *("worker_gone", "worker_stuck"),
    }
    assert alerts >= {
        *("agency_reauth", "dead_job", "drift", "no_grant", "reauth_required", "schedule"),
        *("unproved", "webhooks_failed"),
    }


def stopped(engine: Engine) -> list[tuple[str, Any]]:
    """Return what refuses because somebody stopped a creator, with its arguments."""
    paused, lost, off = (Creator(engine, "earnings") for _ in range(3))
    engine.rows("select ops.pause_model(%s, 'a holiday')", paused.model_id)
    engine.rows("update public.models set status = 'reauth_required' where id = %s", lost.model_id)
    job = engine.running_job(off.model_id)
    engine.settle(job, "dead", error=ERRORS[0])
    engine.rows(
        "insert into private.sync_overrides (model_id, sync_type, enabled)"
        " values (%s, 'earnings', false)",
        off.model_id,
    )
    models = [creator.model_id for creator in (paused, lost)]
    return [
        *(("select public.enqueue_sync(%s, 'earnings')", model) for model in models),
        *(("select public.enqueue_reconcile(%s)", model) for model in models),
        ("select ops.retry_job(%s)", job["id"]),
        (
            "select ops.accept_drift(%s, ' ')",
            engine.value("select max(id) from public.reconciliation_findings"),
        ),
    ]


def test_the_hint_of_a_refusal_runs_as_it_stands(engine: Engine) -> None:
    drift(engine)
    hints = []
    for call, argument in stopped(engine):
        with pytest.raises(psycopg.Error) as refused:
            engine.rows(call, argument)
        hints.append(str(refused.value.diag.message_hint))

    for hint in hints:
        assert sql_in(hint) or commands_in(hint), hint
        assert [said for said in commands_in(hint) if not runs(said)] == [], hint
        assert [c for c in (complaint(engine, one) for one in sql_in(hint)) if c] == [], hint
