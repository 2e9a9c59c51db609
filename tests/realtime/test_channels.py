from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from tests.realtime.clients import KINDS


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.realtime.conftest import User
    from tests.realtime.server import OwnServer
    from tests.support.postgres import Connection

    Connect = Callable[..., Awaitable[Any]]
    Serve = Callable[..., OwnServer]

pytestmark = pytest.mark.system
HOUR = 3600


def forbidden(topic: str) -> str:
    return f"You do not have permissions to read from this Channel topic: {topic}"


def denied(topic: str) -> str:
    return f"Unauthorized: {forbidden(topic)}"


def reason(status: dict[str, Any]) -> str:
    """Return the server's words, which Python hands over inside JSON."""
    text = str(status["error"])
    return str(json.loads(text)["reason"]) if text.startswith("{") else text


async def test_anybody_may_join_a_public_channel(connect: Connect, kind: str, topic: str) -> None:
    client = await connect(kind)

    channel = await client.join(topic)

    assert (await channel.joined())["error"] is None


async def test_a_member_may_join_his_private_channel(
    connect: Connect, kind: str, topic: str, user: User
) -> None:
    user.enter(topic)
    client = await connect(kind, user.token())

    channel = await client.join(topic, private=True)

    await channel.joined()


async def test_a_stranger_is_denied_in_exact_words_and_let_in_once_he_is_a_member(
    connect: Connect, kind: str, topic: str, user: User
) -> None:
    client = await connect(kind, user.token())

    channel = await client.join(topic, private=True)
    refused = await channel.next("status")
    user.enter(topic)

    assert refused["status"] == "CHANNEL_ERROR"
    assert reason(refused) == denied(topic)
    await channel.joined()


async def test_the_secret_key_may_join_anything(
    connect: Connect, stack: dict[str, str], topic: str, kind: str
) -> None:
    key = stack["SUPABASE_SECRET_KEY"]
    client = await connect(kind, key=key)

    channel = await client.join(topic, private=True)

    await channel.joined()


async def test_javascript_joins_as_nobody_while_its_token_is_on_the_way(
    connect: Connect, topic: str, user: User
) -> None:
    user.enter(topic)
    client = await connect("javascript", late=True)

    channel = await client.join(topic, private=True, set_auth=False)
    refused = await channel.next("status")
    await client.renew(user.token())

    assert reason(refused) == denied(topic)
    await channel.joined()


async def test_a_public_topic_hears_nothing_of_the_private_one_with_its_name(
    connect: Connect, kind: str, topic: str, database: Connection
) -> None:
    channel = await (await connect(kind)).join(topic)
    await channel.joined()

    database.execute("select realtime.send('{}', 'secret', %s, true)", (topic,))
    database.execute("select realtime.send('{}', 'open', %s, false)", (topic,))

    assert (await channel.next("broadcast"))["event"] == "open"
    assert not channel.heard("broadcast")


async def test_a_channel_that_is_left_is_closed(connect: Connect, kind: str, topic: str) -> None:
    client = await connect(kind)
    await (await client.join(f"{topic}:other")).joined()
    channel = await client.join(topic)
    await channel.joined()

    await client.leave(topic)

    await channel.next("status", status="CLOSED")


async def test_a_new_token_in_time_keeps_the_channel_and_an_expired_one_closes_it(
    serve: Serve, connect: Connect, topic: str, user: User
) -> None:
    user.enter(topic)
    server = serve(tokenCheckMs=20)
    careful = [await connect(kind, user.token(seconds=HOUR), url=server.url) for kind in KINDS]
    careless = [await connect(kind, user.token(seconds=HOUR), url=server.url) for kind in KINDS]
    # A channel that follows tables is told when its new token was taken.
    table = {"event": "*", "schema": "public", "table": "sync_jobs"}
    kept = [await client.join(topic, private=True, changes=(table,)) for client in careful]
    expiring = [await client.join(topic, private=True) for client in careless]
    for channel in (*kept, *expiring):
        await channel.joined()

    for client, channel in zip(careful, kept, strict=True):
        await channel.listening()
        await client.renew(user.token(seconds=10 * HOUR))
        await channel.listening()
    server.advance(2 * HOUR)
    for channel in expiring:
        await channel.next("status", status="CLOSED")
        assert any(word.startswith("Token has expired ") for word in words(channel))
    user.database.execute("select realtime.send('{}', 'after', %s)", (topic,))

    for channel in kept:
        await channel.next("broadcast", event="after")
        assert not channel.heard("status")
    for client in careless:
        await client.renew(user.token(seconds=10 * HOUR))
        await (await client.join(topic, private=True)).joined()


async def test_whoever_lost_his_permission_is_told_and_closed_at_the_next_token(
    connect: Connect, kind: str, topic: str, user: User
) -> None:
    user.enter(topic)
    client = await connect(kind, user.token())
    channel = await client.join(topic, private=True)
    await channel.joined()

    user.exit(topic)
    await client.renew(user.token(renewed=True))
    await channel.next("status", status="CLOSED")

    assert forbidden(topic) in words(channel)


async def test_a_new_token_with_a_wrong_signature_closes_the_channel(
    connect: Connect, kind: str, topic: str, user: User
) -> None:
    user.enter(topic)
    client = await connect(kind, user.token())
    channel = await client.join(topic, private=True)
    await channel.joined()

    await client.renew(jwt.encode(user.claims(), "of somebody else, and long enough"))
    await channel.next("status", status="CLOSED")

    assert ":signature_error" in words(channel)


async def test_a_token_that_is_no_good_is_refused_in_exact_words(
    connect: Connect, kind: str, topic: str, user: User
) -> None:
    gone = await connect(kind, user.token(seconds=-60))
    forged = await connect(kind, "a.b.c")

    expired = await (await gone.join(topic)).next("status")
    malformed = await (await forged.join(topic)).next("status")

    assert re.fullmatch(r"InvalidJWTToken: Token has expired \d+ seconds ago", reason(expired)), (
        expired
    )
    assert reason(malformed) == "MalformedJWT: The token provided is not a valid JWT"


def words(channel: Any) -> list[str]:
    """Return what the server told; Python hands its errors over as a status."""
    told = [event["message"] for event in channel.heard("system")]
    errors = [event["error"] for event in channel.heard("status") if event["error"]]
    return told + [json.loads(text)["message"] for text in errors if text.startswith("{")]
