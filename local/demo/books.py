"""What our database says, read over psql in one query each: books, runs, ticks, grants."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from local.demo.calls import read_readings


if TYPE_CHECKING:
    from local.demo.calls import Readings
    from local.stack import Stack


_LEDGER: Final = """
select coalesce(jsonb_agg(to_jsonb(x)), '[]') from (
  select m.fanvue_user_uuid as creator, m.handle, m.status,
         l.count, l.gross::text, l.net::text, m.revenue_total::text,
         d.count as daily_count, d.gross::text as daily_gross, d.net::text as daily_net
  from public.models m
  cross join lateral (select count(*), coalesce(sum(t.amount), 0) as gross,
                             coalesce(sum(t.net_amount), 0) as net
                      from public.fanvue_transactions t where t.model_id = m.id) l
  cross join lateral (select coalesce(sum(e.transactions), 0) as count,
                             coalesce(sum(e.gross), 0) as gross, coalesce(sum(e.net), 0) as net
                      from public.earnings_daily e where e.model_id = m.id) d) x
"""
_QUEUE: Final = """
select jsonb_build_object(
  'running', count(*) filter (where state = 'running'),
  'due', count(*) filter (where state = 'queued' and run_at <= private.engine_now()),
  'queued', count(*) filter (where state = 'queued'),
  'settled', (select count(*) from public.sync_runs)
           + (select coalesce(sum(q.runs), 0) from private.quiet_runs q),
  'rows', (select count(*) from public.fanvue_transactions)
        + (select count(*) from public.fanvue_messages),
  'dead', count(*) filter (where state = 'dead'))
from public.sync_jobs where sync_type <> 'token_refresh'
"""
_RUNS: Final = """
select jsonb_build_object(
  -- A run that had to wait, and whose successor was queued meanwhile, hands its work to it: no end
  -- of its own. What could not be read is of the kind partial.
  'outcomes', (select coalesce(jsonb_object_agg(s.state, s.runs), '{{}}')
               from (select case when r.state = 'partial' and r.error ->> 'kind' <> 'partial'
                                 then 'folded' else r.state end as state, count(*) as runs
                     from public.sync_runs r group by 1
                     union all
                     select 'counted', sum(q.runs) from private.quiet_runs q
                     having sum(q.runs) > 0) s),
  -- What was asked for must have ended, and a chat's messages must be read to their beginning.
  'streams', (select jsonb_build_object(
                'all', count(*),
                'finished', count(*) filter (where s.walk_id is null and s.last_error is null
                                               and s.last_success_at is not null))
              from public.sync_state s join public.models m on m.id = s.model_id),
  'webhooks', (select coalesce(jsonb_object_agg(e.status, e.events), '{{}}')
               from (select w.status, count(*) as events
                     from public.webhook_events w group by 1) e),
  -- From the moment of the sale to the moment its row stood in our ledger, whichever way it came.
  'arrival', (select jsonb_build_object(
                'rows', count(*),
                'p50', coalesce(percentile_cont(0.5) within group (order by a.seconds), 0),
                'p95', coalesce(percentile_cont(0.95) within group (order by a.seconds), 0))
              from (select extract(epoch from t.created_at - t.fanvue_created_at)::float8 as seconds
                    from public.fanvue_transactions t
                    where t.fanvue_created_at >= '{since}') a),
  'ticks', (select coalesce(max(k.ticks), 0) from private.scheduler_ticks k
            where k.source = 'pg_cron'))
"""


# Older messages are one reading, in however many jobs, each of which reads only what is left.
_READINGS: Final = """
select coalesce(jsonb_agg(to_jsonb(x)), '[]') from (
  select m.fanvue_user_uuid as creator, r.sync_type,
         case when r.sync_type = 'message_history' then 1
              else coalesce(sum(r.runs) filter (where r.kind = 'full'), 0) end as complete,
         case when r.sync_type = 'message_history' then 0
              else coalesce(sum(r.runs) filter (where r.kind <> 'full'), 0) end as polls
  from (select u.model_id, u.sync_type, u.detail ->> 'kind' as kind, 1 as runs
        from public.sync_runs u where u.state = 'succeeded'
        union all
        -- polls that found nothing new are only counted
        select q.model_id, q.sync_type, 'incremental', q.runs from private.quiet_runs q) r
  join public.models m on m.id = r.model_id
  where r.sync_type in (select t.sync_type from private.sync_streams t)
  group by 1, 2) x
"""
# Each attempt beside a job's first may have read a whole list again.
_AGAIN: Final = """
select coalesce(jsonb_agg(jsonb_build_object(
  'creator', m.fanvue_user_uuid, 'sync_type', r.sync_type, 'again', r.attempt - 1)), '[]')
from public.sync_runs r
join public.models m on m.id = r.model_id
where r.attempt > 1
"""
_GRANTS: Final = """
select coalesce(jsonb_agg(to_jsonb(x)), '[]') from (
  select m.fanvue_user_uuid as account, m.handle as name, m.status, m.token_version as version
  from public.models m where m.connection_id is null
  union all
  select c.fanvue_user_uuid, a.name, c.status, c.token_version
  from public.agency_connections c join public.agencies a on a.id = c.agency_id) x
"""


@dataclass(frozen=True, slots=True)
class ModelBooks:
    """One creator's money with us: rows, daily sums, running total."""

    creator: str
    handle: str
    status: str
    count: int
    gross: Decimal
    net: Decimal
    daily: tuple[int, Decimal, Decimal]
    revenue_total: Decimal


@dataclass(frozen=True, slots=True)
class GrantBooks:
    """One grant with us, a creator's own or an agency's, and how many tokens it has had."""

    account: str
    name: str
    status: str
    token_version: int


_TOLD: Final = """
select coalesce(jsonb_agg(m.id), '[]') from realtime.messages m where m.topic like 'agency:%'
"""
_DAILY: Final = """
select coalesce(jsonb_object_agg(x.agency_id, x.sums), '{}')
from (select e.agency_id, jsonb_build_array(sum(e.transactions), sum(e.gross)::text) as sums
      from public.earnings_daily e group by e.agency_id) x
"""


class OurBooks:
    """Reads; never writes."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def now(self) -> str:
        """Return the database's clock."""
        return self._stack.query("select now()").strip()

    def agencies(self) -> list[str]:
        """Return the ids of all agencies."""
        return list(self._ask("select jsonb_agg(a.id) from public.agencies a"))

    def told(self) -> set[str]:
        """Return the ids of what was sent to agencies' topics."""
        return set(self._ask(_TOLD))

    def daily(self) -> dict[str, tuple[int, str]]:
        """Return count and gross of each agency's daily sums."""
        return {agency: (count, gross) for agency, (count, gross) in self._ask(_DAILY).items()}

    def models(self) -> dict[str, ModelBooks]:
        """Return every creator's books, by the creator's uuid."""
        rows: list[dict[str, Any]] = self._ask(_LEDGER)
        return {row["creator"]: _model(row) for row in rows}

    def grants(self) -> list[GrantBooks]:
        """Return every grant."""
        rows: list[dict[str, Any]] = self._ask(_GRANTS)
        return [
            GrantBooks(row["account"], row["name"], row["status"], int(row["version"]))
            for row in rows
        ]

    def readings(self) -> dict[str, dict[str, Readings]]:
        """Return how often each stream of each creator was read."""
        return read_readings(self._ask(_READINGS))

    def again(self) -> list[dict[str, Any]]:
        """Return what was tried more than once: creator, sync_type, again."""
        return list(self._ask(_AGAIN))

    def rows(self) -> int:
        """Return how many sales and reversals the ledger holds."""
        return int(self._stack.query("select count(*) from public.fanvue_transactions"))

    def queue(self) -> dict[str, int]:
        """Return how many jobs wait, run, are settled and are dead."""
        found: dict[str, int] = self._ask(_QUEUE)
        return found

    def runs(self, since: str) -> dict[str, Any]:
        """Return outcomes of all runs, webhooks, arrivals since, and pg_cron's ticks."""
        found: dict[str, Any] = self._ask(_RUNS.format(since=since))
        return found

    def _ask(self, query: str) -> Any:
        return json.loads(self._stack.query(query))


def _model(row: dict[str, Any]) -> ModelBooks:
    return ModelBooks(
        creator=row["creator"],
        handle=row["handle"],
        status=row["status"],
        count=int(row["count"]),
        gross=Decimal(row["gross"]),
        net=Decimal(row["net"]),
        daily=(int(row["daily_count"]), Decimal(row["daily_gross"]), Decimal(row["daily_net"])),
        revenue_total=Decimal(row["revenue_total"]),
    )
