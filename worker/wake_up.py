"""Wakes the runner when the database says that work is due, so that it need not poll for it.

Only a hint: polling is the floor. It is more seldom while hints are heard, and as often as ever
from the moment they are not. Nothing that goes wrong leaves this module but as one line of the log.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from worker.metrics import Metric, Metrics, unheard


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.clock import Clock
    from worker.subscription import Subscription


TOPIC: Final = "workers"
EVENT: Final = "due"
# What is said within this time of a wake-up is one more: a flood must not make claims a flood.
GATHERING: Final = timedelta(milliseconds=100)

log = structlog.get_logger(__name__)


class Sleeper(Protocol):
    """Whoever looks for due work, and rests between two looks."""

    def wake(self) -> None:
        """Look for work now."""
        ...

    def told(self, *, told: bool) -> None:
        """Look now if that is news, and from now on more seldom if told of work."""
        ...


class WakeUp:
    """Hears the workers' topic while the worker runs."""

    def __init__(
        self,
        subscription: Subscription,
        sleeper: Sleeper,
        clock: Clock,
        *,
        metrics: Metrics | None = None,
    ) -> None:
        self._subscription = subscription
        self._sleeper = sleeper
        self._clock = clock
        self._wanted = asyncio.Event()
        self._metrics = metrics or unheard()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs."""
        tasks = [
            asyncio.create_task(self._listen(), name="wake-up"),
            asyncio.create_task(self._wake_forever(), name="wake-up-gathering"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._hear(told=False)

    async def _listen(self) -> None:
        try:
            await self._subscription.run(self)
        except Exception as error:
            # A fault of ours: the worker must not end of it.
            log.exception("wake_up_crashed", reason=str(error), then="polling goes on")
            self._hear(told=False)

    def _hear(self, *, told: bool) -> None:
        self._metrics.set(Metric.WAKE_UP, int(told))
        self._sleeper.told(told=told)

    async def _wake_forever(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._sleeper.wake()
            await self._clock.sleep(GATHERING)

    # What the subscription tells ------------------------------------------------------------------

    def connected(self) -> None:
        """Look for what became due before the server's stream flowed."""
        self._hear(told=True)
        log.info("wake_up_connected")

    def lost(self, reason: str) -> None:
        """Say once that pickup is a little slower now."""
        self._hear(told=False)
        log.warning("wake_up_lost", reason=reason, then="polling goes on")

    def heard(self, _topic: str, event: str, _payload: dict[str, Any]) -> None:
        """Wake the runner if work became due."""
        if event == EVENT:
            self._metrics.count(Metric.WAKE_UPS)
            self._wanted.set()
