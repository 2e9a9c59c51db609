"""The peers' own programs: installed apart by locks of their own, spoken to in JSON lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.programs import PROJECT


if TYPE_CHECKING:
    from collections.abc import Iterator


HERE = Path(__file__).parent
HOME = PROJECT / ".local" / "peers"
PYTHON = HOME / "venv" / "bin" / "python"
TOOLS = PROJECT / ".venv" / "bin"
# Beside their own packages, and beside no module of ours whose name is a standard one.
FILES = (".npmrc", "package.json", "package-lock.json", "queues.mjs", "queues.py", "loaders.py")


def install() -> None:
    """Install the peers below .local, by hash; none of their scripts runs."""
    uv = str(TOOLS / "uv")
    HOME.mkdir(parents=True, exist_ok=True)
    if not PYTHON.exists():
        _run(uv, "venv", "--quiet", "--python", str(TOOLS / "python"), str(HOME / "venv"))
    _run(
        *(uv, "pip", "sync", "--quiet", "--require-hashes", "--only-binary", ":all:"),
        *("--python", str(PYTHON), str(HERE / "requirements.lock")),
    )
    for name in FILES:
        shutil.copy(HERE / name, HOME / name)
    _run(str(TOOLS / "npm"), "ci", "--ignore-scripts", "--no-fund", "--no-audit", "--silent")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, cwd=HOME)  # noqa: S603 - our own words


@dataclass(frozen=True, slots=True)
class Peer:
    """A queue, the program that drives it, and how many jobs it takes at once."""

    name: str
    batch: int
    how: str
    # So many times fewer jobs, for one that would take minutes.
    slowness: int = 1

    @property
    def command(self) -> list[str]:
        """The program and the name it knows the queue by."""
        if self.name in {"graphile-worker", "pg-boss"}:
            return [str(TOOLS / "node"), str(HOME / "queues.mjs"), self.name]
        return [str(PYTHON), str(HOME / "queues.py"), self.name]


PEERS = (
    Peer("procrastinate", 50, "50 at once", slowness=5),
    Peer("pgqueuer", 50, "by 50"),
    Peer("pgqueuer", 500, "by 500"),
    Peer("graphile-worker", 1, "10 at once"),
    Peer("graphile-worker", 500, "local queue of 500"),
    Peer("awa", 50, "50 at once"),
    Peer("awa", 500, "500 at once"),
    Peer("pg-boss", 50, "by 50"),
    Peer("pg-boss", 500, "by 500"),
)


@contextmanager
def filled(peer: Peer, url: str, jobs: int) -> Iterator[subprocess.Popen[str]]:
    """Fill a queue; what yields waits for `finish`."""
    with _started(peer, url, jobs, 0) as process:
        _answer(peer, process)
        yield process


def finish(peer: Peer, process: subprocess.Popen[str], jobs: int) -> float:
    """Let it drain; return jobs a second."""
    if process.stdin is None:
        raise RuntimeError("it has no input")
    process.stdin.write("go\n")
    process.stdin.flush()
    return float(jobs / _answer(peer, process)["seconds"])


def pickups(peer: Peer, url: str, count: int) -> list[float]:
    """Return the milliseconds from adding a job to an idle worker until it runs."""
    with _started(peer, url, 1, count) as process:
        return [float(one) for one in _answer(peer, process)["pickups_ms"]]


@contextmanager
def _started(peer: Peer, url: str, jobs: int, count: int) -> Iterator[subprocess.Popen[str]]:
    command = [*peer.command, url, str(jobs), str(peer.batch), str(count)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(HOME)}
    with subprocess.Popen(  # noqa: S603 - our own words
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=HOME,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _answer(peer: Peer, process: subprocess.Popen[str]) -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError(f"{peer.name} ended without an answer")
    answer: dict[str, Any] = json.loads(line)
    return answer
