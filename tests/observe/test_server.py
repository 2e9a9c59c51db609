"""Three addresses over plain HTTP, for whoever watches; nobody who asks can do harm."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.unit.observe.test_health import Look
from worker.errors import DatabaseUnavailable, Misconfigured
from worker.observe import server
from worker.observe.server import LONGEST_REQUEST, MonitoringServer


if TYPE_CHECKING:
    from collections.abc import AsyncIterator


HERE = "127.0.0.1"


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give whoever asks all the time that a busy machine needs."""
    monkeypatch.setattr(server, "REQUEST_SECONDS", 240)


class Open(Look):
    """A worker that can be asked over HTTP."""

    port = 0

    @property
    def monitoring(self) -> MonitoringServer:
        return MonitoringServer(self.metrics, self.gauges, self.health)

    async def get(self, path: str, method: str = "GET") -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=None, verify=False) as http:  # noqa: S113, S501 - pytest's limit; no certificate here
            return await http.request(method, f"http://{HERE}:{self.port}{path}")

    async def say(self, words: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(HERE, self.port)
        writer.write(words)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def listening() -> AsyncIterator[Open]:
    look = Open()
    async with look.worker.running(), look.monitoring.listening(HERE, 0) as port:
        look.port = port
        yield look


async def test_metrics_are_what_prometheus_reads() -> None:
    async with listening() as look:
        answer = await look.get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "fanvue_sync_database_up 1.0" in answer.text


async def test_metrics_are_answered_while_the_database_is_away() -> None:
    async with listening() as look:
        look.source.instead = DatabaseUnavailable("away")
        answer = await look.get("/metrics")

    assert answer.status_code == 200
    assert "fanvue_sync_database_up 0.0" in answer.text
    assert "fanvue_sync_jobs_running 0.0" in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readyz?verbose=1"])
async def test_all_well_is_200(path: str) -> None:
    async with listening() as look:
        answer = await look.get(path)

    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


async def test_not_ready_is_503_and_says_why() -> None:
    async with listening() as look:
        look.source.instead = DatabaseUnavailable("away")
        answer = await look.get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"status": "waiting", "problem": "away"}


async def test_head_is_answered_without_a_body() -> None:
    async with listening() as look:
        answer = await look.get("/healthz", "HEAD")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 404), ("/metrics/x", "GET", 404), ("/metrics", "POST", 405)],
)
async def test_nothing_else_is_there(path: str, method: str, status: int) -> None:
    async with listening() as look:
        assert (await look.get(path, method)).status_code == status


@pytest.mark.parametrize(
    "words", [b"", b"hello\r\n\r\n", b"\x16\x03\x01" + b"x" * 50, b"GET " + b"/" * LONGEST_REQUEST]
)
async def test_what_is_no_request_is_refused_and_the_next_one_answered(words: bytes) -> None:
    async with listening() as look:
        assert (await look.say(words)).startswith(b"HTTP/1.1 400 ")

        assert (await look.get("/healthz")).status_code == 200


async def test_a_crowd_that_says_nothing_does_not_grow_without_end() -> None:
    silent: list[Any] = []
    async with listening() as look:
        try:
            silent += [await asyncio.open_connection(HERE, look.port) for _ in range(40)]
            with pytest.raises(httpx.HTTPError):
                await look.get("/healthz")
        finally:
            for _, writer in silent:
                writer.close()


async def test_a_port_that_is_taken_is_told_with_its_remedy() -> None:
    async with listening() as look:
        with pytest.raises(Misconfigured, match=f"WORKER_METRICS_PORT: port {look.port}") as told:
            async with Open().monitoring.listening(HERE, look.port):
                pass

    assert "0 for no metrics" in (told.value.remedy or "")


async def test_an_address_of_another_machine_is_told_with_its_remedy() -> None:
    with pytest.raises(Misconfigured, match="cannot be opened") as told:
        async with Open().monitoring.listening("192.0.2.1", 1):
            pass

    assert "WORKER_METRICS_HOST" in (told.value.remedy or "")
