"""What operators and idle workers ask costs the same, however many creators are well.

Counts the buffers that the server touched, not seconds: beside a few creators, then beside many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.test_cost import buffers


if TYPE_CHECKING:
    import uuid

    from tests.database.engine import Engine


FEW, MANY = 10, 3_000
# the creators are counted in an index, what is well up to a bound, and an index is a page higher
ALLOWED = 120
_MODELS = """
  insert into public.models (agency_id, fanvue_user_uuid, fanvue_refresh_token)
  select %s, gen_random_uuid()::text, 'r' from generate_series(1, %s)
"""
_WELL = (
    """
    insert into private.reconciliations (model_id, last_proved_at)
    select id, private.engine_now() from public.models on conflict do nothing
    """,
    """
    insert into public.sync_state (
      agency_id, model_id, sync_type, next_sync_at, last_sync_at, last_success_at, high_water)
    select m.agency_id, m.id, t.sync_type, n.at + interval '1 hour', n.at, n.at, n.at
    from (select private.engine_now() as at) n
    cross join public.models m
    cross join private.sync_streams t
    on conflict do nothing
    """,
    """
    insert into private.quiet_runs (model_id, sync_type, hour, runs, requests, last_lease_id)
    select s.model_id, s.sync_type, date_trunc('hour', private.engine_now(), 'UTC'), 4, 4, 1
    from public.sync_state s
    on conflict do nothing
    """,
    """
    insert into private.announced_models (model_id, since, last_at)
    select m.id, private.engine_now(), private.engine_now() from public.models m
    on conflict do nothing
    """,
    """
    insert into private.webhook_subscriptions (
      id, model_id, url, events, secret, state, created_at, changed_at)
    select m.id, m.id, 'https://example.com', '{}', 'fse1.x', 'active', now(), now()
    from public.models m
    on conflict do nothing
    """,
    "update private.reconcile_settings set last_night_at = private.engine_now()",
)
_VIEWS = "select relname from pg_class where relnamespace = 'ops'::regnamespace and relkind = 'v'"
_CALLS = (
    "engine_status()",
    "engine_attention()",
    "engine_gauges()",
    "list_troubles(12)",
    "enqueue_due('worker')",
    "claim_sync_jobs('w0', 2, 60, gen_random_uuid())",
)


def settle(engine: Engine, agency_id: uuid.UUID, models: int) -> None:
    """Add creators of whom all was read, and let autovacuum see them."""
    with engine.owner.transaction():
        engine.rows("set local session_replication_role = replica")
        engine.rows(_MODELS, agency_id, models)
        for statement in _WELL:
            engine.rows(statement)
    engine.rows("vacuum analyze")


def costs(engine: Engine) -> dict[str, int]:
    """Ask everything, and count what it touched."""
    looks = {name: f"select public.{name}" for name in _CALLS}
    looks |= {
        f"ops.{row['relname']}": f"select * from ops.{row['relname']} limit 100"  # noqa: S608 - from the catalog
        for row in engine.rows(_VIEWS)
    }
    return {name: _touched(engine, look) for name, look in looks.items()}


def _touched(engine: Engine, look: str) -> int:
    # what a session learns at its first look is not the subject
    return [buffers(engine, look) for _ in range(3)][-1]


@pytest.mark.usefixtures("fresh_sessions")
def test_a_look_costs_the_same_beside_many_creators_who_are_well(supabase: Engine) -> None:
    agency_id = supabase.agency()
    settle(supabase, agency_id, FEW)
    few = costs(supabase)
    settle(supabase, agency_id, MANY)

    many = costs(supabase)

    grown = {name: (few[name], cost) for name, cost in many.items() if cost > few[name] + ALLOWED}
    assert grown == {}


# an outage: nothing is read for hours, then all is queued, then everybody is paused
_OUTAGE = {
    "well": "select",
    "due": """
      insert into private.engine_clock values (true, interval '6 hours')
      on conflict (singleton) do update set shift = engine_clock.shift + excluded.shift
    """,
    "queued": """
      insert into public.sync_jobs (agency_id, model_id, sync_type, run_at, created_at)
      select s.agency_id, s.model_id, s.sync_type, private.engine_now(), private.engine_now()
      from public.sync_state s
    """,
    "agencies paused": "update private.queue_lanes set paused = true",
    "paused": "update public.models set status = 'paused'",
}


@pytest.mark.usefixtures("fresh_sessions")
def test_an_outage_costs_the_alarm_a_few_buffers_for_each_creator(supabase: Engine) -> None:
    settle(supabase, supabase.agency(), MANY)

    costs, seen = {}, []
    for state, statement in _OUTAGE.items():
        supabase.rows(statement)
        # as autovacuum does: dead rows are not the subject
        supabase.rows("vacuum")
        seen.append(supabase.value("select private.earnings_seen_at()"))
        for call in ("claim_alerts('w0', 0)", "engine_gauges()"):
            costs[state, call] = _touched(supabase, f"select public.{call}")

    # nobody was read since, and of the paused nobody is to be read
    assert seen == [seen[0]] * 3 + [None] * 2
    assert seen[0]
    assert {look: cost for look, cost in costs.items() if cost > 6 * MANY} == {}
    # the catalog, which no creator is in, is not read each time
    assert costs["well", "claim_alerts('w0', 0)"] < 1_000


def test_the_alarm_reads_the_catalog_once_in_five_minutes(engine: Engine) -> None:
    engine.rows("grant select on public.models to anon")
    raised = "select count(*) from ops.alerts where kind = 'foreign_access'"
    seen = []
    try:
        for revokes, seconds in ((False, 301), (False, 299), (True, 0), (True, 2)):
            if revokes:
                engine.rows("revoke select on public.models from anon")
            engine.move_clock(seconds=seconds)
            engine.call("claim_alerts", "w0", 0)
            seen.append(engine.value(raised))
    finally:
        engine.rows("revoke select on public.models from anon")

    # closed within the five minutes: it stands until they are over
    assert seen == [1, 1, 1, 0]


def counted(engine: Engine) -> dict[str, int]:
    rows = engine.rows("select health, count(*) from public.sync_health group by health")
    return {row["health"]: row["count"] for row in rows}


def test_status_counts_every_stream_under_the_word_that_it_has(engine: Engine) -> None:
    agency_id = engine.agency()
    engine.rows("update private.sync_streams set enabled = true")
    engine.models(agency_id, 10, due=False)
    ids = [row["id"] for row in engine.rows("select id from public.models")]
    done = "update public.sync_state set last_success_at = private.engine_now()"
    set_one = "update public.sync_state set {} where model_id = %s and sync_type <> 'posts'"
    engine.rows(f"{done} where model_id <> %s", ids[0])
    engine.rows("update public.models set status = 'paused' where id = %s", ids[1])
    engine.rows("update public.models set status = 'reauth_required' where id = %s", ids[2])
    for change, model_id in (
        ("next_sync_at = private.engine_now() - interval '6 minutes'", ids[3]),
        ("consecutive_failures = 1", ids[4]),
        ('last_error = \'{"kind": "partial"}\'', ids[5]),
        ("next_sync_at = null", ids[6]),
    ):
        engine.rows(set_one.format(change), model_id)
    engine.call("enqueue_sync", ids[6], "earnings")
    engine.running_job(ids[7])

    status = engine.call("engine_status")

    assert status["streams"] == counted(engine)
    assert len(status["streams"]) == 9
    assert status["models"] == {"active": 8, "paused": 1, "reauth_required": 1}
    assert status["at_least"] == {"streams": None, "runs_24h": None}


_FAILED = """
  insert into public.sync_runs (
    agency_id, model_id, sync_type, job_id, state, attempt, queued_at, started_at, finished_at)
  select s.agency_id, s.model_id, s.sync_type, 1, 'failed', 1, n.at, n.at, n.at
  from (select private.engine_now() as at) n
  cross join public.sync_state s
"""


def test_what_is_well_is_counted_up_to_a_bound_and_what_is_not_to_its_end(
    supabase: Engine,
) -> None:
    settle(supabase, supabase.agency(), 200)
    supabase.rows("update public.sync_state set consecutive_failures = 1 where sync_type = 'posts'")
    supabase.rows("update public.sync_state set next_sync_at = null where sync_type = 'followers'")
    supabase.rows(_FAILED)

    status = supabase.call("engine_status")

    assert status["streams"] == {"fresh": 1000, "at rest": 200, "failing": 200}
    assert status["troubled"] == 200
    assert status["at_least"] == {"streams": ["fresh"], "runs_24h": ["succeeded"]}
    # more than a thousand
    assert status["runs_24h"]["failed"] == 1600
