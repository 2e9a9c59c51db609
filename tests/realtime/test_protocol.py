from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import InvalidStatus

from tests.realtime.clients import SECONDS
from tests.realtime.server import own_server


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from local.stack import Stack
    from tests.realtime.conftest import User
    from tests.realtime.server import OwnServer

    Serve = Callable[..., OwnServer]

pytestmark = pytest.mark.system
TOPIC = "realtime:frames"
PRIVATE = {"private": True}
# A slow server is no dead one.
PATIENT: dict[str, Any] = {
    "open_timeout": SECONDS,
    "close_timeout": SECONDS,
    "ping_interval": None,
}
OK: dict[str, Any] = {"status": "ok", "response": {}}
JOINED: dict[str, Any] = {"status": "ok", "response": {"postgres_changes": []}}


def address(url: str, key: str, version: str | None) -> str:
    versioned = f"&vsn={version}" if version else ""
    return f"{url.replace('http', 'ws')}/realtime/v1/websocket?apikey={key}{versioned}"


class Socket:
    """A connection that says exactly what it is told."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def ask(self, *frames: Any) -> Any:
        """Send frames and return the next one that comes."""
        for frame in frames:
            text = frame if isinstance(frame, (str, bytes)) else json.dumps(frame)
            await self.connection.send(text)
        return await self.next()

    async def say(self, frame: list[Any]) -> None:
        """Send a frame whose answer is not waited for."""
        await self.connection.send(json.dumps(frame))

    async def next(self) -> Any:
        frame = await self.connection.recv()
        return json.loads(frame) if isinstance(frame, str) else frame

    async def join(self, topic: str = TOPIC, joining: str = "1", **config: Any) -> Any:
        return await self.ask([joining, joining, topic, "phx_join", {"config": config}])


@pytest.fixture
def socket(stack: dict[str, str]) -> Callable[..., Any]:
    @asynccontextmanager
    async def connected(
        version: str | None = "2.0.0", url: str | None = None
    ) -> AsyncIterator[Any]:
        key = stack["SUPABASE_PUBLISHABLE_KEY"]
        where = address(url or stack["SUPABASE_URL"], key, version)
        async with open_socket(where, **PATIENT) as connection:
            yield Socket(connection)

    return connected


async def test_heartbeats_are_answered_in_both_versions(socket: Callable[..., Any]) -> None:
    beat: dict[str, Any] = {
        "topic": "phoenix",
        "event": "heartbeat",
        "payload": {},
        "ref": None,
        "join_ref": None,
    }
    async with socket(None) as old, socket() as new:
        assert await old.ask(beat) == {
            "topic": "phoenix",
            "event": "phx_reply",
            "payload": OK,
            "ref": None,
        }
        assert await new.ask([None, "7", "phoenix", "heartbeat", {}]) == [
            None,
            "7",
            "phoenix",
            "phx_reply",
            OK,
        ]


async def test_a_join_and_a_leave_are_answered_frame_by_frame(socket: Callable[..., Any]) -> None:
    async with socket() as client:
        assert await client.join() == ["1", "1", TOPIC, "phx_reply", JOINED]
        assert await client.ask(["1", "2", TOPIC, "phx_leave", {}]) == [
            "1",
            "2",
            TOPIC,
            "phx_reply",
            OK,
        ]
        assert await client.next() == ["1", "1", TOPIC, "phx_close", {}]


async def test_version_one_never_tells_the_join_ref(socket: Callable[..., Any]) -> None:
    message = {"topic": TOPIC, "event": "phx_join", "payload": {}, "ref": "1", "join_ref": "1"}
    async with socket("1.0.0") as client:
        reply = await client.ask(message)
        await client.ask(message | {"ref": "2", "join_ref": "2"})
        closed = await client.next()

    assert reply == {"topic": TOPIC, "event": "phx_reply", "payload": JOINED, "ref": "1"}
    assert closed == {"topic": TOPIC, "event": "phx_close", "payload": {}, "ref": "1"}


async def test_a_second_join_closes_the_first(socket: Callable[..., Any]) -> None:
    async with socket() as client:
        await client.join()

        assert (await client.join(joining="5"))[:4] == ["5", "5", TOPIC, "phx_reply"]
        assert await client.next() == ["1", "1", TOPIC, "phx_close", {}]


async def test_a_refused_join_holds_the_whole_connection_up(
    stack: dict[str, str],
    local_stack: Stack,
    tmp_path: Path,
    socket: Callable[..., Any],
    user: User,
) -> None:
    # The five seconds of a hosted project: no setting makes them shorter.
    with own_server(stack, tmp_path) as server:
        async with socket(url=server.url) as client:
            await client.join(broadcast={"replication_ready": True})
            assert "Replication connection established" in str(await client.next())
            await client.say(["2", "2", "realtime:denied", "phx_join", {"config": PRIVATE}])
            await client.say([None, "3", "phoenix", "heartbeat", {}])
            async with socket(url=server.url) as other:
                # Whoever comes later is served at once, so the refusal is under way.
                await other.join()
                user.database.execute("select realtime.send('{}', 'meanwhile', 'frames', false)")
                assert b"meanwhile" in await other.next()
            await asyncio.to_thread(server.advance, 5)
            refused, heard, beat = [await client.next() for _ in range(3)]

    assert "You do not have permissions" in refused[4]["response"]["reason"]
    assert b"meanwhile" in heard
    assert beat == [None, "3", "phoenix", "phx_reply", OK]


async def test_each_entry_comes_back_with_a_positive_id(socket: Callable[..., Any]) -> None:
    entries = [{"event": "INSERT", "schema": "public", "table": name} for name in ("a", "b", "a")]
    async with socket() as client:
        reply = await client.join(postgres_changes=entries)

    echoed = reply[4]["response"]["postgres_changes"]
    ids = [entry.pop("id") for entry in echoed]
    assert echoed == entries
    assert ids[0] == ids[2] != ids[1]
    assert all(0 < number < 2**27 for number in ids)


async def test_broadcasts_travel_in_the_forms_of_their_versions(
    socket: Callable[..., Any], user: User
) -> None:
    id_ = "00000000-0000-4000-8000-000000000001"
    config = {"broadcast": {"replication_ready": True}}
    async with socket() as new, socket("1.0.0") as old:
        await new.join(**config)
        join = {"topic": TOPIC, "event": "phx_join", "payload": {"config": config}, "ref": "1"}
        await old.ask(join)
        for client in (new, old):
            assert "Replication connection established" in str(await client.next())
        user.database.execute(
            "insert into realtime.messages (id, topic, extension, event, payload)"
            " values (%s, 'frames', 'broadcast', 'cursor', '{\"x\":1}')",
            (id_,),
        )

        meta = f'{{"id":"{id_}"}}'
        assert await new.next() == (
            bytes([4, len(TOPIC), 6, len(meta), 1]) + f'{TOPIC}cursor{meta}{{"x": 1}}'.encode()
        )
        payload = {"event": "cursor", "payload": {"x": 1}, "type": "broadcast", "meta": {"id": id_}}
        message = {"topic": TOPIC, "event": "broadcast", "payload": payload, "ref": None}
        assert await old.next() == message


async def test_what_concerns_no_channel_is_answered_or_ignored(socket: Callable[..., Any]) -> None:
    async with socket() as client:
        unknown = await client.ask("{broken", [None, "1", "realtime:x", "broadcast", {}])
        left = await client.ask([None, "2", "realtime:x", "phx_leave", {}])
        foreign = await client.ask(["3", "3", "other:x", "phx_join", {}])
        nameless = await client.join("realtime:", "4")

        unmatched = {"status": "error", "response": {"reason": "unmatched topic"}}
        assert unknown == [None, "1", "realtime:x", "phx_reply", unmatched]
        assert left == [None, "2", "realtime:x", "phx_reply", OK]
        assert foreign[4] == unmatched
        text = "TopicNameRequired: You must provide a topic name"
        assert nameless[4] == {"status": "error", "response": {"reason": text}}


async def test_frames_of_an_earlier_join_and_tokens_are_not_answered(
    socket: Callable[..., Any], user: User
) -> None:
    async with socket() as client:
        await client.join(joining="1")
        answer = await client.ask(
            ["0", "2", TOPIC, "phx_leave", {}],
            ["1", "3", TOPIC, "access_token", {"access_token": user.token()}],
            ["1", "4", TOPIC, "access_token", {"access_token": "sb_publishable_x"}],
            ["1", "5", TOPIC, "access_token", {"access_token": None}],
            [None, "6", "phoenix", "heartbeat", {}],
        )
        assert answer == [None, "6", "phoenix", "phx_reply", OK]

        told = await client.ask(["1", "7", TOPIC, "access_token", {"access_token": ""}])
        assert told[:4] == ["1", None, TOPIC, "system"]
        assert told[4] == {
            "message": "The token provided is not a valid JWT",
            "status": "error",
            "extension": "system",
            "channel": "frames",
        }
        assert await client.next() == ["1", "1", TOPIC, "phx_close", {}]


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"role": "anon"}, "Fields `role` and `exp` are required in JWT"),
        ({"role": "anon", "exp": 1}, "Token has expired"),
        ({"role": "anon", "exp": 2**33, "forged": True}, "Failed to validate JWT signature"),
    ],
)
async def test_a_key_that_is_no_good_is_refused_at_the_door(
    stack: dict[str, str], claims: dict[str, Any], words: str
) -> None:
    secret = "of somebody else, and long enough" if "forged" in claims else None
    key = jwt.encode(claims, secret or stack["SUPABASE_JWT_SECRET"])

    with pytest.raises(InvalidStatus) as refusal:
        async with open_socket(address(stack["SUPABASE_URL"], key, "2.0.0"), **PATIENT):
            pass

    assert refusal.value.response.status_code == 401
    assert json.loads(refusal.value.response.body or b"") == {"error": words}


async def test_a_connection_takes_no_more_channels_than_allowed(
    serve: Serve, socket: Callable[..., Any]
) -> None:
    async with socket(url=serve(maxChannels=1).url) as client:
        await client.join()
        refused = await client.join("realtime:other", "2")

    text = "ChannelRateLimitReached: Too many channels"
    assert refused[4] == {"status": "error", "response": {"reason": text}}
