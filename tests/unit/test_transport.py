"""What comes out of an answer is counted as it is decoded, and nobody waits for it meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import TYPE_CHECKING

import httpx
import pytest

from worker import transport
from worker.cache import open_shelf
from worker.settings import UpstashSettings
from worker.transport import BLOCK_BYTES, AnswerTooLarge, BoundedTransport, UnknownCoding


if TYPE_CHECKING:
    from collections.abc import AsyncIterator


LIMIT = 4 * BLOCK_BYTES


class Wire(httpx.AsyncByteStream):
    """An answer's bytes as they come, and how many pieces of it were asked for."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            yield piece

    async def aclose(self) -> None:
        self.closed = True


def client(wire: Wire, coding: str | None, seen: list[httpx.Request]) -> httpx.AsyncClient:
    headers = {} if coding is None else {"content-encoding": coding}

    async def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, headers=headers, stream=wire)

    return httpx.AsyncClient(transport=BoundedTransport(httpx.MockTransport(answer), LIMIT))


async def read(wire: Wire, coding: str | None = "gzip") -> bytes:
    seen: list[httpx.Request] = []
    async with client(wire, coding, seen) as http:
        answer = await http.get("https://api.fanvue.test")
    assert [request.headers["accept-encoding"] for request in seen] == ["gzip"]
    assert "content-encoding" not in answer.headers
    return answer.content


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of all blocks that were decoded."""
    sizes: list[int] = []
    genuine = transport._decode

    def counting(decoder: object, coded: bytes) -> tuple[bytes, bytes]:
        block, rest = genuine(decoder, coded)
        sizes.append(len(block))
        return block, rest

    monkeypatch.setattr(transport, "_decode", counting)
    return sizes


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, LIMIT])
async def test_an_answer_arrives_whole_up_to_the_limit(size: int) -> None:
    body = bytes(index % 251 for index in range(size))
    coded = gzip.compress(body)

    assert await read(Wire(body), None) == body
    assert await read(Wire(coded)) == body
    assert await read(Wire(*(coded[at : at + 1000] for at in range(0, len(coded), 1000)))) == body


async def test_few_bytes_that_would_become_many_are_given_up_at_the_limit(
    decoded: list[int],
) -> None:
    bomb = gzip.compress(bytes(1000 * LIMIT))

    with pytest.raises(AnswerTooLarge):
        await read(Wire(bomb))

    assert sum(decoded) == LIMIT + BLOCK_BYTES
    assert max(decoded) == BLOCK_BYTES


async def test_others_have_their_turn_between_the_blocks(decoded: list[int]) -> None:
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(len(decoded))
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await read(Wire(gzip.compress(bytes(LIMIT))))
    task.cancel()

    assert set(range(1, LIMIT // BLOCK_BYTES)) <= set(turns)


async def test_an_answer_without_end_is_left_at_the_limit() -> None:
    wire = Wire(*[bytes(BLOCK_BYTES)] * 100)

    with pytest.raises(AnswerTooLarge):
        await read(wire, None)

    assert wire.taken == LIMIT // BLOCK_BYTES + 1
    assert wire.closed


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "deflate", "gzip,identity", "x" * 500])
async def test_another_coding_than_asked_for_is_never_read(coding: str) -> None:
    wire = Wire(gzip.compress(gzip.compress(bytes(LIMIT))))

    with pytest.raises(UnknownCoding) as caught:
        await read(wire, coding)

    assert (wire.taken, wire.closed) == (0, True)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    "coded",
    [
        gzip.compress(b"whole")[:-3],
        gzip.compress(b"one") + gzip.compress(b"two"),
        zlib.compress(b"no gzip"),
        b"plain",
    ],
    ids=["cut", "two in one", "another coding", "no coding at all"],
)
async def test_what_is_not_one_whole_coded_answer_is_no_answer(coded: bytes) -> None:
    with pytest.raises(httpx.DecodingError):
        await read(Wire(coded))


async def test_redis_is_read_within_the_same_bounds() -> None:
    settings = UpstashSettings.model_validate(
        {"UPSTASH_REDIS_REST_URL": "https://redis.test", "UPSTASH_REDIS_REST_TOKEN": "made-up"}
    )

    async with open_shelf(settings) as shelf:
        http = shelf._redis._http._client

    assert isinstance(http._transport, BoundedTransport)
    assert http.is_closed
