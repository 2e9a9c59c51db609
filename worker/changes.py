"""Stores that count what a commit brought, and tell whose figures it changed, once it is committed.

The jobs know nothing of it: what listens is given by the composition root. Telling is a plain call
that returns at once and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import structlog

from worker.metrics import Metric, Metrics, unheard
from worker.store.reconcile import ReconcileStore
from worker.store.walks import WalkStore


if TYPE_CHECKING:
    from datetime import timedelta

    from worker.store.database import Database
    from worker.store.jobs import Job
    from worker.store.reconcile import RunCommit, RunCommitted, RunState
    from worker.store.walks import Committed, PageCommit, WalkState


Tell: TypeAlias = Callable[[str], None]

# The streams whose rows dashboards' figures are made of.
FIGURES: Final = frozenset({"earnings", "account", "top_fans"})

log = structlog.get_logger(__name__)


def _count(metrics: Metrics, job: Job, pages: int, **rows: int) -> None:
    """Count a commit; its event bears the names of the job that it belongs to."""
    metrics.count(Metric.PAGES, pages, sync_type=job.sync_type)
    for change, number in rows.items():
        metrics.count(Metric.ROWS, number, sync_type=job.sync_type, change=change)
    log.debug("page_committed", pages=pages, **rows)


class ToldWalks(WalkStore):
    """Walks that tell the agency whose figures a page changed."""

    def __init__(
        self,
        database: Database,
        lease: timedelta,
        tell: Tell,
        *,
        metrics: Metrics | None = None,
    ) -> None:
        super().__init__(database, lease)
        self._tell = tell
        self._metrics = metrics or unheard()

    async def commit(
        self, job: Job, state: WalkState, page: PageCommit, settle: dict[str, Any] | None = None
    ) -> Committed:
        """Commit one page, and tell if it changed figures."""
        committed = await super().commit(job, state, page, settle)
        _count(
            self._metrics,
            job,
            page.pages,
            inserted=committed.inserted,
            updated=committed.updated,
            unchanged=committed.unchanged,
        )
        if job.sync_type in FIGURES and committed.inserted + committed.updated:
            self._tell(job.agency_id)
        return committed


class ToldRuns(ReconcileStore):
    """Reconciliations that tell the agency whose figures a step changed."""

    def __init__(
        self,
        database: Database,
        lease: timedelta,
        tell: Tell,
        *,
        metrics: Metrics | None = None,
    ) -> None:
        super().__init__(database, lease)
        self._tell = tell
        self._metrics = metrics or unheard()

    async def commit(self, job: Job, state: RunState, step: RunCommit) -> RunCommitted:
        """Commit one step, and tell if it changed figures."""
        committed = await super().commit(job, state, step)
        _count(
            self._metrics,
            job,
            step.pages,
            inserted=committed.inserted,
            updated=committed.updated,
        )
        if committed.inserted + committed.updated:
            self._tell(job.agency_id)
        return committed
