"""Opens the HTTP connection pool to Fanvue and reads responses to their end, within bounds.

Knows nothing about endpoints or tokens. Every wait has an end; `worker.transport` bounds sizes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from worker.errors import ProviderContract, Transient
from worker.transport import AnswerTooLarge, UnknownCoding, open_client


if TYPE_CHECKING:
    from collections.abc import Mapping


# Fifty rows are some kilobytes each; parsing what is allowed here does not hold up the loop.
LARGEST_ANSWER_BYTES = 4 * 1024 * 1024
# A whole exchange may take this many times the time-out of its single steps.
EXCHANGE_STEPS = 3


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A response that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def open_http(*, timeout_seconds: float, connections: int) -> httpx.AsyncClient:
    """Open the pool for Fanvue's API and its token endpoint."""
    return open_client(
        timeout=timeout_seconds, connections=connections, largest_bytes=LARGEST_ANSWER_BYTES
    )


async def exchange(
    http: httpx.AsyncClient, request: httpx.Request, *, timeout_seconds: float
) -> RawAnswer:
    """Send a request and read the answer; any failure of the network is `Transient`."""
    try:
        async with asyncio.timeout(timeout_seconds * EXCHANGE_STEPS):
            response = await http.send(request, stream=True)
            try:
                body = await response.aread()
            finally:
                await response.aclose()
    except TimeoutError as error:
        raise Transient("Fanvue's answer took too long") from error
    except AnswerTooLarge as error:
        raise ProviderContract("Fanvue's answer is larger than any page") from error
    except UnknownCoding as error:
        raise ProviderContract("Fanvue's answer is coded in a way nobody asked for") from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        # The kind of failure alone: its text may repeat addresses and parameters.
        raise Transient(f"no usable answer from Fanvue ({type(error).__name__})") from error
    return RawAnswer(response.status_code, response.headers, body)
