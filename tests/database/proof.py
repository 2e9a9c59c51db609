"""One model's ledger and the reconciliation that reads it again, as the worker drives it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from psycopg.types.json import Jsonb


if TYPE_CHECKING:
    import uuid

    from tests.database.engine import Engine


class Proof:
    """One model's ledger, and the run that reads it again."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.agency_id = engine.agency()
        self.model_id = engine.model(self.agency_id, due=False)
        self.now = engine.value("select private.engine_now()")
        engine.rows(
            "update public.sync_state set high_water = private.engine_now() where model_id = %s",
            self.model_id,
        )

    def ago(self, **span: float) -> datetime:
        moment: datetime = (self.now - timedelta(**span)).astimezone(UTC)
        return moment.replace(microsecond=0)

    def listed(self, name: str | None, at: datetime, cents: int = 1000, **more: Any) -> Any:
        """Return a row as Fanvue lists it."""
        return {
            "fanvue_id": name,
            "at": at.isoformat(),
            "source": "tip",
            "category": "tip",
            "amount": f"{cents / 100:.2f}",
            "net": f"{cents * 8 // 10 / 100:.2f}",
            "currency": "USD",
            "status": "pending",
            "fan_uuid": "f1",
            **more,
        }

    def store(self, *rows: dict[str, Any]) -> None:
        """Let an earlier sync have written rows."""
        self.engine.rows(
            "select private.apply_transactions(%s, %s, %s, '{}', private.engine_now())",
            self.agency_id,
            self.model_id,
            Jsonb(list(rows)),
        )

    def provisional(self, at: datetime, name: str = "FV-1") -> uuid.UUID:
        """Let a webhook have announced a sale."""
        row: uuid.UUID = self.engine.value(
            "insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount,"
            " net_amount, category, origin, fanvue_created_at, synced_at, created_at)"
            " values (%s, %s, %s, 5.00, 4.00, 'tip', 'webhook', %s, %s, %s) returning id",
            self.agency_id,
            self.model_id,
            name,
            at,
            at,
            at,
        )
        return row

    def job(self, days: int | None = 30) -> dict[str, Any]:
        """Queue and claim a run."""
        self.engine.call("enqueue_reconcile", self.model_id, days)
        claim = self.engine.call(
            "claim_model_job", self.engine.name, self.model_id, "reconcile", 60, uuid4()
        )
        return dict(claim["jobs"][0])

    def begin(self, job: dict[str, Any]) -> dict[str, Any]:
        return dict(self.engine.call("begin_reconcile", job["id"], job["lease_id"]))

    def page(self, run: dict[str, Any], *rows: Any, **more: Any) -> dict[str, Any]:
        return {"run_id": run["run_id"], "key": "k", "rows": list(rows), "todo": [], **more}

    def commit(self, job: dict[str, Any], run: dict[str, Any], page: dict[str, Any]) -> Any:
        return self.engine.call(
            "commit_reconcile_page", job["id"], job["lease_id"], run["version"], page
        )

    def finish(
        self, job: dict[str, Any], version: int, run: dict[str, Any], **verdict: Any
    ) -> dict[str, Any]:
        verdict = {"key": "end", "run_id": run["run_id"], **verdict}
        reply = self.engine.call("finish_reconcile", job["id"], job["lease_id"], version, verdict)
        return dict(reply)

    def prove(self, *rows: Any, days: int | None = 30, **verdict: Any) -> dict[str, Any]:
        """Run from beginning to end over one page."""
        job = self.job(days)
        run = self.begin(job)
        done = self.commit(job, run, self.page(run, *rows, **verdict.pop("page", {})))
        proved = self.finish(job, done["version"], run, **verdict)
        self.engine.settle(job, "done")
        return proved

    def findings(self, state: str = "%") -> list[tuple[Any, ...]]:
        rows = self.engine.rows(
            "select kind, state, transactions, what, changed_columns"
            " from public.reconciliation_findings where state like %s order by id",
            state,
        )
        return [tuple(row.values()) for row in rows]
