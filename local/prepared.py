"""Clusters made ready once and copied from then on: bootstrapped, with Auth's tables, migrated.

Only volatile instances begin as a copy. A ready cluster serves the day it was made and exactly the
software and SQL it was made with; whoever finds none makes it, and others wait for it meanwhile.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import StackError
from local.instance import database_user
from local.programs import PROJECT, find_program


if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.programs import PostgresPrograms


SHELF = PROJECT / ".local" / "prepared"
# Each is some fifty megabytes; the one used least recently goes first.
_KEPT = 4
_LOCAL = Path(__file__).resolve().parent


class PreparedCluster:
    """The ready cluster for these programs and these migrations, if there is one today."""

    def __init__(
        self, programs: PostgresPrograms, migrations: Path, shelf: Path | None = None
    ) -> None:
        self._shelf = shelf or SHELF
        self._place = self._shelf / _fingerprint(programs, migrations)

    @property
    def exists(self) -> bool:
        """Tell whether it was made already."""
        return self._place.exists()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Let one look for it, or make it, at a time."""
        self._shelf.mkdir(parents=True, exist_ok=True)
        with self._place.with_suffix(".lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def copy_to(self, data: Path) -> None:
        """Make a data directory of it."""
        self._place.touch()
        _copy(self._place, data)

    def keep(self, data: Path) -> None:
        """Keep a copy of this data directory, whose server is stopped."""
        _copy(data, self._place)
        self._place.touch()
        known = [path for path in self._shelf.iterdir() if path.is_dir()]
        for path in sorted(known, key=lambda path: -path.stat().st_mtime)[_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a data directory with its owner and modes, whole or not at all."""
    scratch = target.with_name(target.name + ".new")
    for path in (scratch, target):
        if path.exists():
            shutil.rmtree(path)
    answer = subprocess.run(  # noqa: S603 - cp on our own directories
        [find_program("cp"), "-a", str(source), str(scratch)],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise StackError(f"a cluster could not be copied:\n{answer.stderr.strip()}")
    scratch.rename(target)


def _fingerprint(programs: PostgresPrograms, migrations: Path) -> str:
    version = subprocess.run(  # noqa: S603 - found by local.programs
        [programs.path("postgres"), "--version"], capture_output=True, text=True, check=True
    )
    digest = hashlib.sha256()
    # Its files belong to whoever runs the server.
    user = str(database_user() or os.geteuid())
    # What is made with the day's date in it is not for another day.
    for text in (version.stdout, *sorted(programs.extensions), str(datetime.now(UTC).date()), user):
        digest.update(f"{text}\n".encode())
    own = [PROJECT / "package-lock.json", *sorted(_LOCAL.glob("*.py"))]
    own += [*sorted(_LOCAL.glob("bootstrap/*.sql")), *sorted(_LOCAL.glob("gateway/*.mjs"))]
    for path in (*own, *sorted(migrations.glob("*.sql"))):
        digest.update(f"{path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
