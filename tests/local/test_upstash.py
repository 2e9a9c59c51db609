from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from upstash_redis import Redis
from upstash_redis.errors import UpstashError

from tests.local.scratch import SECONDS


if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system


@pytest.fixture
def redis(env: dict[str, str]) -> Iterator[Redis]:
    client = Redis(env["UPSTASH_REDIS_REST_URL"], env["UPSTASH_REDIS_REST_TOKEN"], rest_retries=0)
    client.flushdb()
    yield client
    client.close()  # type: ignore[no-untyped-call] # of the client library


@pytest.fixture
def raw(env: dict[str, str]) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {env['UPSTASH_REDIS_REST_TOKEN']}"}
    where = env["UPSTASH_REDIS_REST_URL"]
    with httpx.Client(base_url=where, headers=headers, timeout=SECONDS) as client:
        yield client


def test_the_real_client_writes_and_reads(redis: Redis) -> None:
    assert redis.set("key", 'välue with "quotes"\n', ex=100)
    assert redis.get("key") == 'välue with "quotes"\n'
    assert 0 < redis.ttl("key") <= 100
    assert redis.get("nothing") is None


def test_the_real_client_reads_structures(redis: Redis) -> None:
    redis.hset("hash", values={"a": "1", "b": "2"})
    redis.rpush("list", "x", "y")
    redis.zadd("ranks", {"one": 1, "two": 2.5})

    assert redis.hgetall("hash") == {"a": "1", "b": "2"}
    assert redis.lrange("list", 0, -1) == ["x", "y"]
    assert redis.zrange("ranks", 0, -1, withscores=True) == [("one", 1.0), ("two", 2.5)]


def test_a_pipeline_answers_each_command(redis: Redis) -> None:
    pipeline = redis.pipeline()
    pipeline.set("a", "1")
    pipeline.incr("a")
    pipeline.get("a")

    assert pipeline.exec() == [True, 2, "2"]


def test_a_transaction_is_all_or_nothing(redis: Redis, raw: httpx.Client) -> None:
    transaction = redis.multi()
    transaction.set("b", "1")
    transaction.incrby("b", 4)

    assert transaction.exec() == [True, 5]

    refused = raw.post("/multi-exec", json=[["set", "b", "9"], ["nonsense"]])
    assert refused.status_code == 400
    assert redis.get("b") == "5"


def test_an_error_of_redis_is_an_error_of_the_client(redis: Redis) -> None:
    redis.set("text", "x")

    with pytest.raises(UpstashError, match="not an integer"):
        redis.incr("text")


def test_one_failing_command_does_not_spoil_the_pipeline(raw: httpx.Client, redis: Redis) -> None:
    redis.set("text", "x")

    answer = raw.post("/pipeline", json=[["incr", "text"], ["get", "text"]])

    assert answer.status_code == 200
    assert "error" in answer.json()[0]
    assert answer.json()[1] == {"result": "x"}


def test_bytes_that_are_no_text_travel_as_base64(raw: httpx.Client) -> None:
    raw.post("/set/bytes", content=b"\xff\x00\xfe")

    answer = raw.post("/", json=["get", "bytes"], headers={"upstash-encoding": "base64"})

    assert answer.json() == {"result": "/wD+"}


def test_replies_come_in_the_form_of_redis_itself_on_request(raw: httpx.Client) -> None:
    resp = {"upstash-response-format": "resp2"}
    raw.post("/", json=["del", "list"])
    raw.post("/", json=["rpush", "list", "a", "bc"])

    assert raw.post("/", json=["set", "k", "v"], headers=resp).content == b"+OK\r\n"
    assert raw.post("/", json=["get", "none"], headers=resp).content == b"$-1\r\n"
    assert (
        raw.post("/", json=["lrange", "list", "0", "-1"], headers=resp).content
        == b"*2\r\n$1\r\na\r\n$2\r\nbc\r\n"
    )


def test_a_command_may_stand_in_the_path(raw: httpx.Client) -> None:
    assert raw.get("/set/path%20key/value", params={"EX": "50"}).json() == {"result": "OK"}
    assert raw.get("/get/path%20key").json() == {"result": "value"}
    assert raw.get("/ttl/path%20key").json()["result"] > 0


@pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic abc"])
def test_a_wrong_token_is_refused(raw: httpx.Client, token: str) -> None:
    answer = raw.post("/", json=["ping"], headers={"authorization": token})

    assert answer.status_code == 401
    assert "error" in answer.json()


@pytest.mark.parametrize("body", [b"{", b"[]", b'["subscribe", "x"]', b'["config", "get", "*"]'])
def test_what_is_no_command_is_a_bad_request(raw: httpx.Client, body: bytes) -> None:
    answer = raw.post("/", content=body)

    assert answer.status_code == 400
    assert "error" in answer.json()
