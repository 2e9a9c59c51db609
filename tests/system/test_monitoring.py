"""A worker at work shows every metric, says how it is, and tells troubles once, to a real chat."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.edge_functions import FunctionLog
from tests.support.monitoring import Chat, Scraper, chat
from tests.support.own_stack import free_port
from tests.support.program import Program
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from worker.metrics import OF_THE_ENGINE, Metric


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

QUICK = {"WORKER_TICK_SECONDS": "1", "WORKER_LEASE_SECONDS": "30", "WORKER_LOG_LEVEL": "debug"}
# Nothing of these must happen for a worker to be well.
HISTOGRAMS = {metric for metric in Metric if metric.value.kind == "histogram"}
COUNTERS = {metric for metric in Metric if metric.value.kind == "counter"}
MOVING = {metric.value.name for metric in COUNTERS | HISTOGRAMS | {Metric.ALERTS}}


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    engine.database.execute("delete from private.alert_states")
    engine.fanvue.turn(rate_limit=100_000)
    return Program(engine, tmp_path)


@pytest.fixture
def told() -> Iterator[Chat]:
    with chat() as found:
        yield found


@contextmanager
def working(program: Program, **changes: str) -> Iterator[Scraper]:
    """Run a worker that can be asked; what it logs is in `worker.log`."""
    port = free_port()
    settings = QUICK | {"WORKER_METRICS_PORT": str(port)} | changes
    with (program.directory / "worker.log").open("a", encoding="utf-8") as log:
        worker = program.start_logging(log, "run", **settings)
        try:
            yield Scraper(port, is_alive=lambda: worker.poll() is None)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.communicate(timeout=PATIENCE_SECONDS)
    assert worker.returncode == 0


def logged(program: Program) -> str:
    return (program.directory / "worker.log").read_text("utf-8")


def events(program: Program) -> list[dict[str, Any]]:
    return [json.loads(line) for line in logged(program).splitlines() if line.startswith("{")]


def sync(engine: Engine, creator: str) -> None:
    engine.database.execute(
        "select public.enqueue_sync(%s::uuid, 'earnings')", (engine.models[creator],)
    )


def was_hit(engine: Engine, kind: str) -> bool:
    return any(fault["kind"] == kind and fault["hits"] > 0 for fault in engine.fanvue.faults())


def jobs_of(engine: Engine, creator: str) -> list[str]:
    rows = engine.database.execute(
        "select state from public.sync_jobs where model_id = %s", (engine.models[creator],)
    )
    return [str(state) for (state,) in rows]


def is_running(engine: Engine, creator: str) -> bool:
    return "running" in jobs_of(engine, creator)


def test_one_eventful_minute_of_a_worker_moves_every_metric(program: Program, told: Chat) -> None:
    engine = program.engine
    with working(program, ALERT_WEBHOOK_URL=told.url) as scraper:
        scraper.wait_for(lambda: scraper.total(Metric.WAKE_UP.value.name) == 1)
        creator = engine.creator(120)
        scraper.wait_for(lambda: scraper.total(Metric.ROWS.value.name, change="inserted") == 120)

        # a token that ended, a call that was refused, a creator who is gone while they are read
        engine.fanvue.add_fault("status", status=401, path="/insights/earnings$", times=1)
        engine.fanvue.add_sales(creator, 1)
        sync(engine, creator)
        scraper.wait_for(lambda: scraper.total(Metric.REFRESHES.value.name) >= 1)
        # What hangs must be this creator's call, not the rest of the last sync.
        scraper.wait_for(lambda: not jobs_of(engine, creator))
        engine.fanvue.add_fault("timeout", "/insights/.*")
        gone = engine.creator(1)
        # Gone while their call is under way, not before it.
        scraper.wait_for(lambda: is_running(engine, gone) and was_hit(engine, "timeout"))
        engine.database.execute("delete from public.models where id = %s", (engine.models[gone],))
        scraper.wait_for(lambda: scraper.total(Metric.LOST.value.name) == 1)
        engine.fanvue.clear_faults()
        # Two, because the call that was given up may still be on its way and meet the first.
        engine.fanvue.add_fault("status", status=429, path="/insights/earnings$", times=2)
        sync(engine, creator)
        scraper.wait_for(lambda: scraper.total(Metric.THROTTLED.value.name, by="fanvue") >= 1)
        engine.database.execute("update public.models set status = 'reauth_required'")
        told.wait_for("must connect to Fanvue again")
        scraper.wait_for(lambda: scraper.moved() >= MOVING)

        names = {sample.name for sample in scraper.samples()}

    shown = {metric for metric in Metric if metric.value.name in names}
    # Nobody is active any more: earnings have no age. Nor have announcements, of which none came.
    absent = {Metric.EARNINGS_AGE, Metric.ANNOUNCEMENT_AGE}
    assert set(Metric) - HISTOGRAMS - shown <= absent
    assert set(OF_THE_ENGINE) & shown


def test_a_worker_says_whether_it_lives_and_is_ready_and_alone_on_its_port(
    program: Program, local_stack: Stack
) -> None:
    local_stack.stop_postgres()
    with working(program, WORKER_WAKE_UP="false") as scraper:
        # It starts while the database is away, and is ready as soon as there is one.
        scraper.wait_for(lambda: "database_unavailable" in logged(program))
        assert scraper.get("/readyz").status_code == 503
        assert scraper.get("/healthz").json() == {"status": "ok", "jobs_running": 0}
        local_stack.start_postgres()
        scraper.wait_for(lambda: scraper.get("/readyz").status_code == 200)
        refused = program("run", WORKER_METRICS_PORT=str(scraper.port))

        local_stack.stop_postgres()
        try:
            scraper.wait_for(lambda: scraper.get("/readyz").status_code == 503)
            assert scraper.get("/healthz").status_code == 200
            scraper.wait_for(lambda: scraper.total(Metric.DATABASE_UP.value.name) == 0)
            assert Metric.QUEUE.value.name not in {one.name for one in scraper.samples()}
        finally:
            local_stack.start_postgres()
        scraper.wait_for(lambda: scraper.get("/readyz").status_code == 200)
    program.engine.reconnect()

    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if not line.startswith("{")]
    assert f"WORKER_METRICS_PORT: port {scraper.port}" in line


def test_workers_tell_a_trouble_once_when_the_chat_is_back_and_once_when_it_is_over(
    program: Program, told: Chat
) -> None:
    engine = program.engine
    creator = engine.creator(0)
    engine.drain()
    model_id = engine.models[creator]
    told.status = 503
    engine.fanvue.kill_chain(creator)
    engine.fanvue.expire_tokens(creator)
    sync(engine, creator)
    with (
        working(program, ALERT_WEBHOOK_URL=told.url) as one,
        working(program, ALERT_WEBHOOK_URL=told.url),
    ):
        one.wait_for(lambda: told.refused >= 1)
        told.status = 200
        # what was not taken is tried again a quarter of a minute later
        engine.pass_time(16)
        text = told.wait_for("must connect to Fanvue again")
        engine.connect(creator)
        told.wait_for("Over after")

    assert model_id in text
    assert len(told.taken) == 2, told.taken
    assert "made-up-secret" not in logged(program)


def test_a_delivery_is_followed_by_one_name_from_the_function_to_the_books(
    program: Program, local_stack: Stack
) -> None:
    engine = program.engine
    creator = engine.creator(0)
    engine.drain()
    url = f"{engine.environment['SUPABASE_URL']}/functions/v1/fanvue-webhook"
    engine.fanvue.set_webhook_target(
        url, engine.environment["FANVUE_WEBHOOK_SECRETS"].split(",")[0]
    )
    engine.fanvue.turn(webhook_timeout_seconds=PATIENCE_SECONDS)
    log = FunctionLog("fanvue-webhook")
    with working(program, WORKER_TICK_SECONDS="3600"):
        engine.fanvue.add_sales(creator, rows=[{"source": "tip", "gross_cents": 700}])
        engine.fanvue.flush_webhooks()
        received = log.wait_for("webhook_received")
        engine.pass_time(61)
        wait_until(lambda: len(engine.run_states(creator)) == 2)
    engine.fanvue.drop_webhook_target()

    cause = next(
        json.loads(line[line.index("{") :])["cause"]
        for line in received.splitlines()
        if "webhook_received" in line
    )
    rows = engine.database.execute(
        "select 'webhook ' || (select event_id from public.webhook_events),"
        " (select detail ->> 'cause' from public.sync_runs order by id desc limit 1)"
    ).fetchall()
    assert rows == [(cause, cause)]
    by_event = {event["event"]: event.get("cause") for event in events(program)}
    assert by_event["page_committed"] == by_event["job_settled"] == cause
