"""A subscription to private Realtime topics that comes back by itself.

The client library recovers from some losses and not from others (a closed channel, a refused join),
so its own recovery is off: after any loss a new client is built here, and a server that falls
silent is a loss. A topic that is joined hears nothing yet: the server says when its stream of
commits really flows, and only then are we connected. What is heard is a hint and may be missed,
a whole burst of them without a word.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from realtime import AsyncRealtimeChannel, AsyncRealtimeClient, RealtimeSubscribeStates
from realtime.types import PHOENIX_CHANNEL

from worker.clock import full_jitter
from worker.redaction import redact_text


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from random import Random

    from realtime.message import ServerMessage, SuccessSystemPayload
    from realtime.types import BroadcastPayload, RealtimeChannelOptions

    from worker.clock import Clock
    from worker.settings import SupabaseSettings


FIRST_WAIT: Final = timedelta(seconds=1)
LONGEST_WAIT: Final = timedelta(seconds=30)
# A subscription that ends sooner counts as one more failure: the waits go on growing.
HELD: Final = timedelta(seconds=30)
# The library sends a heartbeat every 25 seconds.
SILENCE: Final = timedelta(seconds=60)
CONNECT_SECONDS: Final = 10
CLOSE_SECONDS: Final = 1.0
# A cold project's stream waits for every writer; an old server never says that it flows.
FLOWING_SECONDS: Final = 120.0
# What the server says to those who asked for `replication_ready`.
FLOWING: Final = "Replication connection established"
# The limit of a Supabase project; one connection carries this subscription.
MOST_TOPICS: Final = 100


class Listener(Protocol):
    """Whoever wants to know; told of a change of state once."""

    def connected(self) -> None:
        """All topics hear; what was said before now was not heard."""
        ...

    def lost(self, reason: str) -> None:
        """Nothing is heard until `connected`; an exception from here ends the subscription."""
        ...

    def heard(self, topic: str, event: str, payload: dict[str, Any], /) -> None:
        """Somebody said something on a topic."""
        ...


class _LostError(Exception):
    """The subscription ended, for the reason in its text."""


class _Pulse(AsyncRealtimeChannel):
    """The socket's own topic: hears the answers to heartbeats, which the library drops."""

    def __init__(self, client: AsyncRealtimeClient) -> None:
        super().__init__(client, PHOENIX_CHANNEL)
        self.beats = 0

    def _handle_message(self, message: ServerMessage) -> None:  # noqa: ARG002 - any answer will do
        self.beats += 1


class Subscription:
    """Joins topics with the secret key, again and again."""

    def __init__(
        self, settings: SupabaseSettings, topics: Sequence[str], clock: Clock, rng: Random
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._clock = clock
        self._rng = rng

    async def run(self, listener: Listener) -> None:
        """Listen until cancelled."""
        failures = 0
        told: bool | None = None
        while True:
            joined_at: float | None = None
            try:
                async with self._joined(listener) as ended:
                    joined_at = self._clock.monotonic()
                    told = True
                    listener.connected()
                    reason = await ended
            except _LostError as error:
                reason = str(error)
            if told is not False:
                told = False
                listener.lost(reason)
            if (
                joined_at is not None
                and self._clock.monotonic() - joined_at >= HELD.total_seconds()
            ):
                failures = 0
            await self._clock.sleep(
                full_jitter(failures, first=FIRST_WAIT, cap=LONGEST_WAIT, rng=self._rng)
            )
            failures += 1

    @asynccontextmanager
    async def _joined(self, listener: Listener) -> AsyncIterator[asyncio.Future[str]]:
        """Hear every topic with a client of its own; yield what ends with the reason of a loss."""
        key = self._settings.secret_key.get_secret_value()
        client = AsyncRealtimeClient(
            f"{self._settings.url}/realtime/v1",
            key,
            auto_reconnect=False,
            timeout=CONNECT_SECONDS,
        )
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        flowing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        deaf = set(self._topics)

        def note(topic: str) -> None:
            deaf.discard(topic)
            if not deaf and not flowing.done():
                flowing.set_result(None)

        pulse = client.channels[PHOENIX_CHANNEL] = _Pulse(client)
        watch = asyncio.create_task(self._watch(pulse, ended), name="realtime-pulse")
        try:
            try:
                await client.connect()
                await asyncio.gather(
                    *(self._join(client, topic, listener, note, ended) for topic in self._topics)
                )
            except Exception as error:
                # Whatever the library raises means the same: not now.
                raise _LostError(_describe(error)) from error
            news: tuple[asyncio.Future[Any], ...] = (flowing, ended)
            await asyncio.wait(news, timeout=FLOWING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise _LostError(ended.result())
            if not flowing.done():
                raise _LostError("Realtime does not say that its stream flows")
            yield ended
        finally:
            watch.cancel()
            await _close(client)

    async def _watch(self, pulse: _Pulse, ended: asyncio.Future[str]) -> None:
        """End a subscription whose server answered once and does so no more."""
        before = 0
        while not 0 < pulse.beats == before:
            before = pulse.beats
            await self._clock.sleep(SILENCE)
        _end(ended, "Realtime fell silent")

    async def _join(
        self,
        client: AsyncRealtimeClient,
        topic: str,
        listener: Listener,
        note: Callable[[str], None],
        ended: asyncio.Future[str],
    ) -> None:
        def hear(said: BroadcastPayload) -> None:
            try:
                listener.heard(topic, said["event"], said["payload"])
            except Exception as error:  # noqa: BLE001 - it would silence the client for good
                _end(ended, _describe(error))

        def learn(said: SuccessSystemPayload) -> None:
            if said.message == FLOWING:
                note(topic)

        options: RealtimeChannelOptions = {
            "config": {
                "broadcast": {"ack": False, "self": False, "replication_ready": True},
                "presence": {"key": "", "enabled": False},
                "private": True,
            }
        }
        channel = client.channel(topic, options).on_broadcast("*", hear).on_system(learn)
        await channel.subscribe(_end_unless_joined(ended, topic))


def _end_unless_joined(
    ended: asyncio.Future[str], topic: str
) -> Callable[[RealtimeSubscribeStates, Exception | None], None]:
    def report(state: RealtimeSubscribeStates, error: Exception | None) -> None:
        match state:
            case RealtimeSubscribeStates.SUBSCRIBED:
                return
            case RealtimeSubscribeStates.CLOSED:
                _end(ended, f"Realtime closed {topic}")
            case RealtimeSubscribeStates.TIMED_OUT:
                _end(ended, f"no answer to joining {topic}")
            case RealtimeSubscribeStates.CHANNEL_ERROR:
                _end(ended, _describe(error) if error is not None else f"{topic} failed")

    return report


def _end(ended: asyncio.Future[str], reason: str) -> None:
    if not ended.done():
        ended.set_result(reason)


def _describe(error: Exception) -> str:
    """Say what an error says: the library wraps what the server answered into JSON."""
    text = " ".join(str(error).split())
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        text = str(answer.get("reason") or answer.get("message") or text)
    return redact_text(text) or type(error).__name__


async def _close(client: AsyncRealtimeClient) -> None:
    """Close a client, however deaf the other side is."""
    for channel in client.get_channels():
        # Without this its timers would go on in a client that nobody uses.
        channel.rejoin_timer.reset()
        channel.join_push.destroy()
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()
    except Exception:  # noqa: BLE001 - it is of no use any more, and the next one is new
        # A close that was cut short leaves the client's own tasks: they end here.
        await client.close()
