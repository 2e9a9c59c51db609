"""Databases of several sizes beside each other on one server, filled by a few statements.

Every creator has the same books at each size; only their number differs. The last creator is
lively: their ledger grows with the size.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from benchmarks.stage import Stage
from local.postgres import OWNER
from tests.support.postgres import as_superuser, migrated_project


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.stage import Connection


MODELS_AN_AGENCY = 10
SALES_A_MODEL = 1000
RUNS_A_MODEL = 100
EVENTS_A_MODEL = 20
LIVELY_SHARE = 20  # of all sales, the lively creator has one in so many beside the common ones

# Triggers are off meanwhile: what they keep is written once, from the whole.
# Ids in the order of writing keep the key's index warm.
_MEMBERS = """
  insert into public.agency_members (agency_id, user_id)
  select id, gen_random_uuid() from public.agencies
"""
_SALES = """
  insert into public.fanvue_transactions (
    id, agency_id, model_id, fanvue_id, amount, net_amount, currency, category, source, status,
    fan_uuid, fanvue_created_at)
  select lpad(to_hex(%(first)s + m.place * %(each)s + n), 32, '0')::uuid,
         m.agency_id, m.id, %(name)s || n || '-' || left(m.id::text, 8),
         9.99, 7.99, 'USD', 'tip', 'tip', 'available',
         'fan-' || n %% 40, date_trunc('day', now()) - n * %(apart)s::interval
  from (
    select m.id, m.agency_id, row_number() over (order by m.id desc) as place
    from public.models m order by m.id desc limit %(models)s
  ) m
  cross join generate_series(1, %(each)s) n
"""
_RUNS = """
  insert into public.sync_runs (job_id, agency_id, model_id, sync_type, state, attempt, queued_at,
    started_at, finished_at, worker)
  select n, m.agency_id, m.id, 'earnings', 'succeeded', 1, t.at, t.at, t.at, 'bench'
  from public.models m
  cross join generate_series(1, %(each)s) n
  cross join lateral (select now() - n * interval '7 hours' as at) t
"""
# of the many hours that are kept, those that are read
_QUIET = """
  insert into private.quiet_runs (
    model_id, sync_type, hour, runs, requests, last_lease_id)
  select s.model_id, s.sync_type, date_trunc('hour', now()) - n * interval '1 hour', 4, 4, 1
  from public.sync_state s
  cross join generate_series(0, 2) n
"""
_EVENTS = """
  insert into public.webhook_events (event_id, topic, agency_id, model_id, creator_uuid, payload,
    status, received_at, applied_at)
  select 'seen-' || n, 'creator.payment.succeeded', m.agency_id, m.id, m.fanvue_user_uuid, '{}',
         'applied', t.at, t.at
  from public.models m
  cross join generate_series(1, %(each)s) n
  cross join lateral (select now() - n * interval '1 day' as at) t
"""
_AUDIENCE = """
  with fans as (
    insert into public.fanvue_fans (agency_id, model_id, fan_uuid, is_follower)
    select m.agency_id, m.id, 'fan-' || n, true
    from public.models m cross join generate_series(1, 40) n
  ), chats as (
    insert into public.fanvue_chats (
      agency_id, model_id, fan_uuid, last_message_at, history_done, known_until)
    select m.agency_id, m.id, 'fan-' || n, now(), true, now()
    from public.models m cross join generate_series(1, 20) n
  ), posts as (
    insert into public.fanvue_posts (agency_id, model_id, post_uuid, fanvue_created_at)
    select m.agency_id, m.id, 'post-' || n, now() - n * interval '1 day'
    from public.models m cross join generate_series(1, 20) n
  ), ranks as (
    insert into public.fanvue_top_fans (agency_id, model_id, day, rank, fan_uuid)
    select m.agency_id, m.id, current_date - d, n, 'fan-' || n
    from public.models m cross join generate_series(1, 10) n cross join generate_series(0, 2) d
  ), accounts as (
    insert into public.fanvue_accounts (agency_id, model_id, status)
    select agency_id, id, 'active' from public.models
  )
  insert into public.fanvue_messages (agency_id, model_id, message_uuid, fan_uuid, sender, sent_at)
  select m.agency_id, m.id, 'said-' || n, 'fan-' || (1 + n %% 20), 'fan',
         now() - n * interval '1 hour'
  from public.models m cross join generate_series(1, 100) n
"""
# All is well: everything was read a minute ago, the money is proved, and the schedule lives.
_HEALTHY = """
  update public.sync_state
  set last_sync_at = now(), last_success_at = now(), last_deep_at = now(), last_full_at = now(),
      high_water = now(), next_sync_at = now() + interval '1 hour';
  insert into private.reconciliations (model_id, last_proved_at)
  select id, now() from public.models
  on conflict (model_id) do update set last_proved_at = excluded.last_proved_at;
  update private.reconcile_settings set last_night_at = now();
  insert into private.stats_versions (model_id) select id from public.models on conflict do nothing
"""
_LATER_INDEXES = """
  select pg_get_indexdef(indexrelid), indexrelid::regclass::text
  from pg_index where indrelid = 'public.fanvue_transactions'::regclass and not indisunique
"""


@dataclass(frozen=True, slots=True)
class Town:
    """One database: its stage, one agency's member, and whose sales are sold."""

    models: int
    sales_a_model: int
    stage: Stage
    agency_id: str
    claims: str
    creator: tuple[str, str]
    lively: tuple[str, str]

    @property
    def lively_sales(self) -> int:
        """How many sales the lively creator has beside the common ones."""
        return self.models * self.sales_a_model // LIVELY_SHARE

    @property
    def name(self) -> str:
        """How large it is."""
        return f"{self.models:,} models, {self.models * self.sales_a_model:,} sales"


@contextmanager
def open_towns(
    environment: Mapping[str, str], sizes: tuple[int, ...], sales_a_model: int = SALES_A_MODEL
) -> Iterator[list[Town]]:
    """Make a database for each number of models; drop them at the end."""
    with ExitStack() as opened:
        yield [
            opened.enter_context(_open_town(environment, models, sales_a_model)) for models in sizes
        ]


class Meter:
    """The seconds of CPU that the server's processes behind some connections used, as they tell."""

    _USED = re.compile(r"!\s([\d.]+) s user, ([\d.]+) s system, [\d.]+ s elapsed")

    def __init__(self) -> None:
        self._seconds = 0.0

    def __call__(self) -> float:
        """Read the clock."""
        return self._seconds

    def connect(self, url: str, role: str) -> Connection:
        """Connect as a role; each statement with its commit is one message, and is told whole."""
        connection = psycopg.connect(
            as_superuser(url), autocommit=True, cursor_factory=psycopg.ClientCursor
        )
        connection.add_notice_handler(self._hear)
        connection.execute("set log_statement_stats = on; set client_min_messages = log")
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        return connection

    def _hear(self, told: psycopg.errors.Diagnostic) -> None:
        if used := self._USED.search(told.message_detail or ""):
            self._seconds += sum(map(float, used.groups()))


@contextmanager
def _open_town(environment: Mapping[str, str], models: int, sales_a_model: int) -> Iterator[Town]:
    meter = Meter()
    with (
        migrated_project(environment["SUPABASE_DB_URL"]) as url,
        meter.connect(url, OWNER) as owner,
        meter.connect(url, "service_role") as service,
    ):
        stage = Stage({**environment, "SUPABASE_DB_URL": url}, owner, service, meter)
        _fill(stage, models, sales_a_model)
        (member,) = owner.execute(
            "select agency_id::text, user_id::text from public.agency_members"
            " where agency_id = (select agency_id from public.models order by id limit 1) limit 1"
        ).fetchall()
        ids = "select id::text, fanvue_user_uuid from public.models order by id"
        creator = owner.execute(f"{ids} limit 1".encode()).fetchall()[0]
        lively = owner.execute(f"{ids} desc limit 1".encode()).fetchall()[0]
        claims = json.dumps({"sub": member[1], "role": "authenticated"})
        yield Town(models, sales_a_model, stage, member[0], claims, creator, lively)


def _fill(stage: Stage, models: int, sales_a_model: int) -> None:
    stage.populate(agencies=max(1, models // MODELS_AN_AGENCY), models=models)
    many = models * sales_a_model // LIVELY_SHARE
    common = {"name": "old-", "apart": "6 hours", "models": models, "each": sales_a_model}
    lively = {"name": "lively-", "apart": "5 minutes", "models": 1, "each": many}
    with stage.owner.transaction():
        stage.run("set local session_replication_role = replica")
        stage.run("set local maintenance_work_mem = '512MB'")
        indexes = stage.owner.execute(_LATER_INDEXES).fetchall()
        for _, name in indexes:
            stage.run(f"drop index {name}")
        stage.run(_SALES, {**common, "first": 0})
        stage.run(_SALES, {**lively, "first": 1 << 40})
        for definition, _ in indexes:
            stage.run(definition)
        stage.roll_up()
        stage.run(_RUNS, {"each": RUNS_A_MODEL})
        stage.run(_QUIET)
        stage.run(_EVENTS, {"each": EVENTS_A_MODEL})
        stage.run(_MEMBERS)
        stage.run(_AUDIENCE, {})
        stage.owner.execute(_HEALTHY.encode())
    stage.owner.execute("vacuum analyze")
