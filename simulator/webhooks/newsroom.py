"""Turns what happens in the world into deliveries, as the knobs and targets say.

Draws from a source of randomness of its own, so that listening does not change the world.
"""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING

from simulator.webhook_knobs import Duplicates
from simulator.webhooks.courier import Courier
from simulator.webhooks.deliveries import Delivery, DeliveryLog, State
from simulator.webhooks.events import Event, announce
from simulator.webhooks.targets import Targets


if TYPE_CHECKING:
    from simulator.clock import SimulatedClock
    from simulator.happenings import Happening
    from simulator.knobs import KnobBook, Knobs
    from simulator.webhooks.targets import Target


class Newsroom:
    """Listens to the world and feeds the courier."""

    def __init__(self, clock: SimulatedClock, knobs: KnobBook, seed: int) -> None:
        self._clock = clock
        self._knobs = knobs
        self._rng = random.Random(f"webhooks {seed}")  # noqa: S311 - reproducible on purpose
        self.targets = Targets()
        self.log = DeliveryLog()
        self.courier = Courier(clock, knobs, self.log, random.Random(seed))  # noqa: S311 - likewise

    def new_id(self) -> str:
        """Return a random version 4 UUID."""
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def hear(self, happening: Happening) -> None:
        """Announce a happening to whoever wants to know."""
        creator_uuid = happening.creator.uuid
        knobs = self._knobs.of(creator_uuid)
        if not knobs.webhooks or not self.targets.any_for(creator_uuid):
            return
        now = self._clock.now_ms() + round(knobs.webhook_delay_seconds * 1000)
        for event in announce(happening, knobs, now, self.new_id):
            self.publish(event)

    def publish(self, event: Event) -> int:
        """Queue an event for every target; return for how many."""
        knobs = self._knobs.of(event.creator_uuid)
        targets = self.targets.wanting(event)
        if targets:
            self.log.count_event(event)
        deliveries = []
        for target in targets:
            deliveries.append(self._open(event, target, knobs))
            if self._rng.random() < knobs.webhook_duplicate_probability:
                again = event
                if knobs.webhook_duplicates is Duplicates.RENAMED:
                    again = event.renamed(self.new_id())
                deliveries.append(self._open(again, target, knobs, knobs.webhook_duplicates))
        self.courier.hand_over(deliveries)
        return len(targets)

    def clear(self) -> None:
        """Forget all deliveries, done or not; targets stay."""
        self.courier.drop()
        self.log.clear()

    def _open(
        self, event: Event, target: Target, knobs: Knobs, duplicate: Duplicates | None = None
    ) -> Delivery:
        delay = knobs.webhook_delay_seconds
        delay += self._rng.random() * knobs.webhook_reorder_seconds
        now = self._clock.now_ms()
        hidden = event.visible_at is not None and event.visible_at > now
        delivery = Delivery(event, target, delay, now, self.log.epoch, duplicate)
        if knobs.webhook_after_visible and hidden:
            delivery.state = State.WAITING
        self.log.open(delivery)
        return delivery
