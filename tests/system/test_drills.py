"""Drills of our own side: workers, the queue, the schedule, keys, what operators stop themselves.

Each failure is caused, found in one view, and mended by the remedy as the view spells it;
afterwards the books are exact and the views empty.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.support.flaky_rest import flaky
from tests.support.waiting import wait_until


if TYPE_CHECKING:
    from local.stack import Stack
    from tests.support.drills import Console


pytestmark = pytest.mark.system

EARNINGS = "/insights/earnings$"


def test_a_worker_that_is_killed_and_does_not_come_back(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(400)
    engine.fanvue.add_fault("timeout", path=EARNINGS, nth=3)
    with engine.worker(FANVUE_TIMEOUT_SECONDS="120"):
        wait_until(lambda: engine.fanvue.faults()[0]["hits"] > 0)
    engine.fanvue.clear_faults()

    console.tick(61)

    late = console.only("late", stream="earnings")
    assert "went silent" in late["why"]
    assert "the worker is gone" in console.only("running")["lease_left"]
    console.mend(late["remedy"])
    engine.drain()
    console.assert_all_well(creator)
    assert engine.run_states(creator) == ["succeeded"]


def test_no_worker_at_all(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(20)

    console.tick(180)

    late = console.only("late", stream="earnings")
    assert late["why"] == "no worker has ever taken a job"
    assert late["remedy"] == "start a worker: fanvue-sync run"
    assert "Do workers work?" in console.worries()
    engine.drain()
    console.assert_all_well(creator)


def test_a_restarted_database_leaves_nothing_to_mend(console: Console, local_stack: Stack) -> None:
    engine = console.engine
    creator = engine.creator(300)
    with flaky(engine.environment["SUPABASE_URL"]) as rest:
        rest.at("commit_sync_page", 3, local_stack.stop_postgres)
        back = rest.at("commit_sync_page", 4, local_stack.start_postgres)
        engine.drain(SUPABASE_URL=rest.url)
    engine.reconnect()

    console.tick()

    assert back.hits == 1
    console.assert_all_well(creator)


def test_pg_cron_that_was_switched_off(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(20)
    # how the jobs' runs of other tests ended, beside a database that was restarted, is not asked
    engine.database.execute("delete from cron.job_run_details")
    console.tick(0)
    engine.pass_time(3600)

    shown = console.only("schedule_health", source="fanvue-enqueue-due")

    assert shown["state"] == "switched off"
    assert console.only("schedule_health", source="worker")["what"].startswith("silent for")
    console.mend(shown["remedy"])
    states = {row["state"] for row in console.read("schedule_health")[2:]}
    assert states == {"ok"}
    engine.drain()
    console.assert_all_well(creator)


def test_a_schedule_that_nobody_keeps(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(20)
    engine.drain()
    engine.fanvue.add_sales(creator, 2)

    engine.pass_time(1900)

    late = console.only("late", stream="earnings")
    assert late["why"].startswith("nobody put it into the queue")
    console.mend(late["remedy"])
    engine.drain()
    console.assert_all_well(creator)


def test_a_key_that_is_missing(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(30)
    other = "other:" + base64.b64encode(bytes(32)).decode()
    engine.drain(wait_seconds=0, TOKEN_ENCRYPTION_KEYS=other)

    console.tick()

    late = console.only("late", stream="earnings")
    assert late["why"].startswith("cannot run")
    assert "TOKEN_ENCRYPTION_KEYS" in late["remedy"]
    console.mend(late["remedy"])
    engine.drain()
    console.assert_all_well(creator)


def test_a_creator_who_was_paused(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(30)
    engine.drain()
    console.mend(f"select ops.pause_model('{engine.models[creator]}', 'asked by mail')")
    engine.fanvue.add_sales(creator, 3)

    console.tick(3600)

    late = console.only("late", deliberate=True)
    assert late["why"] == "paused: asked by mail"
    assert engine.drain().claimed == 0
    console.mend(late["remedy"])
    console.tick()
    engine.drain()
    console.assert_all_well(creator)


def test_an_agency_that_was_paused(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(30)
    agency = console.only("queue_health")["agency_id"]
    console.mend(f"select ops.pause_agency('{agency}')")

    console.tick()

    late = console.only("late", cause="agency_paused")
    assert late["why"] == "the agency is paused in the queue"
    assert engine.drain(wait_seconds=0).claimed == 0
    console.mend(late["remedy"])
    engine.drain()
    console.assert_all_well(creator)


def test_a_walk_that_is_reset_while_a_worker_reads_it_is_begun_again_by_the_next(
    console: Console,
) -> None:
    engine = console.engine
    creator = engine.creator(400)
    model = engine.models[creator]
    with flaky(engine.environment["SUPABASE_URL"]) as rest:
        remedy = f"select ops.reset_cursor('{model}', 'earnings')"
        reset = rest.at("commit_sync_page", 3, lambda: console.mend(remedy))
        tally = engine.drain(SUPABASE_URL=rest.url)

    assert (reset.hits, tally.lost) == (1, 1)
    assert engine.run_states(creator) == ["succeeded"]
    console.assert_all_well(creator)


def test_redis_that_is_down_is_no_trouble_of_the_sync(console: Console) -> None:
    engine = console.engine
    creator = engine.creator(60)

    engine.drain(UPSTASH_REDIS_REST_URL="http://127.0.0.1:9", UPSTASH_REDIS_REST_TOKEN="none")

    console.assert_all_well(creator)
