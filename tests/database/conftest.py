"""Fixtures of the database tests: one migrated database per session, empty for each test.

Connections act as service_role, as the worker does through the API, unless a test asks otherwise.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.database.engine import Engine
from tests.support.postgres import empty_project, migrate


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.postgres import Connection


_HERE = Path(__file__).parent
# Everything that hangs on an agency goes with it; these stand alone.
_EMPTY = """
  truncate public.agencies, public.webhook_events, private.api_budgets, private.scheduler_ticks,
           private.engine_clock, private.adoption_findings, private.pushes cascade
"""
# Statistics are what a test makes of them, not what a passing autovacuum happened to see.
_NO_AUTOVACUUM = """
do $$
declare
  v_table regclass;
begin
  for v_table in
    select c.oid from pg_class c
    where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
  loop
    execute format('alter table %s set (autovacuum_enabled = false)', v_table);
  end loop;
end
$$
"""
# One stream per model, unless a test is about several.
_ONE_STREAM = "update private.sync_streams set enabled = sync_type = 'earnings'"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder: it talks to the stack's Postgres."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def cluster_url(stack: dict[str, str]) -> str:
    """Return the superuser's URL of the stack's cluster."""
    return stack["SUPABASE_DB_URL"]


@pytest.fixture(scope="session")
def migrated_url(cluster_url: str) -> Iterator[str]:
    """Make a database with all migrations for this session."""
    with empty_project(cluster_url) as url:
        migrate(url)
        with psycopg.connect(url) as connection:
            connection.execute(_NO_AUTOVACUUM)
        yield url


@pytest.fixture
def connect(migrated_url: str) -> Iterator[Callable[[], Connection]]:
    """Open connections that are closed when the test ends."""
    with ExitStack() as opened:

        def new() -> Connection:
            connection = psycopg.connect(migrated_url, autocommit=True, row_factory=dict_row)
            return opened.enter_context(connection)

        yield new


@pytest.fixture
def owner(connect: Callable[[], Connection]) -> Connection:
    """Connect as the database's owner to an empty engine."""
    connection = connect()
    connection.execute(_EMPTY)
    connection.execute(_ONE_STREAM)
    return connection


@pytest.fixture
def engine(owner: Connection, connect: Callable[[], Connection]) -> Engine:
    """Return the engine's functions as the worker calls them, and hands to set the scene."""
    return Engine(owner, connect)
