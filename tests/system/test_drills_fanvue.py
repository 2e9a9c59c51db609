"""Drills of the other side: Fanvue fails, refuses, forgets, contradicts itself, tells too early.

Each failure is caused, found in one view, and mended by the remedy as the view spells it;
afterwards the books are exact and the views empty.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from tests.support.agency_stage import AgencyStage
from tests.support.deliveries import kept_back
from tests.support.program import Program
from tests.support.reconciling import reconcile
from tests.system.audience_books import AudienceBooks


if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.drills import Console
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

EARNINGS = "/insights/earnings$"
HOUR = 3600


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 502}, {"kind": "html"}], ids=str)
def test_fanvue_fails_for_long(console: Console, fault: dict[str, Any]) -> None:
    engine = console.engine
    creator = engine.creator(60)
    engine.fanvue.add_fault(path=EARNINGS, **fault)
    engine.drain(wait_seconds=0)

    console.tick()

    late = console.only("late", stream="earnings")
    assert "failed 1 of 8 times; tried again by itself at" in late["why"]
    engine.fanvue.clear_faults()
    console.mend(late["remedy"])
    engine.drain()
    console.assert_all_well(creator)


def test_a_grant_that_died(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(60)
    engine.drain()
    _die(engine, creator)

    row = console.only("reconnect")
    late = console.only("late", cause="reauth_required")

    assert "refuses the refresh token" in row["reason"]
    assert f"--creator-uuid {creator}" in row["remedy"]
    assert (row["creators"], row["streams_not_read"]) == (1, 1)
    assert row["daily_gross"] > 0
    assert "ops.reconnect" in late["remedy"]
    assert "Are all accounts connected?" in console.worries()
    engine.connect(creator)
    engine.drain()
    console.assert_all_well(creator)


def test_an_agencys_grant_that_died(console: Console, tmp_path: Path) -> None:
    engine = console.engine
    agency = AgencyStage(engine, Program(engine, tmp_path))
    creators = agency.creators(3, transactions=40)
    agency.connect(*agency.consent())
    engine.drain()
    engine.fanvue.kill_chain(agency.account)
    engine.pass_time(HOUR)
    for creator in creators:
        engine.fanvue.add_sales(creator, 1)
    console.tick()
    engine.drain()
    console.tick()
    engine.drain()

    # One line for the account that has to consent, not one for each creator.
    row = console.only("reconnect")

    assert (row["kind"], row["account_uuid"]) == ("agency", agency.account)
    assert row["creators"] == len(creators)
    assert row["streams_not_read"] >= len(creators)
    assert row["daily_gross"] > 0
    assert f"--user-uuid {agency.account}" in row["remedy"]
    assert {one["cause"] for one in console.read("late")} == {"reauth_required"}
    assert "Are all accounts connected?" in console.worries()
    agency.connect(*agency.consent())
    console.tick()
    engine.drain()
    console.assert_all_well(*creators)


def test_a_scope_that_is_missing(console: Console) -> None:
    engine = console.engine
    creator = engine.fanvue.add_creators(transactions=40)[0]["uuid"]
    engine.connect(creator, scopes=["read:self", "offline_access"])
    engine.drain()

    dead = console.only("dead_jobs")

    assert dead["kind"] == "scope_missing"
    assert "connect the creator again; then: select ops.retry_job(" in dead["remedy"]
    console.connect_again(creator)
    console.mend(dead["remedy"])
    engine.drain()
    console.assert_all_well(creator)


def test_a_storm_of_429(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(60)
    engine.fanvue.add_fault("status", path=EARNINGS, status=429)
    engine.drain(wait_seconds=0)
    engine.database.execute("select public.block_bucket(%s, 1800)", (f"user:{creator}",))

    console.tick(30)

    late = console.only("late", stream="earnings")
    assert "waits for the rate budget" in late["why"]
    assert "goes on by itself" in late["why"]
    budget = console.only("budgets")
    assert budget["remedy"] == late["remedy"]
    assert budget["blocked_until"] is not None
    engine.fanvue.clear_faults()
    console.mend(late["remedy"])
    engine.drain()
    console.assert_all_well(creator)


def test_a_job_that_gave_up_on_a_broken_answer(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(60)
    engine.fanvue.add_fault("truncated_json", path=EARNINGS)
    engine.database.execute("update public.sync_jobs set max_attempts = 1")
    engine.drain()

    dead = console.only("dead_jobs")

    assert dead["attempts"] == 1
    assert dead["cause"]
    assert console.only("late", cause="dead")["remedy"] == dead["remedy"]
    engine.fanvue.clear_faults()
    console.mend(dead["remedy"])
    engine.drain()
    console.assert_all_well(creator)


def test_many_jobs_that_gave_up_are_revived_at_once(console: Console) -> None:
    engine = console.engine
    creators = [engine.creator(10) for _ in range(3)]
    engine.fanvue.add_fault("status", path=EARNINGS, status=404)
    engine.drain()
    assert len(console.read("dead_jobs")) == 3
    agency = console.read("dead_jobs")[0]["agency_id"]
    engine.fanvue.clear_faults()

    done = console.mend(f"select ops.retry_dead_jobs('{agency}')")

    assert done["message"].startswith("3 jobs run again")
    engine.drain()
    console.assert_all_well(*creators)


def test_a_webhook_for_a_creator_who_is_not_connected(console: Console) -> None:
    engine = console.engine
    creator = engine.fanvue.add_creators(transactions=5)[0]["uuid"]
    assert set(_receive(engine, _told(engine, creator))) == {"parked"}

    waiting = console.read("webhooks_waiting")[0]

    assert (waiting["status"], waiting["creator_uuid"]) == ("parked", creator)
    assert "the creator connects" in waiting["remedy"]
    engine.connect(creator)
    engine.drain()
    console.assert_all_well(creator)


def test_a_webhook_that_could_not_be_applied(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(20)
    engine.drain()
    cause = "alter table public.fanvue_transactions {} constraint odd"
    engine.database.execute(cause.format("add") + " check (origin <> 'webhook') not valid")
    _receive(engine, _told(engine, creator))

    waiting = console.only("webhooks_waiting")

    assert waiting["status"] == "failed"
    assert "odd" in waiting["reason"]
    engine.database.execute(cause.format("drop"))
    assert console.mend(waiting["remedy"])["status"] == "applied"
    engine.pass_time(120)
    engine.drain()
    console.assert_all_well(creator)


def test_a_list_that_shrank(console: Console) -> None:
    engine = console.engine
    engine.database.execute("update private.sync_streams set enabled = sync_type = 'subscribers'")
    engine.creator(0, subscribers=30, followers=0)
    console.tick(0)
    engine.drain()
    engine.fanvue.add_fault("empty_list", path="/subscribers")
    engine.database.execute("update public.sync_state set full_requested = true")
    console.tick(3600)
    engine.drain()

    late = console.only("late", stream="subscribers")

    assert "nobody was ended" in late["why"]
    assert late["remedy"] == f"select ops.accept_shrink('{late['model_id']}', 'subscribers')"
    console.mend(late["remedy"])
    console.tick()
    engine.drain()
    assert console.trouble() == {}
    row = engine.database.execute("select subscribers_count from public.models").fetchone()
    assert row == (0,)


def test_money_that_does_not_agree(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(30)
    engine.drain()
    engine.database.execute(
        "insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount,"
        " net_amount, category, source, fanvue_created_at, created_at)"
        " select agency_id, id, 'phantom', 5, 4, 'tip', 'tip', now() - interval '1 day',"
        " now() - interval '1 day' from public.models"
    )
    reconcile(engine)

    drift = console.only("drift", kind="not_listed")

    assert "that Fanvue does not list" in drift["what"]
    assert "Does the money agree with Fanvue?" in console.worries()
    for row in console.read("drift"):
        console.mend(row["remedy"])
    assert console.trouble() == {}
    engine.database.execute("delete from public.fanvue_transactions where fanvue_id = 'phantom'")
    reconcile(engine)
    console.assert_all_well(creator)


def test_a_cursor_that_fanvue_refuses_again_and_again(console: Console) -> None:
    engine = console.engine
    engine.database.execute("update private.sync_streams set enabled = sync_type = 'subscribers'")
    creator = engine.creator(0, subscribers=120, followers=0)
    for nth in (2, 4, 6, 8):
        engine.fanvue.add_fault("cursor_expired", path="/subscribers", nth=nth)
    console.tick(0)
    engine.drain()

    late = console.only("late", stream="subscribers")

    assert "its cursor expired again and again" in late["why"]
    assert late["remedy"].startswith("select ops.reset_cursor(")
    console.mend(late["remedy"])
    engine.drain()
    assert console.trouble() == {}
    AudienceBooks(engine, creator, "v1").assert_exact("subscribers")


def _die(engine: Engine, creator: str) -> None:
    """Let Fanvue refuse the grant for good, and the engine find out."""
    engine.fanvue.kill_chain(creator)
    for seconds in (3600, 30):
        engine.pass_time(seconds)
        engine.database.execute("select public.enqueue_due('test')")
        engine.drain(wait_seconds=0)


def _told(engine: Engine, creator: str) -> list[dict[str, Any]]:
    """Let a fan tip; return what Fanvue announces of it."""
    with kept_back(engine.fanvue) as bodies:
        rows = [{"gross_cents": 2000, "source": "tip"}]
        engine.fanvue.add_sales(creator, rows=rows)
    return [json.loads(body) for body in bodies]


def _receive(engine: Engine, events: list[dict[str, Any]]) -> list[str]:
    """Store events as the webhook function does once their signature is right."""
    query = "select public.receive_webhook_event(%s) ->> 'status'"
    rows = [engine.database.execute(query, (Jsonb(event),)).fetchone() for event in events]
    return [str(row and row[0]) for row in rows]
