"""Cost follows change: what a step reads does not grow with the tables.

Counts the rows that the server touched, not seconds; the ledger's statistics are of no help.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.database.books import Sale


if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from tests.database.engine import Engine
    from tests.support.postgres import Connection


STREAMS = 200
pytestmark = pytest.mark.usefixtures("fresh_sessions")
_TOUCHED = """
  select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint as rows
  from pg_stat_xact_user_tables where relname = any (%s)
"""


class Meter:
    """How many rows of some tables the current transaction has read."""

    rows: int = -1


@contextmanager
def reading(engine: Engine, *tables: str) -> Iterator[Meter]:
    """Measure the rows that the block reads."""
    _must_be_measurable(engine)
    meter = Meter()
    with engine.owner.transaction():
        before = engine.value(_TOUCHED, list(tables))
        yield meter
        meter.rows = engine.value(_TOUCHED, list(tables)) - before


def buffers(
    engine: Engine, statement: str, *values: Any, connection: Connection | None = None
) -> int:
    """Run a statement, as the owner unless told, and count the pages that it touches."""
    _must_be_measurable(engine)
    explained = sql.SQL("explain (analyze, buffers, timing off, format json) " + statement)
    row = (connection or engine.owner).execute(explained, values).fetchone()
    assert row is not None
    plan: dict[str, Any] = row["QUERY PLAN"][0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


def _must_be_measurable(engine: Engine) -> None:
    """Refuse to measure beside what other tests left: their statistics, dead rows and plans."""
    if not engine.measurable:
        raise RuntimeError("a test that measures uses the fixture fresh_sessions")


@pytest.fixture
def crowd(engine: Engine) -> Engine:
    """Return an engine with many agencies, all of whose streams are queued."""
    engine.rows(
        "insert into public.agencies (name) select 'a' || n from generate_series(1, %s) n", STREAMS
    )
    engine.rows(
        "insert into public.models (agency_id, fanvue_user_uuid, fanvue_refresh_token)"
        " select id, gen_random_uuid()::text, 'refresh-0' from public.agencies"
    )
    engine.call("enqueue_due")
    # Autovacuum does this once enough jobs have changed.
    engine.rows("analyze public.sync_jobs")
    return engine


def test_an_idle_tick_looks_at_each_due_stream_once(crowd: Engine) -> None:
    with reading(crowd, "sync_jobs") as meter:
        crowd.rows("select public.enqueue_due('test')")

    assert meter.rows <= 2 * STREAMS


def test_a_tick_asks_nothing_of_a_table_stream_by_stream(crowd: Engine, supabase: Engine) -> None:
    crowd.rows("truncate public.sync_jobs")
    with supabase.owner.transaction():
        supabase.rows("set local track_functions = 'all'")
        assert supabase.value("select public.enqueue_due('test') ->> 'enqueued'") == str(STREAMS)
        calls = supabase.rows(
            "select funcname from pg_stat_xact_user_functions where calls >= %s", STREAMS
        )

    # it looks at what it is given, and is asked of first readings alone; all rules are joined
    assert {call["funcname"] for call in calls} == {"is_watched"}


def test_a_tick_reads_the_settings_once_for_all_streams(crowd: Engine) -> None:
    crowd.rows("truncate public.sync_jobs")
    kinds = crowd.value("select count(*) from private.sync_streams")

    with reading(crowd, "sync_streams", "sync_overrides") as meter:
        assert crowd.value("select public.enqueue_due('test') ->> 'enqueued'") == str(STREAMS)

    assert meter.rows <= 2 * kinds


def test_what_stops_all_streams_is_put_into_words_once(crowd: Engine, supabase: Engine) -> None:
    crowd.rows("update public.sync_jobs set run_at = run_at - interval '1 hour'")

    with counting_calls(supabase) as calls:
        lines = crowd.rows("select why from ops.late")

    assert [line["why"] for line in lines] == ["no worker has ever taken a job"] * STREAMS
    assert calls.get("span_words", 0) <= 1


def test_the_health_of_every_stream_reads_each_job_once(crowd: Engine) -> None:
    with reading(crowd, "sync_jobs") as meter:
        crowd.rows("select count(health), count(job_state) from public.sync_health")

    assert meter.rows <= 2 * STREAMS


def test_a_claim_looks_at_one_job_of_each_agency_and_takes_few(crowd: Engine) -> None:
    with reading(crowd, "sync_jobs") as meter:
        crowd.rows("select public.claim_sync_jobs('w0', 10)")

    # the few lanes not served for longest, then whose any of at most 256 due jobs is, then these
    assert meter.rows <= 1.2 * STREAMS + min(STREAMS, 256)


def test_what_a_claim_reads_for_each_job_is_bounded(crowd: Engine) -> None:
    agency_id = crowd.agency()
    crowd.models(agency_id, STREAMS)
    crowd.rows("update private.queue_lanes set max_running = 0 where agency_id <> %s", agency_id)
    crowd.rows("update private.queue_lanes set max_running = 1000 where agency_id = %s", agency_id)
    crowd.call("enqueue_due")
    crowd.rows("analyze public.sync_jobs")
    claims = "select public.claim_sync_jobs('w0', %s, 60, gen_random_uuid())"
    crowd.rows(claims, 1)

    with reading(crowd, "sync_jobs") as five:
        crowd.rows(claims, 5)
    with reading(crowd, "sync_jobs") as fifty:
        crowd.rows(claims, 50)

    # picked, locked, written, told: four looks at each
    assert fifty.rows - five.rows <= 45 * 5


@contextmanager
def counting_calls(engine: Engine) -> Iterator[dict[str, int]]:
    """Count how often the block calls each function of the engine."""
    counted = "select funcname as name, calls from pg_stat_xact_user_functions where calls > 0"
    calls: dict[str, int] = {}
    with engine.owner.transaction():
        engine.rows("set local track_functions = 'all'")
        yield calls
        calls |= {row["name"]: row["calls"] for row in engine.rows(counted)}


def test_polls_that_come_and_go_are_told_by_nobody(crowd: Engine, supabase: Engine) -> None:
    crowd.rows("update public.sync_jobs set priority = 20")
    settles = "select public.settle_sync_jobs('w0', %s)"
    with counting_calls(supabase) as calls:
        jobs = supabase.value("select public.claim_sync_jobs('w0', 50) -> 'jobs'")
        done = [{"id": job["id"], "lease_id": job["lease_id"], "outcome": "done"} for job in jobs]
        supabase.rows(settles, Jsonb(done))

    assert len(done) == 50
    assert calls["push_jobs"] >= 2
    # nobody watches them, and that is seen without a call for each
    assert not calls.keys() & {"is_watched", "job_change", "note_pushes", "send_push"}
    assert calls["job_replies"] == 1


PAGE = [Sale(n, 500, f"N{n}", "f1", "tip").listed() for n in range(50)]
APPLY = "select * from private.apply_transactions(%s, %s, %s, '{}', private.engine_now())"


def test_one_row_that_must_be_matched_takes_no_other_along(
    engine: Engine, supabase: Engine
) -> None:
    agency_id = engine.agency()
    model_id = engine.model(agency_id, due=False)
    engine.rows(APPLY, agency_id, model_id, Jsonb(PAGE[:40]))
    settled = {**PAGE[7], "status": "available"}
    page = Jsonb([*PAGE[:7], settled, *PAGE[8:]])

    with counting_calls(supabase) as calls:
        (done,) = supabase.rows(APPLY, agency_id, model_id, page)

    assert (done["inserted"], done["updated"], done["unchanged"]) == (10, 1, 39)
    assert (len(done["listed"]), len(done["added"])) == (50, 10)
    assert [row["fanvue_id"] for row in done["before"]] == ["N7"]
    # the row that is named anew: of a page that is matched whole, each is
    assert calls["transaction_hash"] == 1
    assert engine.value("select count(*) from public.fanvue_transactions") == 50


def test_a_fan_erased_elsewhere_and_ids_in_lower_case_cost_a_page_nothing(
    engine: Engine, supabase: Engine
) -> None:
    agency_id = engine.agency()
    model_id = engine.model(agency_id, due=False)
    engine.rows(
        "insert into private.erased_fans (fan_hash, agency_id, erased_at)"
        " values (private.fan_hash('f1'), %s, now())",
        engine.agency(),
    )
    page = Jsonb([{**row, "fanvue_id": f"n{n}"} for n, row in enumerate(PAGE)])

    with counting_calls(supabase) as calls:
        (new,) = engine.rows(APPLY, agency_id, model_id, page)

    assert new["inserted"] == 50
    assert not calls.keys() & {"erased_alias", "hide_erased_fans", "fold_ids"}


def test_a_page_that_adds_nothing_wakes_no_trigger_of_the_ledger(
    engine: Engine, supabase: Engine
) -> None:
    agency_id = engine.agency()
    model_id = engine.model(agency_id, due=False)
    engine.rows(APPLY, agency_id, model_id, Jsonb(PAGE))

    with counting_calls(supabase) as calls:
        (known,) = supabase.rows(APPLY, agency_id, model_id, Jsonb(PAGE))

    assert known["unchanged"] == 50
    assert not calls.keys() & {"roll_up_earnings", "stamp_ledger", "push_transactions"}
    # neither is what no webhook announced looked for
    assert not calls.keys() & {"recall_rows", "confirm_provisional"}


def test_a_page_reads_its_own_rows_of_a_large_ledger(engine: Engine) -> None:
    agency_id = engine.agency()
    model_id = engine.model(agency_id, due=False)
    apply = "select * from private.apply_transactions(%s, %s, %s, '{}', private.engine_now())"
    # A pooled connection made its plans while the ledger was empty, and keeps them.
    for n in range(8):
        early = Jsonb([Sale(n, 700, f"E{n}", "f2", "tip").listed()])
        engine.rows(apply, agency_id, model_id, early)
    fill(engine, agency_id, model_id, 2_000)
    page = Jsonb([Sale(n, 500, f"N{n}", "f1", "tip").listed() for n in range(50)])

    with reading(engine, "fanvue_transactions") as first:
        engine.rows(apply, agency_id, model_id, page)
    with reading(engine, "fanvue_transactions") as again:
        engine.rows(apply, agency_id, model_id, page)

    assert first.rows <= 100
    assert again.rows <= 300


def test_a_plain_page_reads_each_of_its_rows_twice(engine: Engine) -> None:
    agency_id = engine.agency()
    model_id = engine.model(agency_id, due=False)
    fill(engine, agency_id, model_id, 2_000)
    apply = "select * from private.apply_transactions(%s, %s, %s, '{}', private.engine_now())"
    page = Jsonb([Sale(n, 500, f"N{n}", "f1", "tip").listed() for n in range(50)])

    with reading(engine, "fanvue_transactions") as first:
        (new,) = engine.rows(apply, agency_id, model_id, page)
    with reading(engine, "fanvue_transactions") as again:
        (known,) = engine.rows(apply, agency_id, model_id, page)

    assert (new["inserted"], known["unchanged"]) == (50, 50)
    assert first.rows <= 50
    # once to see that each has an id, and once to see that it stands as it is listed
    assert again.rows <= 100


def test_a_page_touches_one_row_a_day_of_the_rollup(engine: Engine) -> None:
    agency_id = engine.agency()
    model_id = engine.model(agency_id, due=False)
    fill(engine, agency_id, model_id, 2_000)
    page = Jsonb([Sale(n, 500, f"N{n}", "f1", "tip").listed() for n in range(50)])

    with reading(engine, "earnings_daily", "models") as meter:
        engine.rows(
            "select * from private.apply_transactions(%s, %s, %s, '{}', private.engine_now())",
            agency_id,
            model_id,
            page,
        )

    assert meter.rows <= 50 + 10


@pytest.mark.parametrize(
    "change",
    [
        "update public.fanvue_transactions set status = 'available' where fanvue_id = any (%s)",
        "update public.fanvue_transactions set amount = 6 where fanvue_id = any (%s)",
        "delete from public.fanvue_transactions where fanvue_id = any (%s)",
    ],
)
def test_a_changed_row_touches_its_own_day_of_the_rollup(engine: Engine, change: str) -> None:
    agency_id = engine.agency()
    model_id = engine.model(agency_id, due=False)
    for _ in range(8):
        fill(engine, agency_id, model_id, 1)
        engine.rows(change, ["o1"])
        engine.rows("delete from public.fanvue_transactions")
    fill(engine, agency_id, model_id, 2_000)

    with reading(engine, "earnings_daily", "models") as meter:
        engine.rows(change, ["o77", "o1999"])

    assert meter.rows <= 20


def fill(engine: Engine, agency_id: uuid.UUID, model_id: uuid.UUID, count: int) -> None:
    """Fill a model's ledger without the server's statistics noticing."""
    engine.rows(
        "insert into public.fanvue_transactions"
        " (agency_id, model_id, fanvue_id, amount, net_amount, source, category, fanvue_created_at)"
        " select %s, %s, 'o' || n, 5, 4, 'tip', 'tip',"
        " timestamptz '2020-01-01' + n * interval '1 hour' from generate_series(1, %s) n",
        agency_id,
        model_id,
        count,
    )
