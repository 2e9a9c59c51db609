"""Opens every HTTP client of the worker, so that no answer takes more than it may.

An answer bears one coding at most, the one that was asked for. It is decoded in small blocks that
are counted as they come out, and other tasks have their turn between them: a few bytes that would
become a gigabyte end the call instead of the worker. Redirects are not followed, because tokens
travel in headers, and nothing is taken from the environment.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any, Final

import httpx

from worker.trust import authorities


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


CODING: Final = "gzip"
# What answers a question whose answer is a word or a status.
SHORT_ANSWER_BYTES: Final = 1024 * 1024
BLOCK_BYTES: Final = 64 * 1024
KEEPALIVE_SECONDS: Final = 30.0
# zlib's own number for a gzip header and trailer.
_GZIP_WINDOW: Final = zlib.MAX_WBITS + 16
_LONGEST_QUOTE: Final = 40


class AnswerTooLarge(httpx.DecodingError):
    """The answer, or what comes out of it, is longer than allowed."""


class UnknownCoding(httpx.DecodingError):
    """The answer is coded otherwise than asked for, or more than once."""


def open_client(
    *,
    timeout: httpx.Timeout | float,
    largest_bytes: int = SHORT_ANSWER_BYTES,
    connections: int | None = None,
    on_response: Callable[[httpx.Response], Awaitable[None]] | None = None,
) -> httpx.AsyncClient:
    """Open a pool whose answers are bounded: HTTP/1.1, as idle HTTP/2 connections die silently."""
    inner = httpx.AsyncHTTPTransport(
        verify=authorities(),
        http1=True,
        http2=False,
        limits=httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEPALIVE_SECONDS,
        ),
        trust_env=False,
    )
    return httpx.AsyncClient(
        transport=BoundedTransport(inner, largest_bytes),
        timeout=timeout,
        event_hooks={"response": [] if on_response is None else [on_response]},
        follow_redirects=False,
        trust_env=False,
    )


class BoundedTransport(httpx.AsyncBaseTransport):
    """Asks for one coding, and hands over answers that are decoded and counted as they are read."""

    def __init__(self, inner: httpx.AsyncBaseTransport, largest_bytes: int) -> None:
        self._inner = inner
        self._largest_bytes = largest_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; reading the answer raises `AnswerTooLarge` at its limit."""
        request.headers["accept-encoding"] = CODING
        answer = await self._inner.handle_async_request(request)
        coding = answer.headers.get("content-encoding", "").strip().lower() or "identity"
        if coding not in {CODING, "identity"}:
            await answer.aclose()
            raise UnknownCoding(f"the answer is coded as {coding[:_LONGEST_QUOTE]}")
        assert isinstance(answer.stream, httpx.AsyncByteStream)  # noqa: S101 - what httpx promises
        headers = answer.headers.copy()
        if coding == CODING:
            del headers["content-encoding"]
            headers.pop("content-length", None)
        return httpx.Response(
            answer.status_code,
            headers=headers,
            stream=_BoundedStream(answer.stream, self._largest_bytes, is_coded=coding == CODING),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, largest_bytes: int, *, is_coded: bool) -> None:
        self._inner = inner
        self._largest_bytes = largest_bytes
        self._is_coded = is_coded

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = 0
        async for block in self._decoded() if self._is_coded else self._inner:
            length += len(block)
            if length > self._largest_bytes:
                raise AnswerTooLarge(f"the answer is longer than {self._largest_bytes} bytes")
            yield block

    async def _decoded(self) -> AsyncIterator[bytes]:
        decoder, is_empty = zlib.decompressobj(_GZIP_WINDOW), True
        async for chunk in self._inner:
            rest, is_empty = chunk, False
            while rest:
                block, rest = _decode(decoder, rest)
                if block:
                    yield block
                    await asyncio.sleep(0)
        if not (decoder.eof or is_empty):
            raise httpx.DecodingError("the answer was cut short")

    async def aclose(self) -> None:
        await self._inner.aclose()


def _decode(decoder: Any, coded: bytes) -> tuple[bytes, bytes]:
    """Return the next block, and what of the coded bytes is left for the ones after it."""
    if decoder.eof:
        raise httpx.DecodingError("the answer goes on after its end")
    try:
        block: bytes = decoder.decompress(coded, BLOCK_BYTES)
    except zlib.error as error:
        raise httpx.DecodingError("the answer is not what its coding says") from error
    return block, decoder.unconsumed_tail or decoder.unused_data
