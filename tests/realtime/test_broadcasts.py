from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.realtime.clients import FLOWING, KINDS
from tests.realtime.server import forget_partitions
from tests.support.waiting import wait_until


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from local.stack import Stack
    from tests.realtime.conftest import User
    from tests.realtime.server import OwnServer
    from tests.support.postgres import Connection

    Connect = Callable[..., Awaitable[Any]]
    Serve = Callable[..., OwnServer]

pytestmark = pytest.mark.system
STEP_SECONDS = 5
NEVER_MS = 10**9
SEND = "select realtime.send(jsonb_build_object('n', %s::int), 'counted', %s)"


async def join(connect: Connect, kind: str, topic: str, user: User, **more: Any) -> Any:
    channel = await (await connect(kind, user.token())).join(topic, private=True, **more)
    await channel.joined()
    return channel


async def test_javascript_of_both_versions_hears_the_same(
    connect: Connect, topic: str, database: Connection
) -> None:
    channels = []
    for version in ("1.0.0", "2.0.0"):
        channel = await (await connect("javascript", version=version)).join(topic)
        await channel.joined()
        channels.append(channel)

    database.execute(
        "select realtime.send('{\"a\": {\"b\": [1, null]}}', 'e', %s, false)", (topic,)
    )
    one, two = [await channel.next("broadcast") for channel in channels]

    assert one == two


async def test_only_what_is_committed_is_told_and_in_its_order(
    connect: Connect, kind: str, topic: str, user: User, database: Connection
) -> None:
    user.enter(topic)
    channel = await join(connect, kind, topic, user)

    with database.transaction(force_rollback=True):
        database.execute(SEND, (0, topic))
    with database.transaction():
        for number in (1, 2, 3):
            database.execute(SEND, (number, topic))
    heard = [(await channel.next("broadcast"))["payload"]["n"] for _ in range(3)]

    assert heard == [1, 2, 3]


async def test_a_joined_channel_hears_once_the_stream_flows_which_waits_for_every_writer(
    stack: dict[str, str], serve: Serve, connect: Connect, topic: str, database: Connection
) -> None:
    # Nobody is connected to it: the project is cold.
    url = serve(streamPatienceMs=NEVER_MS).url
    send = "select realtime.send('{}', %s, %s, false)"
    with psycopg.connect(stack["SUPABASE_DB_URL"]) as writer:
        writer.execute("select pg_current_xact_id()")
        channels = [await (await connect(kind, url=url)).join(topic) for kind in KINDS]
        for channel in channels:
            await channel.next("status", status="SUBSCRIBED")
        database.execute(send, ("unheard", topic))
        assert not any(channel.passed for channel in channels)
    for channel in channels:
        await channel.next("system", message=FLOWING)
    database.execute(send, ("heard", topic))

    for channel in channels:
        assert (await channel.next("broadcast"))["event"] == "heard"
        assert not channel.heard("broadcast")


async def test_above_the_rate_messages_are_dropped_without_a_word_and_later_heard_again(
    serve: Serve, connect: Connect, topic: str, user: User, database: Connection
) -> None:
    user.enter(topic)
    server = serve()
    channel = await (await connect("javascript", user.token(), url=server.url)).join(
        topic, private=True
    )
    await channel.joined()
    # Each counts once as sent and once as heard: a little more than 1,000 within one step.
    burst = 501
    with database.transaction():
        for number in range(burst):
            database.execute(SEND, (number, topic))
    for number in range(burst):
        assert (await channel.next("broadcast"))["payload"]["n"] == number

    server.advance(STEP_SECONDS)
    database.execute(SEND, (burst, topic))
    await asyncio.to_thread(wait_until, lambda: server.has_said("dropped"))
    server.advance(STEP_SECONDS)
    database.execute(SEND, (-1, topic))

    assert (await channel.next("broadcast"))["payload"]["n"] == -1
    assert not channel.passed


async def test_a_writer_without_rights_loses_its_message_and_keeps_its_work(
    connect: Connect, topic: str, user: User, database: Connection
) -> None:
    user.enter(topic)
    channel = await join(connect, "python", topic, user)
    warnings: list[str] = []
    database.add_notice_handler(lambda notice: warnings.append(notice.message_primary or ""))

    with database.transaction():
        database.execute("set local role authenticated")
        database.execute(SEND, (1, topic))
    database.execute(SEND, (2, topic))

    assert (await channel.next("broadcast"))["payload"]["n"] == 2
    assert warnings
    assert warnings[0].startswith("WarnSendingBroadcastMessage: ")


async def test_after_three_quiet_days_the_first_join_fails_and_the_second_works(
    serve: Serve, connect: Connect, user: User, database: Connection, local_stack: Stack
) -> None:
    topic = f"room:{user.id}"
    user.enter(topic)
    url = serve().url
    warnings: list[str] = []
    database.add_notice_handler(lambda notice: warnings.append(notice.message_primary or ""))
    forget_partitions(local_stack)

    database.execute(SEND, (1, topic))
    channel = await (await connect("javascript", user.token(), url=url)).join(topic, private=True)
    refused = await channel.next("status")
    await channel.joined()
    database.execute(SEND, (2, topic))

    assert "no partition" in warnings[0]
    assert refused["error"] == (
        "MissingPartition: Realtime was unable to find the expected messages partition"
    )
    assert (await channel.next("broadcast"))["payload"]["n"] == 2
    assert not channel.passed
