"""Control of webhooks: where they go, what was delivered, and events made by hand."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Base64Bytes, Field, field_validator

from simulator.clock import stamp
from simulator.control.orders import Order
from simulator.webhooks.events import Event, envelope
from simulator.webhooks.targets import ALLOWED_HOST, Target, is_allowed


if TYPE_CHECKING:
    from collections.abc import Awaitable

    from simulator.simulation import Simulation


TEST_FAN = {
    "uuid": "00000000-0000-4000-8000-000000000001",
    "handle": "test-user",
    "display_name": "Test User",
}


class NewTarget(Order):
    """Where all events go; loopback, or the host that is allowed."""

    url: str
    secret: str = Field(min_length=1)
    previous_secret: str | None = None

    @field_validator("url")
    @classmethod
    def _stays_on_this_machine(cls, url: str) -> str:
        if not is_allowed(url):
            raise ValueError(f"webhooks are sent to loopback addresses and ${ALLOWED_HOST} only")
        return url


class Flush(Order):
    """How long to wait."""

    timeout_seconds: float = Field(default=30, gt=0)


class Sample(StrEnum):
    """An event that nothing in the world caused."""

    TEST = "test"
    UNKNOWN_TOPIC = "unknown_topic"
    UNKNOWN_CREATOR = "unknown_creator"
    PRESENCE = "presence"
    RAW = "raw"


class NewEvent(Order):
    """An event made by hand; a raw one is the body given, or the bytes, whatever they are."""

    creator: str
    kind: Sample = Sample.TEST
    body: dict[str, Any] = Field(default_factory=dict)
    raw: Base64Bytes | None = None


class Press:
    """Acts on the newsroom of a simulation; each method answers one route."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._newsroom = simulation.newsroom

    def set_target(self, _query: dict[str, str], body: Any) -> Any:
        """Send all events to an address from now on."""
        order = NewTarget.model_validate(body)
        self._newsroom.targets.configured = Target(
            order.url, order.secret, order.previous_secret or None
        )
        return {"url": order.url}

    def drop_target(self, _query: dict[str, str], _body: Any) -> Any:
        """Send events to registered subscriptions only."""
        self._newsroom.targets.configured = None
        return {"url": None}

    def read(self, query: dict[str, str], _body: Any) -> Any:
        """Return counters and the log, filtered by creator, type, state and number."""
        creator = query.get("creator")
        if creator is not None and creator in {c.handle for c in self._sim.world.creators.values()}:
            creator = self._sim.world.creator(creator).uuid
        target = self._newsroom.targets.configured
        found = self._newsroom.log.read(
            creator=creator,
            kind=query.get("type"),
            state=query.get("state"),
            since=int(query.get("since", "0")),
            limit=int(query.get("limit", "1000")),
        )
        bodies = query.get("bodies") == "true"
        return {
            "target": None if target is None else target.url,
            "registrations": [
                {"id": r.id, "creator": r.creator_uuid, "url": r.target.url, "events": r.events}
                for r in self._newsroom.targets.all()
            ],
            "counts": self._newsroom.log.counts(),
            "deliveries": [delivery.as_json(bodies=bodies) for delivery in found],
        }

    def flush(self, _query: dict[str, str], body: Any) -> Awaitable[Any]:
        """Wait until nothing is pending and return how it came out."""
        return self._flush(Flush.model_validate(body).timeout_seconds)

    def clear(self, _query: dict[str, str], _body: Any) -> Any:
        """Forget all deliveries, also those on their way; targets stay."""
        self._newsroom.clear()
        return self._newsroom.log.counts()

    def send(self, _query: dict[str, str], body: Any) -> Any:
        """Send an event made by hand."""
        order = NewEvent.model_validate(body)
        event = self._event(order)
        # Measured first: what cannot be bytes is refused before anything is queued.
        size = len(event.raw)
        targets = self._newsroom.publish(event)
        return {"event_id": event.id, "type": event.type, "bytes": size, "targets": targets}

    async def _flush(self, timeout_seconds: float) -> Any:
        done = await self._newsroom.courier.flush(timeout_seconds)
        # Attempts that ended in this very turn of the loop are counted first.
        await asyncio.sleep(0)
        return {"done": done, **self._newsroom.log.counts()}

    def _event(self, order: NewEvent) -> Event:
        now = self._sim.clock.now_ms()
        new_id = self._newsroom.new_id
        known = order.kind is not Sample.UNKNOWN_CREATOR
        creator_uuid = self._sim.world.creator(order.creator).uuid if known else new_id()
        match order.kind:
            case Sample.RAW:
                event_id = str(order.body.get("id", new_id()))
                kind = str(order.body.get("type", "raw"))
                return Event(event_id, kind, creator_uuid, order.body, verbatim=order.raw)
            case Sample.UNKNOWN_TOPIC:
                kind, data = "creator.horoscope.updated", {"object": "horoscope"}
            case Sample.PRESENCE:
                kind = "creator.fan.presence_changed"
                data = {"object": "fan_status", "change_type": "presence", "state": "online"}
                data |= {"changed_at": stamp(now)}
            case _:
                kind, data = "creator.payment.succeeded", _test_payment(now)
        people = {"creator": {"uuid": creator_uuid}}
        if order.kind is Sample.PRESENCE:
            people["fan"] = TEST_FAN
        return envelope(new_id(), kind, now, creator_uuid, data | people | order.body)


def _test_payment(now: int) -> dict[str, Any]:
    return {
        "object": "payment",
        "id": "FV-12345",
        "status": "succeeded",
        "source": "tip",
        "gross": 1000,
        "net": 800,
        "currency": "USD",
        "created_at": stamp(now),
        "paid_at": stamp(now),
        "purchaser": TEST_FAN,
    }
