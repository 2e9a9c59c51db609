"""Reconciliations that are killed, watched, interrupted, or run while money keeps coming in."""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.ambush import Moment, ambush
from tests.support.flaky_rest import flaky
from tests.support.ledger_faults import LedgerFaults
from tests.support.program import Program
from tests.support.reconciling import (
    NO_LIMIT,
    assert_rollups_equal_rows,
    drift,
    drop_phantoms,
    enqueue,
    mended,
    reconcile,
    runs,
    settled,
    synced,
)
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

CALLS = (
    "begin_reconcile",
    "earnings",
    "commit_reconcile_page",
    "reconcile_sums",
    "finish_reconcile",
)
# The last one ends the run when it has taken effect.
MOMENTS = [Moment(call, after=after) for call in CALLS for after in (False, True)][:-1]


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    return Program(engine, tmp_path)


def test_a_run_that_is_killed_at_each_call_goes_on_where_it_was(engine: Engine) -> None:
    (creator,) = synced(engine, 500)
    faults = LedgerFaults(engine.database, seed=11)
    faults.inject(100, among=settled(engine))
    engine.fanvue.clear_requests()
    # Leases run out meanwhile; nobody but the run shall read the money.
    engine.database.execute("update public.sync_state set next_sync_at = null")
    enqueue(engine, days=90)

    with ambush(engine.environment) as road:
        for moment in MOMENTS:
            worker = engine.worker(drain=True, **road.settings())
            assert road.kill(moment, worker), f"the run ended before {moment}"
            assert runs(engine) == []
            engine.take_back()
    engine.drain()

    faults.assert_mended()
    assert {row for _, row, *_ in drift(engine)} == faults.phantoms
    assert mended(engine) == 80
    assert [state for state, _ in runs(engine)] == ["succeeded"]
    pages = -(-500 // 49) + 3
    # Less than the list once more: what was read before a kill is not read again.
    assert len(engine.calls(creator)) - pages < pages - 3


def test_money_that_comes_in_meanwhile_is_neither_mended_nor_drift(engine: Engine) -> None:
    url = f"{engine.environment['SUPABASE_URL']}/functions/v1/fanvue-webhook"
    secret = engine.environment["FANVUE_WEBHOOK_SECRETS"].split(",")[0]
    creators = synced(engine, 250, 250)
    faults = LedgerFaults(engine.database, seed=12)
    faults.inject(100, among=settled(engine))
    engine.fanvue.turn(webhook_reorder_seconds=0.2, webhook_duplicate_probability=0.3)
    engine.fanvue.set_webhook_target(url, secret)
    enqueue(engine, days=90)

    with engine.worker(), engine.worker():
        while len(runs(engine)) < len(creators):
            for creator in creators:
                engine.fanvue.add_sales(creator, 2)
                # One row: whoever holds one lock and wants another may meet a worker on its way.
                engine.database.execute(
                    "update public.sync_state set next_sync_at = private.engine_now()"
                    " where model_id = %s and sync_type = 'earnings'",
                    (engine.models[creator],),
                )
                engine.database.execute("select public.enqueue_due('test')")
    assert engine.fanvue.flush_webhooks(PATIENCE_SECONDS)["done"]
    engine.fanvue.drop_webhook_target()
    engine.pass_time(120)
    engine.drain()
    told, rows_mended = drift(engine), mended(engine)

    assert {row for _, row, *_ in told} == faults.phantoms
    # a live poll that looked back may have been first
    assert 0 < rows_mended <= 80
    reconcile(engine, days=90)
    assert drift(engine) == told
    drop_phantoms(engine, faults)
    for creator in creators:
        engine.assert_exact(creator)
    assert_rollups_equal_rows(engine)


def test_the_command_mends_prints_and_ends_with_one_while_drift_stands(program: Program) -> None:
    engine = program.engine
    synced(engine, 200, 150)
    faults = LedgerFaults(engine.database, seed=13)
    faults.inject(100, among=settled(engine))

    first = program("reconcile", "--days", "90")
    second = program("reconcile", "--days", "90", "--json")
    drop_phantoms(engine, faults)
    third = program("reconcile", "--days", "90")

    assert first.returncode == 1, first.stderr
    assert "inserted" in first.stdout
    assert "drift that remains: 20" in first.stdout
    assert second.returncode == 1, second.stderr
    assert '"mended": []' in second.stdout
    assert third.returncode == 0, third.stderr
    assert "no drift" in third.stdout
    assert "Traceback" not in first.stderr + second.stderr + third.stderr


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/insights/earnings$", ""),
        ("/insights/earnings/summary$", "compared with Fanvue's summary"),
    ],
)
def test_the_command_says_no_drift_only_of_what_was_read(
    program: Program, path: str, reason: str
) -> None:
    engine = program.engine
    read, refused = synced(engine, 60, 60)
    handles = dict(engine.database.execute("select id::text, handle from public.models").fetchall())
    engine.fanvue.add_fault("status", path, status=403, creator=refused)

    words = program("reconcile", "--days", "30")
    told = program("reconcile", "--days", "30", "--json")

    assert words.returncode == told.returncode == 1
    assert "not proved: 1" in words.stdout
    assert "no drift in the other 1" in words.stdout
    assert "no drift: the ledger agrees" not in words.stdout
    assert "accept_drift" not in words.stdout + words.stderr
    result = json.loads(told.stdout)
    (not_proved,) = result["not_proved"]
    assert result["verdict"] == "not_proved"
    assert not_proved["model_id"] == engine.models[refused]
    assert not_proved["handle"] == handles[engine.models[refused]]
    assert reason in not_proved["reason"]
    assert not_proved["reason"].split(":")[0][:40] in told.stderr
    assert engine.models[read] not in told.stderr


def test_drift_of_a_run_that_did_not_read_everything_is_not_to_be_accepted(
    program: Program,
) -> None:
    engine = program.engine
    synced(engine, 80)
    faults = LedgerFaults(engine.database, seed=21)
    faults.inject(10, among=settled(engine))
    first = program("reconcile", "--days", "90")
    engine.fanvue.add_fault("status", "/insights/earnings$", status=403)

    second = program("reconcile", "--days", "90")
    told = engine.database.execute("select what_to_do from ops.drift").fetchall()

    assert "accept_drift" in first.stdout + first.stderr
    assert first.returncode == second.returncode == 1
    assert "not proved: 1" in second.stdout
    assert "no drift" not in second.stdout
    assert "drift that remains" in second.stdout
    assert "accept_drift" not in second.stdout + second.stderr
    assert all("accept_drift" not in advice for (advice,) in told)


def test_the_command_follows_what_another_worker_does(program: Program) -> None:
    engine = program.engine
    (creator,) = synced(engine, 150)
    enqueue(engine, days=90)
    followed = threading.Event()

    with (
        flaky(engine.environment["FANVUE_API_URL"]) as fanvue,
        flaky(engine.environment["SUPABASE_URL"]) as rest,
    ):
        # The worker reads on when the command has seen that somebody else is at it.
        fanvue.at("earnings", 1, lambda: followed.wait(PATIENCE_SECONDS))
        rest.at("claim_model_job", 2, followed.set)
        with engine.worker(FANVUE_API_URL=fanvue.url):
            wait_until(lambda: fanvue.calls, "a call to Fanvue")
            words = ("reconcile", "--model", engine.models[creator], "--days", "90")
            result = program.json(*words, SUPABASE_URL=rest.url)

    assert followed.is_set()
    assert [one["state"] for one in result["models"]] == ["succeeded"]
    assert result["open"] == 0


def test_ctrl_c_stops_a_run_and_gives_its_lease_back(program: Program) -> None:
    engine = program.engine
    (creator,) = synced(engine, 200)
    engine.fanvue.add_fault("timeout", "/insights/.*", nth=2)

    words = ("reconcile", "--model", engine.models[creator])
    process = program.start(*words, FANVUE_TIMEOUT_SECONDS="120")
    wait_until(
        lambda: engine.fanvue.faults()[0]["hits"] > 0 or process.poll() is not None,
        "a call that hangs",
    )
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 130
    assert "Traceback" not in err
    states = engine.database.execute(
        "select state from public.sync_jobs where sync_type = 'reconcile'"
    ).fetchall()
    assert states == [("queued",)]


def test_a_model_that_is_not_there_is_one_line_with_code_two(program: Program) -> None:
    program.engine.creator()

    done = program("reconcile", "--model", "3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a10")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_night_queues_each_active_model_once_at_its_own_moment(engine: Engine) -> None:
    engine.fanvue.turn(**NO_LIMIT)
    creators = [engine.creator(30) for _ in range(4)]
    engine.drain()
    paused = creators.pop()
    engine.database.execute(
        "update public.models set status = 'paused' where id = %s", (engine.models[paused],)
    )

    queued = [_start_night(engine), _start_night(engine)]

    jobs = engine.database.execute(
        "select model_id::text, priority, run_at > private.engine_now() - interval '1 minute',"
        " run_at < private.engine_now() + interval '4 hours'"
        " from public.sync_jobs where sync_type = 'reconcile' order by run_at"
    ).fetchall()
    assert queued == [{"jobs": 3}, {"jobs": 0}]
    assert {job[0] for job in jobs} == {engine.models[creator] for creator in creators}
    assert {job[1:] for job in jobs} == {(200, True, True)}
    engine.pass_time(4 * 3600)
    engine.drain()
    assert [state for state, _ in runs(engine)] == ["succeeded"] * 3


def _start_night(engine: Engine) -> dict[str, Any]:
    row = engine.database.execute("select private.start_nightly_reconcile()").fetchone()
    assert row is not None
    return dict(row[0])
