"""Events ready to be sent: what a happening is announced as, with ids and raw bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.replies import encode
from simulator.spoiling import in_capitals
from simulator.webhook_knobs import WebhookFamily
from simulator.webhooks.checkout_bodies import checkout_event
from simulator.webhooks.creator_bodies import creator_event
from simulator.webhooks.legacy_bodies import legacy_event
from simulator.webhooks.optional_keys import trim


if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.happenings import Happening
    from simulator.knobs import Knobs


LEGACY_FAMILIES = frozenset({WebhookFamily.LEGACY, WebhookFamily.BOTH})


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `id` is in the body only where its family has one.

    Verbatim bytes, if there are any, are sent instead of the content, JSON or not.
    """

    id: str
    type: str
    creator_uuid: str
    content: dict[str, Any]
    order_id: str | None = None
    visible_at: int | None = None
    verbatim: bytes | None = None

    @property
    def raw(self) -> bytes:
        """Return the body's bytes, the same on every attempt."""
        return encode(self.content) if self.verbatim is None else self.verbatim

    @property
    def has_envelope(self) -> bool:
        """Tell whether the body names its id and type."""
        return "type" in self.content

    def renamed(self, event_id: str) -> Event:
        """Return the same data under another event id."""
        if not self.has_envelope:
            return self
        return replace(self, id=event_id, content={**self.content, "id": event_id})


def envelope(
    event_id: str, kind: str, now_ms: int, creator_uuid: str, data: dict[str, Any]
) -> Event:
    """Wrap a data object."""
    content = {"id": event_id, "type": kind, "timestamp": stamp(now_ms), "data": data}
    return Event(event_id, kind, creator_uuid, content)


def announce(
    happening: Happening, knobs: Knobs, now_ms: int, new_id: Callable[[], str]
) -> list[Event]:
    """Return the events that announce a happening, in the families that are on."""
    family = knobs.webhook_family
    creator_uuid = happening.creator.uuid
    events = []
    if family is WebhookFamily.CHECKOUT:
        found = checkout_event(happening, knobs)
        if found is not None:
            events.append(envelope(new_id(), found[0], now_ms, creator_uuid, found[1]))
    if family is not WebhookFamily.LEGACY:
        kind, data = creator_event(happening, knobs)
        shown = trim(data, knobs.webhook_optionals)
        events.append(envelope(new_id(), kind, now_ms, creator_uuid, shown))
    if family in LEGACY_FAMILIES:
        event_id = f"evt-{new_id()}"
        flat = legacy_event(happening, knobs, event_id)
        if flat is not None:
            events.append(Event(event_id, flat[0], creator_uuid, flat[1]))
    if knobs.ids_in_capitals:
        events = [replace(event, content=in_capitals(event.content)) for event in events]
    row = happening.row
    if row is None:
        return events
    return [replace(e, order_id=row.order_id, visible_at=row.visible_at) for e in events]
