"""The composition root: settings in, object graph out. The only module that imports everything.

Opens the connections and closes them; wires stores, budget, grants, client, jobs and loop.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import structlog

from worker.alerts import TIMEOUT_SECONDS as ALERT_SECONDS
from worker.alerts import Alerts
from worker.cache import open_shelf
from worker.changes import ToldRuns, ToldWalks
from worker.clock import Clock, SystemClock
from worker.errors import DatabaseUnavailable, SchemaMissing
from worker.fanvue.client import FanvueClient
from worker.fanvue.connection import open_http
from worker.fanvue.oauth import Refused, TokenEndpoint, TokenPair
from worker.fanvue.paths import endpoint_of
from worker.jobs.dispatch import Dispatch
from worker.jobs.grants import GrantKeeper, RefusedRefresh
from worker.jobs.pages import PageReader
from worker.jobs.reconcile import Reconciliation
from worker.jobs.refresh_token import refresh_token
from worker.jobs.stream_job import StreamJob
from worker.jobs.walk import Slice
from worker.limits.shared import SharedBudget, TakenCalls
from worker.metrics import Metric, Metrics
from worker.observe.gauges import EngineGauges
from worker.observe.health import Health
from worker.observe.server import MonitoringServer
from worker.runner import Runner
from worker.schedule import Schedule
from worker.sealing import Keyring
from worker.stats_cache import StatsCache
from worker.store.alerts import AlertStore
from worker.store.calls import CallStore
from worker.store.database import Database, open_database_http
from worker.store.grants import GrantStore
from worker.store.jobs import JobStore
from worker.store.overview import OverviewStore
from worker.streams.registry import STREAMS
from worker.streams.stream import first_path
from worker.subscription import Subscription
from worker.traffic import Lane, lane_of
from worker.transport import open_client
from worker.wake_up import TOPIC, WakeUp


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from worker.cache import DayRange
    from worker.fanvue.calls import RequestMeter
    from worker.jobs.dispatch import Handler
    from worker.jobs.outcomes import Result
    from worker.limits.shared import SeenRate
    from worker.settings import Settings
    from worker.store.jobs import Job
    from worker.store.walks import WalkState
    from worker.tally import Tally


log = structlog.get_logger(__name__)


class _CallSource:
    """Lets the budget take its blocks from the database; the two know nothing of each other."""

    def __init__(self, store: CallStore) -> None:
        self._store = store

    async def take_calls(
        self, bucket: str, endpoint: str, want: int, lane: Lane, seen: SeenRate | None
    ) -> TakenCalls:
        reply = await self._store.take_calls(bucket, endpoint, want, lane.value, _report(seen))
        return _taken(reply)

    async def block_bucket(
        self, bucket: str, endpoint: str, seconds: float, seen: SeenRate | None
    ) -> None:
        await self._store.block_bucket(bucket, endpoint, seconds, _report(seen))


def _taken(reply: dict[str, Any]) -> TakenCalls:
    return TakenCalls(
        granted=int(reply["granted"]),
        wait=timedelta(milliseconds=float(reply["wait_ms"])),
        limit=int(reply["limit"]),
        valid_for=timedelta(milliseconds=float(reply["valid_ms"])),
    )


def _report(seen: SeenRate | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    reset = None if seen.reset_in is None else seen.reset_in.total_seconds()
    return {"limit": seen.limit, "remaining": seen.remaining, "reset_in_s": reset}


class _PaidWalks(ToldWalks):
    """Walks that begin with their first page's call: the budget asks for it along with them."""

    budget: SharedBudget

    async def begin(self, job: Job, calls: dict[str, Any] | None = None) -> WalkState:
        path = first_path(STREAMS[job.sync_type])
        if path is None:
            return await super().begin(job, calls)
        order = self.budget.order(job.bucket, lane_of(job.priority), endpoint=endpoint_of(path))
        if order is not None:
            calls = {
                "bucket": order.bucket,
                "endpoint": order.endpoint,
                "want": order.want,
                "lane": order.lane.value,
                "seen": _report(order.seen),
            }
        state = await super().begin(job, calls)
        if order is not None and state.calls is not None:
            self.budget.deliver(order, _taken(state.calls))
        return state


class _Refresher:
    """Lets the grant keeper ask Fanvue's token endpoint."""

    def __init__(self, endpoint: TokenEndpoint, metrics: Metrics) -> None:
        self._endpoint = endpoint
        self._metrics = metrics

    async def __call__(self, refresh_token: str) -> TokenPair | RefusedRefresh:
        answer = await self._endpoint.refresh(refresh_token)
        result = answer.kind if isinstance(answer, Refused) else "refreshed"
        self._metrics.count(Metric.REFRESHES, result=result)
        if isinstance(answer, Refused):
            return RefusedRefresh(answer.kind, answer.message, answer.retry_after)
        return answer


@dataclass(frozen=True, slots=True)
class Books:
    """The database's side of the engine: enough for commands that do not call Fanvue."""

    database: Database
    jobs: JobStore
    grants: GrantStore
    overview: OverviewStore
    alerts: AlertStore
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Engine:
    """The whole worker, ready to run."""

    books: Books
    clock: Clock
    grants: GrantKeeper
    client: FanvueClient
    runner: Runner
    schedule: Schedule
    wake_up: WakeUp
    monitoring: MonitoringServer


def worker_name() -> str:
    """Name this process start; never the same twice, so that an orphan cannot look owned."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@asynccontextmanager
async def open_books(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Books]:
    """Open the database's side alone."""
    lease = timedelta(seconds=settings.worker.lease_seconds)
    http = open_database_http(connections=settings.worker.concurrency + 8)
    metrics, name = Metrics(), worker_name()
    async with http:
        database = Database(
            http, settings.supabase, clock or SystemClock(), SystemRandom(), metrics=metrics
        )
        yield Books(
            database=database,
            jobs=JobStore(database, name, lease),
            grants=GrantStore(database),
            overview=OverviewStore(database),
            alerts=AlertStore(database, name),
            metrics=metrics,
        )


@asynccontextmanager
async def open_engine(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Engine]:
    """Open everything; on the way out, refreshes underway are finished and connections closed."""
    clock = clock or SystemClock()
    lease = timedelta(seconds=settings.worker.lease_seconds)
    fanvue_http = open_http(
        timeout_seconds=settings.fanvue.timeout_seconds,
        connections=settings.worker.concurrency + 4,
    )
    async with open_books(settings, clock) as books, fanvue_http, AsyncExitStack() as beside:
        metrics = books.metrics
        grants = GrantKeeper(
            books.grants,
            _Refresher(TokenEndpoint(fanvue_http, clock, settings.fanvue), metrics),
            Keyring(settings.sealing.keys),
            clock,
            worker_name(),
        )
        budget = SharedBudget(_CallSource(CallStore(books.database)), clock)
        client = FanvueClient(
            fanvue_http, budget, clock, SystemRandom(), settings.fanvue, metrics=metrics
        )
        limits = Slice(
            settings.worker.slice_pages, timedelta(seconds=settings.worker.slice_seconds)
        )
        changed = await beside.enter_async_context(_warm_cache(settings, books, clock))
        walks = _PaidWalks(books.database, lease, changed, metrics=metrics)
        walks.budget = budget
        runs = ToldRuns(books.database, lease, changed, metrics=metrics)

        async def reconcile(job: Job, meter: RequestMeter, stopping: Callable[[], bool]) -> Result:
            reader = PageReader(client, grants, job, lane_of(job.priority), meter)
            return await Reconciliation(job, runs, reader, clock, limits, stopping).run()

        async def refresh(job: Job, _: RequestMeter, __: Callable[[], bool]) -> Result:
            return await refresh_token(job, grants)

        # Every job type has its handler here; a new one is a line.
        handlers: dict[str, Handler] = {
            **{
                name: StreamJob(stream, client, grants, walks, clock, limits, lane_of)
                for name, stream in STREAMS.items()
            },
            "reconcile": reconcile,
            "token_refresh": refresh,
        }
        runner = Runner(
            books.jobs,
            Dispatch(handlers),
            clock,
            concurrency=settings.worker.concurrency,
            lease=lease,
            shutdown=timedelta(seconds=settings.worker.shutdown_seconds),
            metrics=metrics,
        )
        schedule = Schedule(
            books.jobs,
            runner.wake,
            tick=timedelta(seconds=settings.worker.tick_seconds),
            tell=await beside.enter_async_context(_alerts(settings, books)),
            metrics=metrics,
        )
        subscription = Subscription(settings.supabase, [TOPIC], clock, SystemRandom())
        wake_up = WakeUp(subscription, runner, clock, metrics=metrics)
        gauges = EngineGauges(books.overview, metrics, clock)
        monitoring = MonitoringServer(metrics, gauges, Health(runner, gauges))
        try:
            yield Engine(books, clock, grants, client, runner, schedule, wake_up, monitoring)
        finally:
            await grants.finish()


@asynccontextmanager
async def _warm_cache(
    settings: Settings, books: Books, clock: Clock
) -> AsyncIterator[Callable[[str], None]]:
    """Keep the cache warm while the block runs; yield what takes the agencies that changed."""
    if settings.upstash is None:
        yield lambda _: None
        return

    async def figures(agency_id: str, days: DayRange) -> dict[str, Any]:
        asked = {"p_agency_id": agency_id, "p_from": days.first, "p_to": days.last}
        reply: dict[str, Any] = await books.database.call("dashboard_stats", asked)
        return reply

    async with open_shelf(settings.upstash) as shelf:
        cache = StatsCache(shelf, figures, clock, metrics=books.metrics)
        async with cache.warming():
            yield cache.changed


@asynccontextmanager
async def _alerts(settings: Settings, books: Books) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Yield what tells an engineer of troubles, at the address that the settings name."""
    address = settings.worker.alert_webhook_url
    async with open_client(timeout=ALERT_SECONDS) as http:
        yield Alerts(books.alerts, http, address, metrics=books.metrics).tell


async def run_worker(settings: Settings, *, drain: bool = False) -> Tally:
    """Run until SIGTERM or SIGINT, or with `drain` until nothing is due or running."""
    async with open_engine(settings) as engine, AsyncExitStack() as beside:
        with _stopped_by_signals(engine.runner.stop):
            if settings.worker.metrics_port:
                # Before any work is taken: a port in use is told at once.
                host, port = settings.worker.metrics_host, settings.worker.metrics_port
                await beside.enter_async_context(engine.monitoring.listening(host, port))
            log.info("worker_started", concurrency=settings.worker.concurrency, drain=drain)
            await _first_round(engine.books.jobs, drain=drain)
            engine.schedule.start()
            if settings.worker.wake_up and not drain:
                await beside.enter_async_context(engine.wake_up.listening())
            try:
                tally = await engine.runner.run(drain=drain)
            finally:
                engine.schedule.stop()
            log.info(
                "worker_stopped",
                claimed=tally.claimed,
                outcomes=dict(tally.outcomes),
                requests=tally.requests,
                throttled=tally.throttled,
            )
            return tally


async def _first_round(jobs: JobStore, *, drain: bool) -> None:
    """Find what is due at once, not a tick later.

    A worker started while the database is away, or before its migrations, waits as one that works
    already does: who starts it again and again may give up before. A drain has nobody to wait for.
    """
    try:
        await jobs.reap()
        await jobs.retry_webhooks()
        await jobs.enqueue_due("worker")
    except (DatabaseUnavailable, SchemaMissing) as error:
        if drain:
            raise
        log.warning(error.code, reason=error.operator_message)


class _stopped_by_signals:  # noqa: N801 - reads as a statement
    """Turn SIGTERM and SIGINT into a graceful stop; a second one falls through to the default."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._once, number)

    def _once(self, number: signal.Signals) -> None:
        log.info("stopping", signal=number.name)
        asyncio.get_running_loop().remove_signal_handler(number)
        self._stop()

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(ValueError):
                loop.remove_signal_handler(number)
