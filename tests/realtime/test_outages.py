from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.realtime.clients import KINDS
from tests.support.postgres import as_superuser
from tests.support.waiting import wait_until


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from local.stack import Stack
    from tests.realtime.conftest import User
    from tests.realtime.server import OwnServer

    Connect = Callable[..., Awaitable[Any]]
    Serve = Callable[..., OwnServer]

pytestmark = [
    pytest.mark.system,
    # Python's client reads them when a connection breaks off.
    pytest.mark.filterwarnings("ignore:ConnectionClosed.(code|reason) is deprecated"),
]
SEND = "select realtime.send('{}', %s, %s)"
NEVER_MS = 10**9


def execute(stack: dict[str, str], text: str, *values: object) -> None:
    with psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True) as database:
        database.execute(text, values or None)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_clients_come_back_after_a_restart_of_the_server(
    serve: Serve, connect: Connect, how: signal.Signals, user: User
) -> None:
    topic = f"room:{user.id}"
    user.enter(topic)
    server = serve()
    clients = [await connect(kind, user.token(), url=server.url) for kind in KINDS]
    channels = [await client.join(topic, private=True) for client in clients]
    for channel in channels:
        await channel.joined()

    # The clients answer the farewell meanwhile.
    await asyncio.to_thread(server.stop, how)
    server.start()
    for channel in channels:
        await channel.joined()
    user.database.execute(SEND, ("once", topic))
    user.database.execute(SEND, ("last", topic))

    for channel in channels:
        assert (await channel.next("broadcast"))["event"] == "once"
        assert (await channel.next("broadcast"))["event"] == "last"
        said = [event["message"] for event in channel.heard("system")]
        assert said == (["Server requested disconnect"] if how == signal.SIGTERM else [])


async def test_javascript_leaves_a_silent_server_and_comes_back(
    serve: Serve, connect: Connect, topic: str
) -> None:
    server = serve()
    client = await connect("javascript", url=server.url, heartbeat=300)
    channel = await client.join(topic)
    await channel.joined()

    server.freeze()
    await channel.next("status", status="CHANNEL_ERROR")
    server.thaw()

    await channel.joined()


async def test_a_client_that_says_nothing_is_dropped_and_one_that_does_is_kept(
    serve: Serve, connect: Connect, topic: str, user: User
) -> None:
    server = serve(idleMs=600)
    quiet, lively = [
        await connect("javascript", url=server.url, heartbeat=NEVER_MS) for _ in range(2)
    ]
    dropped = await quiet.join(topic)
    kept = await lively.join(topic)
    await dropped.joined()
    await kept.joined()

    server.advance(0.4)
    await lively.join(f"{topic}:more")
    server.advance(0.4)
    await dropped.next("status", status="CHANNEL_ERROR")
    await dropped.joined()
    user.database.execute("select realtime.send('{}', 'back', %s, false)", (topic,))

    assert (await kept.next("broadcast"))["event"] == "back"
    assert not kept.heard("status")


async def test_a_lost_stream_leaves_the_channel_joined_and_deaf_until_it_is_back(
    stack: dict[str, str], serve: Serve, connect: Connect, topic: str
) -> None:
    server = serve(reconnectMs=0)
    url = server.url
    streams = f"from pg_stat_activity where application_name = 'realtime {server.port} stream'"
    channel = await (await connect("javascript", url=url)).join(topic)
    await channel.joined()
    send = "select realtime.send('{}', %s, %s, false)"
    superuser = as_superuser(stack["SUPABASE_DB_URL"])
    with (
        psycopg.connect(superuser) as writer,
        psycopg.connect(superuser, autocommit=True) as database,
    ):
        # The new slot waits for it.
        writer.execute("select pg_current_xact_id()")
        lost = database.execute(f"select pg_terminate_backend(pid) {streams}").fetchall()
        waiting = f"select {streams} and state = 'active' and query like 'CREATE_REPLICATION_SLOT%'"
        await asyncio.to_thread(
            wait_until, lambda: len(database.execute(waiting).fetchall()) == len(lost)
        )
        database.execute(send, ("unheard", topic))
        writer.rollback()
        await (await (await connect("python", url=url)).join(topic)).joined()
        database.execute(send, ("heard", topic))

    assert (await channel.next("broadcast"))["event"] == "heard"
    assert not channel.passed


@pytest.fixture
def published(stack: dict[str, str], local_stack: Stack) -> Iterator[None]:
    """Publish a table of the test's own while it runs."""
    execute(stack, "drop table if exists public.realtime_test_outage")
    execute(stack, "create table public.realtime_test_outage (id integer primary key)")
    execute(stack, "alter publication supabase_realtime add table public.realtime_test_outage")
    yield
    local_stack.start_postgres()
    execute(stack, "drop table public.realtime_test_outage")


async def test_a_restart_of_the_database_is_survived(
    stack: dict[str, str], local_stack: Stack, published: None, connect: Connect, topic: str
) -> None:
    binding = {"event": "INSERT", "schema": "public", "table": "realtime_test_outage"}
    channels = []
    for kind in KINDS:
        channel = await (await connect(kind)).join(topic, changes=(binding,))
        await channel.joined()
        await channel.listening()
        channels.append(channel)

    local_stack.stop_postgres()
    late = await (await connect("javascript")).join(f"{topic}:late")
    refused = await late.next("status")
    local_stack.start_postgres()
    for channel in channels:
        await channel.listening()
    await late.joined()
    execute(stack, "insert into public.realtime_test_outage values (1)")

    assert refused["error"] == (
        "UnableToConnectToProject: Realtime was unable to connect to the project database"
    )
    for channel in channels:
        assert (await channel.next("change"))["new"] == {"id": 1}
    # The two come by streams of their own, in either order.
    execute(stack, "select realtime.send('{}', 'again', %s, false)", topic)
    for channel in channels:
        assert (await channel.next("broadcast"))["event"] == "again"
        assert not channel.heard("status")
