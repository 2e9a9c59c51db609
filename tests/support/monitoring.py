"""What watches a worker in tests: a scraper that reads /metrics, a chat that takes messages."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


@dataclass(frozen=True)
class Sample:
    """One line of /metrics."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Scraper:
    """Asks one worker."""

    port: int
    is_alive: Callable[[], bool]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(
            f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=PATIENCE_SECONDS
        )

    def samples(self) -> list[Sample]:
        lines = self.get("/metrics").text.splitlines()
        found = [SAMPLE.match(line) for line in lines if not line.startswith("#")]
        return [
            Sample(one[1], dict(re.findall(r'(\w+)="([^"]*)"', one[2] or "")), float(one[3]))
            for one in found
            if one is not None
        ]

    def total(self, name: str, **labels: str) -> float:
        """Add up the samples of a name that bear these labels; for a histogram, its count."""
        names = {name, f"{name}_count"}
        return sum(
            sample.value
            for sample in self.samples()
            if sample.name in names and labels.items() <= sample.labels.items()
        )

    def moved(self) -> set[str]:
        """Name the metrics that are not zero; of a histogram, those that saw something."""
        return {one.name.removesuffix("_count") for one in self.samples() if one.value > 0}

    def wait_for(self, what: Callable[[], bool]) -> None:
        """Look again and again until it is so; a worker that ended will never be."""
        wait_until(lambda: self._look(what))

    def _look(self, what: Callable[[], bool]) -> bool:
        assert self.is_alive(), "the worker ended"
        try:
            return what()
        except httpx.TransportError:
            return False


@dataclass
class Chat:
    """A receiver of Slack's messages that accepts them while `status` says so."""

    url: str = ""
    status: int = 200
    taken: list[str] = field(default_factory=list)
    refused: int = 0

    def take(self, body: dict[str, Any]) -> int:
        if self.status == httpx.codes.OK:
            self.taken.append(body["text"])
        else:
            self.refused += 1
        return self.status

    def wait_for(self, words: str) -> str:
        """Return the message that bears these words, once it came."""
        wait_until(lambda: any(words in text for text in self.taken))
        return next(text for text in self.taken if words in text)


@contextmanager
def chat() -> Iterator[Chat]:
    """Listen for messages while the block runs."""
    told = Chat()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            self.send_response(told.take(json.loads(self.rfile.read(length))))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}/services/made-up-secret"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
