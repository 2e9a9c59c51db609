"""What a day costs on plans that count: rows kept, messages, calls, commands, bytes.

Measured while the day is played, per creator and day. Dashboards are not open in it; what they
would fetch is measured once, at its end.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.support.day_figures import SENT, Figure


if TYPE_CHECKING:
    import httpx

    from tests.support.day import Day
    from worker.app import Engine


MB: Final = 1_000_000
DAY_MINUTES: Final = 1440
# Eight hours in which people look at dashboards.
OPEN_FROM, OPEN_UNTIL = 10 * 60, 18 * 60
# A response's status line and headers beyond those that httpx lists one by one.
LINE_BYTES: Final = 4
HISTORY_AT_MOST: Final = 1 * MB
RUNS: Final = "public.sync_runs"
QUIET_RUNS: Final = "private.quiet_runs"
# A row with its entries in the indexes, and the days for which it is kept (private.retention).
RUN_BYTES, QUIET_BYTES = 600, 250
SUCCESS_DAYS, TROUBLE_DAYS, QUIET_DAYS = 7, 30, 3
_DATA: Final = (
    *("public.fanvue_transactions", "public.earnings_daily", "public.fanvue_fans"),
    *("public.fanvue_chats", "public.fanvue_messages", "public.fanvue_posts"),
    *("public.fanvue_top_fans", "public.fanvue_accounts"),
)
_ROWS: Final = "select count(*) from {}"
_TROUBLE: Final = "select count(*) from public.sync_runs where state <> 'succeeded'"
# A row with its share of the table's pages, indexes and what is dead in them.
_ROW_BYTES: Final = "select pg_total_relation_size('{0}') / greatest((select count(*) from {0}), 1)"
# What makes a dashboard fetch its sums again.
_REFRESHING: Final = (
    SENT
    + """ and (payload -> 'changed' ? 'transactions' or payload -> 'changed' ? 'model'
      or payload ->> 'sync_type' in ('account', 'top_fans', 'subscribers', 'followers'))"""
)
_MESSAGE_BYTES: Final = (
    "select coalesce(avg(pg_column_size(m)), 0)::integer from realtime.messages m"
    " where topic like 'agency:%'"
)
# What a dashboard fetches of an agency, in its columns (examples/dashboard/lib).
_FETCHED: Final = """
select a.models,
  (select coalesce(sum(length(to_jsonb(x)::text)), 0)
   from (select h.model_id, h.sync_type, h.health, h.last_success_at, h.next_sync_at, h.last_error,
                h.job_state, h.job_run_at, h.job_progress
         from public.sync_health h where h.agency_id = a.agency_id) x) as health,
  (select coalesce(sum(length(to_jsonb(x)::text)), 0)
   from (select m.id, m.fanvue_user_uuid, m.handle, m.display_name, m.status, m.status_reason,
                m.status_changed_at, m.connection_id
         from public.model_overview m where m.agency_id = a.agency_id) x) as overview,
  (select coalesce(sum(length(to_jsonb(x)::text)), 0)
   from (select t.id, t.model_id, t.fanvue_id, t.amount, t.category, t.status, t.fan_handle,
                t.origin, t.sent_minor_units, t.sent_currency, t.fanvue_created_at
         from public.fanvue_transactions t where t.agency_id = a.agency_id limit 50) x) as feed
from (select m.agency_id, count(*) as models from public.models m group by 1
      order by 2 desc limit 1) a
"""
# The figures of the last thirty days, and what a look asks for: whether they changed.
_STATS: Final = """
select public.dashboard_stats(a.agency_id, n.day - 29, n.day), public.stats_head(a.agency_id)
from (select private.engine_now()::date as day) n,
  (select m.agency_id from public.models m group by 1 order by count(*) desc limit 1) a
"""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one creator costs a day, and what a dashboard fetches of each creator."""

    events: float
    sales: float
    runs: float
    trouble_runs: float
    counted_runs: float
    quiet_rows: float
    data_bytes: float
    hints: float
    hints_open: float
    refreshes: float
    refreshes_open: float
    hint_bytes: int
    worker_messages: float
    worker_calls: float
    worker_bytes: float
    health_bytes: float
    overview_bytes: float
    feed_bytes: float
    stats_bytes: float
    stats_bytes_of_a_creator: float
    head_bytes: float

    @property
    def history_of_a_month(self) -> float:
        """Return the bytes of history of one creator, once all is there that is kept."""
        kept = SUCCESS_DAYS * (self.runs - self.trouble_runs) + TROUBLE_DAYS * self.trouble_runs
        return kept * RUN_BYTES + QUIET_DAYS * self.quiet_rows * QUIET_BYTES

    def as_json(self) -> dict[str, Any]:
        """Return the plain figures for programs."""
        return asdict(self)


class CostMeter:
    """Counts from its beginning to `result`; is told every minute of the day."""

    def __init__(self, day: Day, engine: Engine) -> None:
        self._day = day
        self.calls = self.bytes = 0
        self._before = self._counts()
        self._open: list[tuple[int, int]] = []
        session = engine.books.database._rest.session
        hooks = session.event_hooks
        session.event_hooks = {**hooks, "response": [*hooks["response"], self._count]}

    async def _count(self, response: httpx.Response) -> None:
        self.calls += 1
        head = sum(len(name) + len(value) + LINE_BYTES for name, value in response.headers.raw)
        self.bytes += head + len(await response.aread())

    def minute(self, number: int) -> None:
        """Remember what was sent before and after the hours in which people look."""
        if self._day.shape.minutes == DAY_MINUTES and number in {OPEN_FROM, OPEN_UNTIL}:
            self._open.append((self._day.count(SENT), self._day.count(_REFRESHING)))

    def _counts(self) -> dict[str, int]:
        day = self._day
        return {
            **{table: day.count(_ROWS.format(table)) for table in (RUNS, QUIET_RUNS, *_DATA)},
            "trouble": day.count(_TROUBLE),
            "counted": day.count("select coalesce(sum(runs), 0) from private.quiet_runs"),
            "sent": day.count(SENT),
            "refreshing": day.count(_REFRESHING),
            "workers": day.count(SENT.replace("agency:%", "workers")),
        }

    def result(self, happenings: int) -> Costs:
        """Return the day's costs per creator; each happening is announced once."""
        day = self._day
        spent = {name: count - self._before[name] for name, count in self._counts().items()}
        share = DAY_MINUTES / day.shape.minutes / len(day.creators)
        sent, refreshing = spent["sent"] * share, spent["refreshing"] * share
        hints_open, refreshes_open = sent / 3, refreshing / 3
        if len(self._open) > 1:
            (first, first_fetched), (last, last_fetched) = self._open
            hints_open = (last - first) / len(day.creators)
            refreshes_open = (last_fetched - first_fetched) / len(day.creators)
        row = day.database.execute(_FETCHED).fetchone()
        assert row is not None
        models, health, overview, feed = row
        row = day.database.execute(_STATS).fetchone()
        assert row is not None
        figures, head = row
        # whatever has a line a creator
        audience = {**figures["audience"], "models": []}
        bare = _sent({**figures, "by_model": [], "audience": audience})
        bytes_of = {name: day.count(_ROW_BYTES.format(name)) for name in _DATA}
        return Costs(
            events=happenings * share,
            sales=spent[_DATA[0]] * share,
            runs=spent[RUNS] * share,
            trouble_runs=spent["trouble"] * share,
            counted_runs=spent["counted"] * share,
            quiet_rows=spent[QUIET_RUNS] * share,
            data_bytes=sum(spent[table] * bytes_of[table] for table in _DATA) * share,
            hints=sent,
            hints_open=hints_open,
            refreshes=refreshing,
            refreshes_open=refreshes_open,
            hint_bytes=day.count(_MESSAGE_BYTES),
            worker_messages=spent["workers"] * DAY_MINUTES / day.shape.minutes,
            worker_calls=self.calls * share,
            worker_bytes=self.bytes * share,
            health_bytes=health / models,
            overview_bytes=overview / models,
            feed_bytes=float(feed),
            stats_bytes=bare,
            stats_bytes_of_a_creator=(_sent(figures) - bare) / models,
            head_bytes=len(json.dumps(head, separators=(",", ":"))),
        )


def _sent(answer: dict[str, Any]) -> int:
    """Return the bytes of an answer of `dashboard-stats`, as browsers take it."""
    return len(gzip.compress(json.dumps(answer, separators=(",", ":")).encode(), mtime=0))


def judge_costs(costs: Costs, minutes: int) -> list[Figure]:
    """Say whether what is kept and told keeps to what happened in these minutes."""
    month = costs.history_of_a_month
    history = Figure(
        "a creator's history stays below 1 MB a month",
        f"{month / MB:.2f} MB: {costs.runs:,.0f} runs a day kept as rows,"
        f" {costs.counted_runs:,.0f} counted",
        month < HISTORY_AT_MOST,
    )
    told = Figure(
        "no more is told than happens",
        f"{costs.hints:,.0f} messages for {costs.events:,.0f} events per creator and day",
        costs.hints <= costs.events,
    )
    # a month of evenings alone is no month
    return [history, told] if minutes >= DAY_MINUTES else [told]
