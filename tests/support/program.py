"""`fanvue-sync` as tests run it: with one engine's settings alone, away from any .env.

A command runs in the test's own process, where nothing has to be imported first; in a process of
its own it runs where that is the subject: signals, long runs, commands beside each other.
"""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
from contextlib import chdir, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any
from unittest.mock import patch

import structlog
from typer.testing import CliRunner

from tests.support.postgres import PROJECT
from tests.support.waiting import PATIENCE_SECONDS
from worker.cli import build_app
from worker.commands import doctor, server_checks
from worker.logs import NOISY_LOGGERS


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.engine import Engine


class Program:
    """Runs commands and reads what they print."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.engine = engine
        self.directory = directory

    def start(self, *words: str, **changes: str) -> subprocess.Popen[str]:
        """Begin a command in a process of its own."""
        return self._start(words, changes, subprocess.PIPE)

    def start_logging(self, log: IO[str], *words: str, **changes: str) -> subprocess.Popen[str]:
        """Begin one that logs for long: a pipe that nobody reads fills up and stops it."""
        return self._start(words, changes, log)

    def _start(
        self, words: tuple[str, ...], changes: dict[str, str], errors: IO[str] | int
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "worker", *words],
            env={"PYTHONPATH": str(PROJECT), **self._environment(changes)},
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )

    def process(
        self, *words: str, stdin: str = "", **changes: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in a process of its own."""
        process = self.start(*words, **changes)
        out, err = process.communicate(stdin, timeout=PATIENCE_SECONDS)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def __call__(
        self, *words: str, stdin: str = "", **changes: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in this process; another version's in one of its own."""
        if "PYTHONPATH" in changes:
            return self.process(*words, stdin=stdin, **changes)
        environment = self._environment(changes)
        with chdir(self.directory), patch.dict(os.environ, environment, clear=True), _own_logging():
            done = CliRunner().invoke(
                build_app(), words, input=stdin, prog_name="fanvue-sync", catch_exceptions=False
            )
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)

    def on_a_terminal(
        self, *words: str, columns: int = 80, with_errors: bool = False, **changes: str
    ) -> list[str]:
        """Run a command on a terminal so wide, and return the lines that it shows."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", *words],
            env={
                **self._environment(changes),
                "PYTHONPATH": str(PROJECT),
                "COLUMNS": str(columns),
                "TERM": "dumb",
            },
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs if with_errors else subprocess.PIPE,
        )
        os.close(theirs)
        shown = bytearray()
        # At its end, reading from the terminal fails.
        with suppress(OSError):
            while some := os.read(ours, 65_536):
                shown += some
        os.close(ours)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, errors
        return shown.decode().splitlines()

    def json(self, *words: str, **changes: str) -> Any:
        done = self(*words, "--json", **changes)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def connect(self, creator: str, *words: str, **kind: str) -> subprocess.CompletedProcess[str]:
        return self("connect", "--agency", "Nova", "--creator-uuid", creator, *words, **kind)

    def findings(self, **changes: str) -> tuple[int, dict[str, tuple[str, str]]]:
        """Return how the doctor ended and what it found; it waits for a slow machine."""
        with (
            patch.object(doctor, "DATABASE_PATIENCE_SECONDS", PATIENCE_SECONDS),
            patch.object(doctor, "PROBE_SECONDS", PATIENCE_SECONDS),
            patch.object(server_checks, "PROBE_SECONDS", PATIENCE_SECONDS),
        ):
            done = self("doctor", "--json", **changes)
        found = json.loads(done.stdout)
        return done.returncode, {one["check"]: (one["verdict"], one["text"]) for one in found}

    def _environment(self, changes: dict[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**kept, **self.engine.environment, **changes}


@contextmanager
def _own_logging() -> Iterator[None]:
    """Let a command configure logging for its process without doing so for the tests'."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], structlog.get_config()
    levels = {log: log.level for log in (root, *map(logging.getLogger, NOISY_LOGGERS))}
    try:
        yield
    finally:
        root.handlers[:] = handlers
        for log, level in levels.items():
            log.setLevel(level)
        structlog.configure(**before)
