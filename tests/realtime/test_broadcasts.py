from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.realtime.clients import KINDS, SECONDS


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.realtime.conftest import User
    from tests.realtime.server import OwnServer
    from tests.support.postgres import Connection

    Connect = Callable[..., Awaitable[Any]]
    Serve = Callable[..., OwnServer]

pytestmark = pytest.mark.system
SEND = "select realtime.send(jsonb_build_object('n', %s::int), 'counted', %s)"


@dataclass(frozen=True, slots=True)
class Moves:
    """A table that broadcasts its changes."""

    name: str
    database: Connection

    def run(self, text: str) -> None:
        self.database.execute(sql.SQL(text).format(moves=sql.Identifier(self.name)))


@pytest.fixture
def moves(database: Connection, topic: str) -> Iterator[Moves]:
    """Make such a table, whose trigger may write messages whoever changes a row."""
    table = Moves(f"realtime_test_{uuid.uuid4().hex}", database)
    table.run("""
        create table public.{moves} (id bigint primary key, note text);
        create function public.{moves}() returns trigger
        language plpgsql security definer set search_path = '' as $$
        begin
          perform realtime.broadcast_changes(
            tg_argv[0], tg_op, tg_op, tg_table_name, tg_table_schema, new, old
          );
          return null;
        end $$;
    """)
    database.execute(
        sql.SQL("""
            create trigger broadcast after insert or update or delete on public.{moves}
            for each row execute function public.{moves}({topic})
        """).format(moves=sql.Identifier(table.name), topic=topic)
    )
    yield table
    table.run("drop table public.{moves}; drop function public.{moves}()")


async def join(connect: Connect, kind: str, topic: str, user: User, **more: Any) -> Any:
    channel = await (await connect(kind, user.token())).join(topic, private=True, **more)
    await channel.joined()
    return channel


async def test_a_trigger_tells_members_of_every_change(
    connect: Connect, kind: str, topic: str, user: User, moves: Moves
) -> None:
    user.enter(topic)
    channel = await join(connect, kind, topic, user)

    moves.run("insert into public.{moves} values (1, 'a')")
    moves.run("update public.{moves} set note = 'b'")
    moves.run("delete from public.{moves}")
    heard = [await channel.next("broadcast") for _ in range(3)]

    old, new = {"id": 1, "note": "a"}, {"id": 1, "note": "b"}
    assert [event["event"] for event in heard] == ["INSERT", "UPDATE", "DELETE"]
    payloads = [event["payload"] for event in heard]
    assert [payload["record"] for payload in payloads] == [old, new, None]
    assert [payload["old_record"] for payload in payloads] == [None, old, new]
    assert {(payload["schema"], payload["table"]) for payload in payloads} == {
        ("public", moves.name)
    }
    assert [event["meta"]["id"] for event in heard] == [payload["id"] for payload in payloads]


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


async def test_clients_speak_with_each_other(connect: Connect, kind: str, topic: str) -> None:
    speaker = await connect(kind)
    own = await speaker.join(topic, broadcast={"self": True, "ack": True})
    quiet = await connect(kind)
    silent = await quiet.join(topic)
    others = [await (await connect(other)).join(topic) for other in ("javascript", "python")]
    for channel in (own, silent, *others):
        await channel.joined()

    answer = await speaker.send(topic, "cursor", {"x": 1, "who": "ü"})
    await quiet.send(topic, "last", {})

    for channel in (own, *others):
        heard = await channel.next("broadcast")
        assert (heard["event"], heard["payload"]) == ("cursor", {"x": 1, "who": "ü"})
        assert (await channel.next("broadcast"))["event"] == "last"
    assert (await silent.next("broadcast"))["event"] == "cursor"
    assert answer in {"ok", None}


async def test_raw_bytes_reach_javascript_only(connect: Connect, topic: str) -> None:
    speaker = await connect("javascript")
    listeners = [await (await connect(kind)).join(topic) for kind in ("javascript", "python")]
    for channel in (await speaker.join(topic), *listeners):
        await channel.joined()

    await speaker.send_bytes(topic, "bytes", b"\x00\xff")
    await speaker.send(topic, "text", {})
    javascript, python = [await channel.next("broadcast") for channel in listeners]

    assert (javascript["event"], javascript["payload"]) == ("bytes", {"binary": "00ff"})
    assert python["event"] == "text"


async def test_bytes_sent_by_the_database_arrive(
    connect: Connect, topic: str, database: Connection
) -> None:
    channel = await (await connect("javascript")).join(topic)
    await channel.joined()

    database.execute("select realtime.send_binary('\\xbeef', 'bytes', %s, false)", (topic,))
    heard = await channel.next("broadcast")

    assert heard["payload"] == {"binary": "beef"}
    assert len(heard["meta"]["id"]) == len(str(uuid.uuid4()))


async def test_speaking_on_a_private_channel_needs_a_policy_for_it(
    connect: Connect, kind: str, topic: str, user: User, new_user: Callable[[], User]
) -> None:
    user.enter(topic)
    writer = new_user()
    writer.enter(topic, writes=True)
    reader_client, writer_client = (
        await connect(kind, user.token()),
        await connect(kind, writer.token()),
    )
    reader = await reader_client.join(topic, private=True)
    own = await writer_client.join(topic, private=True)
    await reader.joined()
    await own.joined()

    await reader_client.send(topic, "denied", {})
    await writer_client.send(topic, "allowed", {})

    assert (await reader.next("broadcast"))["event"] == "allowed"
    await writer_client.post(topic, "posted", {"n": 1}, private=True)
    assert (await own.next("broadcast"))["event"] == "posted"
    with pytest.raises(Exception, match="Unauthorized"):
        await reader_client.post(topic, "denied", {}, private=True)


async def test_many_broadcasts_in_one_request_skip_what_is_denied(
    connect: Connect, stack: dict[str, str], kind: str, topic: str, user: User
) -> None:
    user.enter(topic)
    private = await join(connect, kind, topic, user)
    public = await (await connect(kind)).join(topic)
    await public.joined()
    messages = [
        {"topic": topic, "event": "hidden", "payload": {}, "private": True},
        {"topic": topic, "event": "open", "payload": {"y": 1}},
    ]
    headers = {"apikey": stack["SUPABASE_PUBLISHABLE_KEY"]}
    url = f"{stack['SUPABASE_URL']}/realtime/v1/api/broadcast"

    async with httpx.AsyncClient(timeout=SECONDS) as http:
        sent = await http.post(url, json={"messages": messages}, headers=headers)
        blank = await http.post(url, json={"messages": [{"topic": topic}]}, headers=headers)
        stranger = await http.post(url, json={"messages": []}, headers={"apikey": "x.y.z"})
        heard = await public.next("broadcast")
        headers = {"apikey": stack["SUPABASE_SECRET_KEY"]}
        await http.post(url, json={"messages": messages[:1]}, headers=headers)

    assert (sent.status_code, sent.content) == (202, b"")
    assert (heard["event"], heard["payload"]) == ("open", {"y": 1})
    assert blank.status_code == 422
    assert "errors" in blank.json()
    assert (stranger.status_code, stranger.json()) == (401, {"message": "Unauthorized"})
    assert (await private.next("broadcast"))["event"] == "hidden"
    assert not private.heard("broadcast")


async def test_what_the_database_sent_before_is_replayed_once(
    connect: Connect, topic: str, user: User, database: Connection
) -> None:
    user.enter(topic)
    earlier = await join(connect, "python", topic, user)
    for number in range(4):
        database.execute(SEND, (number, topic))
    assert [(await earlier.next("broadcast"))["payload"]["n"] for _ in range(4)] == [0, 1, 2, 3]
    broadcast = {"replay": {"since": 0, "limit": 3}}

    channel = await join(connect, "javascript", topic, user, broadcast=broadcast)
    database.execute(SEND, (4, topic))
    heard = [await channel.next("broadcast") for _ in range(4)]

    assert [event["payload"]["n"] for event in heard] == [1, 2, 3, 4]
    assert [event["meta"].get("replayed") for event in heard] == [True, True, True, None]


async def test_a_channel_can_wait_until_the_database_is_listened_to(
    serve: Serve, connect: Connect, topic: str, database: Connection
) -> None:
    url = serve().url
    clients = [await connect(kind, url=url) for kind in KINDS]

    channels = [
        await client.join(topic, broadcast={"replication_ready": True}) for client in clients
    ]
    for channel in channels:
        await channel.next("system", message="Replication connection established")
    database.execute("select realtime.send('{}', 'first', %s, false)", (topic,))

    for channel in channels:
        assert (await channel.next("broadcast"))["event"] == "first"


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


async def test_without_a_partition_the_message_is_lost_and_joins_say_so(
    stack: dict[str, str], connect: Connect, topic: str, user: User
) -> None:
    user.enter(topic)
    client = await connect("javascript", user.token())
    await (await client.join(f"{topic}:public")).joined()
    warnings: list[str] = []
    with psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True) as database:
        database.add_notice_handler(lambda notice: warnings.append(notice.message_primary or ""))
        [today] = database.execute(
            "select 'realtime.messages_' || to_char(now(), 'YYYY_MM_DD')"
        ).fetchone() or [""]
        database.execute(f"drop table {today}")
        try:
            database.execute(SEND, (1, topic))
            refused = await (await client.join(topic, private=True)).next("status")
        finally:
            database.execute("select realtime.create_partitions()")

    assert "no partition" in warnings[0]
    assert refused["error"] == (
        "MissingPartition: Realtime was unable to find the expected messages partition"
    )


async def test_too_large_a_broadcast_is_refused_where_an_answer_is_asked_for(
    serve: Serve, connect: Connect, topic: str
) -> None:
    client = await connect("javascript", url=serve(payloadBytes=1000).url)
    channel = await client.join(topic, broadcast={"ack": True, "self": True})
    await channel.joined()

    large = await client.send(topic, "large", {"text": "x" * 1000})
    small = await client.send(topic, "small", {})

    assert (large, small) == ("error", "ok")
    assert (await channel.next("broadcast"))["event"] == "small"
