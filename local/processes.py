"""Start processes that outlive the shell, remember them by pid, and stop only those.

A record holds the pid and the moment the process started, so that a pid the system has
given to somebody else since is never signalled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


# What starts or stops says so itself or ends; these only catch what hangs, on the slowest machine.
START_SECONDS = 300.0
STOP_SECONDS = 120.0
POLL_SECONDS = 0.05
# The shell puts the program in the background and leaves: init adopts it, so nobody has to wait
# for it, and a Ctrl-C in the terminal does not reach it.
_LAUNCH = '"$@" </dev/null >&2 & echo $!'


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process that was started here: its pid and when it began."""

    pid: int
    started: str

    def is_running(self) -> bool:
        """Tell whether that very process still runs."""
        return _started(self.pid) == self.started

    def stop(self, first: signal.Signals = signal.SIGTERM, patience: float = STOP_SECONDS) -> None:
        """Ask it to end, and after `patience` seconds end it."""
        for signum, seconds in ((first, patience), (signal.SIGKILL, STOP_SECONDS)):
            if not self.is_running():
                return
            try:
                os.kill(self.pid, signum)
            except ProcessLookupError:
                return
            wait_until(lambda: not self.is_running(), seconds)


class ProcessBook:
    """The processes of one instance, each recorded in a file of its own."""

    def __init__(self, directory: Path, logs: Path) -> None:
        self._directory = directory
        self._logs = logs

    def log(self, name: str) -> Path:
        """Return the path of the log that a process writes."""
        return self._logs / f"{name}.log"

    def find(self, name: str) -> ProcessRecord | None:
        """Return the recorded process if it still runs."""
        file = self._directory / f"{name}.json"
        if not file.exists():
            return None
        record = ProcessRecord(**json.loads(file.read_text(encoding="utf-8")))
        return record if record.is_running() else None

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: Path | None = None,
    ) -> ProcessRecord:
        """Start a program detached, its output appended to its log, and record it."""
        for directory in (self._directory, self._logs):
            directory.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            answer = subprocess.run(  # noqa: S603 - programs found by local.programs
                ["/bin/sh", "-c", _LAUNCH, "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(env) if env is not None else None,
                user=user,
                group=user,
                extra_groups=[] if user is not None else None,
                cwd=cwd,
                start_new_session=True,
                check=True,
            )
        pid = int(answer.stdout)
        record = ProcessRecord(pid=pid, started=_started(pid) or "ended at once")
        text = json.dumps({"pid": record.pid, "started": record.started})
        (self._directory / f"{name}.json").write_text(text, encoding="utf-8")
        return record

    def stop(self, name: str, first: signal.Signals = signal.SIGTERM) -> bool:
        """Stop a recorded process; False when it was not running."""
        record = self.find(name)
        if record is not None:
            record.stop(first)
        (self._directory / f"{name}.json").unlink(missing_ok=True)
        return record is not None


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Look again and again until the condition holds; False when time ran out."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _started(pid: int) -> str | None:
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in {"Z", "X"} else fields[19]
    answer = subprocess.run(  # noqa: S603 - a fixed command with a number
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or None
