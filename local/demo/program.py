"""`fanvue-sync` as the demo runs it: real processes with the stack's settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


COMMAND: Final = (sys.executable, "-m", "worker")
PATIENCE_SECONDS: Final = 60


class Program:
    """Runs commands in a directory that holds no `.env`."""

    def __init__(self, settings: Mapping[str, str], directory: Path) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = {**kept, **settings}
        self.directory = directory

    def json(self, *words: str, stdin: str = "") -> Any:
        """Run a command with `--json` and return what it printed."""
        return self._run(words, stdin, good=(0,))

    def verdict(self, *words: str) -> Any:
        """Run a command whose code 1 means that it found something; return what it printed."""
        return self._run(words, "", good=(0, 1))

    def _run(self, words: tuple[str, ...], stdin: str, *, good: tuple[int, ...]) -> Any:
        done = subprocess.run(  # noqa: S603 - our own program
            [*COMMAND, *words, "--json"],
            env=self.environment,
            cwd=self.directory,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            # A Ctrl-C in the terminal is the demo's to handle.
            start_new_session=True,
        )
        if done.returncode not in good or not done.stdout:
            raise StackError(f"fanvue-sync {words[0]} failed: {done.stderr.strip()}")
        return json.loads(done.stdout)
