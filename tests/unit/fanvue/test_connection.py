"""The pool is bounded, and no answer is waited for or read without end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.fanvue_stub import ACCESS, bench
from worker import trust
from worker.errors import ProviderContract, Transient
from worker.fanvue import connection


if TYPE_CHECKING:
    from collections.abc import AsyncIterator


PATH = "/insights/earnings"


class Raw(httpx.AsyncByteStream):
    """A body as it comes over the wire."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body


async def test_an_answer_without_end_is_cut_off() -> None:
    b = bench(httpx.Response(200, content=b" " * (connection.LARGEST_ANSWER_BYTES + 1)))

    with pytest.raises(ProviderContract, match="larger"):
        await b.client.get(PATH, auth=ACCESS)


async def test_an_answer_coded_twice_is_not_opened() -> None:
    b = bench(httpx.Response(200, stream=Raw(b"{}"), headers={"content-encoding": "gzip, gzip"}))

    with pytest.raises(ProviderContract, match="coded"):
        await b.client.get(PATH, auth=ACCESS)


async def test_an_answer_that_trickles_without_end_is_given_up() -> None:
    class Trickle(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Trickle())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        with pytest.raises(Transient, match="too long"):
            await connection.exchange(
                http, http.build_request("GET", "https://api.fanvue.test"), timeout_seconds=0.01
            )


async def test_the_pool_is_bounded_and_takes_nothing_from_the_environment() -> None:
    async with connection.open_http(timeout_seconds=7, connections=3) as http:
        assert http.timeout == httpx.Timeout(7)
        assert http.follow_redirects is False
        assert http.trust_env is False


async def test_the_list_of_authorities_is_read_once_for_all_pools() -> None:
    first = trust.authorities()
    async with connection.open_http(timeout_seconds=7, connections=3):
        pass

    assert trust.authorities() is first
