"""What people ask of the database: status, health, jobs, facts for the doctor. Read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from worker.store.database import Database


class OverviewStore:
    """Read-only answers for the command line."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def status(self) -> dict[str, Any]:
        """Return the engine at a glance."""
        reply: dict[str, Any] = await self._database.call("engine_status", {})
        return reply

    async def gauges(self) -> dict[str, Any]:
        """Return the engine in figures, for monitoring; cheap at any size."""
        reply: dict[str, Any] = await self._database.call("engine_gauges", {})
        return reply

    async def attention(self) -> list[dict[str, Any]]:
        """Return what wants an operator's attention, each with its remedy; empty is good."""
        reply: list[dict[str, Any]] = await self._database.call("engine_attention", {})
        return reply

    async def doctor(self) -> dict[str, Any]:
        """Return the facts that `doctor` judges."""
        reply: dict[str, Any] = await self._database.call("engine_doctor", {})
        return reply

    async def creators(self) -> dict[str, Any]:
        """Return every creator, and who must connect again."""
        reply: dict[str, Any] = await self._database.call("list_creators", {})
        return reply

    async def find_model(self, who: str) -> dict[str, str]:
        """Return the creator whom a person means, by handle or by id."""
        reply: dict[str, str] = await self._database.call("find_model", {"p_who": who})
        return reply

    async def troubles(self, limit: int) -> dict[str, Any]:
        """Return what is wrong with streams, one entry for each root cause."""
        reply: dict[str, Any] = await self._database.call("list_troubles", {"p_limit": limit})
        return reply

    async def streams(self, limit: int | None) -> list[dict[str, Any]]:
        """Return one line per model and stream, the worst health first; no limit is all."""
        reply: list[dict[str, Any]] = await self._database.call("list_streams", {"p_limit": limit})
        return reply

    async def jobs(self, state: str | None, limit: int) -> list[dict[str, Any]]:
        """Return jobs: what runs, what gave up, what waits, the most urgent of each first."""
        reply: list[dict[str, Any]] = await self._database.call(
            "list_jobs", {"p_state": state, "p_limit": limit}
        )
        return reply

    async def stream_jobs(self, model_id: str, sync_type: str) -> list[dict[str, Any]]:
        """Return the jobs of one model's stream: waiting, running and dead."""
        return await self._database.select(
            "sync_jobs",
            "id,state,run_at,attempt,max_attempts,claimed_by,progress,last_error",
            model_id=model_id,
            sync_type=sync_type,
        )

    async def last_run(self, job_id: int) -> dict[str, Any] | None:
        """Return how a job ended last, None while it has not."""
        runs = await self._database.select(
            "sync_runs",
            "state,pages,requests,rows_inserted,rows_updated,rows_unchanged,throttled,waited_ms,"
            "started_at,finished_at,error,detail",
            newest_by="finished_at",
            job_id=str(job_id),
        )
        return runs[0] if runs else None

    async def grants(self, limit: int) -> list[dict[str, Any]]:
        """Return some grants, tokens as stored, to see whether our keys open them."""
        reply: list[dict[str, Any]] = await self._database.call(
            "list_grants", {"p_after": None, "p_limit": limit}
        )
        return reply
