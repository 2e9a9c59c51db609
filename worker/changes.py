"""Stores that tell whose figures a commit changed, after it is committed.

The jobs know nothing of it: what listens is given by the composition root. Telling is a plain call
that returns at once and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

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


class ToldWalks(WalkStore):
    """Walks that tell the agency whose figures a page changed."""

    def __init__(self, database: Database, lease: timedelta, tell: Tell) -> None:
        super().__init__(database, lease)
        self._tell = tell

    async def commit(self, job: Job, state: WalkState, page: PageCommit) -> Committed:
        """Commit one page, and tell if it changed figures."""
        committed = await super().commit(job, state, page)
        if job.sync_type in FIGURES and committed.inserted + committed.updated:
            self._tell(job.agency_id)
        return committed


class ToldRuns(ReconcileStore):
    """Reconciliations that tell the agency whose figures a step changed."""

    def __init__(self, database: Database, lease: timedelta, tell: Tell) -> None:
        super().__init__(database, lease)
        self._tell = tell

    async def commit(self, job: Job, state: RunState, step: RunCommit) -> RunCommitted:
        """Commit one step, and tell if it changed figures."""
        committed = await super().commit(job, state, step)
        if committed.inserted + committed.updated:
            self._tell(job.agency_id)
        return committed
