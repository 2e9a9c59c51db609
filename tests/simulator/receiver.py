"""A webhook receiver on a loopback port that keeps what it got and answers as it is told.

It checks signatures with code of its own, so that a mistake in the sender's is seen.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Iterator


# Only a hang takes so long.
HOLD_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.raw)
        return parsed

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.body["data"]
        return data

    @property
    def parts(self) -> list[tuple[str, str]]:
        header = self.headers["X-Fanvue-Signature"]
        return [
            (key, value) for key, _, value in (part.partition("=") for part in header.split(","))
        ]

    @property
    def t(self) -> int:
        return int(self.parts[0][1])

    def signed_with(self, secret: str) -> bool:
        message = f"{self.t}.".encode() + self.raw
        expected = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        return expected in {value or key for key, value in self.parts}


@dataclass(slots=True)
class Receiver:
    """What arrived, and the statuses to answer next; 200 when none is left."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    hold: threading.Event | None = None
    most_at_once: int = 0
    at_once: int = 0
    arrival: threading.Condition = field(default_factory=threading.Condition)

    def take(self, received: Received) -> int:
        with self.arrival:
            self.received.append(received)
            self.arrival.notify_all()
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            status = self.statuses.pop(0) if self.statuses else 200
            hold = self.hold
        if hold is not None:
            hold.wait(HOLD_SECONDS)
        return status

    def done(self) -> None:
        with self.arrival:
            self.at_once -= 1

    def wait_for(self, count: int) -> None:
        """Return when so many requests have come."""
        with self.arrival:
            assert self.arrival.wait_for(lambda: len(self.received) >= count, HOLD_SECONDS)

    def forget(self) -> None:
        """Let go of what is held and begin anew."""
        if self.hold is not None:
            self.hold.set()
        self.hold = None
        self.received.clear()
        self.statuses.clear()
        self.most_at_once = 0

    def bodies(self, kind: str = "") -> list[dict[str, Any]]:
        return [r.body for r in self.received if not kind or r.body.get("type") == kind]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Receive in a thread while the block runs."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.take(Received(dict(self.headers.items()), raw))
            receiver.done()
            try:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.forget()
        server.shutdown()
        thread.join()
        server.server_close()
