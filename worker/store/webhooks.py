"""Registered webhooks in the database, and the traces of test events.

Secrets enter and leave this module sealed. Every call may be repeated after a lost answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.store.database import Database


@dataclass(frozen=True, slots=True)
class StoredWebhook:
    """One registered webhook; `state` is registering, active or retired."""

    id: str
    fanvue_id: str | None
    url: str
    events: tuple[str, ...]
    state: str
    since: str
    unopened_at: str | None
    sealed: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookCreator:
    """A creator with the webhooks registered for them; `grant` is own, agency or none."""

    model_id: str
    uuid: str | None
    name: str
    handle: str | None
    agency: str
    status: str
    grant: str
    webhooks: tuple[StoredWebhook, ...]

    @property
    def active(self) -> tuple[StoredWebhook, ...]:
        """Return those that Fanvue delivers by."""
        return tuple(one for one in self.webhooks if one.state == "active")

    @classmethod
    def from_reply(cls, row: dict[str, Any]) -> WebhookCreator:
        """Read one creator."""
        return cls(
            model_id=str(row["model_id"]),
            uuid=row["creator_uuid"],
            name=str(row["creator"]),
            handle=row["handle"],
            agency=str(row["agency"]),
            status=str(row["status"]),
            grant=str(row["grant"]),
            webhooks=tuple(
                StoredWebhook(
                    id=str(one["id"]),
                    fanvue_id=one["fanvue_id"],
                    url=str(one["url"]),
                    events=tuple(one["events"]),
                    state=str(one["state"]),
                    since=str(one["since"]),
                    unopened_at=one["unopened_at"],
                    sealed=one["secret"],
                )
                for one in row["subscriptions"]
            ),
        )


class WebhookStore:
    """The webhooks' RPCs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def creators(self) -> list[WebhookCreator]:
        """Return every creator, with what is registered for them."""
        rows = await self._database.call("list_webhook_subscriptions", {})
        return [WebhookCreator.from_reply(row) for row in rows]

    async def begin(self, webhook_id: str, model_id: str, url: str, events: Sequence[str]) -> None:
        """Say that Fanvue is about to be asked: for two minutes unsigned calls are let in."""
        await self._database.call(
            "begin_webhook_registration",
            {
                "p_id": webhook_id,
                "p_model_id": model_id,
                "p_url": url,
                "p_events": list(events),
            },
        )

    async def finish(
        self, webhook_id: str, fanvue_id: str, events: Sequence[str], sealed: str
    ) -> None:
        """Store what Fanvue answered; from now on its deliveries are accepted."""
        await self._database.call(
            "finish_webhook_registration",
            {
                "p_id": webhook_id,
                "p_fanvue_id": fanvue_id,
                "p_events": list(events),
                "p_secret": sealed,
            },
        )

    async def retire(self, webhook_id: str, *, expect_none: bool = False) -> None:
        """Give up a registration, or accept a webhook's secret for three days more only."""
        await self._database.call(
            "retire_webhook_subscription", {"p_id": webhook_id, "p_expect_none": expect_none}
        )

    async def reseal(self, webhook_id: str, before: str, after: str) -> bool:
        """Replace a sealed secret by the same sealed anew, unless it changed meanwhile."""
        return bool(
            await self._database.call(
                "reseal_webhook_secret", {"p_id": webhook_id, "p_from": before, "p_to": after}
            )
        )

    async def take_test(self, event_id: str, webhook_id: str | None) -> bool:
        """Tell whether a test event arrived, and remove its trace."""
        return bool(
            await self._database.call(
                "take_webhook_test", {"p_id": event_id, "p_subscription_id": webhook_id}
            )
        )
