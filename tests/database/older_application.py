"""The database of an older application, adopted by the official command, and eyes to look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from local.programs import supabase_command
from tests.support.postgres import MIGRATIONS, empty_project, run_file


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import Connection


HERE = Path(__file__).parent
ATLAS_OWNER = "e0000000-0000-0000-0000-000000000001"
BOREALIS_OWNER = "e0000000-0000-0000-0000-000000000002"
ANA, ANA_TOO, BEA, CLEO, DORA, NAMELESS = (
    f"b0000000-0000-0000-0000-00000000000{n}" for n in range(1, 7)
)
# What the operator decided after a look, before the first migration.
KEPT = """
create schema if not exists private;
create table private.kept_access (
  object text primary key, why text not null, decided_at timestamptz not null default now());
insert into private.kept_access (object, why) values
  ('policy "owners add models" on public.models', 'our page adds creators'),
  ('right to insert on public.models of authenticated', 'our page adds creators'),
  ('column public.models.notes', 'our page shows them')
"""


@dataclass(frozen=True)
class Adoption:
    """The database of the older application, migrated by the official command."""

    url: str
    project: Path
    said: str


@contextmanager
def older_application(cluster_url: str) -> Iterator[str]:
    """Make a database as the older application left it, with what Studio added."""
    with empty_project(cluster_url) as url:
        with psycopg.connect(url) as connection:
            for name in ("legacy_schema.sql", "legacy_rows.sql", "legacy_access.sql"):
                run_file(connection, HERE / name)
        yield url


@contextmanager
def adopting(cluster_url: str, project: Path) -> Iterator[Adoption]:
    """Migrate such a database, as hosted Supabase does."""
    (project / "supabase").mkdir()
    (project / "supabase" / "config.toml").write_text('project_id = "test"\n', encoding="utf-8")
    shutil.copytree(MIGRATIONS, project / "supabase" / "migrations")
    with older_application(cluster_url) as url:
        with psycopg.connect(url) as connection:
            connection.execute(KEPT.encode())
        yield Adoption(url, project, push(url, project))


def rows(adopted: Connection, query: str, *values: Any) -> list[dict[str, Any]]:
    return adopted.execute(query.encode(), values).fetchall()


def push(url: str, workdir: Path, code: int = 0) -> str:
    """Apply the migrations with the official command, as hosted projects do."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    remote = "postgresql://{user}:{password}@{host}:{port}/{dbname}?sslmode=disable".format(**parts)
    answer = subprocess.run(
        [
            *supabase_command(),
            "db",
            "push",
            "--yes",
            f"--remote={remote}",
            f"--workdir={workdir}",
        ],
        env={**os.environ, "SUPABASE_TELEMETRY_DISABLED": "1", "CI": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == code, answer.stderr
    return answer.stdout + answer.stderr
