"""What a day costs on plans that count: rows kept, messages, calls, commands, bytes.

Measured while the day is played, per creator and day. Dashboards are not open in it; what they
would fetch is measured once, at its end.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import asdict, dataclass
from statistics import fmean
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
LOOK_MINUTES: Final = 5
# What a worker asks however many creators there are: benchmarks/day/plans.py reckons it apart.
CLOCKWORK: Final = frozenset({"enqueue_due", "reap_expired_leases"})
CLAIM: Final = "claim_sync_jobs"
IDLE_CLAIM: Final = "claim_sync_jobs, nothing to do"
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
# A row with its share of the table's pages, indexes and what is dead in them; without what each of
# them takes once, the first page of an index above all.
_ROW_BYTES: Final = """
select (pg_relation_size('{0}')
        + (select coalesce(sum(pg_relation_size(i.indexrelid) - 8192), 0) from pg_index i
           where i.indrelid = '{0}'::regclass)
        + (select coalesce(sum(pg_relation_size(c.reltoastrelid)), 0) from pg_class c
           where c.oid = '{0}'::regclass and c.reltoastrelid <> 0))
       / greatest((select count(*) from {0}), 1)
"""
# What makes a dashboard fetch its sums at once, and what may let its next look find others.
_REFRESHING: Final = (
    SENT + " and (payload -> 'changed' ? 'transactions' or payload -> 'changed' ? 'model')"
)
_COUNTED: Final = SENT + " and payload ->> 'sync_type' in ('account', 'top_fans')"
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
# Which part of all streams is fetched at a look at everything, five minutes after the last one.
_CHANGED: Final = """
select coalesce(avg((h.health <> 'fresh' or h.job_state is not null
                     or h.last_success_at >= private.engine_now() - interval '6 minutes')::int), 0)
from public.sync_health h
"""
# The figures of the last thirty days, and what a look asks for: whether they changed.
_STATS: Final = """
select public.dashboard_stats(a.agency_id, n.day - 29, n.day), public.stats_head(a.agency_id)
from (select private.engine_now()::date as day) n,
  (select m.agency_id from public.models m group by 1 order by count(*) desc limit 1) a
"""


@dataclass(frozen=True, slots=True)
class Answers:
    """How often a function of the database answers, and in how many bytes, headers included."""

    calls: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Costs:
    """What one creator costs a day, and what a dashboard fetches of each creator."""

    events: float
    announced: dict[str, float]
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
    counted_open: float
    hint_bytes: int
    worker_messages: float
    answers: dict[str, Answers]
    health_bytes: float
    health_changed: float
    overview_bytes: float
    feed_bytes: float
    stats_bytes: float
    stats_bytes_of_a_creator: float
    head_bytes: float

    @property
    def worker_calls(self) -> float:
        """Return how often the worker calls the database for a creator, its clockwork left out."""
        return sum(one.calls for one in self.answers.values())

    @property
    def worker_bytes(self) -> float:
        """Return the bytes of what is answered to that."""
        return sum(one.bytes for one in self.answers.values())

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
        self._calls: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._minutes = 0
        self._changed: list[float] = []
        self._before = self._counts()
        self._open: list[tuple[int, ...]] = []
        session = engine.books.database._rest.session
        hooks = session.event_hooks
        session.event_hooks = {**hooks, "response": [*hooks["response"], self._count]}

    async def _count(self, response: httpx.Response) -> None:
        called = response.request.url.path.rpartition("/")[2]
        head = sum(len(name) + len(value) + LINE_BYTES for name, value in response.headers.raw)
        body = await response.aread()
        if called == CLAIM and not response.json()["jobs"]:
            called = IDLE_CLAIM
        self._calls[called] += 1
        self._bytes[called] += head + len(body)

    def minute(self, number: int) -> None:
        """Remember what was sent before and after the hours in which people look."""
        self._minutes += 1
        if number % LOOK_MINUTES == 0:
            row = self._day.database.execute(_CHANGED).fetchone()
            assert row is not None
            self._changed.append(float(row[0]))
        if self._day.shape.minutes == DAY_MINUTES and number in {OPEN_FROM, OPEN_UNTIL}:
            self._open.append(self._told())

    def _told(self) -> tuple[int, ...]:
        return tuple(self._day.count(query) for query in (SENT, _REFRESHING, _COUNTED))

    def _counts(self) -> dict[str, int]:
        day = self._day
        return {
            **{table: day.count(_ROWS.format(table)) for table in (RUNS, QUIET_RUNS, *_DATA)},
            "trouble": day.count(_TROUBLE),
            "counted": day.count("select coalesce(sum(runs), 0) from private.quiet_runs"),
            "sent": day.count(SENT),
            "refreshing": day.count(_REFRESHING),
            "counted_told": day.count(_COUNTED),
            "workers": day.count(SENT.replace("agency:%", "workers")),
        }

    def _answers(self, share: float) -> dict[str, Answers]:
        """Return what grows with creators; the tick and the claim of each idle minute do not."""
        calls = Counter({name: n for name, n in self._calls.items() if name not in CLOCKWORK})
        calls[IDLE_CLAIM] = max(0, calls[IDLE_CLAIM] - self._minutes)
        return {
            name: Answers(n * share, n * share * self._bytes[name] / self._calls[name])
            for name, n in calls.most_common()
            if n
        }

    def result(self, happenings: int) -> Costs:
        """Return the day's costs per creator; each happening is announced once."""
        day = self._day
        spent = {name: count - self._before[name] for name, count in self._counts().items()}
        share = DAY_MINUTES / day.shape.minutes / len(day.creators)
        sent, refreshing = spent["sent"] * share, spent["refreshing"] * share
        told_open = [sent / 3, refreshing / 3, spent["counted_told"] * share / 3]
        if len(self._open) > 1:
            first, last = self._open
            told_open = [(b - a) / len(day.creators) for a, b in zip(first, last, strict=True)]
        hints_open, refreshes_open, counted_open = told_open
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
            announced={about: n * share for about, n in day.announced.items()},
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
            counted_open=counted_open,
            hint_bytes=day.count(_MESSAGE_BYTES),
            worker_messages=spent["workers"] * DAY_MINUTES / day.shape.minutes,
            answers=self._answers(share),
            health_bytes=health / models,
            health_changed=fmean(self._changed) if self._changed else 1,
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
