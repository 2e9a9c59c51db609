"""The parts are wired to each other: a due job goes from the queue to Fanvue to the books."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.property.ledger import money_of
from tests.support.clock import ManualClock
from tests.support.fanvue_stub import json_answer
from tests.unit.jobs.earnings_api import EarningsApi
from tests.unit.jobs.grant_bench import KEY, until
from tests.unit.jobs.grant_bench import Bench as GrantBench
from tests.unit.jobs.queue_book import QueueBook
from tests.unit.jobs.run_book import sums_of
from tests.unit.jobs.walk_book import WalkBook, rows_every
from worker import app
from worker.app import Engine, _stopped_by_signals, open_engine, worker_name
from worker.jobs.grants import REFRESH_COLUMN
from worker.settings import Settings, load_settings
from worker.traffic import Lane, RateSeen, lane_of


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.tally import Tally


STEP = timedelta(milliseconds=250)
MODEL = "model 1"


def settings(**changes: str) -> Settings:
    key = base64.b64encode(KEY.key).decode()
    environment = {
        "SUPABASE_URL": "https://project.supabase.test",
        "SUPABASE_SECRET_KEY": "sb_secret_made_up",
        "FANVUE_API_URL": "https://api.fanvue.test",
        "FANVUE_AUTH_URL": "https://auth.fanvue.test",
        "FANVUE_CLIENT_ID": "client",
        "FANVUE_CLIENT_SECRET": "made-up-secret",
        "TOKEN_ENCRYPTION_KEYS": f"{KEY.id}:{key}",
    }
    return load_settings(environment | changes, None)


class World:
    """Both servers of an engine, in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.queue = QueueBook(self.clock)
        self.grants = GrantBench(self.clock)
        self.walks = WalkBook(kind="full")
        until = self.clock.now() - timedelta(minutes=1)
        self.rows = rows_every(timedelta(minutes=7), 120, until=until)
        self.api = EarningsApi(self.clock, self.rows)
        self.token_calls = 0
        self.queue.stub.functions |= {
            **self.grants.stub.functions,
            "begin_sync_walk": self.walks.begin,
            "commit_sync_page": self.walks.commit,
            "reconcile_sums": lambda _: sums_of(self.walks.ledger, self.walks.known),
            "take_calls": _grant_calls,
            "block_bucket": lambda _: None,
        }
        self.database_http = self.queue.stub.http()
        self.fanvue_http = httpx.AsyncClient(transport=httpx.MockTransport(self._fanvue))
        monkeypatch.setattr(app, "open_database_http", lambda **_: self.database_http)
        monkeypatch.setattr(app, "open_http", lambda **_: self.fanvue_http)

    def connect(self, lifetime: timedelta = timedelta(hours=1)) -> None:
        self.grants.connect()
        self.grants.connect(lifetime, MODEL)

    def _fanvue(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth2/token":
            self.token_calls += 1
            pair = {"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 3600}
            return json_answer(pair)
        return self.api._answer(request)

    @asynccontextmanager
    async def engine(self, **changes: str) -> AsyncIterator[Engine]:
        async with open_engine(settings(**changes), self.clock) as engine:
            yield engine

    async def drain(self, engine: Engine) -> Tally:
        loop = asyncio.create_task(engine.runner.run(drain=True))
        for _ in range(400):
            if loop.done():
                break
            await self.clock.advance(STEP)
        else:
            loop.cancel()
        return await loop


def _grant_calls(asked: dict[str, Any]) -> dict[str, Any]:
    return {"granted": asked["p_want"], "wait_ms": 0, "limit": 100, "valid_ms": 60_000}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def test_a_due_walk_goes_from_the_queue_to_fanvue_to_the_books(world: World) -> None:
    world.connect()
    world.queue.add()

    async with world.engine() as engine:
        tally = await world.drain(engine)

    assert tally.outcomes == {"succeeded": 1}
    assert world.walks.ledger.contents() == money_of(world.rows)
    # Three pages, and what Fanvue says they come to.
    assert tally.requests == len(world.api.calls) == 4
    taken = world.queue.stub.named("take_calls")
    assert {(call["p_bucket"], call["p_lane"]) for call in taken} == {("app:creator", "live")}


async def test_a_token_job_refreshes_and_calls_no_list(world: World) -> None:
    world.connect(timedelta(0))
    world.queue.add()
    world.queue.jobs[1].sync_type = "token_refresh"

    async with world.engine() as engine:
        tally = await world.drain(engine)

    assert tally.outcomes == {"succeeded": 1}
    assert (world.token_calls, world.api.calls) == (1, [])


async def test_a_slice_and_a_lane_come_from_the_settings_and_the_priority(world: World) -> None:
    world.connect()
    world.queue.add()

    async with world.engine(WORKER_SLICE_PAGES="1") as engine:
        await world.drain(engine)

    outcomes = [item["outcome"] for item in world.queue.settled[1]]
    assert outcomes == ["yield"] * 3 + ["done"]
    assert world.walks.ledger.contents() == money_of(world.rows)


async def test_both_connections_are_closed_on_the_way_out(world: World) -> None:
    async def fail_inside() -> None:
        async with world.engine():
            assert not world.database_http.is_closed
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_inside()

    assert world.database_http.is_closed
    assert world.fanvue_http.is_closed


async def test_a_refresh_underway_is_finished_before_the_connections_close(world: World) -> None:
    world.connect(timedelta(0))
    async with world.engine() as engine:
        job = asyncio.create_task(engine.grants.token(MODEL))
        await until(lambda: world.token_calls > 0)
        job.cancel()

    grant = world.grants.book.grants[MODEL]
    assert grant.version == 2
    assert grant.refresh is not None
    assert world.grants.keyring.open(grant.refresh, MODEL, REFRESH_COLUMN).value == "refresh-1"


async def test_headers_seen_reach_the_database_relative_to_now(world: World) -> None:
    world.queue.stub.functions["take_calls"] = lambda _: {
        "granted": 1,
        "wait_ms": 0,
        "limit": 100,
        "valid_ms": 0,
    }
    async with world.engine() as engine:
        budget = engine.client._budget
        reset_at = world.clock.now() + timedelta(seconds=30)
        seen = RateSeen(limit=200, remaining=150, reset_at=reset_at)
        budget.observe("bucket", seen, endpoint="/chats")
        world.queue.stub.functions["take_calls"] = _grant_calls
        await budget.acquire("bucket", Lane.NORMAL, endpoint="/chats")

    (call,) = world.queue.stub.named("take_calls")
    assert call["p_seen"] == {"limit": 200, "remaining": 150, "reset_in_s": 30}
    assert (call["p_lane"], call["p_endpoint"]) == ("normal", "/chats")


@pytest.mark.parametrize(
    ("priority", "lane"),
    [
        (0, Lane.LIVE),
        (20, Lane.LIVE),
        (21, Lane.NORMAL),
        (60, Lane.NORMAL),
        (100, Lane.BACKFILL),
        (120, Lane.BACKFILL),
        (121, Lane.LOW),
        (32767, Lane.LOW),
    ],
)
def test_a_priority_means_a_lane(priority: int, lane: Lane) -> None:
    assert lane_of(priority) is lane


def test_no_two_starts_of_a_worker_share_a_name() -> None:
    assert len({worker_name() for _ in range(50)}) == 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_gracefully_once_and_then_acts_as_usual(
    number: signal.Signals,
) -> None:
    stopped = asyncio.Event()
    usual = signal.getsignal(number)

    with _stopped_by_signals(stopped.set):
        os.kill(os.getpid(), number)
        await stopped.wait()

        assert not asyncio.get_running_loop().remove_signal_handler(number)

    assert signal.getsignal(number) in {usual, signal.SIG_DFL, signal.default_int_handler}


async def test_afterwards_signals_are_nobodys_business_here() -> None:
    with _stopped_by_signals(lambda: None):
        pass

    loop = asyncio.get_running_loop()
    assert not loop.remove_signal_handler(signal.SIGTERM)
    assert not loop.remove_signal_handler(signal.SIGINT)
