"""One instance of the stack on disk: its directory, its remembered choices, its lock.

Holds no knowledge of the programs that run; each piece asks here where its files go.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.ports import Ports
from local.processes import ProcessBook


if TYPE_CHECKING:
    from collections.abc import Iterator


DATABASE_USER = "postgres"
_WRITTEN = (
    "run",
    "logs",
    "state.json",
    "stack.env",
    "gateway.json",
    "realtime.json",
    "postgrest.conf",
    "bootstrapped",
)


@dataclass(frozen=True, slots=True)
class State:
    """What an instance remembers between two starts."""

    port: int
    volatile: bool
    postgres_data: str

    @property
    def ports(self) -> Ports:
        """The ports that follow from the remembered one."""
        return Ports(self.port)


class Instance:
    """The files of one instance under one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.processes = ProcessBook(self.directory / "run", self.directory / "logs")

    @property
    def env_file(self) -> Path:
        """What clients of the stack read: KEY=value lines."""
        return self.directory / "stack.env"

    @property
    def functions_env_file(self) -> Path:
        """Optional settings for Edge Functions, which win over those of the stack."""
        return self.directory / "functions.env"

    def file(self, name: str) -> Path:
        """Return the path of another file of this instance."""
        return self.directory / name

    def load(self) -> State | None:
        """Return the remembered state, if this instance was ever started."""
        file = self.file("state.json")
        return State(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None

    def save(self, state: State) -> None:
        """Remember the state."""
        self.write_private("state.json", json.dumps(asdict(state), indent=2) + "\n")

    def write_private(self, name: str, text: str) -> Path:
        """Write a file that only its owner may read, whole or not at all."""
        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=self.directory, prefix=f".{name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
        path = self.file(name)
        Path(temporary).replace(path)
        return path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one `up` or `down` of this instance work at a time."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.file("lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def choose_data_directory(self) -> Path:
        """Return where the database can live: here, else in the system's temporary directory.

        PostgreSQL refuses to run as root, and the user it runs as instead may not be allowed to
        walk down to a private directory such as a fresh clone under a mode 0700 parent.
        """
        here = self.file("postgres")
        self.directory.mkdir(parents=True, exist_ok=True)
        user = database_user()
        if user is None or _can_enter(user, self.directory):
            return here
        digest = hashlib.sha256(str(self.directory).encode()).hexdigest()[:16]
        # root's own place for temporary files may be as private.
        places = map(Path, (tempfile.gettempdir(), "/var/tmp", "/tmp"))  # noqa: S108 - made private below
        place = next(place for place in places if _can_enter(user, place))
        return place / f"fanvue-local-stack-{digest}"

    def delete(self, state: State | None) -> None:
        """Delete what the stack wrote; other instances below and people's own files stay."""
        if state is not None:
            shutil.rmtree(state.postgres_data, ignore_errors=True)
        for name in _WRITTEN:
            path = self.file(name)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def database_user() -> str | None:
    """Return the user PostgreSQL must run as, or None for oneself."""
    return DATABASE_USER if os.geteuid() == 0 else None


def _can_enter(user: str, directory: Path) -> bool:
    answer = subprocess.run(  # noqa: S603 - a fixed command and our own path
        ["/usr/bin/test", "-x", str(directory)],
        user=user,
        group=user,
        extra_groups=[],
        check=False,
    )
    return answer.returncode == 0
