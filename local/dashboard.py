"""The example dashboard of an instance: built by `scripts/setup.sh dashboard`, served by Node.

It is given the address and the publishable key of an instance and nothing else of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx

from local.errors import StackError, log_excerpt
from local.ports import HOST
from local.processes import START_SECONDS, wait_until
from local.programs import PROJECT, find_node


if TYPE_CHECKING:
    from pathlib import Path

    from local.instance import Instance


NAME = "dashboard"
BUILD = "dashboard-build"
STOP_SECONDS = 10.0
_HOME = PROJECT / "examples" / "dashboard"
_NEXT = _HOME / "node_modules" / "next" / "dist" / "bin" / "next"
# What a process of ours would hand on: the browser's server must not even hold it.
_INHERITED = ("HOME", "LANG", "PATH", "TMPDIR", "TZ")


class Dashboard:
    """Start and stop the dashboard of one instance."""

    def __init__(self, instance: Instance, port: int) -> None:
        self._instance = instance
        self._port = port

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self._port}"

    def start(self, env: dict[str, str]) -> None:
        """Start it and wait until it answers."""
        if not (_HOME / ".next" / "BUILD_ID").exists():
            raise StackError("the dashboard is not built: run `scripts/setup.sh dashboard`")
        own = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._instance.processes.start(
            NAME,
            [find_node(), str(_NEXT), "start", "-H", HOST, "-p", str(self._port)],
            env={
                **own,
                "NODE_ENV": "production",
                "NEXT_TELEMETRY_DISABLED": "1",
                "SUPABASE_URL": env["SUPABASE_URL"],
                "SUPABASE_PUBLISHABLE_KEY": env["SUPABASE_PUBLISHABLE_KEY"],
            },
            cwd=_HOME,
        )
        record = self._instance.processes.find(NAME)

        def settled() -> bool:
            return record is None or not record.is_running() or self._answers()

        wait_until(settled, START_SECONDS)
        if record is None or not record.is_running() or not self._answers():
            log = self._instance.processes.log(NAME)
            raise StackError(f"the dashboard did not start; {log_excerpt(log)}")

    def stop(self) -> bool:
        """Stop it; True when it ran."""
        return self._instance.processes.stop(NAME)

    def _answers(self) -> bool:
        try:
            return httpx.get(self.url, timeout=START_SECONDS).is_success
        except httpx.HTTPError:
            return False


class Build:
    """Builds the dashboard in the background, with everything it needs, behind everybody else."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._stopping = threading.Event()

    def run(self) -> bool:
        """Build what is not built or not current; False when it failed or was stopped."""
        command = [str(PROJECT / "scripts" / "setup.sh"), "dashboard"]
        nice = shutil.which("nice")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own script
                [nice, "-n", "10", *command] if nice else command,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A group of its own, which ends as a whole.
                start_new_session=True,
            )
        while process.poll() is None:
            if self._stopping.wait(0.1):
                _end_group(process)
        return process.returncode == 0 and not self._stopping.is_set()

    def last_word(self) -> str:
        """Return what the build said last, which names its own log."""
        said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return said[-1] if said else f"it said nothing in {self.log}"

    def stop(self) -> None:
        """End it together with its children; `run` returns then."""
        self._stopping.set()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return
