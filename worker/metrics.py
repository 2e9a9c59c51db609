"""What the worker counts: one list of names, and the registry that holds their values.

Labels take a bounded set of words, so that no number of creators makes more series; ids are never
labels. A registry belongs to one engine; nothing here is global, and nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from worker.traffic import Lane


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


OTHER: Final = "other"
# An endpoint nobody foresaw is counted under its own name; the hundredth of them is not.
MOST_WORDS: Final = 60
# So many series at most begin at zero, so that the first event is an increase already.
MOST_ZEROS: Final = 30

CONTENT_TYPE: Final[str] = CONTENT_TYPE_LATEST


@dataclass(frozen=True, slots=True)
class Label:
    """A label and its words; without words, the first ones seen."""

    name: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """What a metric is called, what it means, and how it is divided."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()


_SYNC_TYPE = Label(
    "sync_type",
    (
        *("earnings", "messages", "message_history", "subscribers", "followers", "posts"),
        *("top_fans", "account", "reconcile", "token_refresh"),
    ),
)
_LANE = Label("lane", tuple(lane.value for lane in Lane))
_OUTCOME = Label(
    "outcome",
    ("succeeded", "partial", "yield", "snooze", "retry", "cancelled", "fail", "dead"),
)
_TEMPLATE = Label("template")
_STATUS = Label("status", ("2xx", "3xx", "4xx", "429", "5xx", "none"))
_WAITS = (0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
_CALLS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metric(Enum):
    """Every metric there is. The first ones are of this worker, the later ones of the engine."""

    CLAIMS = Series(
        "fanvue_sync_jobs_claimed_total", "counter", "Jobs that this worker took.", (_SYNC_TYPE,)
    )
    SETTLED = Series(
        "fanvue_sync_jobs_settled_total",
        "counter",
        "Jobs that this worker gave up its lease on, by what became of them.",
        (_SYNC_TYPE, _OUTCOME),
    )
    LOST = Series(
        "fanvue_sync_leases_lost_total", "counter", "Leases that ended before their job did."
    )
    RUNNING = Series("fanvue_sync_jobs_running", "gauge", "Jobs that run in this worker now.")
    ROOM = Series("fanvue_sync_concurrency", "gauge", "Jobs that this worker runs at once at most.")
    PICKUP = Series(
        "fanvue_sync_pickup_seconds",
        "histogram",
        "How long a job was due before it was taken.",
        (_LANE,),
        _WAITS,
    )
    JOB_SECONDS = Series(
        "fanvue_sync_job_seconds",
        "histogram",
        "How long a job ran, one slice of it.",
        (_SYNC_TYPE,),
        (0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
    )
    PAGES = Series("fanvue_sync_pages_total", "counter", "Pages committed.", (_SYNC_TYPE,))
    ROWS = Series(
        "fanvue_sync_rows_total",
        "counter",
        "Rows of committed pages, by what they were to the books.",
        (_SYNC_TYPE, Label("change", ("inserted", "updated", "unchanged"))),
    )
    CALLS = Series(
        "fanvue_sync_fanvue_calls_total",
        "counter",
        "Calls to Fanvue, retries included; status none: no usable answer.",
        (_TEMPLATE, _STATUS),
    )
    CALL_SECONDS = Series(
        "fanvue_sync_fanvue_call_seconds",
        "histogram",
        "How long Fanvue took to answer.",
        (_TEMPLATE,),
        _CALLS,
    )
    THROTTLED = Series(
        "fanvue_sync_throttled_total",
        "counter",
        "Calls that had to wait long: refused by Fanvue (429), or by our own budget before that.",
        (Label("by", ("fanvue", "budget")), _LANE),
    )
    REFRESHES = Series(
        "fanvue_sync_token_refreshes_total",
        "counter",
        "Answers of Fanvue's token endpoint.",
        (Label("result", ("refreshed", "transient", "throttled", "invalid_grant", "config")),),
    )
    DATABASE_CALLS = Series(
        "fanvue_sync_database_calls_total",
        "counter",
        "Calls to the database, repetitions of one counted once.",
        (Label("result", ("answered", "refused", "unavailable")),),
    )
    DATABASE_SECONDS = Series(
        "fanvue_sync_database_call_seconds",
        "histogram",
        "How long the database took, repetitions included.",
        (),
        _CALLS,
    )
    TICKS = Series(
        "fanvue_sync_ticks_total",
        "counter",
        "Scheduling ticks of this worker.",
        (Label("result", ("done", "failed")),),
    )
    WAKE_UP = Series(
        "fanvue_sync_wake_up_connected",
        "gauge",
        "1 while Realtime tells this worker of due work; polling finds it a little later.",
    )
    WAKE_UPS = Series("fanvue_sync_wake_ups_total", "counter", "Times that Realtime told of work.")
    STATS = Series(
        "fanvue_sync_stats_cache_refreshes_total",
        "counter",
        "Agencies whose cached figures were replaced after a change.",
        (Label("result", ("refreshed", "failed")),),
    )
    ALERTS_SENT = Series(
        "fanvue_sync_alert_messages_total",
        "counter",
        "Messages to ALERT_WEBHOOK_URL.",
        (Label("result", ("sent", "failed")),),
    )

    DATABASE_UP = Series(
        "fanvue_sync_database_up",
        "gauge",
        "1 if the database answered when the engine's figures were last read.",
    )
    MODELS = Series(
        "fanvue_sync_models",
        "gauge",
        "Creators by status.",
        (Label("status", ("active", "paused", "reauth_required")),),
    )
    QUEUE = Series(
        "fanvue_sync_queue_jobs",
        "gauge",
        "Jobs in the queue; due ones are queued ones, too.",
        (Label("state", ("queued", "due", "running", "dead")),),
    )
    OLDEST_DUE = Series(
        "fanvue_sync_oldest_due_seconds",
        "gauge",
        "How long the oldest due job waits.",
        (_LANE,),
    )
    LATE = Series(
        "fanvue_sync_streams_late",
        "gauge",
        "Streams that are due, and of which nothing was read, for ten minutes; 5000 at most.",
    )
    WEBHOOKS = Series(
        "fanvue_sync_webhooks_waiting",
        "gauge",
        "Webhook events that were not applied: of unknown creators (parked), or broken (failed).",
        (Label("status", ("parked", "failed")),),
    )
    REFUSED = Series(
        "fanvue_sync_webhooks_refused",
        "gauge",
        "Deliveries that the webhook function refused in the last quarter of an hour.",
        (Label("reason", ("wrong_signature", "too_old", "not_configured", "unsigned")),),
    )
    ANNOUNCEMENT_AGE = Series(
        "fanvue_sync_webhook_age_seconds",
        "gauge",
        "Time since a webhook event was last accepted; absent where none ever was.",
    )
    UNANNOUNCED = Series(
        "fanvue_sync_announcements_silent",
        "gauge",
        "1 while announcements are refused, or polls find sales that nobody announced.",
    )
    DRIFT = Series(
        "fanvue_sync_drift_open", "gauge", "Differences from Fanvue's books that nobody judged."
    )
    BUDGET = Series(
        "fanvue_sync_budget_used_ratio", "gauge", "How full the fullest rate-limit window is."
    )
    BLOCKED = Series(
        "fanvue_sync_buckets_blocked", "gauge", "Rate-limit buckets that are closed after a 429."
    )
    EARNINGS_AGE = Series(
        "fanvue_sync_earnings_age_seconds",
        "gauge",
        "Time since any active creator's earnings were last read; absent without active creators.",
    )
    SILENT = Series(
        "fanvue_sync_earnings_silent",
        "gauge",
        "1 while earnings are due and none of any creator were read for a long time.",
    )
    TICK_AGE = Series(
        "fanvue_sync_tick_age_seconds",
        "gauge",
        "Time since a scheduler last ticked; absent for one that never did.",
        (Label("source", ("pg_cron", "worker")),),
    )
    ALERTS = Series("fanvue_sync_alerts_raised", "gauge", "Troubles that stand; see ops.alerts.")


# Read from the database together; while it is away they are absent rather than old.
OF_THE_ENGINE: Final = tuple(Metric)[tuple(Metric).index(Metric.DATABASE_UP) + 1 :]


class _WithoutBirthdays(Collector):
    """What a registry holds, less a second series of each that says since when it is counted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Any]:
        for family in self._registry.collect():
            family.samples = [one for one in family.samples if not one.name.endswith("_created")]
            yield family


class Metrics:
    """The values of one engine."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # Memory, CPU and open files of the process, under their usual names.
        ProcessCollector(registry=self.registry)
        self._series: dict[Metric, Any] = {}
        self._seen: dict[str, set[str]] = {}
        for metric in Metric:
            if metric not in OF_THE_ENGINE:
                self._begin_at_zero(metric)

    def count(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        self._of(metric, labels).inc(amount)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Put a value into a histogram."""
        self._of(metric, labels).observe(value)

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._of(metric, labels).set(value)

    def forget(self, metrics: Iterable[Metric]) -> None:
        """Leave metrics out until they are set again."""
        for metric in metrics:
            series = self._series.pop(metric, None)
            if series is not None:
                self.registry.unregister(series)

    def text(self) -> bytes:
        """Return all values as Prometheus reads them."""
        return generate_latest(_WithoutBirthdays(self.registry))

    def _of(self, metric: Metric, labels: dict[str, str]) -> Any:
        series = self._series.get(metric)
        if series is None:
            series = self._series[metric] = self._make(metric)
        if not metric.value.labels:
            return series
        words = [self._word(label, labels[label.name]) for label in metric.value.labels]
        return series.labels(*words)

    def _word(self, label: Label, word: str) -> str:
        if label.words:
            return word if word in label.words else OTHER
        seen = self._seen.setdefault(label.name, set())
        if word in seen:
            return word
        if len(seen) >= MOST_WORDS:
            return OTHER
        seen.add(word)
        return word

    def _make(self, metric: Metric) -> Any:
        made = metric.value
        names = [label.name for label in made.labels]
        if made.kind == "histogram":
            return Histogram(
                made.name, made.help, names, buckets=made.buckets, registry=self.registry
            )
        kind = Counter if made.kind == "counter" else Gauge
        return kind(made.name, made.help, names, registry=self.registry)

    def _begin_at_zero(self, metric: Metric) -> None:
        made = self._series[metric] = self._make(metric)
        choices = [label.words for label in metric.value.labels]
        series = list(product(*choices))
        if metric.value.labels and all(choices) and len(series) <= MOST_ZEROS:
            for words in series:
                made.labels(*words)


@cache
def unheard() -> Metrics:
    """Return values that nobody reads, the same for all who were given none to fill."""
    return Metrics()
