"""Answers /metrics, /healthz and /readyz over HTTP, from the loop that does the work.

It must not take part in that work: no answer writes anything, and none waits long. Because the
loop itself answers, a worker that hangs does not look healthy.
"""

from __future__ import annotations

import asyncio
import errno
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from worker.errors import Misconfigured
from worker.metrics import CONTENT_TYPE, Metrics


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.observe.gauges import EngineGauges
    from worker.observe.health import Answer, Health


# A request has this long to arrive; nobody who asks needs more.
REQUEST_SECONDS: Final = 5.0
LONGEST_REQUEST: Final = 16 * 1024
MOST_AT_ONCE: Final = 32
JSON: Final = "application/json"
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}

log = structlog.get_logger(__name__)


class MonitoringServer:
    """The three answers of one worker."""

    def __init__(self, metrics: Metrics, gauges: EngineGauges, health: Health) -> None:
        self._metrics = metrics
        self._gauges = gauges
        self._health = health
        self._open = 0

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Answer while the block runs; yield the port."""
        try:
            server = await asyncio.start_server(self._serve, host, port, limit=LONGEST_REQUEST)
        except OSError as error:
            raise _refused(host, port, error) from error
        bound = int(server.sockets[0].getsockname()[1])
        log.info("monitoring_open", host=host, port=bound)
        try:
            yield bound
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MOST_AT_ONCE:
                writer.write(await self._answer(reader))
                async with asyncio.timeout(REQUEST_SECONDS):
                    await writer.drain()
        except (OSError, TimeoutError):
            # Whoever asked has gone, or is too slow; the next one is answered.
            pass
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            return _response(400, "text/plain", b"not an HTTP request\n")
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) != 3:  # noqa: PLR2004 - method, path, version
            return _response(400, "text/plain", b"not an HTTP request\n")
        method, path = words[0].decode("latin-1"), words[1].decode("latin-1").partition("?")[0]
        if method not in {"GET", "HEAD"}:
            return _response(405, "text/plain", b"only GET\n")
        return await self._get(path, bodiless=method == "HEAD")

    async def _get(self, path: str, *, bodiless: bool) -> bytes:
        match path:
            case "/metrics":
                await self._gauges.refresh()
                return _response(200, CONTENT_TYPE, self._metrics.text(), bodiless=bodiless)
            case "/healthz":
                return _verdict(self._health.alive(), bodiless=bodiless)
            case "/readyz":
                return _verdict(await self._health.ready(), bodiless=bodiless)
        return _response(404, "text/plain", b"/metrics, /healthz or /readyz\n", bodiless=bodiless)


def _verdict(answer: Answer, *, bodiless: bool) -> bytes:
    body = json.dumps(answer.said).encode() + b"\n"
    return _response(200 if answer.good else 503, JSON, body, bodiless=bodiless)


def _response(status: int, kind: str, body: bytes, *, bodiless: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        f"Content-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if bodiless else body)


def _refused(host: str, port: int, error: OSError) -> Misconfigured:
    if error.errno == errno.EADDRINUSE:
        return Misconfigured(
            f"WORKER_METRICS_PORT: port {port} of {host} is in use already, by another worker "
            "perhaps",
            remedy="give each worker of a machine a port of its own, or 0 for no metrics",
        )
    return Misconfigured(
        f"WORKER_METRICS_PORT: port {port} of {host} cannot be opened ({error.strerror})",
        remedy="set WORKER_METRICS_HOST to an address of this machine and the port to a free one",
    )
