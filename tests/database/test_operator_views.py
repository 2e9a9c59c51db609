"""What the console shows: one cause and one remedy for each thing that is late, right figures.

What it reads follows what is late, not how much there is.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from tests.database.agency import Agency
from tests.database.streams import Creator
from tests.database.test_cost import reading


if TYPE_CHECKING:
    from tests.database.engine import Engine


@pytest.fixture
def creator(engine: Engine) -> Creator:
    return Creator(engine, "earnings")


def late(engine: Engine) -> list[dict[str, Any]]:
    return engine.rows("select * from ops.late")


def causes(engine: Engine) -> list[str]:
    return [row["cause"] for row in late(engine)]


def due(engine: Engine, **ago: float) -> None:
    """Let every stream fall due and be queued, then let time pass."""
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.call("enqueue_due", "worker")
    engine.move_clock(**ago)


def test_nothing_is_late_that_is_merely_due(engine: Engine, creator: Creator) -> None:
    due(engine, minutes=1)

    assert late(engine) == []


def test_what_runs_is_not_late(engine: Engine, creator: Creator) -> None:
    due(engine)
    engine.move_clock(minutes=14)
    engine.rows("update public.sync_jobs set run_at = private.engine_now()")
    engine.claim()

    assert late(engine) == []
    (row,) = engine.rows("select * from ops.running")
    assert (row["worker"], row["progress"], row["stopping"]) == ("w0", "begun", False)


def test_a_worker_that_brings_no_page_is_told_though_it_lives(
    engine: Engine, creator: Creator
) -> None:
    due(engine)
    (job,) = engine.claim()
    for _ in range(4):
        engine.move_clock(minutes=4)
        engine.call("heartbeat_sync_jobs", "w0", [{k: job[k] for k in ("id", "lease_id")}], 600)

    (row,) = late(engine)

    assert row["why"] == "worker w0 has it for 16 min and brought no page for 16 min"
    assert row["remedy"] == f"select ops.release_job({job['id']})"


def test_a_job_behind_others_waits_its_turn_where_workers_work(engine: Engine) -> None:
    creators = [Creator(engine, "earnings") for _ in range(2)]
    due(engine, minutes=6)
    engine.call("claim_model_job", "w0", creators[0].model_id, "earnings", 60)

    (row,) = late(engine)

    assert row["cause"] == "turn"
    assert "start another worker" in row["remedy"]


def test_a_worker_that_went_after_its_last_job_is_missed(engine: Engine) -> None:
    for _ in range(2):
        Creator(engine, "earnings")
    due(engine, minutes=6)
    (job,) = engine.claim(1)
    engine.settle(job, "done")
    assert causes(engine) == ["turn"]
    engine.move_clock(minutes=6)

    (row,) = [one for one in late(engine) if str(one["model_id"]) != str(job["model_id"])]

    assert (row["cause"], row["remedy"]) == ("no_worker", "start a worker: fanvue-sync run")


def lose_grant(engine: Engine) -> None:
    engine.rows("update public.models set fanvue_access_token = null, fanvue_refresh_token = null")


@pytest.mark.parametrize("planned", ["null", "private.engine_now()"])
def test_an_active_model_without_a_grant_is_one_line_that_the_front_page_counts(
    engine: Engine, creator: Creator, planned: str
) -> None:
    lose_grant(engine)
    engine.rows(f"update public.sync_state set next_sync_at = {planned}")  # noqa: S608 - the test's own text
    engine.move_clock(minutes=31)

    (row,) = late(engine)
    (health,) = engine.rows("select * from ops.health where where_to_look = 'ops.late'")

    assert (row["cause"], row["stream"], row["late_for"]) == ("no_grant", "all", "31 min")
    assert row["remedy"].startswith("the creator connects")
    assert (health["state"], "1 no grant" in health["answer"]) == ("attention", True)


def test_a_model_that_is_being_connected_is_not_late(engine: Engine, creator: Creator) -> None:
    lose_grant(engine)
    engine.rows("update public.sync_state set next_sync_at = null")
    engine.move_clock(minutes=29)

    assert late(engine) == []


def test_a_job_that_is_put_off_again_and_again_is_late(engine: Engine, creator: Creator) -> None:
    error = {"kind": "throttled", "message": "Fanvue asks to wait"}
    due(engine)
    for _ in range(4):
        (job,) = engine.claim()
        engine.settle(job, "snooze", retry_in_s=300, error=error)
        engine.move_clock(minutes=5)
    (job,) = engine.claim()
    engine.settle(job, "snooze", retry_in_s=300, error=error)

    (row,) = late(engine)

    assert row["cause"] == "put_off"
    assert row["why"].startswith("due for 20 min and put off again, until ")
    assert row["why"].endswith(" UTC: Fanvue asks to wait")
    assert row["remedy"] == f"select ops.retry_job({job['id']})"


def test_a_job_that_is_put_off_once_is_not_late(engine: Engine, creator: Creator) -> None:
    due(engine)
    (job,) = engine.claim()
    engine.settle(job, "snooze", retry_in_s=300, error={"kind": "throttled", "message": "wait"})
    engine.move_clock(minutes=4)

    assert late(engine) == []


def test_what_waits_because_its_agency_was_paused_is_one_deliberate_line(
    engine: Engine, creator: Creator
) -> None:
    engine.rows("select ops.pause_agency(%s, 'holidays')", creator.agency_id)
    due(engine, hours=2)

    (row,) = late(engine)
    (health,) = engine.rows("select * from ops.health where where_to_look = 'ops.late'")

    assert (row["cause"], row["deliberate"], row["stream"]) == ("agency_paused", True, "all")
    assert health["state"] == "ok"


def test_a_cap_of_no_jobs_is_late(engine: Engine, creator: Creator) -> None:
    engine.rows("update private.queue_lanes set max_running = 0")
    due(engine, minutes=10)

    (row,) = late(engine)

    assert (row["cause"], row["deliberate"]) == ("agency_paused", False)


def test_what_failed_before_is_without_a_worker_when_nobody_takes_it_up(
    engine: Engine, creator: Creator
) -> None:
    due(engine)
    (job,) = engine.claim()
    engine.settle(job, "retry", retry_in_s=60, error={"kind": "transient", "message": "502"})
    assert causes(engine) == ["failing"]
    engine.move_clock(minutes=2)
    assert causes(engine) == ["failing"]

    engine.move_clock(minutes=8)

    assert causes(engine) == ["no_worker"]


def test_what_failed_before_is_not_queued_when_nothing_ticks(
    engine: Engine, creator: Creator
) -> None:
    engine.rows(
        "update public.sync_state set consecutive_failures = 1,"
        " next_sync_at = private.engine_now() + interval '1 minute'"
    )
    assert causes(engine) == ["failing_stream"]

    engine.move_clock(minutes=10)

    assert causes(engine) == ["not_queued"]


@pytest.mark.parametrize(("seconds", "state"), [(2, "ok"), (600, "attention")])
def test_a_block_wants_attention_when_it_lasts(engine: Engine, seconds: int, state: str) -> None:
    engine.call("block_bucket", "user:x", seconds)

    (row,) = engine.rows("select * from ops.health where where_to_look = 'ops.budgets'")

    assert row["state"] == state


def test_short_blocks_that_follow_each_other_want_attention(engine: Engine) -> None:
    def said() -> tuple[str, str]:
        (row,) = engine.rows(
            "select state, answer from ops.health where where_to_look = 'ops.budgets'"
        )
        return row["state"], row["answer"]

    told = []
    for _ in range(8):
        engine.call("block_bucket", "user:x", 30, "/chats")
        engine.move_clock(seconds=60)
        told.append(said())

    assert [state for state, _ in told] == ["ok"] * 4 + ["attention"] * 4
    assert told[-1][1].startswith("Fanvue refuses /chats, again and again since")
    engine.move_clock(minutes=3)
    assert said()[0] == "ok"
    engine.move_clock(minutes=3)
    engine.call("block_bucket", "user:x", 30, "/chats")
    assert said()[0] == "ok"


def test_the_worker_sees_how_long_a_snapshot_is_held_and_never_the_query(engine: Engine) -> None:
    engine.owner.execute("set application_name = 'report'")
    worker = engine.another().connection
    with engine.owner.transaction():
        engine.owner.execute("set transaction isolation level repeatable read")
        engine.owner.execute("select 'a secret'")
        row = worker.execute("select * from ops.queue_table").fetchone()
        held = worker.execute("select * from private.held_snapshots()").fetchone()

    assert row is not None
    assert held is not None
    assert row["pid"] == held["pid"] == engine.owner.info.backend_pid
    assert row["held_for"].endswith(" s")
    assert row["holder"].endswith("report idle in transaction")
    assert held.keys() == {"pid", "held_for", "application_name", "state"}
    assert "secret" not in f"{row} {held}"


def test_progress_is_told_in_words_and_per_cent(engine: Engine, creator: Creator) -> None:
    creator.begin("earnings")
    progress = {
        "kind": "deep",
        "pages": 3,
        "rows": 150,
        "position": creator.at(days=10),
        "floor": creator.at(days=40),
        "ceiling": creator.at(days=0),
    }
    engine.rows("update public.sync_jobs set progress = %s", Jsonb(progress))

    (row,) = engine.rows("select * from ops.running")

    assert row["progress"].startswith("looks back far, 3 pages, 150 rows, down to 20")
    assert row["per_cent"] == 25


def test_a_dead_agency_grant_is_one_row_that_says_what_it_costs(engine: Engine) -> None:
    agency = Agency(engine, creators=3)
    engine.rows(
        "update public.sync_state set last_success_at = private.engine_now() - interval '2 days'"
    )
    for model in agency.models[:2]:
        engine.rows(
            "insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount,"
            " fanvue_created_at) select %s, %s, n::text, 10, private.engine_now()"
            " - interval '3 days' - n * interval '1 day' from generate_series(1, 15) n",
            agency.agency_id,
            model,
        )
    agency.die()

    (row,) = engine.rows("select * from ops.reconnect")

    assert (row["kind"], row["creators"], row["streams_not_read"]) == ("agency", 3, 3)
    # two creators, fifteen sales of ten dollars each within thirty days
    assert row["daily_gross"] == Decimal("10.00")
    assert row["days_missing"] >= 2
    assert row["possibly_missing"] == round(row["days_missing"] * row["daily_gross"], 2)
    assert f"--user-uuid {agency.account}" in row["remedy"]
    assert set(causes(engine)) == {"reauth_required"}


def test_budgets_show_what_is_used_and_what_each_lane_may_take(engine: Engine) -> None:
    engine.call("take_calls", "user:x", 30, "live")
    engine.move_clock(seconds=30)
    engine.call("take_calls", "user:x", 20, "live")

    (now,) = engine.rows("select * from ops.budgets")
    engine.move_clock(seconds=40)
    (later,) = engine.rows("select * from ops.budgets")

    assert (now["used"], now["live_room"], now["low_room"]) == (50, 50, 30)
    assert (later["used"], later["live_room"], later["blocked_until"]) == (20, 80, None)


def test_ticks_are_counted_by_the_minute(engine: Engine) -> None:
    for _ in range(5):
        engine.call("enqueue_due", "worker")
        engine.call("enqueue_due", "worker")
        engine.move_clock(minutes=2)
    engine.move_clock(minutes=10)

    (row,) = engine.rows("select * from ops.schedule_health where source = 'worker'")

    assert (row["state"], row["ticks_expected"], row["ticks_seen"]) == ("silent", 21, 5)
    assert row["remedy"] == "start a worker: fanvue-sync run"


def test_a_database_without_pg_cron_is_well_with_the_workers_ticks(engine: Engine) -> None:
    engine.call("enqueue_due", "worker")

    (row,) = engine.rows("select * from ops.health where question like 'Does the schedule%%'")
    (cron,) = engine.rows("select * from ops.schedule_health where source = 'pg_cron'")

    assert row["state"] == "ok"
    assert (cron["state"], "private.schedule_engine()" in cron["remedy"]) == ("absent", True)


def test_the_front_page_of_a_quiet_engine_wants_no_attention(
    engine: Engine, creator: Creator
) -> None:
    engine.call("enqueue_due", "worker")

    rows = engine.rows("select * from ops.health")

    assert {row["state"] for row in rows} == {"ok"}
    views = {row["where_to_look"].split()[0] for row in rows}
    for view in sorted(views):
        engine.rows(f"select * from {view}")  # noqa: S608 - names that the view itself gives


@pytest.mark.usefixtures("fresh_sessions")
def test_what_the_console_reads_does_not_grow_with_what_is_well(engine: Engine) -> None:
    engine.rows("insert into public.agencies (name) select 'a' || n from generate_series(1, 20) n")
    engine.rows(
        "insert into public.models (agency_id, fanvue_user_uuid, fanvue_refresh_token)"
        " select id, gen_random_uuid()::text, 'r' from public.agencies, generate_series(1, 20)"
    )
    engine.rows("update public.sync_state set next_sync_at = private.engine_now() + interval '1 h'")
    engine.rows(
        "update public.sync_state set consecutive_failures = 1 where id in"
        " (select id from public.sync_state limit 3)"
    )

    with reading(
        engine, "sync_state", "sync_runs", "webhook_events", "fanvue_transactions"
    ) as seen:
        assert len(late(engine)) == 3
        engine.rows("select * from ops.health")
        engine.rows("select * from ops.reconnect")
        engine.rows("select * from ops.webhooks_waiting")

    assert seen.rows < 100
