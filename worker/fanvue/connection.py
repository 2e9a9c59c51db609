"""Opens the HTTP connection pool to Fanvue and reads responses within bounds.

Knows nothing about endpoints or tokens. Every wait has an end, and no answer is read without a
limit to its size.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from worker.errors import ProviderContract, Transient
from worker.trust import authorities


if TYPE_CHECKING:
    from collections.abc import Mapping


LARGEST_ANSWER_BYTES = 10 * 1024 * 1024
# A whole exchange may take this many times the time-out of its single steps.
EXCHANGE_STEPS = 3
KEEPALIVE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A response that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def open_http(*, timeout_seconds: float, connections: int) -> httpx.AsyncClient:
    """Open a bounded pool: HTTP/1.1, no redirects, nothing taken from the environment.

    Tokens travel in headers, so a redirect must never carry them elsewhere.
    """
    return httpx.AsyncClient(
        verify=authorities(),
        timeout=httpx.Timeout(timeout_seconds),
        limits=httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEPALIVE_SECONDS,
        ),
        follow_redirects=False,
        http1=True,
        http2=False,
        trust_env=False,
    )


async def exchange(
    http: httpx.AsyncClient, request: httpx.Request, *, timeout_seconds: float
) -> RawAnswer:
    """Send a request and read the answer; any failure of the network is `Transient`."""
    try:
        async with asyncio.timeout(timeout_seconds * EXCHANGE_STEPS):
            response = await http.send(request, stream=True)
            try:
                body = await _read(response)
            finally:
                await response.aclose()
    except TimeoutError as error:
        raise Transient("Fanvue's answer took too long") from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        # The kind of failure alone: its text may repeat addresses and parameters.
        raise Transient(f"no usable answer from Fanvue ({type(error).__name__})") from error
    return RawAnswer(response.status_code, response.headers, body)


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST_ANSWER_BYTES:
            raise ProviderContract(
                f"Fanvue's answer is larger than {LARGEST_ANSWER_BYTES // 1024 // 1024} MiB"
            )
    return bytes(body)
