"""Applies the project's migrations with the official CLI, which records them as hosted does.

The bootstrap gives a plain PostgreSQL what hosted Supabase has before the first migration; it
runs once per cluster and is no part of the migrations.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import StackError
from local.programs import supabase_command


if TYPE_CHECKING:
    from local.postgres import Postgres


BOOTSTRAP = Path(__file__).resolve().parent / "bootstrap"
_BEFORE_AUTH = (
    "10-roles.sql",
    "20-extensions.sql",
    "30-realtime.sql",
    "35-realtime-changes.sql",
    "40-privileges.sql",
)
_AFTER_AUTH = "50-auth.sql"


def bootstrap_version() -> str:
    """Return what tells one bootstrap from another."""
    files = sorted(BOOTSTRAP.glob("*.sql"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def bootstrap(postgres: Postgres) -> None:
    """Make roles, schemas, extensions and rights; the Auth tables come from the gateway."""
    for name in _BEFORE_AUTH:
        postgres.run(BOOTSTRAP / name)


def finish_bootstrap(postgres: Postgres) -> None:
    """Set the functions and rights of schema auth once its tables exist."""
    postgres.run(BOOTSTRAP / _AFTER_AUTH)


def apply_migrations(postgres: Postgres, migrations: Path) -> list[str]:
    """Apply what is missing and return the versions that were applied now."""
    if not migrations.is_dir():
        raise StackError(f"no such directory of migrations: {migrations}")
    wanted = [path.name.partition("_")[0] for path in sorted(migrations.glob("*_*.sql"))]
    before = applied_versions(postgres)
    if set(wanted) <= before:
        return []
    with tempfile.TemporaryDirectory(prefix="fanvue-migrations-") as scratch:
        project = Path(scratch) / "supabase"
        project.mkdir()
        # The CLI reads its settings from the project; migrations need none of them.
        (project / "config.toml").write_text('project_id = "local"\n', encoding="utf-8")
        shutil.copytree(migrations, project / "migrations")
        _push(postgres, Path(scratch))
    return [version for version in wanted if version not in before]


def applied_versions(postgres: Postgres) -> set[str]:
    """Return the versions that the database says were applied."""
    exists = postgres.run("select to_regclass('supabase_migrations.schema_migrations') is not null")
    if exists.strip() != "t":
        return set()
    return set(postgres.run("select version from supabase_migrations.schema_migrations").split())


def _push(postgres: Postgres, workdir: Path) -> None:
    answer = subprocess.run(  # noqa: S603 - the CLI that package.json pins
        [
            *supabase_command(),
            "db",
            "push",
            "--yes",
            f"--remote={postgres.url}?sslmode=disable",
            f"--workdir={workdir}",
        ],
        env={**os.environ, "SUPABASE_TELEMETRY_DISABLED": "1", "CI": "1"},
        cwd=workdir,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        output = (answer.stdout + answer.stderr).strip()
        raise StackError(f"a migration failed:\n{output}")
