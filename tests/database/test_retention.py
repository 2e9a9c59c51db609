"""Histories are kept as long as private.retention says, at any size, and no longer."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.streams import Creator
from tests.database.test_cost import buffers, reading


if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from tests.database.engine import Engine


_RUNS = (
    "insert into public.sync_runs (job_id, agency_id, model_id, sync_type, state, attempt,"
    " queued_at, finished_at) select n, agency_id, id, 'earnings', 'succeeded', 1,"
    " private.engine_now(), private.engine_now() - %s::interval"
    " from public.models, generate_series(1, %s) n"
)


@pytest.fixture
def model(engine: Engine) -> uuid.UUID:
    return engine.model(engine.agency(), due=False)


def runs(engine: Engine) -> int:
    return int(engine.value("select count(*) from public.sync_runs"))


def state_of(engine: Engine, table: str) -> dict[str, Any]:
    (row,) = engine.rows(
        "select overdue, refused, remedy from ops.retention"
        " where table_name = %s and part in ('succeeded', 'settled')",
        table,
    )
    return row


def is_asked(engine: Engine) -> bool:
    """Return whether the front page says that history is kept too long."""
    return any(item["where_to_look"] == "ops.retention" for item in engine.call("engine_attention"))


_KEEP = (
    "update private.retention set keep = %s"
    " where table_name = 'public.sync_runs' and part = 'succeeded'"
)


@contextmanager
def kept(engine: Engine, keep: str) -> Iterator[None]:
    """Keep successful runs so long, for a while."""
    engine.rows(_KEEP, keep)
    try:
        yield
    finally:
        engine.rows(_KEEP, "7 days")


def test_pruning_goes_on_batch_by_batch_until_nothing_old_is_left(
    engine: Engine, model: uuid.UUID
) -> None:
    assert model.int
    engine.rows(_RUNS, "31 days", 2500)
    engine.rows(_RUNS, "6 days", 7)

    replies = [engine.call("prune_history", 1000)]
    while replies[-1]["more"]:
        replies.append(engine.call("prune_history", 1000))

    assert [reply["deleted"].get("public.sync_runs: succeeded") for reply in replies] == [
        1000,
        1000,
        500,
    ]
    assert runs(engine) == 7
    assert engine.call("prune_history") == {"deleted": {}, "refused": {}, "more": False}


def test_what_an_operator_sets_is_obeyed(engine: Engine, model: uuid.UUID) -> None:
    assert model.int
    engine.rows(_RUNS, "6 days", 3)

    with kept(engine, "5 days"):
        deleted = engine.call("prune_history")["deleted"]

    assert deleted == {"public.sync_runs: succeeded": 3}


def test_events_actions_and_counters_go_when_they_are_old(engine: Engine, model: uuid.UUID) -> None:
    engine.rows("select ops.pause_model(%s, 'why')", model)
    engine.rows(
        "insert into public.webhook_events (event_id, topic, payload, status, received_at)"
        " select s || n, 'creator.x', '{}', s, private.engine_now()"
        " from unnest(array['applied', 'duplicate_of_api', 'ignored', 'parked', 'failed']) s,"
        " generate_series(1, 2) n"
    )
    engine.rows(
        "insert into private.quiet_runs select id, 'earnings', private.engine_now(), 1, 1, 1"
        " from public.models"
    )
    engine.move_clock(hours=24 * 4)
    assert engine.call("prune_history")["deleted"] == {"private.quiet_runs": 1}
    engine.move_clock(hours=24 * 4)
    assert engine.call("prune_history")["deleted"] == {
        "public.webhook_events: applied, no money": 2
    }
    engine.move_clock(hours=24 * 7)
    assert engine.call("prune_history")["deleted"] == {"public.webhook_events: payloads": 2}
    engine.move_clock(hours=24 * 76)
    assert engine.call("prune_history")["deleted"] == {"public.webhook_events: settled": 4}
    engine.move_clock(hours=24 * 275)

    assert engine.call("prune_history")["deleted"] == {
        "public.webhook_events: parked": 2,
        "ops.actions": 1,
        # the creator came, and was paused
        "public.agency_trail": 2,
    }
    # what is not in the books stays until somebody deals with it
    assert engine.rows("select distinct status from public.webhook_events") == [
        {"status": "failed"}
    ]


def events(engine: Engine, count: int, age: str) -> None:
    """Store so many booked sales of every status, as they are after applying."""
    engine.rows(
        "with sales as ("
        " insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount, category,"
        "  source, fanvue_created_at)"
        " select agency_id, id, gen_random_uuid(), 7, 'tip', 'tip', private.engine_now()"
        " from public.models, generate_series(1, %s) returning id, agency_id, model_id)"
        " insert into public.webhook_events (event_id, topic, payload, status, received_at,"
        "  agency_id, model_id, transaction_id, applied_at)"
        " select gen_random_uuid(), 'creator.payment.succeeded', '{}', s,"
        "  private.engine_now() - %s::interval, agency_id, model_id,"
        "  case when s in ('applied', 'duplicate_of_api') then id end,"
        "  case when s in ('applied', 'duplicate_of_api') then private.engine_now() end"
        " from sales,"
        "  unnest(array['applied', 'duplicate_of_api', 'ignored', 'parked', 'failed']) s",
        count,
        age,
    )


def test_what_was_booked_loses_what_it_said_and_nothing_else(
    engine: Engine, model: uuid.UUID
) -> None:
    assert model.int
    events(engine, 1, "15 days")
    events(engine, 1, "13 days")
    seen = (
        "select id, event_id, topic, status, received_at, applied_at, agency_id, model_id,"
        " transaction_id from public.webhook_events order by id"
    )
    before = engine.rows(seen)

    replies = [engine.call("prune_history", 1) for _ in range(3)]

    # in batches, as everything else
    assert [(reply["deleted"], reply["more"]) for reply in replies] == [
        ({"public.webhook_events: payloads": 1}, True),
        ({"public.webhook_events: payloads": 1}, True),
        ({}, False),
    ]
    assert engine.rows(seen) == before
    assert engine.rows(
        "select status, count(*) from public.webhook_events where payload is null group by 1"
        " order by 1"
    ) == [{"status": "applied", "count": 1}, {"status": "duplicate_of_api", "count": 1}]
    # what may be applied again has it all the same
    for row in engine.rows("select id from public.webhook_events where status = 'ignored'"):
        (told,) = engine.rows("select ops.replay_webhook(%s) as told", row["id"])
        assert told["told"]["status"] == "ignored"


@pytest.mark.usefixtures("fresh_sessions")
@pytest.mark.parametrize("part", ["payloads", "applied, no money"])
def test_what_is_to_go_is_found_however_many_events_are_kept(
    engine: Engine, model: uuid.UUID, part: str
) -> None:
    assert model.int
    look = f"select private.prune_part('public.webhook_events', '{part}', private.engine_now(), 10)"
    read = []
    for count in (20, 4_000):
        events(engine, count, "20 days")
        while engine.call("prune_history")["more"]:
            pass
        engine.rows("vacuum analyze public.webhook_events")
        # the first plans
        read.append([buffers(engine, look) for _ in range(2)][-1])

    assert read[1] <= read[0] + 6


def test_an_emptied_event_names_nobody_and_stops_no_erasure(
    engine: Engine, model: uuid.UUID
) -> None:
    assert model.int
    fan = "8d1f0b52-9a44-4d0e-8a53-2f6f1f0f7a02"
    events(engine, 1, "15 days")
    engine.rows("update public.webhook_events set payload = jsonb_build_object('x', %s::text)", fan)
    engine.call("prune_history")

    erased = engine.rows("select ops.erase_fan(%s) as told", fan)[0]["told"]

    # the three that may be applied again
    assert erased["rows"]["webhook_events"] == 3
    assert (
        engine.value(
            "select count(*) from public.webhook_events where strpos(payload::text, %s) > 0", fan
        )
        == 0
    )


def test_snapshots_of_top_fans_go_but_a_creators_newest(engine: Engine) -> None:
    creator = Creator(engine, "top_fans")
    for day in (100, 95, 91):
        engine.rows(
            "insert into public.fanvue_top_fans (agency_id, model_id, day, rank, fan_uuid)"
            " values (%s, %s, (private.engine_now() - %s * interval '1 day')::date, 1, 'f')",
            creator.agency_id,
            creator.model_id,
            day,
        )

    engine.call("prune_history")

    assert engine.rows("select private.engine_now()::date - day as age from fanvue_top_fans") == [
        {"age": 91}
    ]


def test_what_one_table_refuses_does_not_undo_the_rest(engine: Engine, model: uuid.UUID) -> None:
    assert model.int
    engine.rows(_RUNS, "40 days", 3)
    engine.rows(
        "insert into public.webhook_events (event_id, topic, payload, status, received_at)"
        " values ('e', 'creator.x', '{}', 'applied', private.engine_now() - interval '95 days')"
    )
    engine.rows(
        "create function private.refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'not allowed here'; end $$"
    )
    engine.rows(
        "create trigger refuse before delete on public.webhook_events"
        " for each row execute function private.refuse()"
    )
    try:
        reply = engine.call("prune_history")
        told = state_of(engine, "public.webhook_events")
        asked = is_asked(engine)
    finally:
        engine.rows("drop trigger refuse on public.webhook_events")
        engine.rows("drop function private.refuse()")

    assert reply["deleted"] == {
        "public.sync_runs: succeeded": 3,
        "public.webhook_events: payloads": 1,
    }
    assert reply["refused"] == {"public.webhook_events": "not allowed here"}
    assert asked
    assert told == {
        "overdue": True,
        "refused": "not allowed here",
        "remedy": "the database refuses: not allowed here",
    }
    engine.call("prune_history")
    assert state_of(engine, "public.webhook_events") == {
        "overdue": False,
        "refused": None,
        "remedy": None,
    }
    assert not is_asked(engine)


_SWEPT = "select swept_at from private.retention where table_name = 'public.agency_members'"


@contextmanager
def members_watched_by_nobody(engine: Engine) -> Iterator[None]:
    """Let Auth tell nothing of deleted users, as where it takes no trigger; nobody swept yet."""
    engine.rows("update private.retention set swept_at = null")
    engine.rows("alter table auth.users disable trigger user")
    try:
        yield
    finally:
        engine.rows("alter table auth.users enable trigger user")
        engine.rows("update private.retention set swept_at = null, refused = null")


def lost_member(engine: Engine) -> None:
    """Add a member whom Auth does not know."""
    engine.rows(
        "insert into public.agency_members (agency_id, user_id)"
        " select id, gen_random_uuid() from public.agencies limit 1"
    )


def test_members_whom_auth_lost_are_swept_once_a_day(supabase: Engine, model: uuid.UUID) -> None:
    assert model.int
    left = "select count(*) from public.agency_members"
    with members_watched_by_nobody(supabase):
        lost_member(supabase)
        supabase.call("prune_history")
        assert supabase.value(left) == 0
        lost_member(supabase)
        supabase.move_clock(hours=23)
        supabase.call("prune_history")
        assert supabase.value(left) == 1
        supabase.move_clock(hours=1)
        supabase.call("prune_history")
        assert supabase.value(left) == 0


@pytest.mark.parametrize("table", ["public.agency_members", "private.connection_attempts"])
def test_what_the_sweeps_are_refused_does_not_undo_the_rest(
    supabase: Engine, model: uuid.UUID, table: str
) -> None:
    assert model.int
    supabase.rows(_RUNS, "40 days", 3)
    supabase.rows(
        "insert into private.connection_attempts (state_hash, agency_id, user_id, verifier,"
        " started_at, expires_at, held) select 's', id, gen_random_uuid(), 'v', now(),"
        " private.engine_now() - interval '1 hour', '{}' from public.agencies limit 1"
    )
    supabase.rows(
        "create function private.refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'not allowed here'; end $$"
    )
    supabase.rows(
        f"create trigger refuse before update or delete on {table}"
        " for each row execute function private.refuse()"
    )
    try:
        with members_watched_by_nobody(supabase):
            lost_member(supabase)
            reply = supabase.call("prune_history")
            again = supabase.call("prune_history")
            swept_at = supabase.value(_SWEPT)
    finally:
        supabase.rows(f"drop trigger refuse on {table}")
        supabase.rows("drop function private.refuse()")

    assert reply["deleted"] == {"public.sync_runs: succeeded": 3}
    assert reply["refused"] == {table: "not allowed here"}
    assert again["deleted"] == {}
    assert swept_at is not None


def test_a_held_grant_that_somebody_looks_at_keeps_nobody_waiting(
    engine: Engine, model: uuid.UUID
) -> None:
    assert model.int
    engine.rows(_RUNS, "40 days", 3)
    engine.rows(
        "insert into private.connection_attempts (state_hash, agency_id, user_id, verifier,"
        " started_at, expires_at, held) select n::text, id, gen_random_uuid(), 'v', now(),"
        " private.engine_now() - interval '1 hour', '{}'"
        " from public.agencies, generate_series(1, 2) n"
    )
    held = "select state_hash from private.connection_attempts where held is not null"
    holder = engine.another().connection
    with holder.transaction():
        holder.execute("select from private.connection_attempts where state_hash = '1' for update")
        pruning = engine.another()
        pruning.connection.execute("set lock_timeout = '1ms'")
        assert pruning.call("prune_history")["refused"] == {}
        assert engine.rows(held) == [{"state_hash": "1"}]

    engine.call("prune_history")
    assert engine.rows(held) == []


def test_old_rows_that_remain_are_told_after_a_day(engine: Engine, model: uuid.UUID) -> None:
    assert model.int
    engine.rows(_RUNS, "7 days 20 hours", 1)
    assert not is_asked(engine)

    engine.move_clock(hours=5)

    assert is_asked(engine)
    assert state_of(engine, "public.sync_runs") == {
        "overdue": True,
        "refused": None,
        "remedy": "select public.prune_history()",
    }


def test_pruning_waits_for_nobody_and_comes_back(engine: Engine, model: uuid.UUID) -> None:
    assert model.int
    engine.rows(_RUNS, "40 days", 3)
    holder = engine.another().connection
    with holder.transaction():
        holder.execute("select from public.sync_runs where job_id = 2 for update")

        assert engine.call("prune_history")["deleted"] == {"public.sync_runs: succeeded": 2}

    assert engine.call("prune_history")["deleted"] == {"public.sync_runs: succeeded": 1}


def test_one_prunes_at_a_time(engine: Engine, model: uuid.UUID) -> None:
    assert model.int
    engine.rows(_RUNS, "40 days", 3)
    other = engine.another()
    with other.connection.transaction():
        assert other.call("prune_history")["deleted"] == {"public.sync_runs: succeeded": 3}

        assert engine.call("prune_history")["deleted"] == {}


def test_pg_crons_rows_go_with_those_that_never_ended(engine: Engine) -> None:
    with engine.owner.transaction(force_rollback=True):
        engine.rows("create schema cron")
        engine.rows(
            "create table cron.job_run_details (runid bigint primary key, start_time timestamptz,"
            " end_time timestamptz)"
        )
        engine.rows(
            "insert into cron.job_run_details select n,"
            " case when n %% 5 > 0 then private.engine_now() - (100 - n) * interval '1 hour' end"
            " from generate_series(1, 100) n"
        )
        engine.rows("select public.prune_history()")
        left = engine.rows("select count(*) as rows, min(runid) as first from cron.job_run_details")

    # three days of them, hourly; the last row within them has no start
    assert left == [{"rows": 72, "first": 29}]


@pytest.mark.usefixtures("fresh_sessions")
def test_a_batch_reads_what_it_deletes_and_no_more(engine: Engine, model: uuid.UUID) -> None:
    assert model.int
    engine.rows(_RUNS, "1 day", 20_000)
    engine.rows(_RUNS, "40 days", 50)
    engine.rows("analyze public.sync_runs")

    with reading(engine, "sync_runs") as meter:
        engine.rows("select public.prune_history(40)")

    assert runs(engine) == 20_010
    assert meter.rows <= 2 * 40


@pytest.mark.usefixtures("model")
def test_every_age_is_found_by_an_index(engine: Engine) -> None:
    rules = engine.rows(
        "select table_name, part, aged_by, coalesce(only_where, 'true') as only_where"
        " from private.retention where keep is not null and table_name not like 'cron.%%'"
    )
    assert rules
    with engine.owner.transaction():
        engine.rows("set local enable_seqscan = off")
        for rule in rules:
            plan = engine.value(
                f"explain (format json) select x.ctid from {rule['table_name']} x"  # noqa: S608 - our own text
                f" where x.{rule['aged_by']} < now() and ({rule['only_where']})"
                " limit 10"
            )
            text = plan if isinstance(plan, str) else json.dumps(plan)
            assert '"Seq Scan"' not in text, (rule["table_name"], rule["part"])
