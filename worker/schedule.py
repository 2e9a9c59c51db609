"""The worker's own clockwork (APScheduler): ticks, the reaper, late webhooks, pruning.

Every tick is the same idempotent call that pg_cron makes; if pg_cron stops, nothing else changes.
No business work happens here.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from worker.errors import SyncError
from worker.metrics import Metric, Metrics, unheard


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.store.jobs import JobStore


REAP_EVERY: Final = timedelta(seconds=15)
# Batches of old rows, or of late webhooks, in one go; what is left waits for the next tick.
MOST_BATCHES: Final = 20

log = structlog.get_logger(__name__)


class Schedule:
    """Ticks while the worker runs."""

    def __init__(
        self,
        store: JobStore,
        wake: Callable[[], None],
        *,
        tick: timedelta,
        tell: Callable[[], Awaitable[None]] | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._wake = wake
        self._metrics = metrics or unheard()
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1}
        )
        # Jitter keeps ten workers that started together from ticking together.
        self._every(tick, self._enqueue, jitter=tick / 10)
        self._every(min(REAP_EVERY, tick), self._reap, jitter=timedelta(seconds=2))
        self._every(tick, self._retry_webhooks, jitter=tick / 10)
        self._every(tick, self._prune, jitter=tick / 10)
        if tell is not None:
            self._every(tick, tell, jitter=tick / 10)

    def _every(self, interval: timedelta, call: Callable[[], object], *, jitter: timedelta) -> None:
        trigger = IntervalTrigger(
            seconds=max(1, round(interval.total_seconds())),
            jitter=max(1, round(jitter.total_seconds())),
        )
        self._scheduler.add_job(call, trigger)

    def start(self) -> None:
        """Begin ticking."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stop ticking at once."""
        self._scheduler.shutdown(wait=False)

    async def _enqueue(self) -> None:
        try:
            done = await self._store.enqueue_due("worker")
        except SyncError as error:
            self._metrics.count(Metric.TICKS, result="failed")
            log.warning("tick_failed", reason=error.message)
            return
        self._metrics.count(Metric.TICKS, result="done")
        if done["enqueued"] or done["revived"]:
            log.info("tick", **done)
            self._wake()

    async def _retry_webhooks(self) -> None:
        """Apply late webhooks, batch by batch, while there is progress."""
        tried: Counter[str] = Counter()
        try:
            for _ in range(MOST_BATCHES):
                done = await self._store.retry_webhooks()
                tried.update({key: done[key] for key in ("applied", "failed")})
                # an older schema says nothing of more
                if not done.get("more"):
                    break
        except SyncError as error:
            log.warning("webhook_retry_failed", reason=error.message)
        if any(tried.values()):
            log.info("webhooks_retried", **tried)
            self._wake()

    async def _reap(self) -> None:
        try:
            reaped = await self._store.reap()
        except SyncError as error:
            log.warning("reap_failed", reason=error.message)
            return
        if reaped:
            log.info("leases_reaped", jobs=reaped)
            self._wake()

    async def _prune(self) -> None:
        """Let go what is older than its retention, batch by batch."""
        deleted: Counter[str] = Counter()
        refused: dict[str, str] = {}
        try:
            for _ in range(MOST_BATCHES):
                done = await self._store.prune()
                deleted.update(done["deleted"])
                refused |= done["refused"]
                if not done["more"]:
                    break
        except SyncError as error:
            log.warning("prune_failed", reason=error.message)
        if deleted:
            log.info("history_pruned", rows=dict(deleted))
        if refused:
            log.warning("prune_refused", tables=refused)
