"""A day of many creators, minute by minute in simulated time: happenings, ticks, workers.

Opens the engine once for the whole day. Measures nothing itself but keeps what measuring needs;
webhooks are off, so that polling alone is judged.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import psycopg
import structlog

from tests.support.day_clock import DayClock, stopped_database
from tests.support.engine import forget
from tests.support.fanvue_process import fanvue_process
from tests.support.freshness import Watch
from tests.support.news import announced
from worker.app import open_engine
from worker.settings import load_settings


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from simulator.client import SimulatorControl
    from simulator.truths import Audience
    from tests.support.news import News
    from worker.app import Engine
    from worker.settings import Settings


MINUTE: Final = timedelta(minutes=1)
NOTHING: Final = timedelta(0)
# Past the shortest lease and a dead worker's hold on a grant, within Fanvue's grace for old tokens.
LEASE_ENDS: Final = timedelta(seconds=14)
# The creators are connected so long before the day begins.
EVE: Final = timedelta(minutes=30)
# So long after the day everything has been read once more.
AFTERMATH: Final = timedelta(minutes=30)
WHOLE_LISTS: Final = ("earnings", "subscribers", "followers", "posts")
# The settings of a new installation: what a test of the rhythm judges.
AS_DELIVERED: Final = """
update private.sync_streams t
set enabled = true, every = d.every
from (values ('earnings', interval '15 minutes'), ('messages', interval '5 minutes'),
             ('message_history', interval '1 day'), ('subscribers', interval '30 minutes'),
             ('followers', interval '30 minutes'), ('posts', interval '60 minutes'),
             ('top_fans', interval '60 minutes'), ('account', interval '60 minutes'))
     d (sync_type, every)
where t.sync_type = d.sync_type
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the day is; every creator begins with the same figures."""

    agencies: int = 5
    # so many of the agencies have one grant for all their creators
    connected: int = 2
    creators: int = 50
    minutes: int = 1440
    start: datetime = datetime(2026, 11, 2, tzinfo=UTC)
    seed: int = 7
    pace: float = 1
    # how often a minute workers look at the queue; the schedule ticks once
    beats: int = 1
    transactions: int = 500
    fans: int = 30
    messages: int = 300
    posts: int = 60
    subscribers: int = 40
    followers: int = 80

    def agency(self, number: int) -> str:
        """Name an agency."""
        return f"Agency {number + 1}"


class Killer(Protocol):
    """Ends workers without warning."""

    async def come(self, day: Day, engine: Engine) -> None:
        """Let a worker of its own work at this instant and kill it; or let this minute be."""
        ...


@dataclass(slots=True)
class Day:
    """The day, under way: its clock, its creators, its worker."""

    shape: Shape
    environment: dict[str, str]
    control: SimulatorControl
    database: psycopg.Connection[Any]
    clock: DayClock
    watch: Watch
    creators: list[str] = field(default_factory=list)
    models: dict[str, str] = field(default_factory=dict)
    connections: dict[str, str] = field(default_factory=dict)
    began: datetime | None = None
    sent_before: int = 0
    counted_before: Counter[str] = field(default_factory=Counter)
    # what Fanvue would send webhooks about
    announced: Counter[str] = field(default_factory=Counter)

    def settings(self, **changes: str) -> Settings:
        """Return the worker's settings, some of them changed."""
        return load_settings({**self.environment, **changes}, None)

    @asynccontextmanager
    async def engine(self, **changes: str) -> AsyncIterator[Engine]:
        """Open a worker that lives in the day's time."""
        async with open_engine(self.settings(**changes), self.clock.worker) as engine:
            yield engine

    async def work(self, engine: Engine) -> None:
        """Queue what is due and work until nothing is due at this instant."""
        await engine.books.jobs.enqueue_due("day")
        await self.work_on(engine)

    @staticmethod
    async def work_on(engine: Engine) -> None:
        """Work until nothing that is queued is due at this instant."""
        await engine.runner.run(drain=True, alone=True, horizon=NOTHING)

    async def catch_up(self, engine: Engine) -> int:
        """Let minutes pass until no work is left; return how many."""
        minutes = 0
        while True:
            await engine.books.jobs.reap()
            await engine.books.jobs.retry_webhooks()
            await self.work(engine)
            row = self.database.execute(
                """select exists (select from public.sync_jobs where state <> 'dead')
                       or exists (select from public.sync_state s
                                  where s.next_sync_at <= private.engine_now())"""
            ).fetchone()
            assert row is not None
            if not row[0]:
                return minutes
            self.clock.pass_seconds(60)
            minutes += 1

    async def read_everything(self, engine: Engine) -> None:
        """Read every list of every creator to its end, as often as an end must be seen.

        Subscriptions run out and money becomes available by time alone, so what moves with it is
        read at an instant that is the same in every run, and that the comparison is made for.
        """
        await self._enqueue(engine, WHOLE_LISTS, full=True)
        await self._enqueue(engine, ("messages",), full=False)
        await self.catch_up(engine)
        end = self.shape.start + self.shape.minutes * MINUTE + AFTERMATH
        if self.clock.instant > end:
            raise RuntimeError("the last reading took longer than the time after the day")
        self.clock.move_to(end)
        for _ in range(2):
            await self._enqueue(engine, WHOLE_LISTS, full=True)
            await self._enqueue(engine, ("messages", "top_fans", "account"), full=False)
            await self.work(engine)

    async def _enqueue(self, engine: Engine, streams: tuple[str, ...], *, full: bool) -> None:
        for model_id in self.models.values():
            for stream in streams:
                await engine.books.jobs.enqueue(model_id, stream, full=full)

    def truths(self) -> list[Audience]:
        """Return the truth about every creator, top spenders as `top_fans` would show them."""
        day = self.clock.instant.replace(hour=0, minute=0, second=0, microsecond=0)
        end = day + timedelta(days=1)
        start = end - timedelta(days=30)
        return [self.control.audience(one, start=start, end=end) for one in self.creators]

    def count(self, statement: str) -> int:
        """Return the one number that a statement selects."""
        row = self.database.execute(statement.encode()).fetchone()
        assert row is not None
        return int(row[0])

    def ledger_count(self, creator: str) -> int:
        """Return how many rows of money a creator has here."""
        row = self.database.execute(
            "select count(*) from public.fanvue_transactions where model_id = %s",
            (self.models[creator],),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def polls(self) -> Counter[str]:
        """Return how many runs of each stream the schedule made since the day began."""
        rows = self.database.execute(
            """select sync_type, count(*) from public.sync_runs
               where queued_at > %s group by sync_type""",
            (self.began,),
        )
        return Counter(dict(rows.fetchall())) + self._counted() - self.counted_before

    def _counted(self) -> Counter[str]:
        """Return how many runs were only counted, because they found nothing new."""
        rows = self.database.execute(
            "select sync_type, sum(runs)::integer from private.quiet_runs group by sync_type"
        )
        return Counter(dict(rows.fetchall()))

    def intervals(self) -> dict[str, float]:
        """Return every stream's interval in seconds."""
        rows = self.database.execute(
            "select sync_type, extract(epoch from every)::float from private.sync_streams"
        )
        return dict(rows.fetchall())

    async def begin(self, engine: Engine) -> None:
        """Let the day's first instant come, the same in every run, and count from then on."""
        if self.clock.instant > self.shape.start:
            raise RuntimeError("the first reading took longer than the evening before the day")
        self.clock.move_to(self.shape.start)
        await self.work(engine)
        self.began = self.clock.instant
        self.counted_before = self._counted()
        self.control.clear_requests()

    async def minute(self, engine: Engine, news: News, killer: Killer | None = None) -> None:
        """Let a minute's news happen, and work at its end, or let the killer have its worker."""
        until = self.clock.instant + MINUTE
        self.happen(news)
        if killer is not None:
            # What a dead worker held is taken back as soon as its lease has ended: with the minute.
            self.clock.move_to(until - LEASE_ENDS)
            await killer.come(self, engine)
        for beat in range(1, self.shape.beats):
            self.clock.move_to(until - MINUTE + beat * MINUTE / self.shape.beats)
            await self.work_on(engine)
        self.clock.move_to(until)
        if killer is not None:
            await engine.books.jobs.reap()
            await engine.books.jobs.retry_webhooks()
        await self.work(engine)
        self.watch.look(self.clock.instant)

    def happen(self, news: News) -> None:
        """Let a minute's news happen now."""
        orders = news.orders(self.clock.instant.hour)
        if orders:
            answers = self.control.happen(*orders)
            for order in orders:
                self.announced += announced(order)
            self.watch.expect(news.expected(orders, answers), self.clock.instant)

    async def live(
        self,
        engine: Engine,
        news: News,
        told: Callable[[int], None],
        killer: Killer | None = None,
    ) -> None:
        """Live through the day; `told` hears of every minute that has passed."""
        for minute in range(1, self.shape.minutes + 1):
            await self.minute(engine, news, killer)
            told(minute)


@contextmanager
def _few_words() -> Iterator[None]:
    """Let workers here tell warnings only: tens of thousands of jobs are no news."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def new_day(stack: dict[str, str], shape: Shape) -> Iterator[Day]:
    """Return a day about to begin, with empty books; cron must be silent meanwhile."""
    names = [shape.agency(number) for number in range(shape.agencies)]
    with (
        _few_words(),
        psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True) as database,
        fanvue_process(shape.start - EVE, names, shape.seed) as fanvue,
        stopped_database(database),
    ):
        forget(database)
        database.execute(AS_DELIVERED.encode())
        clock = DayClock(fanvue.control, database, shape.start - EVE)
        clock.move_to(clock.instant)
        try:
            yield Day(
                shape=shape,
                environment={**stack, **fanvue.environment()},
                control=fanvue.control,
                database=database,
                clock=clock,
                watch=Watch(database),
            )
        finally:
            forget(database)
