"""Everything late at once: what operators read in a big outage is linear in it.

Counts the rows that every step of the plan handled, not seconds; statistics are from before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from tests.database.test_cost import reading


if TYPE_CHECKING:
    from tests.database.engine import Engine


MODELS = 10_000
STREAMS = 8 * MODELS
_FILL = """
  set session_replication_role = replica;
  with agency as (
    insert into public.agencies (name) select 'a' || n from generate_series(1, 100) n returning id
  ), lanes as (
    insert into private.queue_lanes (agency_id) select a.id from agency a
  ), models as (
    insert into public.models (agency_id, fanvue_user_uuid, fanvue_refresh_token, status)
    select a.id, gen_random_uuid()::text, 'r', 'active' from agency a, generate_series(1, 100)
    returning id, agency_id
  )
  insert into public.sync_state (agency_id, model_id, sync_type, next_sync_at, last_success_at)
  select m.agency_id, m.id, s.sync_type, now() - interval '1 hour', now() - interval '2 hours'
  from models m cross join private.sync_streams s;
  insert into public.sync_jobs (agency_id, model_id, sync_type, run_at)
  select s.agency_id, s.model_id, s.sync_type, now() - interval '50 minutes'
  from public.sync_state s;
  set session_replication_role = origin;
  update private.sync_streams set enabled = true;
"""
_FAILING = """
  update public.sync_jobs
  set attempt = 3, run_at = now() + interval '5 minutes',
      last_error = '{"kind": "unavailable", "message": "Fanvue answers 503", "remedy": "wait"}'
"""
_DEAD = "update public.sync_jobs set state = 'dead'"


def handled(engine: Engine, function: str) -> int:
    """Run the one statement of a function as it does; return how many rows its steps handled."""
    (found,) = engine.rows(
        "select prosrc, proconfig from pg_proc where oid = %s::regprocedure", function
    )
    with engine.owner.transaction():
        for setting in found["proconfig"]:
            name, _, value = setting.partition("=")
            engine.rows("select set_config(%s, %s, true)", name, value.strip('"'))
        cursor = engine.owner.execute(
            sql.SQL("explain (analyze, format json, timing off) {}").format(
                sql.SQL(found["prosrc"])
            )
        )
        row = cursor.fetchone()
    assert row is not None
    return _rows(row["QUERY PLAN"][0]["Plan"])


def _rows(node: dict[str, Any]) -> int:
    left_out = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    own = (node["Actual Rows"] + left_out) * node["Actual Loops"]
    return int(own) + sum(_rows(one) for one in node.get("Plans", ()))


@pytest.mark.usefixtures("fresh_sessions")
def test_a_big_outage_costs_its_operators_a_few_rows_for_each_late_stream(
    supabase: Engine,
) -> None:
    # as autovacuum saw the tables while all was well
    supabase.rows("analyze public.sync_state, public.sync_jobs, public.models")
    supabase.rows(_FILL)

    for setback, cause in (("", "no_worker"), (_FAILING, "failing"), (_DEAD, "dead")):
        if setback:
            supabase.rows(setback)
        assert handled(supabase, "private.late_streams()") < 40 * STREAMS
        with reading(supabase, "sync_state", "sync_jobs", "models") as seen:
            late = supabase.rows(
                "select cause, count(why) as reasons, count(remedy) as remedies"
                " from ops.late group by cause"
            )
        assert late == [{"cause": cause, "reasons": STREAMS, "remedies": STREAMS}]
        if cause == "no_worker":
            # too many to be judged one by one
            assert supabase.call("engine_status")["streams"] == {"late": STREAMS}
        assert seen.rows < 8 * STREAMS
        with reading(supabase, "sync_state", "sync_jobs", "models") as seen:
            (first, *_) = supabase.value("select public.engine_attention()")
        assert first["remedy"]
        assert seen.rows < 20 * STREAMS
