"""Reconciliations: open or resume one, commit its pages, fetch our sums, close it with a verdict.

The database guards every commit by the job's lease and the run's version; a repeated call gets its
first answer again. Money is never deleted here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from worker.store.database import Database
    from worker.store.jobs import Job


@dataclass(frozen=True, slots=True)
class RunState:
    """The open run of a model, as the database keeps it.

    `todo` are the lists still to be read; mode, cursor and position say where the first one stands.
    `known` counts the ledger rows of the model: a bound on the pages grows with it.
    """

    version: int
    run_id: str
    ranges: list[dict[str, Any]]
    todo: list[dict[str, Any]]
    mode: str | None
    cursor: str | None
    position: datetime | None
    ceiling: datetime | None
    settle: timedelta
    notes: dict[str, Any]
    pages: int
    known: int

    @property
    def requested(self) -> bool:
        """Tell whether a person asked for exactly these days."""
        return self.notes.get("requested") is not None


@dataclass(frozen=True, slots=True)
class RunCommit:
    """One step to commit: ledger rows, and where the run goes on."""

    todo: list[dict[str, Any]]
    mode: str = "window"
    cursor: str | None = None
    position: datetime | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    ceiling: datetime | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    pages: int = 1


@dataclass(frozen=True, slots=True)
class RunCommitted:
    """What a commit changed; `mended` counts rows that should have been right before."""

    version: int
    inserted: int
    updated: int
    mended: int
    cancel: bool


@dataclass(frozen=True, slots=True)
class OurSums:
    """Gross and net per day in the ledger; and which nets, ours and theirs, are known to differ.

    `unknown`: days of which no net can be told, since Fanvue listed a row without one.
    """

    days: dict[date, tuple[Decimal, Decimal]]
    known: dict[date, tuple[Decimal, Decimal]]
    unknown: frozenset[date] = frozenset()


class ReconcileStore:
    """The reconciliation's RPCs."""

    def __init__(self, database: Database, lease: timedelta) -> None:
        self._database = database
        self._lease_seconds = max(1, round(lease.total_seconds()))

    async def begin(self, job: Job) -> RunState:
        """Open the run of a leased job, or return the open one."""
        reply = await self._database.call(
            "begin_reconcile", {"p_job_id": job.id, "p_lease_id": job.lease_id}
        )
        place = reply["place"]
        return RunState(
            version=int(reply["version"]),
            run_id=str(reply["run_id"]),
            ranges=list(reply["ranges"]),
            todo=list(reply["todo"]),
            mode=place.get("mode"),
            cursor=place.get("cursor"),
            position=_moment(place.get("position")),
            ceiling=_moment(reply["ceiling"]),
            settle=timedelta(seconds=float(reply["settle_seconds"])),
            notes=dict(reply["notes"] or {}),
            pages=int(reply["pages"]),
            known=int(reply["known"]),
        )

    async def commit(self, job: Job, state: RunState, step: RunCommit) -> RunCommitted:
        """Commit one step under the job's lease and the run's version."""
        reply = await self._database.call(
            "commit_reconcile_page",
            {
                "p_job_id": job.id,
                "p_lease_id": job.lease_id,
                "p_version": state.version,
                "p_lease_seconds": self._lease_seconds,
                "p_page": {
                    "key": _key(job, state),
                    "run_id": state.run_id,
                    "rows": step.rows,
                    "todo": step.todo,
                    "place": {
                        "mode": step.mode,
                        "cursor": step.cursor,
                        "position": _text(step.position),
                    },
                    "ceiling": _text(step.ceiling),
                    "notes": step.notes,
                    "pages": step.pages,
                },
            },
        )
        return RunCommitted(
            version=int(reply["version"]),
            inserted=int(reply["inserted"]),
            updated=int(reply["updated"]),
            mended=int(reply["mended"]),
            cancel=bool(reply["cancel"]),
        )

    async def sums(self, job: Job, first: date, until: date) -> OurSums:
        """Return our sums per day, reversals left out, and the differences known already."""
        return await fetch_sums(self._database, job, first, until)

    async def finish(
        self,
        job: Job,
        state: RunState,
        sums: list[dict[str, Any]],
        partial: str | None,
        uncompared: str | None,
    ) -> dict[str, Any]:
        """Close the run; return what it proved, as its history keeps it.

        `partial`: what could not be read. `uncompared`: what is judged but not proved.
        """
        reply: dict[str, Any] = await self._database.call(
            "finish_reconcile",
            {
                "p_job_id": job.id,
                "p_lease_id": job.lease_id,
                "p_version": state.version,
                "p_verdict": {
                    "key": _key(job, state),
                    "run_id": state.run_id,
                    "sums": sums,
                    "partial": partial,
                    "uncompared": uncompared,
                },
            },
        )
        return reply

    # People --------------------------------------------------------------------------------------

    async def enqueue(self, model_id: str | None, days: int | None) -> list[dict[str, Any]]:
        """Queue a run now, of one model or of all that are active."""
        reply: list[dict[str, Any]] = await self._database.call(
            "enqueue_reconcile", {"p_model_id": model_id, "p_days": days}
        )
        return reply

    async def report(self, model_ids: list[str], run_ids: list[str]) -> dict[str, Any]:
        """Return what runs mended and what drift stands."""
        reply: dict[str, Any] = await self._database.call(
            "reconcile_report", {"p_model_ids": model_ids, "p_run_ids": run_ids}
        )
        return reply


async def fetch_sums(database: Database, job: Job, first: date, until: date) -> OurSums:
    """Return a model's sums per day, reversals left out, and the differences known already."""
    reply = await database.call(
        "reconcile_sums",
        {
            "p_job_id": job.id,
            "p_lease_id": job.lease_id,
            "p_from": first.isoformat(),
            "p_until": until.isoformat(),
        },
    )
    days = {
        date.fromisoformat(day): (Decimal(sums["gross"]), Decimal(sums["net"]))
        for day, sums in reply["days"].items()
    }
    known = {
        date.fromisoformat(day): (Decimal(nets["ledger"]), Decimal(nets["fanvue"]))
        for day, nets in reply["known"].items()
    }
    # An older database says nothing of it.
    unknown = frozenset(date.fromisoformat(day) for day in reply.get("unknown", []))
    return OurSums(days, known, unknown)


def _key(job: Job, state: RunState) -> str:
    # The lease is part of the key: another worker's step is not a repetition.
    return f"{job.lease_id}:{state.version}"


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _text(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()
