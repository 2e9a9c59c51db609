"""The whole engine around a simulated Fanvue: connect creators, run workers, compare the books.

Talks to the running stack; what it changes there is undone by `forget`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg

from tests.support.waiting import wait_until
from worker.app import open_books, open_engine, run_worker
from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN
from worker.logs import configure_logging
from worker.sealing import Keyring
from worker.settings import Settings, load_settings


if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess as SpawnProcess

    from simulator.client import SimulatorControl
    from worker.tally import Tally


# Everything that hangs on an agency goes with it. Truncating makes a file for each table and index
# anew and lets every session plan anew, so it is left to tests that had many rows.
FORGET = """
do $$
declare
  v_tables regclass[];
  v_table regclass;
begin
  with recursive t(oid) as (
    select x::regclass::oid
    from unnest(array['public.agencies', 'public.webhook_events', 'private.api_budgets',
                      'private.api_endpoints', 'private.scheduler_ticks',
                      'private.adoption_findings']) x
    union
    select c.conrelid from t join pg_constraint c on c.contype = 'f' and c.confrelid = t.oid
  )
  select array_agg(t.oid::regclass) into v_tables from t;
  if (select sum(pg_relation_size(x)) from unnest(v_tables) x) > 1000000 then
    execute 'truncate ' || array_to_string(v_tables, ', ');
  else
    set local session_replication_role = replica;
    foreach v_table in array v_tables loop
      if pg_relation_size(v_table) > 0 then
        execute format('delete from %s', v_table);
      end if;
    end loop;
  end if;
end $$;
delete from private.engine_clock;
delete from private.webhook_refusals;
update private.reconcile_settings set last_night_at = now();
update private.sync_streams set every = '15 minutes', enabled = sync_type = 'earnings',
       deep_every = '1 day', aside_every = '1 hour';
"""


def forget(database: psycopg.Connection[Any]) -> None:
    """Empty the engine; whoever reads it meanwhile may take its locks in another order."""
    for _ in range(5):
        try:
            database.execute(FORGET.encode())
        except psycopg.errors.DeadlockDetected:
            continue
        return
    database.execute(FORGET.encode())


def silence_cron(database: psycopg.Connection[Any]) -> None:
    """Let pg_cron begin nothing more, and return when nothing that it began runs."""
    database.execute("select cron.alter_job(jobid, active := false) from cron.job")
    running = "select from cron.job_run_details where status in ('starting', 'running')"
    wait_until(lambda: not database.execute(running).fetchall(), "the last runs of pg_cron")


def wake_cron(database: psycopg.Connection[Any]) -> None:
    """Let pg_cron tick; how its runs ended beside a database that was stopped is not asked."""
    database.execute("delete from cron.job_run_details")
    database.execute("select cron.alter_job(jobid, active := true) from cron.job")


@dataclass(frozen=True, slots=True)
class Ledger:
    """What our tables say of one model: the rows, the rollup, and the running total."""

    count: int
    gross: Decimal
    net: Decimal
    rolled_up: tuple[int, Decimal, Decimal]
    revenue_total: Decimal


@dataclass(slots=True)
class Engine:
    """One test's engine: settings, database and simulator."""

    environment: dict[str, str]
    fanvue: SimulatorControl
    database: psycopg.Connection[Any]
    models: dict[str, str] = field(default_factory=dict)

    def settings(self, **changes: str) -> Settings:
        """Return the worker's settings, some of them changed."""
        return load_settings({**self.environment, **changes}, None)

    def creator(self, transactions: int = 0, **order: Any) -> str:
        """Add a creator to Fanvue and connect them; return their uuid."""
        made = self.fanvue.add_creators(transactions=transactions, **order)
        uuid = made[0]["uuid"]
        self.connect(uuid)
        return uuid

    def connect(
        self, creator: str, agency: str = "Agency A", *, replace: bool = False, **grant: Any
    ) -> str:
        """Connect a creator that Fanvue knows; return the model's id."""
        pair = self.fanvue.grant(creator, **grant)
        self.models[creator] = asyncio.run(self._connect(creator, agency, pair, replace=replace))
        return self.models[creator]

    async def _connect(self, creator: str, agency: str, pair: Any, *, replace: bool) -> str:
        settings = self.settings()
        keyring = Keyring(settings.sealing.keys)
        async with open_books(settings) as books:
            connection = await books.grants.connect(agency, creator, None, replace=replace)
            model_id = connection.model_id
            await books.grants.store(
                connection,
                keyring.seal(pair.access_token, model_id, ACCESS_COLUMN),
                keyring.seal(pair.refresh_token, model_id, REFRESH_COLUMN),
                timedelta(seconds=pair.expires_in),
            )
            return model_id

    def drain(self, *, wait_seconds: float = 5, **changes: str) -> Tally:
        """Run a worker here until nothing is due within `wait_seconds` and nothing runs."""
        return asyncio.run(self._drain(self.settings(**changes), timedelta(seconds=wait_seconds)))

    @staticmethod
    async def _drain(settings: Settings, horizon: timedelta) -> Tally:
        async with open_engine(settings) as engine:
            return await engine.runner.run(drain=True, horizon=horizon)

    def sync(
        self, creator: str, *, full: bool = False, wait_seconds: float = 5, **changes: str
    ) -> Tally:
        """Queue one creator's earnings now and drain."""
        asyncio.run(self._enqueue(self.models[creator], full=full))
        return self.drain(wait_seconds=wait_seconds, **changes)

    async def _enqueue(self, model_id: str, *, full: bool) -> None:
        async with open_books(self.settings()) as books:
            await books.jobs.enqueue(model_id, "earnings", full=full)

    @contextmanager
    def worker(self, *, drain: bool = False, **changes: str) -> Iterator[SpawnProcess]:
        """Run a worker as a process of its own; killed on the way out if it still runs."""
        # Forked from a server that has the imports done, so that fifty starts are cheap.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.support.engine"])
        process = context.Process(
            target=_work, args=({**self.environment, **changes}, drain), daemon=True
        )
        process.start()
        try:
            yield process
        finally:
            process.kill()
            process.join()

    def reconnect(self) -> None:
        """Open the database connection again, after the database was restarted."""
        self.database.close()
        url = self.environment["SUPABASE_DB_URL"]
        self.database = psycopg.connect(url, autocommit=True)

    def end_leases(self) -> None:
        """Let the leases of vanished workers run out, and give their jobs back."""
        running = 1
        while running:
            # More than once: a claim or commit that was on its way when its worker died holds on.
            self._move_past_leases()
            self.database.execute("select public.reap_expired_leases()")
            row = self.database.execute(
                "select count(*) from public.sync_jobs where state = 'running'"
            ).fetchone()
            running = 0 if row is None else row[0]

    def take_back(self) -> None:
        """Make dead workers' jobs due at once, however often in a row they died before a commit."""
        self.end_leases()
        self.database.execute(
            "update public.sync_jobs set run_at = private.engine_now(), max_attempts = 1000"
        )

    def _move_past_leases(self) -> None:
        self.database.execute(
            """
            insert into private.engine_clock (shift) values (interval '61 s')
            on conflict (singleton) do update set shift = engine_clock.shift + excluded.shift
            """
        )

    # What the tables say --------------------------------------------------------------------------

    def ledger(self, creator: str) -> Ledger:
        """Return our books of a creator."""
        row = self.database.execute(
            """
            select (select count(*) from public.fanvue_transactions t where t.model_id = m.id),
                   (select coalesce(sum(t.amount), 0) from public.fanvue_transactions t
                    where t.model_id = m.id),
                   (select coalesce(sum(t.net_amount), 0) from public.fanvue_transactions t
                    where t.model_id = m.id),
                   (select coalesce(sum(e.transactions), 0) from public.earnings_daily e
                    where e.model_id = m.id),
                   (select coalesce(sum(e.gross), 0) from public.earnings_daily e
                    where e.model_id = m.id),
                   (select coalesce(sum(e.net), 0) from public.earnings_daily e
                    where e.model_id = m.id),
                   m.revenue_total
            from public.models m where m.id = %s
            """,
            (self.models[creator],),
        ).fetchone()
        assert row is not None
        return Ledger(row[0], row[1], row[2], (row[3], row[4], row[5]), row[6])

    def assert_exact(self, creator: str) -> None:
        """Compare our books of a creator with Fanvue's, to the cent."""
        theirs = self.fanvue.books(creator)
        ours = self.ledger(creator)
        gross, net = Decimal(theirs.gross_cents) / 100, Decimal(theirs.net_cents) / 100
        assert (ours.count, ours.gross, ours.net) == (theirs.count, gross, net)
        assert ours.rolled_up == (ours.count, ours.gross, ours.net)
        assert ours.revenue_total == ours.gross

    def run_states(self, creator: str) -> list[str]:
        """Return the states of a creator's finished runs, oldest first; the counted ones last."""
        rows = self.database.execute(
            "select state from public.sync_runs where model_id = %(model)s order by id",
            {"model": self.models[creator]},
        ).fetchall()
        counted = self.database.execute(
            "select coalesce(sum(runs), 0)::integer from private.quiet_runs"
            " where model_id = %(model)s",
            {"model": self.models[creator]},
        ).fetchone()
        return [row[0] for row in rows] + ["succeeded"] * (counted[0] if counted else 0)

    def pass_time(self, seconds: float) -> None:
        """Move Fanvue's clock and the engine's clock alike."""
        self.fanvue.advance(seconds)
        self.database.execute(
            """
            insert into private.engine_clock (shift) values (make_interval(secs => %s))
            on conflict (singleton) do update
              set shift = engine_clock.shift + excluded.shift
            """,
            (seconds,),
        )

    def pass_time_to_noon(self) -> None:
        """Let it be noon, at whatever hour the test runs: no day ends during it."""
        now = datetime.fromisoformat(self.fanvue.clock()["now"])
        into = now - now.replace(hour=0, minute=0, second=0, microsecond=0)
        self.pass_time((timedelta(hours=12) - into).total_seconds() % 86_400)

    def calls(self, creator: str) -> list[dict[str, Any]]:
        """Return Fanvue's log of the calls about a creator's earnings."""
        return [
            call
            for call in self.fanvue.requests(creator=creator, limit=100_000)
            if "/insights/" in call["path"]
        ]


def _work(environment: dict[str, str], drain: bool) -> None:
    """Be a worker process."""
    settings = load_settings(environment, None)
    configure_logging("warning", secrets=settings.secrets())
    tally = asyncio.run(run_worker(settings, drain=drain))
    sys.exit(1 if tally.dead else 0)
