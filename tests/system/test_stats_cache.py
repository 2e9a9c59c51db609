"""Cached figures are replaced after commits, cheaply, and a Redis that is away harms nobody."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog

from tests.support.clock import ManualClock
from tests.support.waiting import PATIENCE_SECONDS
from worker.app import open_books
from worker.cache import StatsShelf, open_shelf
from worker.errors import SyncError
from worker.stats_cache import GATHERING, PAUSE, StatsCache


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime

    from local.stack import Stack
    from tests.support.engine import Engine
    from worker.cache import DayRange


pytestmark = pytest.mark.system

LIFETIME = 700
FIRST, LAST = "2020-01-01", "2020-12-31"
NOTICED = frozenset({"zrangebyscore", "set", "get", "eval", "zadd", "expire", "del", "ttl"})


@dataclass(frozen=True, slots=True)
class Redis:
    """The stack's Redis, as its readers use it."""

    http: httpx.Client

    def __call__(self, *command: object) -> Any:
        return self.http.post("", json=list(command)).raise_for_status().json()["result"]

    def commands(self) -> dict[str, int]:
        """Return how often each command was served since Redis began."""
        lines = str(self("INFO", "commandstats")).splitlines()
        found = {}
        for line in lines:
            name, _, figures = line.removeprefix("cmdstat_").partition(":calls=")
            if name in NOTICED:
                found[name] = int(figures.partition(",")[0])
        return found

    def since(self, before: dict[str, int]) -> dict[str, int]:
        more = {name: calls - before.get(name, 0) for name, calls in self.commands().items()}
        return {name: calls for name, calls in more.items() if calls}

    def put(self, agency_id: str, first: str = FIRST, last: str = LAST) -> str:
        """Do what a reader does: keep a value, and note that the range is read."""
        key = f"fanvue:stats:v1:{agency_id}:{first}:{last}"
        self("SET", key, '{"stamp":"old","stats":{}}', "EX", LIFETIME)
        self.look(agency_id, first, last)
        return key

    def look(self, agency_id: str, first: str = FIRST, last: str = LAST) -> None:
        ranges = f"fanvue:stats:v1:ranges:{agency_id}"
        self("ZADD", ranges, int(time.time()), f"{first}:{last}")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no limit end what a busy machine takes long for."""
    monkeypatch.setattr("worker.cache.PATIENCE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr("worker.stats_cache.FINISH_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refresh at the worker's end alone, however long its work takes."""
    monkeypatch.setattr("worker.stats_cache.GATHERING", GATHERING * 1000)


@pytest.fixture
def redis(stack: dict[str, str]) -> Iterator[Redis]:
    with httpx.Client(
        base_url=stack["UPSTASH_REDIS_REST_URL"],
        headers={"authorization": f"Bearer {stack['UPSTASH_REDIS_REST_TOKEN']}"},
        timeout=PATIENCE_SECONDS,
        trust_env=False,
    ) as http:
        yield Redis(http)


def agency_of(engine: Engine, creator: str) -> str:
    row = engine.database.execute(
        "select agency_id::text from public.models where id = %s", (engine.models[creator],)
    ).fetchone()
    assert row is not None
    return str(row[0])


def figures(engine: Engine, agency_id: str, first: str, last: str) -> dict[str, Any]:
    """Return what the database says now, without what passes."""

    async def ask() -> dict[str, Any]:
        async with open_books(engine.settings()) as books:
            reply: dict[str, Any] = await books.database.call(
                "dashboard_stats", {"p_agency_id": agency_id, "p_from": first, "p_to": last}
            )
            return reply

    return {k: v for k, v in asyncio.run(ask()).items() if k not in {"as_of", "freshness"}}


def test_a_commit_replaces_what_is_read_and_lets_it_live_no_longer(
    engine: Engine, redis: Redis
) -> None:
    creator = engine.creator(30)
    engine.drain()
    agency_id = agency_of(engine, creator)
    row = engine.database.execute(
        "select min(day)::text, max(day)::text from public.earnings_daily"
    ).fetchone()
    assert row is not None
    first, last = row
    began = time.monotonic()
    read = redis.put(agency_id, first, last)
    engine.fanvue.add_sales(creator, 3)

    engine.sync(creator)

    now = figures(engine, agency_id, first, last)
    assert json.loads(redis("GET", read)) == {"stamp": now["stamp"], "stats": now}
    assert now["totals"]["transactions"] > 0
    left, passed = redis("TTL", read), time.monotonic() - began
    assert LIFETIME - passed - 1 <= left <= LIFETIME


def test_only_what_a_reader_put_there_is_replaced(engine: Engine, redis: Redis) -> None:
    creator = engine.creator(5)
    agency_id = agency_of(engine, creator)
    other = engine.fanvue.add_creators(transactions=0)[0]["uuid"]
    engine.connect(other, "Agency B")
    expired = f"fanvue:stats:v1:{agency_id}:2021-01-01:2021-12-31"
    redis.look(agency_id, "2021-01-01", "2021-12-31")
    redis.look(agency_id, "nonsense", "more of it")
    unread = redis.put(agency_of(engine, other))

    engine.drain()

    assert redis("GET", expired) is None
    assert json.loads(redis("GET", unread))["stamp"] == "old"


@pytest.mark.usefixtures("gathered")
def test_a_refresh_that_nobody_reads_is_one_command(engine: Engine, redis: Redis) -> None:
    engine.creator(200)
    before = redis.commands()

    engine.drain()

    assert redis.since(before) == {"zrangebyscore": 1}


@pytest.mark.usefixtures("gathered")
def test_a_refresh_is_one_command_and_one_more_for_each_range(engine: Engine, redis: Redis) -> None:
    creator = engine.creator(5)
    agency_id = agency_of(engine, creator)
    for year in range(2001, 2010):
        redis.put(agency_id, f"{year}-01-01", f"{year}-12-31")
    before = redis.commands()

    engine.drain()

    assert redis.since(before) == {"zrangebyscore": 1, "set": 6}


def test_a_sync_that_finds_nothing_asks_redis_nothing(engine: Engine, redis: Redis) -> None:
    creator = engine.creator(5)
    engine.drain()
    redis.put(agency_of(engine, creator))
    before = redis.commands()

    engine.sync(creator)

    assert redis.since(before) == {}


def test_without_redis_jobs_succeed_and_one_line_says_so(
    engine: Engine, redis: Redis, local_stack: Stack
) -> None:
    creator = engine.creator(120)
    local_stack.stop_redis()

    with structlog.testing.capture_logs() as logs:
        tally = engine.drain()

    assert tally.outcomes == {"succeeded": 1}
    engine.assert_exact(creator)
    told = [entry for entry in logs if entry["log_level"] in {"warning", "error"}]
    assert [entry["event"] for entry in told] == ["stats_cache_failing"]


@dataclass
class Shelf:
    """The real shelf; a test hears of every look at it."""

    real: StatsShelf
    looks: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def ranges_read(self, agency_id: str, now: datetime) -> list[DayRange]:
        try:
            found = await self.real.ranges_read(agency_id, now)
        except BaseException:
            self.looks.put_nowait("failed")
            raise
        if not found:
            self.looks.put_nowait("nobody reads")
        return found

    async def replace(self, agency_id: str, days: DayRange, stats: dict[str, Any]) -> None:
        await self.real.replace(agency_id, days, stats)
        self.looks.put_nowait("replaced")


@asynccontextmanager
async def cache_of(engine: Engine, clock: ManualClock) -> AsyncIterator[tuple[StatsCache, Shelf]]:
    settings = engine.settings()
    assert settings.upstash is not None

    async with open_books(settings) as books, open_shelf(settings.upstash) as real:

        async def ask(agency_id: str, days: DayRange) -> dict[str, Any]:
            asked = {"p_agency_id": agency_id, "p_from": days.first, "p_to": days.last}
            try:
                reply: dict[str, Any] = await books.database.call("dashboard_stats", asked)
            except SyncError:
                shelf.looks.put_nowait("refused")
                raise
            return reply

        shelf = Shelf(real)
        cache = StatsCache(shelf, ask, clock)
        async with cache.warming():
            yield cache, shelf


def test_a_redis_that_comes_back_is_used_again_by_the_same_worker(
    engine: Engine, redis: Redis, local_stack: Stack
) -> None:
    agency_id = agency_of(engine, engine.creator())
    clock = ManualClock()

    async def check() -> None:
        async with cache_of(engine, clock) as (cache, shelf), asyncio.timeout(PATIENCE_SECONDS):
            local_stack.stop_redis()
            for _ in range(2):
                cache.changed(agency_id)
                await clock.advance(PAUSE)
                assert await shelf.looks.get() == "failed"
                await clock.settle()

            local_stack.start_redis()
            cache.changed(agency_id)
            await clock.advance(PAUSE)
            assert await shelf.looks.get() == "nobody reads"
            await clock.settle()

    with structlog.testing.capture_logs() as logs:
        asyncio.run(check())

    assert [entry["event"] for entry in logs] == ["stats_cache_failing", "stats_cache_recovered"]


def test_a_database_that_refuses_is_no_reason_to_stop(engine: Engine, redis: Redis) -> None:
    agency_id = agency_of(engine, engine.creator())
    key = redis.put(agency_id, LAST, FIRST)
    clock = ManualClock()

    async def check() -> None:
        async with cache_of(engine, clock) as (cache, shelf), asyncio.timeout(PATIENCE_SECONDS):
            cache.changed(agency_id)
            await clock.advance(GATHERING)
            assert await shelf.looks.get() == "refused"
            await clock.settle()

    with structlog.testing.capture_logs() as logs:
        asyncio.run(check())

    assert [entry["event"] for entry in logs] == ["stats_cache_failing"]
    assert "22023" in logs[0]["reason"]
    assert json.loads(redis("GET", key))["stamp"] == "old"
