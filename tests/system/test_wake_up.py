"""Due work is claimed at once while Realtime tells of it, and by polling while it does not.

Clocks stand still where claims are counted: whoever claims then was woken, and did not poll.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jwt
import psycopg
import pytest
import structlog

from tests.realtime.server import own_server
from tests.support.clock import ManualClock
from tests.support.program import Program
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from worker import subscription
from worker.app import open_engine
from worker.jobs.outcomes import Done
from worker.runner import IDLE_WAIT
from worker.subscription import LONGEST_WAIT, SILENCE, Subscription
from worker.wake_up import GATHERING, TOPIC, WakeUp


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.support.engine import Engine
    from tests.support.postgres import Connection
    from worker.app import Engine as Worker
    from worker.fanvue.calls import RequestMeter
    from worker.jobs.outcomes import Result
    from worker.settings import SupabaseSettings
    from worker.store.jobs import Claim, Job


pytestmark = [
    pytest.mark.system,
    # The client library reads them when a connection breaks off.
    pytest.mark.filterwarnings("ignore:ConnectionClosed.(code|reason) is deprecated"),
]

HOUR_SECONDS = 3600
NEVER_MS = 10**9
STEP = timedelta(milliseconds=250)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a connection take as long as a slow machine needs for it."""
    monkeypatch.setattr(subscription, "CONNECT_SECONDS", PATIENCE_SECONDS)


@dataclass
class Bench:
    """A worker whose clock a test moves; its claims and what it is told, as they come."""

    worker: Worker
    wake_up: WakeUp
    clock: ManualClock
    claims: asyncio.Queue[Claim] = field(default_factory=asyncio.Queue)
    states: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        store, claim = self.worker.books.jobs, self.worker.books.jobs.claim
        connected, lost = self.wake_up.connected, self.wake_up.lost

        async def count(limit: int, *, drain: bool) -> Claim:
            claimed = await claim(limit, drain=drain)
            self.claims.put_nowait(claimed)
            return claimed

        def tell_connected() -> None:
            connected()
            self.states.put_nowait("connected")

        def tell_lost(reason: str) -> None:
            lost(reason)
            self.states.put_nowait(reason)

        vars(store)["claim"] = count
        # What a job does is not the matter here, and would need a clock that goes.
        self.worker.runner._handler = _nothing_to_do
        vars(self.wake_up).update(connected=tell_connected, lost=tell_lost)

    async def claimed(self) -> list[str]:
        """Wait for the next claim; return what it brought."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return [job.sync_type for job in (await self.claims.get()).jobs]

    async def state(self) -> str:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.states.get()

    async def until_connected(self) -> None:
        """Let time pass until the next try succeeds."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.states.empty():
                await self.clock.advance(STEP)
        assert await self.state() == "connected"

    async def ask_for(self, model_id: str) -> None:
        await self.worker.books.jobs.enqueue(model_id, "earnings", full=False)


async def _nothing_to_do(job: Job, meter: RequestMeter, stopping: Callable[[], bool]) -> Result:
    return Done()


@asynccontextmanager
async def working(engine: Engine, supabase: SupabaseSettings | None = None) -> AsyncIterator[Bench]:
    """Run a worker that is woken by a subscription with these settings."""
    settings = engine.settings()
    clock = ManualClock(datetime.now(UTC))
    async with open_engine(settings, clock) as worker:
        wake_up = worker.wake_up
        if supabase is not None:
            subscription = Subscription(supabase, [TOPIC], clock, Random(1))  # noqa: S311 - jitter
            wake_up = WakeUp(subscription, worker.runner, clock)
        bench = Bench(worker, wake_up, clock)
        loop = asyncio.create_task(worker.runner.run())
        assert await bench.claimed() == []
        async with wake_up.listening():
            yield bench
        worker.runner.stop()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not loop.done():
                await clock.advance(STEP)


def ask_as_member(engine: Engine, model_id: str) -> None:
    """Press the dashboard's button."""
    member = str(uuid4())
    with engine.database.transaction():
        engine.database.execute(
            "insert into public.agency_members (agency_id, user_id) "
            "select agency_id, %s from public.models where id = %s",
            (member, model_id),
        )
        claims = json.dumps({"sub": member, "role": "authenticated"})
        engine.database.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        engine.database.execute("set local role authenticated")
        engine.database.execute("select public.request_sync(%s, 'earnings')", (model_id,))


def synced_model(engine: Engine) -> str:
    creator = engine.creator(5)
    engine.drain()
    return engine.models[creator]


def test_what_a_dashboard_asks_for_is_claimed_before_the_next_poll(engine: Engine) -> None:
    model_id = synced_model(engine)

    async def check() -> None:
        async with working(engine) as b:
            assert await b.state() == "connected"
            assert await b.claimed() == []
            await b.clock.advance(GATHERING)
            await asyncio.to_thread(ask_as_member, engine, model_id)

            assert await b.claimed() == ["earnings"]
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not b.worker.runner.tally.outcomes:
                    await b.clock.settle()
            # A claim that brought something also tells that there is no more.
            assert b.claims.empty()
            assert b.clock.monotonic() < IDLE_WAIT.total_seconds()

    asyncio.run(check())


def test_without_realtime_the_worker_polls_and_is_woken_again_when_it_is_back(
    engine: Engine, local_stack: Stack
) -> None:
    model_id = synced_model(engine)

    async def check() -> None:
        async with working(engine) as b:
            assert await b.state() == "connected"
            assert await b.claimed() == []

            await asyncio.to_thread(local_stack.stop_realtime)
            await b.state()
            # at once: what was told a moment ago may not have been heard
            assert await b.claimed() == []
            await b.ask_for(model_id)
            await b.clock.advance(IDLE_WAIT)
            assert await b.claimed() == ["earnings"]
            while b.worker.runner.tally.outcomes.total() < 1:
                await b.clock.advance(STEP)

            await asyncio.to_thread(local_stack.start_realtime)
            await b.until_connected()
            await b.clock.advance(GATHERING)
            stood = b.clock.monotonic()
            await b.ask_for(model_id)
            while await b.claimed() != ["earnings"]:
                pass  # polls from before the clock stood still
            assert b.clock.monotonic() == stood

    with structlog.testing.capture_logs() as logs:
        asyncio.run(check())

    told = [entry["event"] for entry in logs if entry["event"].startswith("wake_up")]
    assert told == ["wake_up_connected", "wake_up_lost", "wake_up_connected"]
    assert not [entry for entry in logs if "exc_info" in entry]


@pytest.mark.parametrize("key", ["sb_secret_made_up", "SUPABASE_PUBLISHABLE_KEY"])
def test_a_key_that_is_refused_costs_latency_only(engine: Engine, key: str) -> None:
    model_id = synced_model(engine)
    supabase = engine.settings(SUPABASE_SECRET_KEY=engine.environment.get(key, key)).supabase

    async def check() -> None:
        async with working(engine, supabase) as b:
            assert await b.state() != "connected"
            await b.ask_for(model_id)
            await b.clock.advance(IDLE_WAIT)
            assert await b.claimed() == ["earnings"]
            await b.clock.advance(LONGEST_WAIT)
            assert b.states.empty()

    asyncio.run(check())


def own_settings(url: str, key: str, engine: Engine) -> SupabaseSettings:
    return engine.settings(SUPABASE_URL=url, SUPABASE_SECRET_KEY=key).supabase


@contextmanager
def cold_project(engine: Engine, folder: Path) -> Iterator[tuple[SupabaseSettings, Connection]]:
    """Yield a Realtime whose stream waits for a transaction, and the connection that holds it."""
    key = engine.environment["SUPABASE_SECRET_KEY"]
    with (
        own_server(engine.environment, folder, streamPatienceMs=NEVER_MS) as server,
        psycopg.connect(engine.environment["SUPABASE_DB_URL"]) as writer,
    ):
        writer.execute("select pg_current_xact_id()")
        yield own_settings(server.url, key, engine), writer


def test_a_worker_looks_for_work_once_the_stream_really_flows(
    engine: Engine, local_stack: Stack, tmp_path: Path
) -> None:
    model_id = synced_model(engine)
    waiting = "select from pg_stat_activity where query like 'CREATE_REPLICATION_SLOT%'"
    with cold_project(engine, tmp_path) as (settings, writer):

        async def check() -> None:
            async with working(engine, settings) as b:
                await asyncio.to_thread(
                    wait_until, lambda: engine.database.execute(waiting).rowcount
                )
                await b.ask_for(model_id)
                assert b.states.empty()
                writer.rollback()
                assert await b.state() == "connected"
                # Nothing told of it, and no time passes.
                assert await b.claimed() == ["earnings"]

        asyncio.run(check())


def test_a_stream_that_does_not_flow_is_a_loss_and_is_asked_for_again(
    engine: Engine, local_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cold_project(engine, tmp_path) as (settings, writer):

        async def check() -> None:
            monkeypatch.setattr(subscription, "FLOWING_SECONDS", 0.01)
            async with working(engine, settings) as b:
                assert await b.state() == "Realtime does not say that its stream flows"
                monkeypatch.setattr(subscription, "FLOWING_SECONDS", PATIENCE_SECONDS)
                writer.rollback()
                await b.until_connected()

        asyncio.run(check())


def test_a_server_that_falls_silent_is_left_and_found_again(
    engine: Engine, local_stack: Stack, tmp_path: Path
) -> None:
    with own_server(engine.environment, tmp_path) as server:
        key = engine.environment["SUPABASE_SECRET_KEY"]

        async def check() -> None:
            async with working(engine, own_settings(server.url, key, engine)) as b:
                assert await b.state() == "connected"
                server.freeze()
                await b.clock.advance(SILENCE)
                await b.clock.advance(SILENCE)
                assert await b.state() == "Realtime fell silent"
                server.thaw()
                await b.until_connected()

        asyncio.run(check())


def test_a_channel_that_the_server_closes_is_a_loss(
    engine: Engine, local_stack: Stack, tmp_path: Path
) -> None:
    secret = engine.environment["SUPABASE_JWT_SECRET"]
    claims = {"role": "service_role", "exp": int(time.time()) + HOUR_SECONDS}
    # The worker's own clock stands still meanwhile: it is not to be left for its silence.
    limits = {"idleMs": 2 * HOUR_SECONDS * 1000, "tokenCheckMs": 20}
    with own_server(engine.environment, tmp_path, **limits) as server:

        async def check() -> None:
            settings = own_settings(server.url, jwt.encode(claims, secret), engine)
            async with working(engine, settings) as b:
                assert await b.state() == "connected"
                server.advance(HOUR_SECONDS + 1)
                assert "expired" in await b.state()
                await b.clock.advance(LONGEST_WAIT)
                assert b.states.empty()

        asyncio.run(check())


def test_a_running_program_tells_one_line_of_each_change_and_ends_when_told(
    engine: Engine, local_stack: Stack, tmp_path: Path
) -> None:
    program = Program(engine, tmp_path)
    process = program.start("run")
    assert process.stderr is not None
    seen: list[dict[str, Any]] = []

    def until(event: str) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            seen.append(json.loads(line))
            if seen[-1]["event"] == event:
                return
        pytest.fail(f"the program ended without {event}")

    until("wake_up_connected")
    local_stack.stop_realtime()
    until("wake_up_lost")
    local_stack.start_realtime()
    until("wake_up_connected")
    process.send_signal(signal.SIGTERM)
    until("worker_stopped")
    out, rest = process.communicate(timeout=PATIENCE_SECONDS)

    assert (process.returncode, rest) == (0, "")
    assert "0 jobs claimed" in out
    told = [line for line in seen if line["level"] in {"warning", "error"}]
    assert [line["event"] for line in told] == ["wake_up_lost"]
    assert engine.environment["SUPABASE_SECRET_KEY"] not in json.dumps(seen)


@pytest.mark.parametrize(
    ("words", "changes"), [(["run", "--drain"], {}), (["run"], {"WORKER_WAKE_UP": "false"})]
)
def test_a_drain_and_a_worker_that_shall_not_listen_do_without(
    engine: Engine, tmp_path: Path, words: list[str], changes: dict[str, str]
) -> None:
    engine.creator(5)
    process = Program(engine, tmp_path).start(*words, **changes)
    assert process.stderr is not None

    said = ""
    for line in process.stderr:
        said += line
        if json.loads(line)["event"] == "job_settled" and len(words) == 1:
            process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 0
    assert "job_settled" in said
    assert "wake_up" not in said
