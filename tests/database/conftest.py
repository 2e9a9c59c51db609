"""Fixtures of the database tests: one migrated database per session, empty for each test.

Connections act as service_role, as the worker does through the API, unless a test asks otherwise.
They are kept from test to test: what a session compiled and planned, it need not compile again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.database.engine import Engine
from tests.database.older_application import adopting
from tests.database.sessions import Sessions, prepare
from tests.support.postgres import as_superuser, migrated_project


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.database.older_application import Adoption
    from tests.support.postgres import Connection


_HERE = Path(__file__).parent
# One stream per model, unless a test is about several.
_ONE_STREAM = "update private.sync_streams set enabled = sync_type = 'earnings'"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder: it talks to the stack's Postgres."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def cluster_url(stack: dict[str, str]) -> str:
    """Return the URL of the stack's own database, in whose cluster others are made."""
    return stack["SUPABASE_DB_URL"]


@pytest.fixture(scope="session")
def migrated_url(cluster_url: str) -> Iterator[str]:
    """Make a database with all migrations, and a clock of its own, for this session."""
    with migrated_project(cluster_url) as url:
        with psycopg.connect(url) as connection:
            prepare(connection)
        yield url


@pytest.fixture(scope="session")
def adoption(cluster_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adoption]:
    """Make a database of the older application and migrate it."""
    with adopting(cluster_url, tmp_path_factory.mktemp("project")) as adoption:
        yield adoption


@pytest.fixture
def adopted(adoption: Adoption) -> Iterator[Connection]:
    """Connect to the adopted database; what a test changes is rolled back."""
    with psycopg.connect(adoption.url, row_factory=dict_row) as connection:
        yield connection
        connection.rollback()


@pytest.fixture(scope="session")
def sessions(migrated_url: str) -> Iterator[Sessions]:
    """Keep connections from test to test."""
    kept = Sessions(migrated_url)
    yield kept
    kept.close()


@pytest.fixture
def fresh_sessions(sessions: Sessions) -> None:
    """Begin with sessions that planned nothing yet, and with tables that were never filled.

    What counts rows or pages needs it: no statistics, dead rows or plans of other tests.
    """
    sessions.close()
    sessions.untouched = True


@pytest.fixture
def connect(sessions: Sessions) -> Iterator[Callable[[], Connection]]:
    """Lend connections until the test ends."""
    with sessions.lending() as lend:
        yield lend


@pytest.fixture
def owner(sessions: Sessions, connect: Callable[[], Connection]) -> Connection:
    """Connect as the database's owner to an empty engine."""
    connection = connect()
    sessions.empty(connection)
    connection.execute(_ONE_STREAM)
    return connection


@pytest.fixture
def supabase(
    engine: Engine, migrated_url: str, connect: Callable[[], Connection]
) -> Iterator[Engine]:
    """Return the same engine in the hands of the superuser, to whom Realtime's schema belongs."""
    with psycopg.connect(
        as_superuser(migrated_url), autocommit=True, row_factory=dict_row
    ) as connection:
        yield Engine(connection, connect, measurable=engine.measurable)


@pytest.fixture
def engine(owner: Connection, connect: Callable[[], Connection], sessions: Sessions) -> Engine:
    """Return the engine's functions as the worker calls them, and hands to set the scene."""
    return Engine(owner, connect, measurable=sessions.measurable)
