"""Databases for tests: made inside the running stack's cluster, dropped afterwards.

A database of its own keeps pg_cron's ticks and other tests' rows away. `empty_project` holds what
hosted Supabase has before the first migration; `migrated_project` is copied from a template that
stays in the cluster until a migration changes.
"""

from __future__ import annotations

import hashlib
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from local.postgres import OWNER, PASSWORD, SUPERUSER


if TYPE_CHECKING:
    from collections.abc import Iterator


PROJECT = Path(__file__).resolve().parent.parent.parent
MIGRATIONS = PROJECT / "supabase" / "migrations"
_BOOTSTRAP = PROJECT / "local" / "bootstrap"
_BEFORE_AUTH = ("30-realtime.sql", "40-privileges.sql")
_EXTENSIONS = ("uuid-ossp", "pgcrypto", "pgtap", "plpgsql_check")
_TEMPLATE = "fse_template_"
# Statistics and pages are what a test makes of them, not what a passing autovacuum happened to see:
# those of the catalog too, which every plan reads.
_NO_AUTOVACUUM = """
set local allow_system_table_mods = on;
do $$
declare
  v_tables regclass[] := array(
    select c.oid from pg_class c where c.relkind = 'r' and not c.relisshared);
  v_table regclass;
begin
  foreach v_table in array v_tables loop
    execute format('alter table %s set (autovacuum_enabled = false)', v_table);
  end loop;
end
$$
"""

Connection = psycopg.Connection[Any]


@contextmanager
def empty_project(cluster_url: str) -> Iterator[str]:
    """Make a database as hosted Supabase hands it over; yield its owner's URL."""
    with _copy(cluster_url, "template0") as url:
        _bootstrap(url)
        yield _address(url, OWNER)


@contextmanager
def migrated_project(cluster_url: str) -> Iterator[str]:
    """Make a database with all migrations, applied by its owner; yield its owner's URL."""
    with _copy(cluster_url, _template(cluster_url)) as url:
        with psycopg.connect(url) as connection:
            connection.execute(_NO_AUTOVACUUM)
        yield _address(url, OWNER)


def as_superuser(url: str) -> str:
    """Return the address of a local database for who may do everything in its cluster."""
    return _address(url, SUPERUSER)


def _address(url: str, role: str, database: str = "") -> str:
    parts = urlsplit(url)
    netloc = f"{role}:{PASSWORD}@{parts.hostname}:{parts.port}"
    return parts._replace(netloc=netloc, path=f"/{database}" if database else parts.path).geturl()


@contextmanager
def _copy(cluster_url: str, template: str) -> Iterator[str]:
    cluster_url = as_superuser(cluster_url)
    name = f"fse_{uuid.uuid4().hex}"
    with psycopg.connect(cluster_url, autocommit=True) as cluster:
        _create(cluster, name, template)
    try:
        yield _address(cluster_url, SUPERUSER, name)
    finally:
        with psycopg.connect(cluster_url, autocommit=True) as cluster:
            _drop(cluster, name)


def _create(cluster: Connection, name: str, template: str) -> None:
    cluster.execute(
        sql.SQL("create database {} template {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
    )
    # Settings belong to the database's name, not to what is copied.
    cluster.execute(
        sql.SQL("alter database {} set search_path = {}, public, extensions").format(
            sql.Identifier(name), sql.Identifier("$user")
        )
    )
    cluster.execute(
        sql.SQL("alter database {} owner to {}").format(sql.Identifier(name), sql.Identifier(OWNER))
    )


def _template(cluster_url: str) -> str:
    """Return the name of a database with these very migrations that nobody uses."""
    cluster_url = as_superuser(cluster_url)
    files = [*sorted(MIGRATIONS.glob("*_*.sql")), *sorted(_BOOTSTRAP.glob("*.sql"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    name = _TEMPLATE + digest[:16]
    with psycopg.connect(cluster_url, autocommit=True) as cluster:
        cluster.execute("select pg_advisory_lock(hashtext(%s))", [_TEMPLATE])
        found = cluster.execute(
            "select datname, datistemplate from pg_database where starts_with(datname, %s)",
            [_TEMPLATE],
        ).fetchall()
        if (name, True) not in found:
            for other, _ in found:
                _drop(cluster, other)
            _create(cluster, name, "template0")
            url = _address(cluster_url, SUPERUSER, name)
            _bootstrap(url)
            migrate(_address(url, OWNER))
            # This says that it is complete.
            _alter(cluster, name, "is_template true")
        # What still uses it is on its way out.
        busy = "select from pg_stat_activity where datname = %s and backend_type = 'client backend'"
        while cluster.execute(busy, [name]).fetchone():
            cluster.execute("select pg_sleep(0.01)")
    return name


def _drop(cluster: Connection, name: str) -> None:
    _alter(cluster, name, "is_template false")
    cluster.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _alter(cluster: Connection, name: str, option: LiteralString) -> None:
    cluster.execute(sql.SQL("alter database {} ").format(sql.Identifier(name)) + sql.SQL(option))


def migrate(url: str) -> None:
    """Apply every migration in order, each in a transaction of its own."""
    for path in sorted(MIGRATIONS.glob("*_*.sql")):
        with psycopg.connect(url) as connection:
            run_file(connection, path)


def run_file(connection: Connection, path: Path) -> None:
    """Run the statements of a file that stands in this repository."""
    connection.execute(path.read_text(encoding="utf-8"))


def _bootstrap(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create schema extensions")
        connection.execute(
            "grant usage on schema extensions to postgres, anon, authenticated, service_role"
        )
        for extension in _EXTENSIONS:
            connection.execute(
                sql.SQL("create extension {} with schema extensions").format(
                    sql.Identifier(extension)
                )
            )
        for file in _BEFORE_AUTH:
            run_file(connection, _BOOTSTRAP / file)
        connection.execute("create schema auth")
        # What the engine reads of Auth's table, by its names.
        connection.execute(
            "create table auth.users (id uuid primary key default gen_random_uuid(),"
            " email varchar(255), email_confirmed_at timestamptz, deleted_at timestamptz,"
            " created_at timestamptz default now())"
        )
        run_file(connection, _BOOTSTRAP / "50-auth.sql")
