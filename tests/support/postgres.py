"""Databases for tests: made inside the running stack's cluster, dropped afterwards.

A database of its own keeps pg_cron's ticks and other tests' rows away. It holds what hosted
Supabase has before the first migration; the migrations are applied by the caller's choice.
"""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo


if TYPE_CHECKING:
    from collections.abc import Iterator


PROJECT = Path(__file__).resolve().parent.parent.parent
MIGRATIONS = PROJECT / "supabase" / "migrations"
_BOOTSTRAP = PROJECT / "local" / "bootstrap"
_BEFORE_AUTH = ("30-realtime.sql", "40-privileges.sql")
_EXTENSIONS = ("uuid-ossp", "pgcrypto", "pgtap", "plpgsql_check")

Connection = psycopg.Connection[Any]


class StackMissingError(Exception):
    """FSE_TEST_STACK names no running stack."""


def stack_settings() -> dict[str, str]:
    """Read the settings of the stack that FSE_TEST_STACK names."""
    name = os.environ.get("FSE_TEST_STACK", "")
    path = PROJECT / name
    if not name or not path.is_file():
        raise StackMissingError(
            f"FSE_TEST_STACK={name!r} names no stack.env. Start a stack with "
            "`python -m local up --dir .local/test --volatile` and set "
            "FSE_TEST_STACK=.local/test/stack.env, or run `make test`."
        )
    pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {key: value for key, _, value in pairs if key and not key.startswith("#")}


@contextmanager
def empty_project(cluster_url: str, owner: str = "postgres") -> Iterator[str]:
    """Make a database as hosted Supabase hands it over; yield its URL for the role `owner`."""
    name = f"fse_{uuid.uuid4().hex}"
    with psycopg.connect(cluster_url, autocommit=True) as cluster:
        cluster.execute(
            sql.SQL("create database {} template template0").format(sql.Identifier(name))
        )
    url = make_conninfo(cluster_url, dbname=name)
    try:
        with psycopg.connect(url) as connection:
            _bootstrap(connection, name)
        yield make_conninfo(url, user=owner)
    finally:
        with psycopg.connect(cluster_url, autocommit=True) as cluster:
            cluster.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def migrate(url: str) -> None:
    """Apply every migration in order, each in a transaction of its own."""
    for path in sorted(MIGRATIONS.glob("*_*.sql")):
        with psycopg.connect(url) as connection:
            run_file(connection, path)


def run_file(connection: Connection, path: Path) -> None:
    """Run the statements of a file that stands in this repository."""
    connection.execute(path.read_text(encoding="utf-8"))


def _bootstrap(connection: Connection, name: str) -> None:
    connection.execute("create schema extensions")
    connection.execute(
        "grant usage on schema extensions to postgres, migrator, anon, authenticated, service_role"
    )
    for extension in _EXTENSIONS:
        connection.execute(
            sql.SQL("create extension {} with schema extensions").format(sql.Identifier(extension))
        )
    connection.execute(
        sql.SQL("alter database {} set search_path = {}, public, extensions").format(
            sql.Identifier(name), sql.Identifier("$user")
        )
    )
    connection.execute(
        sql.SQL("grant all on database {} to migrator with grant option").format(
            sql.Identifier(name)
        )
    )
    for file in _BEFORE_AUTH:
        run_file(connection, _BOOTSTRAP / file)
    connection.execute("create schema auth")
    run_file(connection, _BOOTSTRAP / "50-auth.sql")
