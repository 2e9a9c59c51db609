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

    async def doctor(self) -> dict[str, Any]:
        """Return the facts that `doctor` judges."""
        reply: dict[str, Any] = await self._database.call("engine_doctor", {})
        return reply

    async def streams(self) -> list[dict[str, Any]]:
        """Return one line per model and stream."""
        reply: list[dict[str, Any]] = await self._database.call("list_streams", {})
        return reply

    async def jobs(self, state: str | None, limit: int) -> list[dict[str, Any]]:
        """Return jobs, the most urgent first."""
        reply: list[dict[str, Any]] = await self._database.call(
            "list_jobs", {"p_state": state, "p_limit": limit}
        )
        return reply

    async def running(self) -> int:
        """Return how many jobs run anywhere."""
        return int((await self.status())["jobs"]["running"])
