"""Fixtures of the Realtime tests: tables and policies of their own, both clients, other servers."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
import psycopg
import pytest

from tests.realtime.clients import KINDS, JavaScriptClient, Node, PythonClient
from tests.realtime.server import OwnServer, own_server
from tests.support.own_stack import QUICK_REALTIME


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.support.postgres import Connection

MAKE = """
create table public.realtime_test_members (user_id uuid, topic text);
create policy "realtime test: members hear their topics" on realtime.messages
for select to authenticated
using (exists (
  select from public.realtime_test_members m
  where m.user_id = (select auth.uid()) and m.topic = (select realtime.topic())
));
"""
UNDO = """
drop policy if exists "realtime test: members hear their topics" on realtime.messages;
drop table if exists public.realtime_test_members;
"""


# Not longer than a file of tests: what is proved of every table would find these, too.
@pytest.fixture(scope="module")
def policies(stack: dict[str, str]) -> Iterator[None]:
    with psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True) as database:
        database.execute(UNDO)
        database.execute(MAKE)
    yield
    with psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True) as database:
        database.execute(UNDO)


@pytest.fixture
def database(stack: dict[str, str], silent_cron: None, policies: None) -> Iterator[Connection]:
    connection = psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    process = Node()
    yield process
    process.stop()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return which of the real clients the test is run with."""
    return str(request.param)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a token, a member of whatever he is put into."""

    id: str
    database: Connection
    secret: str

    def claims(self, *, seconds: int = 3600, **more: object) -> dict[str, object]:
        ends = int(time.time()) + seconds
        return {"sub": self.id, "role": "authenticated", "exp": ends, **more}

    def token(self, *, seconds: int = 3600, **more: object) -> str:
        return jwt.encode(self.claims(seconds=seconds, **more), self.secret)

    def enter(self, topic: str) -> None:
        self.database.execute(
            "insert into public.realtime_test_members values (%s, %s)", (self.id, topic)
        )

    def exit(self, topic: str) -> None:
        self.database.execute(
            "delete from public.realtime_test_members where user_id = %s and topic = %s",
            (self.id, topic),
        )


@pytest.fixture
def new_user(stack: dict[str, str], database: Connection) -> Callable[[], User]:
    return lambda: User(str(uuid.uuid4()), database, stack["SUPABASE_JWT_SECRET"])


@pytest.fixture
def user(new_user: Callable[[], User]) -> User:
    return new_user()


@pytest.fixture
def topic() -> str:
    return f"room:{uuid.uuid4()}"


@pytest.fixture
async def connect(
    stack: dict[str, str], node: Node
) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Return a way to open a client; all are closed after the test."""
    opened: list[JavaScriptClient | PythonClient] = []

    async def open_client(
        kind: str,
        token: str | None = None,
        *,
        url: str | None = None,
        key: str | None = None,
        **more: object,
    ) -> JavaScriptClient | PythonClient:
        client = JavaScriptClient(node) if kind == "javascript" else PythonClient()
        key = key or stack["SUPABASE_PUBLISHABLE_KEY"]
        await client.open(url or stack["SUPABASE_URL"], key, token, **more)
        opened.append(client)
        return client

    yield open_client
    for client in opened:
        await client.close()


@pytest.fixture
def serve(
    stack: dict[str, str], local_stack: Stack, tmp_path: Path
) -> Iterator[Callable[..., OwnServer]]:
    """Return a way to start a server of one's own, quick unless told otherwise."""
    with ExitStack() as servers:
        yield lambda **settings: servers.enter_context(
            own_server(stack, tmp_path, **QUICK_REALTIME | settings)
        )
