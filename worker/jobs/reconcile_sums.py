"""What Fanvue itself says a creator's days come to: its summary, and its report to the agency.

Where one cannot be had, the reading of the rows still stands, but their days are not proved. Rate
limits and a database that is away are no opinions and are raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from worker.errors import (
    DatabaseUnavailable,
    Misconfigured,
    ProviderContract,
    SchemaMissing,
    ScopeMissing,
    Throttled,
    Transient,
    Unavailable,
)
from worker.fanvue.pages import position, read_envelope
from worker.streams.earnings import EARNINGS
from worker.sync.drift import report_sums, summary_sums
from worker.sync.listing import is_endless
from worker.sync.window import HISTORY_BEGINS, PAGE_SIZE


if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import date, datetime

    from worker.jobs.pages import PageReader
    from worker.store.jobs import Job
    from worker.sync.drift import DaySum
    from worker.sync.reconcile import Days


REPORT_PATH: Final = "/agencies/earnings"
# So often a job tries before it ends its run without.
ATTEMPTS: Final = 3

_T = TypeVar("_T")
log = structlog.get_logger(__name__)


class FanvueSums:
    """Asks for one job; `missing` tells which opinions could not be had, and why."""

    def __init__(self, job: Job, reader: PageReader, attempts: int = ATTEMPTS) -> None:
        self._job = job
        self._reader = reader
        self._attempts = attempts
        self.missing: dict[str, str] = {}

    async def summary(self, start: datetime, end: datetime | None) -> dict[date, DaySum] | None:
        """Return the summary's days, reversals left out, or None."""
        return await self._opinion("summary", self._summary(max(start, HISTORY_BEGINS), end))

    async def report(self, days: Days) -> dict[date, DaySum] | None:
        """Return the agency report's days that are all dollars, or None."""
        if not self._job.path_prefix or self._job.creator_uuid is None:
            return None
        return await self._opinion("agency", self._report(days, self._job.creator_uuid))

    async def _summary(self, start: datetime, end: datetime | None) -> dict[date, DaySum]:
        asked = {"startDate": start, "endDate": end, "granularity": "day"}
        return summary_sums((await self._reader.get(EARNINGS.summary, asked)).body)

    async def _report(self, days: Days, creator_uuid: str) -> dict[date, DaySum]:
        asked = {
            "startDate": days.span.start,
            "endDate": days.span.end,
            "creatorUuids": creator_uuid,
            "size": PAGE_SIZE,
        }
        rows: list[object] = []
        cursor: str | None = None
        pages = 0
        while not is_endless(pages, (days.until - days.first).days):
            where = position(cursor)
            reply = await self._reader.get_of_account(REPORT_PATH, {**asked, **where})
            found, cursor = read_envelope(reply)
            pages += 1
            rows += found
            if cursor is None:
                return report_sums(rows, creator_uuid)
        raise ProviderContract("the report does not end", json_path="nextCursor")

    async def _opinion(self, name: str, asking: Awaitable[_T]) -> _T | None:
        try:
            return await asking
        except (Throttled, DatabaseUnavailable, SchemaMissing):
            raise
        except Transient as error:
            if self._job.attempt < self._attempts:
                raise
            reason = error.message
        except (ScopeMissing, Unavailable, ProviderContract, Misconfigured, ValueError) as error:
            reason = str(error)
        log.warning("sums_unavailable", model_id=self._job.model_id, of=name, reason=reason)
        self.missing[name] = reason
        return None
