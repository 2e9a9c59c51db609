"""Sends deliveries over HTTP in the background, retries them, and can be waited for.

It lives in the event loop that serves the simulator; deliveries may be handed over from
any thread. No answer of the API ever waits for it.
"""

from __future__ import annotations

import asyncio
import heapq
from threading import Lock
from typing import TYPE_CHECKING

import httpx

from simulator.webhook_knobs import Duplicates
from simulator.webhooks.deliveries import Attempt, Delivery, DeliveryLog, State
from simulator.webhooks.signature import HEADER, signature
from simulator.webhooks.targets import is_allowed


if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from simulator.clock import SimulatedClock
    from simulator.knobs import KnobBook, Knobs


STALE_SECONDS = 360
VISIBILITY_POLL_SECONDS = 0.05
WRONG_SECRET = "not-the-secret"  # noqa: S105 - wrong on purpose


class Courier:
    """Carries deliveries to their targets."""

    def __init__(
        self, clock: SimulatedClock, knobs: KnobBook, log: DeliveryLog, rng: random.Random
    ) -> None:
        self._clock = clock
        self._knobs = knobs
        self._log = log
        self._rng = rng
        self._handover = Lock()
        self._arrived: list[Delivery] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dispatcher: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._queue: list[tuple[float, int, Delivery]] = []
        self._waiting: list[Delivery] = []
        self._signatures: dict[tuple[str, str], tuple[int, str]] = {}
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self._http: httpx.AsyncClient | None = None

    def start(self) -> None:
        """Begin to work in the running loop."""
        if self._dispatcher is not None:
            return
        with self._handover:
            self._loop = asyncio.get_running_loop()
        self._wake.set()
        self._dispatcher = self._loop.create_task(self._dispatch(), name="webhooks")

    async def stop(self) -> None:
        """Stop at once; what is undelivered stays so."""
        with self._handover:
            self._loop = None
        tasks = [*self._running, *([self._dispatcher] if self._dispatcher else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._dispatcher = None
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def hand_over(self, deliveries: Iterable[Delivery]) -> None:
        """Take deliveries, from any thread."""
        with self._handover:
            self._arrived.extend(deliveries)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._wake.set)

    async def flush(self, timeout_seconds: float) -> bool:
        """Wait until nothing is pending; tell whether that came true in time.

        Deliveries that wait for the simulated clock are not waited for.
        """
        self.start()
        self._take_arrived()
        self._release_visible()
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._log.pending:
                    self._quiet.clear()
                    await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    def drop(self) -> None:
        """Forget everything that is queued or on its way."""
        with self._handover:
            self._arrived.clear()
        self._queue.clear()
        self._waiting.clear()
        self._signatures.clear()
        for task in self._running:
            task.cancel()
        self._quiet.set()

    async def _dispatch(self) -> None:
        while True:
            self._wake.clear()
            self._take_arrived()
            self._release_visible()
            pause = self._launch_due()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _take_arrived(self) -> None:
        with self._handover:
            arrived, self._arrived = self._arrived, []
        for delivery in arrived:
            if delivery.state is State.WAITING:
                self._waiting.append(delivery)
            else:
                self._schedule(delivery, delivery.delay)

    def _release_visible(self) -> None:
        now = self._clock.now_ms()
        kept = []
        for delivery in self._waiting:
            if (delivery.event.visible_at or 0) <= now:
                self._log.move(delivery, State.PENDING)
                self._schedule(delivery, delivery.delay)
            else:
                kept.append(delivery)
        self._waiting = kept

    def _schedule(self, delivery: Delivery, delay: float) -> None:
        due = asyncio.get_running_loop().time() + delay
        heapq.heappush(self._queue, (due, delivery.n, delivery))

    def _launch_due(self) -> float | None:
        """Start what is due as far as concurrency allows; return how long nothing else is."""
        loop = asyncio.get_running_loop()
        limit = self._knobs.base.webhook_concurrency
        while self._queue and len(self._running) < limit and self._queue[0][0] <= loop.time():
            delivery = heapq.heappop(self._queue)[2]
            task = loop.create_task(self._carry(delivery))
            self._running.add(task)
            task.add_done_callback(self._landed)
        pauses = [VISIBILITY_POLL_SECONDS] if self._waiting else []
        if self._queue and len(self._running) < limit:
            pauses.append(max(0.0, self._queue[0][0] - loop.time()))
        return min(pauses, default=None)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    async def _carry(self, delivery: Delivery) -> None:
        knobs = self._knobs.of(delivery.event.creator_uuid)
        attempt = await self._attempt(delivery, knobs)
        if delivery.epoch != self._log.epoch:
            return
        self._log.attempted(delivery, attempt)
        failures = len(delivery.attempts) - 1
        if attempt.accepted:
            self._log.move(delivery, State.DELIVERED)
        elif failures < len(knobs.webhook_retry_seconds):
            self._schedule(delivery, knobs.webhook_retry_seconds[failures])
        else:
            self._log.move(delivery, State.GAVE_UP)
        if not self._log.pending:
            self._quiet.set()

    async def _attempt(self, delivery: Delivery, knobs: Knobs) -> Attempt:
        raw = delivery.event.raw
        t, signed = self._sign(delivery, raw, knobs)
        headers = {"Content-Type": "application/json", HEADER: signed}
        if knobs.webhook_hint_headers:
            headers |= {
                "X-Fanvue-Topic": delivery.event.type,
                "X-Fanvue-Event-Id": delivery.event.id,
            }
        loop = asyncio.get_running_loop()
        started = loop.time()
        status, error = None, None
        try:
            async with asyncio.timeout(knobs.webhook_timeout_seconds):
                status = await self._post(delivery.target.url, raw, headers)
        except TimeoutError:
            error = "timeout"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as failure:
            error = type(failure).__name__
        return Attempt(t, status, error, round((loop.time() - started) * 1000, 1))

    async def _post(self, url: str, raw: bytes, headers: dict[str, str]) -> int:
        if not is_allowed(url):
            raise httpx.UnsupportedProtocol("the simulator does not send there")
        if self._http is None:
            # Made-up events: no certificate to check, no proxy to ask, no time-out but ours.
            self._http = httpx.AsyncClient(verify=False, trust_env=False, timeout=None)  # noqa: S501, S113 - said above
        response = await self._http.post(url, content=raw, headers=headers)
        return response.status_code

    def _sign(self, delivery: Delivery, raw: bytes, knobs: Knobs) -> tuple[int, str]:
        """Return the time and the header; a replay repeats those of the event's first attempt."""
        key = (delivery.event.id, delivery.target.url)
        if delivery.duplicate is Duplicates.REPLAY and key in self._signatures:
            return self._signatures[key]
        moment = self._clock.machine_seconds() + knobs.webhook_skew_seconds
        if self._rng.random() < knobs.webhook_stale_probability:
            moment -= STALE_SECONDS
        secrets = delivery.target.secrets(knobs.webhook_signing)
        if self._rng.random() < knobs.webhook_forged_probability:
            secrets = [WRONG_SECRET]
        signed = (int(moment), signature(secrets, int(moment), raw))
        if knobs.webhook_duplicates is Duplicates.REPLAY:
            self._signatures.setdefault(key, signed)
        return signed
