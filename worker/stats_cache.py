"""Keeps dashboards' cached figures warm: after a commit, those that are being read are replaced.

The cache is disposable: a value that was not replaced is seen to be old by its stamp. So nothing
here may fail a job, delay a commit or keep the worker from ending.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from worker.cache import CacheUnavailable
from worker.errors import SyncError
from worker.metrics import Metric, Metrics, unheard
from worker.redaction import redact_text


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from worker.cache import DayRange
    from worker.clock import Clock


# A backfill commits several times a second; one refresh at its end shows as much as each would.
# Whom a hint reaches has filled the cache long before: this is for those who open a page without.
GATHERING: Final = timedelta(seconds=30)
PAUSE: Final = timedelta(seconds=30)
# Whoever begins to read meanwhile fills the cache; the next change after this finds it read.
UNREAD: Final = timedelta(minutes=5)
MOST_RANGES: Final = 6
FINISH_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


class Shelf(Protocol):
    """Where the figures are kept."""

    async def ranges_read(self, agency_id: str, now: datetime, /) -> list[DayRange]:
        """Return the ranges of an agency that somebody read lately, the latest first."""
        ...

    async def replace(self, agency_id: str, days: DayRange, stats: dict[str, Any]) -> None:
        """Replace a value that is there."""
        ...


class StatsCache:
    """Remembers whose figures changed, and refreshes them a little later."""

    def __init__(
        self,
        shelf: Shelf,
        figures: Callable[[str, DayRange], Awaitable[dict[str, Any]]],
        clock: Clock,
        *,
        metrics: Metrics | None = None,
    ) -> None:
        self._shelf = shelf
        self._figures = figures
        self._clock = clock
        # Agency to the moment of its refresh, the earliest first: all wait equally long.
        self._due: dict[str, float] = {}
        # Agency to the moment until which nobody is taken to read it.
        self._unread: dict[str, float] = {}
        self._noted = asyncio.Event()
        self._closed_until: float | None = None
        self._metrics = metrics or unheard()

    def changed(self, agency_id: str) -> None:
        """Note that an agency's figures changed; returns at once."""
        if self._clock.monotonic() < self._unread.get(agency_id, 0):
            return
        if agency_id not in self._due:
            self._due[agency_id] = self._clock.monotonic() + GATHERING.total_seconds()
            self._noted.set()

    @asynccontextmanager
    async def warming(self) -> AsyncIterator[None]:
        """Refresh while the block runs; what waits at its end is done quickly or dropped."""
        task = asyncio.create_task(self._refresh_forever(), name="stats-cache")
        try:
            yield
        finally:
            try:
                async with asyncio.timeout(FINISH_SECONDS):
                    await self._finish(task)
            except TimeoutError:
                log.info("stats_cache_left", agencies=len(self._due))

    async def _finish(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        while self._due and self._closed_until is None:
            await self._refresh(next(iter(self._due)))

    async def _refresh_forever(self) -> None:
        while True:
            self._noted.clear()
            if not self._due:
                await self._noted.wait()
                continue
            agency_id, moment = next(iter(self._due.items()))
            wait = max(moment, self._closed_until or moment) - self._clock.monotonic()
            if wait > 0:
                await self._clock.sleep(timedelta(seconds=wait))
            await self._refresh(agency_id)

    async def _refresh(self, agency_id: str) -> None:
        """Replace what is read of one agency; a failure is told once and ends here."""
        del self._due[agency_id]
        try:
            ranges = await self._shelf.ranges_read(agency_id, self._clock.now())
            if not ranges:
                self._unread[agency_id] = self._clock.monotonic() + UNREAD.total_seconds()
            for days in ranges[:MOST_RANGES]:
                await self._shelf.replace(agency_id, days, await self._figures(agency_id, days))
        except asyncio.CancelledError:
            self._due.setdefault(agency_id, self._clock.monotonic())
            raise
        except (SyncError, CacheUnavailable) as error:
            self._pause(redact_text(str(error)))
        except Exception as error:  # noqa: BLE001 - a fault of ours must not reach a job
            self._pause(f"{type(error).__name__}: {error}", crashed=error)
        else:
            self._metrics.count(Metric.STATS, result="refreshed")
            if self._closed_until is not None:
                self._closed_until = None
                log.info("stats_cache_recovered")

    def _pause(self, reason: str, crashed: Exception | None = None) -> None:
        self._metrics.count(Metric.STATS, result="failed")
        if self._closed_until is None:
            log.warning("stats_cache_failing", reason=reason, exc_info=crashed)
        self._closed_until = self._clock.monotonic() + PAUSE.total_seconds()
