"""Wakes the runner when the database says that work is due, so that it need not poll for it.

Only a hint: polling is the floor, and goes on unchanged whatever happens here. Nothing that goes
wrong leaves this module but as one line of the log.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from worker.metrics import Metric, Metrics, unheard


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from worker.clock import Clock
    from worker.subscription import Subscription


TOPIC: Final = "workers"
EVENT: Final = "due"
# What is said within this time of a wake-up is one more: a flood must not make claims a flood.
GATHERING: Final = timedelta(milliseconds=100)

log = structlog.get_logger(__name__)


class WakeUp:
    """Hears the workers' topic while the worker runs."""

    def __init__(
        self,
        subscription: Subscription,
        wake: Callable[[], None],
        clock: Clock,
        *,
        metrics: Metrics | None = None,
    ) -> None:
        self._subscription = subscription
        self._wake = wake
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
            self._metrics.set(Metric.WAKE_UP, 0)

    async def _listen(self) -> None:
        try:
            await self._subscription.run(self)
        except Exception as error:
            # A fault of ours: the worker must not end of it.
            log.exception("wake_up_crashed", reason=str(error), then="polling goes on")

    async def _wake_forever(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._wake()
            await self._clock.sleep(GATHERING)

    # What the subscription tells ------------------------------------------------------------------

    def connected(self) -> None:
        """Look for what became due before the server's stream flowed."""
        self._metrics.set(Metric.WAKE_UP, 1)
        log.info("wake_up_connected")
        self._wanted.set()

    def lost(self, reason: str) -> None:
        """Say once that pickup is a little slower now."""
        self._metrics.set(Metric.WAKE_UP, 0)
        log.warning("wake_up_lost", reason=reason, then="polling goes on")

    def heard(self, _topic: str, event: str, _payload: dict[str, Any]) -> None:
        """Wake the runner if work became due."""
        if event == EVENT:
            self._metrics.count(Metric.WAKE_UPS)
            self._wanted.set()
