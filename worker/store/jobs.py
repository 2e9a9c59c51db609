"""The queue: claim, heartbeat, settle, and the scheduling calls.

A job carries its lease; the database refuses every write under a stale one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from worker.store.database import Database


@dataclass(frozen=True, slots=True)
class Job:
    """A leased job.

    Grant, path prefix and bucket belong together, as they were when the job was claimed: a token of
    another grant on this path would read another account's money. `cause` is who wanted it.
    """

    id: int
    lease_id: int
    agency_id: str
    model_id: str
    sync_type: str
    attempt: int
    max_attempts: int
    priority: int
    bucket: str
    creator_uuid: str | None
    handle: str | None
    waited: timedelta
    grant_id: str | None = None
    path_prefix: str = ""
    cause: str = ""

    @property
    def account_bucket(self) -> str:
        """Return the budget of the account whose grant it is: of paths that are no creator's."""
        return self.bucket.rpartition(":")[0] if self.path_prefix else self.bucket

    @classmethod
    def from_reply(cls, item: dict[str, Any]) -> Job:
        """Read a job from a claim's answer."""
        model = item["model"] or {}
        return cls(
            id=int(item["id"]),
            lease_id=int(item["lease_id"]),
            agency_id=str(item["agency_id"]),
            model_id=str(item["model_id"]),
            sync_type=str(item["sync_type"]),
            attempt=int(item["attempt"]),
            max_attempts=int(item["max_attempts"]),
            priority=int(item["priority"]),
            bucket=str(item["bucket"]),
            creator_uuid=model.get("fanvue_user_uuid"),
            handle=model.get("handle"),
            waited=timedelta(milliseconds=float(item.get("waited_ms") or 0)),
            grant_id=model.get("grant_id"),
            path_prefix=model.get("path_prefix") or "",
            cause=str(item.get("cause") or ""),
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought; `next_due` is None when nothing waits at all.

    `running` tells a drain that found nothing whether jobs run anywhere.
    """

    jobs: Sequence[Job]
    next_due: timedelta | None
    running_by: str | None = None
    running: bool = False


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a leased job ends, in the database's words."""

    job: Job
    outcome: str
    state: str | None = None
    retry_in: timedelta | None = None
    error: dict[str, str] | None = None
    stats: dict[str, int] = field(default_factory=dict)

    def as_item(self) -> dict[str, Any]:
        """Return the item that `settle_sync_jobs` takes."""
        item: dict[str, Any] = {
            "id": self.job.id,
            "lease_id": self.job.lease_id,
            # which stream: a run that was only counted is looked up there when the reply was lost
            "model_id": self.job.model_id,
            "sync_type": self.job.sync_type,
            "outcome": self.outcome,
            "stats": self.stats,
        }
        if self.state is not None:
            item["state"] = self.state
        if self.retry_in is not None:
            item["retry_in_s"] = self.retry_in.total_seconds()
        if self.error is not None:
            item["error"] = self.error
        return item


class JobStore:
    """The queue's RPCs, as one worker."""

    def __init__(self, database: Database, worker_id: str, lease: timedelta) -> None:
        self._database = database
        self._worker_id = worker_id
        self._lease_seconds = max(1, round(lease.total_seconds()))

    async def claim(self, limit: int, *, drain: bool = False) -> Claim:
        """Take up to `limit` due jobs."""
        reply = await self._database.call(
            "claim_sync_jobs",
            {
                "p_worker": self._worker_id,
                "p_limit": limit,
                "p_lease_seconds": self._lease_seconds,
                "p_claim_id": str(uuid4()),
                "p_drain": drain,
            },
        )
        return _claim(reply, due_key="next_due_in")

    async def claim_one(self, model_id: str, sync_type: str) -> Claim:
        """Take the waiting job of one model's stream, for a person who wants it now."""
        reply = await self._database.call(
            "claim_model_job",
            {
                "p_worker": self._worker_id,
                "p_model_id": model_id,
                "p_sync_type": sync_type,
                "p_lease_seconds": self._lease_seconds,
                "p_claim_id": str(uuid4()),
            },
        )
        return _claim(reply, due_key="due_in")

    async def heartbeat(self, jobs: Iterable[Job]) -> dict[int, bool]:
        """Extend leases; return the jobs still ours and whether each is to be cancelled."""
        reply = await self._database.call(
            "heartbeat_sync_jobs",
            {
                "p_worker": self._worker_id,
                "p_jobs": [{"id": job.id, "lease_id": job.lease_id} for job in jobs],
                "p_lease_seconds": self._lease_seconds,
            },
        )
        return {int(beat["id"]): bool(beat["cancel"]) for beat in reply}

    async def settle(self, settlements: Sequence[Settlement], *, leaving: bool = False) -> set[int]:
        """End or return jobs; return the ids whose lease was still good.

        What a `leaving` worker gives back is told to the others: it takes nothing again.
        """
        more = {"leaving": True} if leaving else {}
        reply = await self._database.call(
            "settle_sync_jobs",
            {
                "p_worker": self._worker_id,
                "p_items": [one.as_item() | more for one in settlements],
            },
        )
        return {int(accepted) for accepted in reply}

    async def enqueue_due(self, source: str) -> dict[str, Any]:
        """Run one scheduling tick."""
        reply: dict[str, Any] = await self._database.call("enqueue_due", {"p_by": source})
        return reply

    async def reap(self) -> int:
        """Give the jobs of vanished workers back to the queue."""
        reply = await self._database.call("reap_expired_leases", {})
        return int(reply["reaped"])

    async def retry_webhooks(self) -> dict[str, Any]:
        """Try a batch of the events again that could not be applied in time."""
        reply: dict[str, Any] = await self._database.call("retry_webhook_events", {})
        return reply

    async def prune(self) -> dict[str, Any]:
        """Delete a batch of what is older than its retention."""
        reply: dict[str, Any] = await self._database.call("prune_history", {})
        return reply

    async def enqueue(self, model_id: str, sync_type: str, *, full: bool) -> dict[str, Any]:
        """Queue one model's stream now."""
        reply: dict[str, Any] = await self._database.call(
            "enqueue_sync",
            {"p_model_id": model_id, "p_sync_type": sync_type, "p_full": full, "p_priority": 0},
        )
        return reply

    async def retry(self, job_id: int) -> dict[str, Any]:
        """Run a dead or waiting job now."""
        reply: dict[str, Any] = await self._database.call("retry_sync_job", {"p_id": job_id})
        return reply

    async def cancel(self, job_id: int) -> dict[str, Any]:
        """Cancel a job."""
        reply: dict[str, Any] = await self._database.call("cancel_sync_job", {"p_id": job_id})
        return reply


def _claim(reply: dict[str, Any], *, due_key: str) -> Claim:
    due = reply.get(due_key)
    return Claim(
        jobs=[Job.from_reply(item) for item in reply["jobs"]],
        next_due=None if due is None else timedelta(seconds=float(due)),
        running_by=reply.get("running_by"),
        running=bool(reply.get("running")),
    )
