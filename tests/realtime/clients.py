"""The real Realtime clients behind one face: supabase-js in Node, and Python's `realtime`.

Turns what they report into `Heard` records in the order of arrival; decides nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from realtime import AsyncRealtimeChannel, AsyncRealtimeClient

from local.programs import find_node


if TYPE_CHECKING:
    from realtime.types import RealtimeChannelOptions

FLOWING = "Replication connection established"
SUBSCRIBED = "Subscribed to PostgreSQL"
KINDS = ("javascript", "python")
# Nothing here takes long; this only ends what hangs.
SECONDS = 240.0
# Clients come back from whatever a test does to their server.
_RETRIES = 100
_SCRIPT = Path(__file__).with_name("client.mjs")

Heard = dict[str, Any]


class Channel:
    """What one channel reports, one after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Heard] = asyncio.Queue()
        self.passed: list[Heard] = []

    def hear(self, event: Heard) -> None:
        """Add a report, from whatever thread."""
        self._loop.call_soon_threadsafe(self._queue.put_nowait, event)

    async def next(self, kind: str, **wanted: object) -> Heard:
        """Wait for a report of this kind with these values; others are passed over."""
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    event = await self._queue.get()
                    if event["kind"] == kind and wanted.items() <= event.items():
                        return event
                    self.passed.append(event)
        except TimeoutError:
            heard = "\n".join(map(str, self.passed))
            raise AssertionError(f"no {kind} {wanted} came, only:\n{heard}") from None

    async def joined(self) -> Heard:
        """Wait until what the database says is heard, a moment after the join."""
        status = await self.next("status", status="SUBSCRIBED")
        await self.next("system", message=FLOWING)
        return status

    async def listening(self) -> Heard:
        """Wait until changes of tables are delivered, which may be before `joined`."""
        for event in self.passed:
            if event.get("message") == SUBSCRIBED:
                self.passed.remove(event)
                return event
        return await self.next("system", message=SUBSCRIBED)

    def heard(self, kind: str) -> list[Heard]:
        """Return the reports of this kind that were passed over."""
        return [event for event in self.passed if event["kind"] == kind]


class Client(Protocol):
    """One connection to Realtime."""

    async def join(
        self,
        topic: str,
        *,
        private: bool = False,
        changes: tuple[dict[str, str], ...] = (),
        set_auth: bool = True,
    ) -> Channel: ...

    async def renew(self, token: str) -> None: ...

    async def leave(self, topic: str) -> None: ...

    async def close(self) -> None: ...


class Node:
    """The process in which JavaScript clients live."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [find_node(), str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ids = itertools.count(1)
        self._answers: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]]] = {}
        self.channels: dict[tuple[int, str], Channel] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def number(self) -> int:
        return next(self._ids)

    async def ask(self, command: str, **values: object) -> Any:
        """Have a command done and return its answer."""
        number = self.number()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._answers[number] = (loop, answer)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "command": command, **values}) + "\n")
        self._process.stdin.flush()
        async with asyncio.timeout(SECONDS):
            line = await answer
        if "error" in line:
            raise RuntimeError(line["error"])
        return line["answer"]

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line = json.loads(text)
            if "id" in line:
                loop, answer = self._answers.pop(line["id"])
                loop.call_soon_threadsafe(answer.set_result, line)
            elif channel := self.channels.get((line["client"], line["topic"])):
                channel.hear(line["event"])


class JavaScriptClient:
    """supabase-js, with the frames of version 2.0.0 unless told otherwise."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._number = node.number()

    async def open(self, url: str, key: str, token: str | None = None, **more: object) -> None:
        await self._ask("open", url=url, key=key, token=token, **more)

    async def join(
        self,
        topic: str,
        *,
        private: bool = False,
        changes: tuple[dict[str, str], ...] = (),
        set_auth: bool = True,
    ) -> Channel:
        channel = Channel()
        self._node.channels[self._number, topic] = channel
        config = {"private": private, "broadcast": {"replication_ready": True}}
        await self._ask("join", topic=topic, config=config, changes=changes, setAuth=set_auth)
        return channel

    async def renew(self, token: str) -> None:
        await self._ask("setToken", token=token)

    async def leave(self, topic: str) -> None:
        await self._ask("leave", topic=topic)

    async def close(self) -> None:
        await self._ask("close")

    async def _ask(self, command: str, **values: object) -> Any:
        return await self._node.ask(command, client=self._number, **values)


class PythonClient:
    """The Python package `realtime`, which speaks version 1.0.0 only."""

    def __init__(self) -> None:
        self._client: AsyncRealtimeClient | None = None
        self._channels: dict[str, AsyncRealtimeChannel] = {}

    async def open(self, url: str, key: str, token: str | None = None) -> None:
        self._client = AsyncRealtimeClient(
            f"{url}/realtime/v1",
            key,
            initial_backoff=0.2,
            max_retries=_RETRIES,
            timeout=int(SECONDS),
        )
        if token is not None:
            await self._client.set_auth(token)

    async def join(
        self,
        topic: str,
        *,
        private: bool = False,
        changes: tuple[dict[str, str], ...] = (),
        set_auth: bool = True,  # noqa: ARG002 - this client always sends its token
    ) -> Channel:
        assert self._client is not None
        heard = Channel()
        options: RealtimeChannelOptions = {
            "config": {"private": private, "broadcast": {"replication_ready": True}}  # type: ignore[typeddict-item]  # the client takes parts too
        }
        channel = self._channels[topic] = self._client.channel(topic, options)

        def on_broadcast(message: Any) -> None:
            values = {name: message.get(name) for name in ("event", "payload", "meta")}
            heard.hear({"kind": "broadcast", **values})

        def on_system(message: Any) -> None:
            values = {name: getattr(message, name) for name in ("status", "message", "extension")}
            heard.hear({"kind": "system", **values})

        channel.on_broadcast("*", on_broadcast)
        channel.on_system(on_system)
        for index, binding in enumerate(changes):
            channel.on_postgres_changes(callback=_on_change(heard, index), **binding)  # type: ignore[arg-type]  # names and texts as they are
        await channel.subscribe(
            lambda status, error: heard.hear(
                {"kind": "status", "status": status.value, "error": str(error) if error else None}
            )
        )
        return heard

    async def renew(self, token: str) -> None:
        assert self._client is not None
        await self._client.set_auth(token)

    async def leave(self, topic: str) -> None:
        # `remove_channel` forgets the channel before the answer comes, and reports it 10 s later.
        await self._channels.pop(topic).unsubscribe()

    async def close(self) -> None:
        assert self._client is not None
        await self._client.remove_all_channels()
        await self._client.close()


def _on_change(heard: Channel, index: int) -> Any:
    def hear(change: Any) -> None:
        data = change["data"]
        heard.hear(
            {
                "kind": "change",
                "index": index,
                "type": data["type"],
                "table": data["table"],
                "new": data.get("record") or {},
                "old": data.get("old_record") or {},
                "errors": data["errors"],
                "commit_timestamp": data["commit_timestamp"],
                "columns": data["columns"],
            }
        )

    return hear
