"""The queue's functions in memory: leases, cancellation, and what was settled how.

Due times run on the caller's clock; calls to the database are repeated on a clock of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.support.clock import ManualClock
from tests.unit.store.rpc_stub import Refusal, RpcStub
from worker.store.jobs import JobStore


if TYPE_CHECKING:
    from worker.store.jobs import Claim


LEASE = timedelta(seconds=60)


@dataclass
class QueuedJob:
    """A row of the queue."""

    id: int
    run_at: datetime
    attempt: int = 1
    sync_type: str = "earnings"
    lease_id: int | None = None
    cancel: bool = False


@dataclass
class QueueBook:
    """One small queue and everything that was asked of it."""

    clock: ManualClock
    jobs: dict[int, QueuedJob] = field(default_factory=dict)
    settled: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    # Names of functions that fail for now.
    down: set[str] = field(default_factory=set)
    running_elsewhere: int = 0
    reaped: int = 0
    # Events that could not be applied in time.
    waiting_webhooks: int = 0
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _leases: count[int] = field(default_factory=lambda: count(1001))

    def __post_init__(self) -> None:
        self.stub = RpcStub(
            ManualClock(skips=True),
            claim_sync_jobs=self.claim,
            heartbeat_sync_jobs=self.heartbeat,
            settle_sync_jobs=self.settle,
            reap_expired_leases=self.reap,
            enqueue_due=self.tick,
            retry_webhook_events=self.retry_webhooks,
            prune_history=self.prune,
        )
        self.store = JobStore(self.stub.database, "worker one", LEASE)

    def add(self, number: int = 1, *, after: timedelta = timedelta(0), attempt: int = 1) -> None:
        for _ in range(number):
            job = QueuedJob(next(self._numbers), self.clock.now() + after, attempt)
            self.jobs[job.id] = job

    def lose(self, job_id: int) -> None:
        """Give a job's lease to another worker."""
        self.jobs[job_id].lease_id = -1

    async def claimed(self) -> Claim:
        return await self.store.claim(10)

    def outcome_of(self, job_id: int) -> str:
        """Return how a job was settled, the one time that it was."""
        (item,) = self.settled[job_id]
        return str(item["outcome"])

    # The functions -------------------------------------------------------------------------------

    def claim(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._fail("claim_sync_jobs")
        now = self.clock.now()
        waiting = [job for job in self.jobs.values() if job.lease_id is None]
        due = [job for job in waiting if job.run_at <= now][: asked["p_limit"]]
        for job in due:
            job.lease_id = next(self._leases)
        later = [job.run_at - now for job in waiting if job not in due]
        reply: dict[str, Any] = {
            "jobs": [_shown(job) for job in due],
            "next_due_in": max(min(later).total_seconds(), 0) if later else None,
        }
        if asked["p_drain"] and not due:
            leased = sum(job.lease_id is not None for job in self.jobs.values())
            reply["running"] = self.running_elsewhere + leased > 0
        return reply

    def heartbeat(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        self._fail("heartbeat_sync_jobs")
        return [
            {"id": beat["id"], "cancel": self.jobs[beat["id"]].cancel}
            for beat in asked["p_jobs"]
            if self._holds(beat)
        ]

    def settle(self, asked: dict[str, Any]) -> list[int]:
        self._fail("settle_sync_jobs")
        accepted = [item for item in asked["p_items"] if self._holds(item)]
        for item in accepted:
            self.settled.setdefault(item["id"], []).append(item)
            job = self.jobs[item["id"]]
            job.lease_id = None
            # A worker that had not heard of the cancellation yet does not undo it.
            if item["outcome"] in {"snooze", "yield", "retry"} and not job.cancel:
                job.run_at = self.clock.now() + timedelta(seconds=item.get("retry_in_s", 0))
            else:
                del self.jobs[item["id"]]
        return [item["id"] for item in accepted]

    def reap(self, _: dict[str, Any]) -> dict[str, Any]:
        self._fail("reap_expired_leases")
        self.reaped += 1
        freed, self.running_elsewhere = self.running_elsewhere, 0
        return {"reaped": freed}

    def tick(self, _: dict[str, Any]) -> dict[str, int]:
        self._fail("enqueue_due")
        self.add()
        return {"enqueued": 1, "revived": 0}

    def retry_webhooks(self, _: dict[str, Any]) -> dict[str, Any]:
        self._fail("retry_webhook_events")
        applied, self.waiting_webhooks = self.waiting_webhooks, 0
        return {"applied": applied, "failed": 0, "more": applied > 0}

    def prune(self, _: dict[str, Any]) -> dict[str, Any]:
        self._fail("prune_history")
        return {"deleted": {}, "refused": {}, "more": False}

    def _holds(self, item: dict[str, Any]) -> bool:
        job = self.jobs.get(item["id"])
        return job is not None and job.lease_id == item["lease_id"]

    def _fail(self, name: str) -> None:
        if name in self.down:
            raise Refusal(503, "PGRST000", "could not connect to the database")


def _shown(job: QueuedJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "lease_id": job.lease_id,
        "agency_id": "agency",
        "model_id": f"model {job.id}",
        "sync_type": job.sync_type,
        "attempt": job.attempt,
        "max_attempts": 3,
        "priority": 20,
        "bucket": "app:creator",
        "model": None,
        "waited_ms": 12,
    }
