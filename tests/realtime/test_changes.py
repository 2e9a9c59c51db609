from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from local.stack import Stack
    from tests.realtime.conftest import User
    from tests.support.postgres import Connection

    Connect = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.system
COLUMNS = "id integer primary key, owner uuid, note text, amount numeric(14, 2)"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the publication."""

    name: str
    database: Connection

    def run(self, text: str, *values: object) -> None:
        statement = sql.SQL(text).format(t=sql.Identifier("public", self.name))
        self.database.execute(statement, values or None)

    def binding(self, event: str = "*", **more: str) -> dict[str, str]:
        return {"event": event, "schema": "public", "table": self.name, **more}

    def protect(self) -> None:
        self.run("""
            alter table {t} enable row level security;
            create policy own on {t} for select to authenticated
            using (owner = (select auth.uid()));
        """)


@pytest.fixture
def new_table(database: Connection, local_stack: Stack) -> Iterator[Callable[..., Table]]:
    # Each changes the publication, after which the real server is deaf to all for a while.
    made: list[Table] = []

    def make(columns: str = COLUMNS, *, published: bool = True) -> Table:
        table = Table(f"realtime_test_{uuid.uuid4().hex}", database)
        table.run(f"create table {{t}} ({columns})")
        if published:
            table.run("alter publication supabase_realtime add table {t}")
        made.append(table)
        return table

    yield make
    for table in made:
        table.run("drop table {t}")


@pytest.fixture
def deletions(database: Connection) -> Iterator[None]:
    """Have deletions published, as on a new project."""
    setting = sql.SQL("alter publication supabase_realtime set (publish = {})")
    database.execute(setting.format("insert, update, delete, truncate"))
    yield
    database.execute(setting.format("insert, update"))


@pytest.fixture
def table(new_table: Callable[..., Table]) -> Table:
    return new_table()


async def listen(connect: Connect, kind: str, user: User | None, *bindings: dict[str, str]) -> Any:
    client = await connect(kind, user.token() if user else None)
    channel = await client.join(f"changes:{uuid.uuid4()}", changes=bindings)
    await channel.joined()
    await channel.listening()
    return channel


@pytest.mark.usefixtures("deletions")
async def test_inserts_updates_and_deletes_arrive_with_their_rows(
    connect: Connect, kind: str, table: Table
) -> None:
    channel = await listen(connect, kind, None, table.binding())

    table.run("insert into {t} values (1, null, 'a', 12.50)")
    table.run("update {t} set note = 'b'")
    table.run("delete from {t}")
    heard = [await channel.next("change") for _ in range(3)]

    row = {"id": 1, "owner": None, "note": "a", "amount": 12.5}
    assert [event["type"] for event in heard] == ["INSERT", "UPDATE", "DELETE"]
    assert [event["new"] for event in heard] == [row, row | {"note": "b"}, {}]
    assert [event["old"] for event in heard] == [{}, {"id": 1}, {"id": 1}]
    assert all(event["errors"] is None for event in heard)
    assert all(len(event["commit_timestamp"]) == len("2026-01-02T03:04:05.678Z") for event in heard)


async def test_python_is_told_the_columns_and_their_types(connect: Connect, table: Table) -> None:
    channel = await listen(connect, "python", None, table.binding())

    table.run("insert into {t} values (1)")
    columns = (await channel.next("change"))["columns"]

    names = ["id", "owner", "note", "amount"]
    types = ["int4", "uuid", "text", "numeric"]
    assert columns == [
        {"name": name, "type": type_} for name, type_ in zip(names, types, strict=True)
    ]


async def test_each_listener_of_a_channel_hears_what_it_asked_for(
    connect: Connect, kind: str, table: Table, new_table: Callable[..., Table]
) -> None:
    other = new_table()
    channel = await listen(
        connect, kind, None, table.binding("INSERT"), table.binding(), other.binding("UPDATE")
    )

    table.run("insert into {t} values (1)")
    other.run("insert into {t} values (2)")
    other.run("update {t} set note = 'b'")
    heard = [await channel.next("change") for _ in range(3)]

    known = {(event["table"], event["type"]) for event in heard}
    assert known == {(table.name, "INSERT"), (other.name, "UPDATE")}


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("id=eq.2", [2]),
        ("id=in.(1,3)", [1, 3]),
        ("note=in.(\"a,b\",'x')", [1]),
        ("amount=gte.20,id=lt.3", [2]),
        ("note=neq.c", [1]),
    ],
)
async def test_a_filter_lets_through_what_matches(
    connect: Connect, table: Table, filter_: str, expected: list[int]
) -> None:
    sentinel = -1
    channel = await listen(
        connect,
        "javascript",
        None,
        table.binding(filter=filter_),
        table.binding(filter=f"id=eq.{sentinel}"),
    )

    table.run(
        "insert into {t} values (1, null, 'a,b', 10), (2, null, 'c', 20), (3, null, null, 30)"
    )
    table.run("insert into {t} values (-1, null, 'c ', 0)")
    heard = [await channel.next("change") for _ in range(len(expected) + 1)]

    ids = [event["new"]["id"] for event in heard]
    assert ids == [*expected, sentinel]


@pytest.mark.usefixtures("deletions")
async def test_users_hear_of_the_rows_they_may_see(
    connect: Connect, kind: str, table: Table, new_user: Callable[[], User]
) -> None:
    table.protect()
    one, two = new_user(), new_user()
    channels = [await listen(connect, kind, who, table.binding()) for who in (one, two)]
    nobody = await listen(connect, kind, None, table.binding())

    # A row must still be there when the server looks whether somebody may see it.
    heard: list[list[Any]] = [[], []]
    table.run("insert into {t} values (1, %s), (2, %s)", one.id, two.id)
    for text in ("update {t} set note = 'b'", "delete from {t} where id = 1", "select 1"):
        for events, channel in zip(heard, channels, strict=True):
            events.append(await channel.next("change"))
        table.run(text)
    anonymous = await nobody.next("change")

    kinds = ["INSERT", "UPDATE", "DELETE"]
    assert [[event["type"] for event in events] for events in heard] == [kinds, kinds]
    assert [event["new"].get("id") for event in heard[0]] == [1, 1, None]
    assert [event["new"].get("id") for event in heard[1]] == [2, 2, None]
    assert [events[2]["old"] for events in heard] == [{"id": 1}, {"id": 1}]
    assert anonymous["type"] == "DELETE"


async def test_columns_that_may_not_be_read_are_left_out(
    connect: Connect, kind: str, table: Table
) -> None:
    table.run("revoke all on {t} from anon; grant select (id, note) on {t} to anon")
    channel = await listen(connect, kind, None, table.binding())

    table.run("insert into {t} values (1, null, 'a', 10)")

    assert (await channel.next("change"))["new"] == {"id": 1, "note": "a"}


async def test_who_may_not_read_the_key_is_told_that_something_changed(
    connect: Connect, table: Table, new_table: Callable[..., Table]
) -> None:
    table.run("revoke all on {t} from anon; grant select (note) on {t} to anon")
    keyless = new_table("id integer")
    keyless.run("alter table {t} replica identity full")
    channel = await listen(
        connect, "javascript", None, table.binding(filter="note=eq.a"), keyless.binding()
    )

    table.run("insert into {t} values (1, null, 'a', 10)")
    table.run("update {t} set note = 'b'")
    keyless.run("insert into {t} values (1)")
    heard = [await channel.next("change") for _ in range(3)]

    assert [(event["table"], event["type"], event["errors"]) for event in heard] == [
        (table.name, "INSERT", ["Error 401: Unauthorized"]),
        (table.name, "UPDATE", ["Error 401: Unauthorized"]),
        (keyless.name, "INSERT", ["Error 400: Bad Request, no primary key"]),
    ]
    assert all(event["new"] == {} for event in heard)


@pytest.mark.usefixtures("deletions")
async def test_of_a_protected_row_that_went_everybody_is_told_the_key(
    connect: Connect, table: Table
) -> None:
    table.run("alter table {t} replica identity full")
    table.run("insert into {t} values (1, null, 'a', 10)")
    table.protect()
    channel = await listen(connect, "javascript", None, table.binding())

    table.run("delete from {t}")

    assert (await channel.next("change"))["old"] == {"id": 1}


async def test_a_table_outside_the_publication_is_refused_in_exact_words(
    connect: Connect, new_table: Callable[..., Table]
) -> None:
    table = new_table(published=False)
    client = await connect("javascript")

    channel = await client.join("changes", changes=(table.binding("INSERT"),))
    await channel.joined()
    refused = await channel.next("system", status="error")

    assert refused["message"] == (
        "Unable to subscribe to changes with given parameters. Please check Realtime is enabled "
        "for the given connect parameters: "
        f"[event: INSERT, schema: public, table: {table.name}, filters: [], select: nil]"
    )
    assert refused["extension"] == "postgres_changes"


async def test_python_takes_a_refused_table_for_an_error_of_the_channel(
    connect: Connect, new_table: Callable[..., Table]
) -> None:
    table = new_table(published=False)

    channel = await (await connect("python")).join("changes", changes=(table.binding(),))

    await channel.joined()
    await channel.next("status", status="CHANNEL_ERROR")


@pytest.mark.parametrize(
    ("filter_", "words"),
    [
        ("nothing=eq.1", "invalid column for filter nothing"),
        ("id=eq.x", 'invalid input syntax for type integer: "x"'),
        ("id:1", "Error parsing `filter` params: "),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(
    connect: Connect, table: Table, filter_: str, words: str
) -> None:
    client = await connect("javascript")

    channel = await client.join("changes", changes=(table.binding(filter=filter_),))
    refused = await channel.next("system", status="error")

    assert words in refused["message"]


async def test_a_value_that_did_not_change_and_is_stored_apart_is_left_out(
    connect: Connect, table: Table
) -> None:
    table.run("alter table {t} alter note set storage external")
    table.run("insert into {t} values (1, null, repeat('x', 10000), 10)")
    channel = await listen(connect, "python", None, table.binding())

    table.run("update {t} set amount = 11")

    heard = await channel.next("change", type="UPDATE")
    assert heard["new"] == {"id": 1, "owner": None, "amount": 11}


async def test_values_of_our_types_are_written_as_supabase_writes_them(
    connect: Connect, new_table: Callable[..., Table]
) -> None:
    values = {
        "int8": ("9007199254740993", 9007199254740993),
        "numeric": ("12.50", 12.5),
        "bool": ("true", True),
        "uuid": ("00000000-0000-4000-8000-000000000001",) * 2,
        "date": ("2026-01-02",) * 2,
        "timestamptz": ("2026-01-02 03:04:05.678901+00", "2026-01-02T03:04:05.678901+00:00"),
        "jsonb": ('{"a": [1, null]}', {"a": [1, None]}),
        "text": ('ü "quoted" \\ \'', 'ü "quoted" \\ \''),
    }
    columns = ", ".join(f"c{n} {name}" for n, name in enumerate(values))
    table = new_table(f"id integer primary key, {columns}")
    channel = await listen(connect, "python", None, table.binding())

    places = ", ".join(["%s"] * len(values))
    table.run(f"insert into {{t}} values (1, {places})", *(text for text, _ in values.values()))  # noqa: S608 - only placeholders
    heard = (await channel.next("change"))["new"]

    expected = {f"c{n}": wire for n, (_, wire) in enumerate(values.values())}
    assert heard == {"id": 1, **expected}


async def test_changes_come_in_the_order_of_the_commits(connect: Connect, table: Table) -> None:
    channel = await listen(connect, "python", None, table.binding())

    with table.database.transaction(force_rollback=True):
        table.run("insert into {t} values (0)")
    table.run("insert into {t} select generate_series(1, 250)")
    table.run("truncate {t}; insert into {t} values (251)")
    heard = [(await channel.next("change"))["new"]["id"] for _ in range(251)]

    assert heard == list(range(1, 252))


async def test_a_new_token_changes_what_is_seen(
    connect: Connect, table: Table, new_user: Callable[[], User]
) -> None:
    table.protect()
    one, two = new_user(), new_user()
    client = await connect("python", one.token())
    channel = await client.join("changes", changes=(table.binding(),))
    await channel.listening()

    await client.renew(two.token())
    await channel.listening()
    table.run("insert into {t} values (1, %s), (2, %s)", one.id, two.id)

    assert (await channel.next("change"))["new"]["id"] == 2


async def test_a_table_that_joins_the_publication_is_noticed(
    connect: Connect, table: Table, new_table: Callable[..., Table]
) -> None:
    channel = await listen(connect, "javascript", None, {"event": "*", "schema": "public"})

    later = new_table()
    await channel.listening()
    later.run("insert into {t} values (1)")

    assert (await channel.next("change"))["table"] == later.name


async def test_a_subscription_leaves_nothing_behind(
    connect: Connect, kind: str, table: Table
) -> None:
    client = await connect(kind)
    topic = f"changes:{uuid.uuid4()}"
    channel = await client.join(topic, changes=(table.binding(),))
    await channel.listening()
    count = "select count(*) from realtime.subscription where entity = %s::regclass"
    during = table.database.execute(count, (f"public.{table.name}",)).fetchone()

    await client.leave(topic)
    await channel.next("status", status="CLOSED")
    other = await client.join(f"{topic}:other", changes=(table.binding(),))
    await other.listening()

    after = table.database.execute(count, (f"public.{table.name}",)).fetchone()
    assert during == after == (1,)
