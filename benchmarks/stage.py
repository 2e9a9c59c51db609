"""Where benchmarks run: a database to fill and empty, a service connection, the worker's settings.

Everything in the database is the benchmarks' to delete. Sizes say how much of it they make.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


Connection = psycopg.Connection[tuple[Any, ...]]

_EMPTY = """
  truncate public.agencies, public.webhook_events, private.api_budgets, private.api_endpoints,
           private.scheduler_ticks, private.engine_clock cascade
"""
_MODELS = """
  insert into public.models (agency_id, fanvue_user_uuid, fanvue_refresh_token)
  select a.id, gen_random_uuid()::text, 'unused'
  from (select id, row_number() over (order by name) as place from public.agencies) a
  join generate_series(1, %(models)s) n on n %% %(agencies)s + 1 = a.place
"""
_QUEUE = """
  insert into public.sync_jobs (agency_id, model_id, sync_type, priority, run_at, bucket)
  select m.agency_id, m.id, 'earnings', %(priority)s, now(), 'user:' || m.fanvue_user_uuid
  from public.models m
  order by m.id
  limit %(jobs)s
"""
_ROLLUP = """
  insert into public.earnings_daily (agency_id, model_id, day, category, gross, net, transactions)
  select t.agency_id, t.model_id, (t.fanvue_created_at at time zone 'UTC')::date, t.category,
         sum(t.amount), sum(t.net_amount), count(*)
  from public.fanvue_transactions t
  group by 1, 2, 3, 4
"""
# they tell what becomes of jobs and streams
_HINTS = (
    ("sync_jobs", "sync_jobs_push_update"),
    ("sync_jobs", "sync_jobs_push_delete"),
    ("sync_state", "sync_state_push_update"),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much each benchmark makes and how often it repeats."""

    rounds: int
    history: int
    agencies: int
    backlog: int
    short_backlog: int
    small_ledger: int
    large_ledger: int
    ledger_models: int
    commits: int
    few_models: int
    many_models: int
    ticks: int
    creators: int
    creator_pages: int
    deliveries: int
    sales: int
    reads: int
    takes: int
    jobs: int
    towns: tuple[int, ...]
    town_sales: int
    town_rounds: int


FULL = Size(
    rounds=3,
    history=5000,
    agencies=20,
    backlog=10_000,
    short_backlog=100,
    small_ledger=10_000,
    large_ledger=1_000_000,
    ledger_models=200,
    commits=30,
    few_models=100,
    many_models=10_000,
    ticks=20,
    creators=8,
    creator_pages=25,
    deliveries=500,
    sales=100,
    reads=1000,
    takes=100,
    jobs=200_000,
    towns=(10, 1_000),
    town_sales=1_000,
    town_rounds=5,
)
# ten million sales take a while to make
LARGE = replace(FULL, towns=(10, 1_000, 10_000))
TINY = Size(
    rounds=1,
    history=120,
    agencies=2,
    backlog=60,
    short_backlog=20,
    small_ledger=100,
    large_ledger=200,
    ledger_models=2,
    commits=2,
    few_models=2,
    many_models=4,
    ticks=2,
    creators=2,
    creator_pages=2,
    deliveries=20,
    sales=3,
    reads=20,
    takes=2,
    jobs=2_000,
    towns=(2, 4),
    town_sales=200,
    town_rounds=1,
)


class Stage:
    """The database of a running stack, and the settings of a worker beside it."""

    def __init__(
        self,
        environment: Mapping[str, str],
        owner: Connection,
        service: Connection,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.environment = dict(environment)
        self.owner = owner
        self._service = service
        self.clock = clock
        self.url = self.environment["SUPABASE_DB_URL"]

    def run(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Any]:
        """Run a statement as the database's owner; return the first column."""
        cursor = self.owner.execute(statement.encode(), values)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []

    def cpu(self) -> float:
        """Return the seconds that the server has computed for the stage's connections."""
        ticks = 0
        for connection in (self.owner, self._service):
            stat = Path(f"/proc/{connection.info.backend_pid}/stat").read_text("ascii")
            ticks += sum(map(int, stat.rpartition(")")[2].split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def call(self, function: str, **arguments: Any) -> Any:
        """Call a function of the engine as the worker's role does."""
        pairs = [sql.SQL("{} => %s").format(sql.Identifier(name)) for name in arguments]
        statement = sql.SQL("select public.{}({})").format(
            sql.Identifier(function), sql.SQL(", ").join(pairs)
        )
        values = [Jsonb(v) if isinstance(v, dict | list) else v for v in arguments.values()]
        row = self._service.execute(statement, values).fetchone()
        return None if row is None else row[0]

    def timed_call(self, function: str, **arguments: Any) -> tuple[float, Any]:
        """Call a function and return the milliseconds it took beside its answer."""
        began = self.clock()
        answer = self.call(function, **arguments)
        return (self.clock() - began) * 1000, answer

    def clear(self) -> None:
        """Empty the engine."""
        self.owner.execute(_EMPTY)

    def populate(self, *, agencies: int, models: int) -> None:
        """Make models that can sync, dealt to agencies, none of them due."""
        self.clear()
        self.run(
            "insert into public.agencies (name) select 'bench ' || n"
            " from generate_series(1, %(count)s) n",
            {"count": agencies},
        )
        self.run(_MODELS, {"models": models, "agencies": agencies})
        self.run("update public.sync_state set next_sync_at = now() + interval '1 year'")
        self.settle("public.models", "public.sync_state")

    def fill_queue(self, jobs: int, priority: int = 10) -> None:
        """Queue a job, due now, for each of so many models, and nothing else."""
        self.run("truncate public.sync_jobs, public.sync_runs, private.quiet_runs")
        self.run(_QUEUE, {"jobs": jobs, "priority": priority})
        self.settle("public.sync_jobs", "private.queue_lanes", "public.sync_state")

    def roll_up(self) -> None:
        """Sum up sales that were stored without triggers."""
        self.run(_ROLLUP)

    @contextmanager
    def without_hints(self) -> Iterator[None]:
        """Let nothing of jobs and streams be told while the block runs."""
        self._turn_hints("disable")
        try:
            yield
        finally:
            self._turn_hints("enable")

    def _turn_hints(self, change: str) -> None:
        for table, trigger in _HINTS:
            self.run(f"alter table public.{table} {change} trigger {trigger}")

    def settle(self, *tables: str) -> None:
        """Do autovacuum's work now, so that it does not fall into a measurement."""
        for table in tables:
            self.owner.execute(f"vacuum analyze {table}".encode())

    @contextmanager
    def held_snapshot(self) -> Iterator[None]:
        """Hold a snapshot elsewhere, as a dump or a forgotten transaction does."""
        with psycopg.connect(self.url) as holder:
            holder.execute("set transaction isolation level repeatable read")
            holder.execute("select count(*) from public.sync_jobs")
            yield
            holder.rollback()


@contextmanager
def open_stage(environment: Mapping[str, str]) -> Iterator[Stage]:
    """Connect to a stack and keep its schedule silent; leave it empty."""
    url = environment["SUPABASE_DB_URL"]
    with (
        psycopg.connect(url, autocommit=True) as owner,
        psycopg.connect(url, autocommit=True) as service,
    ):
        service.execute("set role service_role")
        jobs = [row[0] for row in owner.execute("select jobid from cron.job where active")]
        _turn_cron(owner, jobs, active=False)
        stage = Stage(environment, owner, service)
        try:
            yield stage
        finally:
            stage.clear()
            _turn_cron(owner, jobs, active=True)


def _turn_cron(owner: Connection, jobs: list[int], *, active: bool) -> None:
    for job in jobs:
        owner.execute("select cron.alter_job(%s, active := %s)", (job, active))
