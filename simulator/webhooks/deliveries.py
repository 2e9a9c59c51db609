"""The log of deliveries with all their attempts, and the counters over them.

Holds no secret; bodies are shown only on request.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, Any

from simulator.clock import stamp


if TYPE_CHECKING:
    from simulator.webhook_knobs import Duplicates
    from simulator.webhooks.events import Event
    from simulator.webhooks.targets import Target


CAPACITY = 20_000
OK = range(200, 300)
NAMES = (
    *("events", "deliveries", "duplicates", "attempts", "retries", "refused"),
    *("delivered", "gave_up", "pending", "waiting"),
)


class State(StrEnum):
    """How far a delivery has come; `waiting` means for its row to become visible."""

    WAITING = "waiting"
    PENDING = "pending"
    DELIVERED = "delivered"
    GAVE_UP = "gave_up"


@dataclass(slots=True)
class Attempt:
    """One request to a target; `t` is what the signature said."""

    t: int
    status: int | None
    error: str | None
    latency_ms: float

    @property
    def accepted(self) -> bool:
        """Tell whether the receiver took it."""
        return self.status in OK


@dataclass(slots=True, eq=False)
class Delivery:
    """One event on its way to one target."""

    event: Event
    target: Target
    delay: float
    queued_at: int
    epoch: int
    duplicate: Duplicates | None = None
    state: State = State.PENDING
    attempts: list[Attempt] = field(default_factory=list)
    n: int = 0

    def as_json(self, *, bodies: bool = False) -> dict[str, Any]:
        """Return the delivery for reading."""
        shown: dict[str, Any] = {
            "n": self.n,
            "event_id": self.event.id,
            "type": self.event.type,
            "creator": self.event.creator_uuid,
            "order_id": self.event.order_id,
            "url": self.target.url,
            "state": self.state,
            "duplicate": self.duplicate,
            "queued_at": stamp(self.queued_at),
            "attempts": [asdict(attempt) for attempt in self.attempts],
        }
        if bodies:
            shown["body"] = self.event.content
        return shown


class DeliveryLog:
    """The newest deliveries, numbered from 1, and counters over all since the last clearing.

    Builders write in their threads while the courier writes in its loop, hence the lock.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._deliveries: deque[Delivery] = deque(maxlen=CAPACITY)
        self._counts: Counter[str] = Counter()
        self._types: Counter[str] = Counter()
        self._number = 0
        self.epoch = 0

    def open(self, delivery: Delivery) -> None:
        """Write down a new delivery."""
        with self._lock:
            self._number += 1
            delivery.n = self._number
            self._deliveries.append(delivery)
            self._counts["deliveries"] += 1
            self._counts["duplicates"] += delivery.duplicate is not None
            self._counts[delivery.state] += 1

    def count_event(self, event: Event) -> None:
        """Count a new event."""
        with self._lock:
            self._counts["events"] += 1
            self._types[event.type] += 1

    def attempted(self, delivery: Delivery, attempt: Attempt) -> None:
        """Write down an attempt."""
        with self._lock:
            self._counts["attempts"] += 1
            self._counts["retries"] += bool(delivery.attempts)
            self._counts["refused"] += not attempt.accepted
            delivery.attempts.append(attempt)

    def move(self, delivery: Delivery, state: State) -> None:
        """Change the state of a delivery."""
        with self._lock:
            self._counts[delivery.state] -= 1
            self._counts[state] += 1
            delivery.state = state

    @property
    def pending(self) -> int:
        """Return how many deliveries are queued, on their way or to be retried."""
        return self._counts[State.PENDING]

    def counts(self) -> dict[str, Any]:
        """Return every counter."""
        return {name: self._counts[name] for name in NAMES} | {
            "by_type": dict(sorted(self._types.items()))
        }

    def read(
        self,
        *,
        creator: str | None = None,
        kind: str | None = None,
        state: str | None = None,
        since: int = 0,
        limit: int = 1000,
    ) -> list[Delivery]:
        """Return deliveries numbered above `since`, oldest first, at most the newest `limit`."""
        found = [
            d
            for d in self._deliveries
            if d.n > since
            and (creator is None or d.event.creator_uuid == creator)
            and (kind is None or d.event.type == kind)
            and (state is None or d.state == state)
        ]
        return found[-limit:]

    def clear(self) -> None:
        """Forget everything, also what is still on its way; numbering goes on."""
        with self._lock:
            self._deliveries.clear()
            self._counts.clear()
            self._types.clear()
            self.epoch += 1
