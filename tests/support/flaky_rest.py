"""An HTTP proxy before the stack or the simulated Fanvue that spoils chosen calls by name.

It refuses a call, loses its answer after it took effect, alters the answer, or runs a function of
the test's at that very moment. Whatever is not chosen passes through unchanged.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.control_calls import open_http
from simulator.mishaps import TRANSPORT_KEY
from simulator.server import LOOPBACK, START_SECONDS, bind, make_server
from tests.support.waiting import wait_until


if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    import httpx

    from simulator.server import SignallingServer

    Act = Callable[[], object]
    Scope = dict[str, Any]
    Receive = Callable[[], Any]
    Send = Callable[[dict[str, Any]], Any]


# What belongs to one connection and is not handed on.
HOP_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "content-encoding", "date"}
)
# Answered by the proxy itself.
KNOCK = "/knock"
ACCEPT_PLAIN = {"accept-encoding": "identity"}


@dataclass(slots=True)
class Rule:
    """What happens to the calls of one name, from the `nth` on, `times` times."""

    name: str
    nth: int
    times: int
    before: Act | None = None
    status: int | None = None
    body: bytes = b""
    loses_answer: bool = False
    # After it took effect, and before its answer is lost.
    after: Act | None = None
    drops: bool = False
    met: int = 0
    hits: int = 0

    def strikes(self, name: str) -> bool:
        """Decide whether this call is chosen, and count."""
        if name != self.name:
            return False
        self.met += 1
        chosen = self.nth <= self.met < self.nth + self.times
        self.hits += chosen
        return chosen


@dataclass(slots=True)
class FlakyRest:
    """The proxy; calls are named by the last part of their path, as RPCs are."""

    target: str
    url: str = ""
    calls: list[str] = field(default_factory=list)
    # Everything that was said either way, headers included, for tests that look for secrets.
    overheard: list[str] = field(default_factory=list)
    _rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _http: httpx.Client = field(default_factory=open_http)
    _server: SignallingServer = field(init=False, repr=False)

    def finish(self) -> None:
        """Return when its clients are gone and all that they asked for has been done."""
        with open_http() as http:
            # Connections are taken in turn: after this one, none of a client that is gone waits.
            http.get(self.url + KNOCK)
        state = self._server.server_state
        wait_until(lambda: not (state.connections or state.tasks), "the last calls of the dead")

    def refuse(
        self, name: str, nth: int = 1, *, status: int = 503, body: bytes = b"", times: int = 1
    ) -> Rule:
        """Answer in the other side's stead; the call does not reach it."""
        return self._add(Rule(name, nth, times, status=status, body=body))

    def lose_answer(self, name: str, nth: int = 1, *, times: int = 1) -> Rule:
        """Let the call take effect, then drop the connection instead of answering."""
        return self._add(Rule(name, nth, times, loses_answer=True))

    def spoil_answer(self, name: str, body: bytes, nth: int = 1, *, times: int = 1) -> Rule:
        """Let the call take effect and answer 200 with another body."""
        return self._add(Rule(name, nth, times, loses_answer=True, status=200, body=body))

    def at(self, name: str, nth: int, act: Act) -> Rule:
        """Run a function before the nth call of a name is handed on."""
        return self._add(Rule(name, nth, 1, before=act))

    def strand(self, name: str, act: Act, nth: int = 1, *, after: bool = False) -> Rule:
        """Run a function before the call takes effect, or after; then break the connection."""
        if after:
            return self._add(Rule(name, nth, 1, loses_answer=True, after=act))
        return self._add(Rule(name, nth, 1, before=act, drops=True))

    def forget(self, names: Container[str]) -> None:
        """Drop the rules of some names."""
        with self._lock:
            self._rules[:] = [rule for rule in self._rules if rule.name not in names]

    def close(self) -> None:
        """Close the connections to the other side."""
        self._http.close()

    def _add(self, rule: Rule) -> Rule:
        with self._lock:
            self._rules.append(rule)
        return rule

    def _chosen(self, name: str) -> list[Rule]:
        with self._lock:
            self.calls.append(name)
            # Every rule counts every call, also those that an earlier rule spoils.
            return [rule for rule in self._rules if rule.strikes(name)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        body = await _read(receive)
        if scope["path"] == KNOCK:
            await _answer(send, 204, [], b"")
            return
        rules = self._chosen(scope["path"].rstrip("/").rpartition("/")[2])
        for rule in rules:
            if rule.before is not None:
                # In a thread: what the test does there may itself call through this proxy.
                await asyncio.to_thread(rule.before)
        if any(rule.drops for rule in rules):
            scope[TRANSPORT_KEY].abort()
            return
        refusal = next((rule for rule in rules if rule.status and not rule.loses_answer), None)
        if refusal is not None:
            await _answer(send, refusal.status or 503, [], refusal.body)
            return
        response = await asyncio.to_thread(self._hand_on, scope, body)
        spoken = [value for _, value in scope["headers"]]
        self.overheard += [
            part.decode("utf-8", "replace") for part in (*spoken, body, response.content)
        ]
        spoiler = next((rule for rule in rules if rule.loses_answer), None)
        if spoiler is None:
            await _answer(send, response.status_code, response.headers.raw, response.content)
        elif spoiler.status is None:
            if spoiler.after is not None:
                await asyncio.to_thread(spoiler.after)
            scope[TRANSPORT_KEY].abort()
        else:
            await _answer(send, spoiler.status, response.headers.raw, spoiler.body)

    def _hand_on(self, scope: Scope, body: bytes) -> httpx.Response:
        query = scope["query_string"].decode()
        path = scope.get("raw_path", scope["path"].encode()).decode().partition("?")[0]
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in scope["headers"]
            if name.decode("latin-1").lower() not in HOP_HEADERS | {"accept-encoding"}
        ]
        return self._http.request(
            scope["method"],
            f"{self.target}{path}{'?' if query else ''}{query}",
            content=body,
            headers=[*headers, *ACCEPT_PLAIN.items()],
        )


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    # Fanvue's own Date is handed on: the worker reads its clock from it.
    kept = [
        (name, value)
        for name, value in headers
        if name.decode("latin-1").lower() not in HOP_HEADERS - {"date"}
    ]
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*kept, length]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def flaky(target: str) -> Iterator[FlakyRest]:
    """Serve a proxy before an address while the block runs."""
    proxy = FlakyRest(target.rstrip("/"))
    listener = bind()
    server = proxy._server = make_server(proxy)  # type: ignore[arg-type]  # any ASGI application will do
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="flaky", daemon=True
    )
    thread.start()
    try:
        if not server.listening.wait(START_SECONDS):
            raise RuntimeError("the proxy did not start")
        proxy.url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        yield proxy
    finally:
        server.stop()
        thread.join()
        listener.close()
        proxy.close()
