"""The engine's figures from the database, for /metrics and /readyz: asked for at most now and then.

However often somebody looks, the database is asked once per interval. While it is away its figures
are absent: old ones would tell an engineer at night that all is well.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from worker.errors import SyncError
from worker.metrics import OF_THE_ENGINE, Metric, Metrics


if TYPE_CHECKING:
    from collections.abc import Awaitable

    from worker.clock import Clock


FRESH: Final = timedelta(seconds=15)
# Whether it is ready is asked for its sake alone; so is whether the database is back.
FRESH_FOR_READINESS: Final = timedelta(seconds=5)
# Who looks is answered in time, also while the database hangs.
PATIENCE_SECONDS: Final = 4.0

log = structlog.get_logger(__name__)


class Source(Protocol):
    """Where the figures come from."""

    def gauges(self) -> Awaitable[dict[str, Any]]:
        """Return the engine in figures."""
        ...


class EngineGauges:
    """Keeps the gauges of the whole engine fresh enough, while somebody looks."""

    def __init__(
        self,
        source: Source,
        metrics: Metrics,
        clock: Clock,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._source = source
        self._metrics = metrics
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._lock = asyncio.Lock()
        self._asked_at: float | None = None
        self._problem: str | None = None

    async def refresh(self, fresh: timedelta = FRESH) -> str | None:
        """Read the figures if they are not fresh; return why there are none, None if there are."""
        async with self._lock:
            if not self._is_fresh(FRESH_FOR_READINESS if self._problem else fresh):
                self._problem = await self._read()
                self._asked_at = self._clock.monotonic()
                self._metrics.set(Metric.DATABASE_UP, 0 if self._problem else 1)
            return self._problem

    def _is_fresh(self, fresh: timedelta) -> bool:
        if self._asked_at is None:
            return False
        return self._clock.monotonic() - self._asked_at < fresh.total_seconds()

    async def _read(self) -> str | None:
        try:
            async with asyncio.timeout(self._patience_seconds):
                figures = await self._source.gauges()
        except TimeoutError:
            problem = "the database does not answer"
        except SyncError as error:
            problem = error.message
        else:
            self._metrics.forget(OF_THE_ENGINE)
            self._show(figures)
            return None
        if problem != self._problem:
            log.warning("gauges_unavailable", reason=problem)
        self._metrics.forget(OF_THE_ENGINE)
        return problem

    def _show(self, figures: dict[str, Any]) -> None:
        divided = {
            Metric.MODELS: "models",
            Metric.QUEUE: "jobs",
            Metric.OLDEST_DUE: "oldest_due_s",
            Metric.WEBHOOKS: "webhooks",
            Metric.REFUSED: "refused",
            Metric.TICK_AGE: "tick_age_s",
        }
        for metric, key in divided.items():
            (label,) = metric.value.labels
            values = figures[key] or {}
            # A scheduler that never ticked has no age; of all others, nothing is zero.
            words = values if metric is Metric.TICK_AGE else label.words
            for word in words:
                self._metrics.set(metric, float(values.get(word, 0)), **{label.name: word})
        single = {
            Metric.LATE: "late",
            Metric.ANNOUNCEMENT_AGE: "announcement_age_s",
            Metric.UNANNOUNCED: "announcements_silent",
            Metric.DRIFT: "drift",
            Metric.BUDGET: "budget_used",
            Metric.BLOCKED: "buckets_blocked",
            Metric.EARNINGS_AGE: "earnings_age_s",
            Metric.SILENT: "silent",
            Metric.ALERTS: "alerts",
        }
        for metric, key in single.items():
            if figures[key] is not None:
                self._metrics.set(metric, float(figures[key]))
