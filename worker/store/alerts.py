"""The alerts' RPCs: take what is to be told, and note whether it was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.store.database import Database


@dataclass(frozen=True, slots=True)
class Alert:
    """One trouble whose state changed: it began, became worse, or is over."""

    kind: str
    subject: str
    raised: bool
    mark: int
    problem: str
    remedy: str
    lasted: timedelta

    def as_item(self) -> dict[str, Any]:
        """Return the item that `settle_alerts` takes."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "state": "raised" if self.raised else "clear",
            "mark": self.mark,
        }


class AlertStore:
    """What was told of which trouble, as one worker sees it."""

    def __init__(self, database: Database, worker_id: str) -> None:
        self._database = database
        self._worker_id = worker_id

    async def compare(self) -> None:
        """Bring ops.alerts up to date, and tell nobody."""
        await self._database.call("claim_alerts", {"p_worker": self._worker_id, "p_limit": 0})

    async def claim(self) -> list[Alert]:
        """Take the changes that nobody told yet; they are this worker's for a minute."""
        reply = await self._database.call("claim_alerts", {"p_worker": self._worker_id})
        return [
            Alert(
                kind=str(item["kind"]),
                subject=str(item["subject"]),
                raised=item["state"] == "raised",
                mark=int(item["mark"]),
                problem=str(item["problem"]),
                remedy=str(item["remedy"]),
                lasted=timedelta(seconds=float(item["lasted_s"])),
            )
            for item in reply
        ]

    async def settle(self, alerts: Sequence[Alert], *, sent: bool) -> None:
        """Note that they were sent, or that they are to be tried again later."""
        await self._database.call(
            "settle_alerts",
            {
                "p_worker": self._worker_id,
                "p_items": [alert.as_item() for alert in alerts],
                "p_sent": sent,
            },
        )
