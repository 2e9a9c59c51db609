"""`fanvue-sync` as tests run it: a real process with one engine's settings, away from any .env."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.support.postgres import PROJECT
from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine import Engine


class Program:
    """Starts commands, waits for them, reads what they print."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.engine = engine
        self.directory = directory

    def start(self, *words: str, **changes: str) -> subprocess.Popen[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", "worker", *words],
            env={**kept, "PYTHONPATH": str(PROJECT), **self.engine.environment, **changes},
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(
        self, *words: str, stdin: str = "", **changes: str
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, **changes)
        out, err = process.communicate(stdin, timeout=PATIENCE_SECONDS)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def json(self, *words: str, **changes: str) -> Any:
        done = self(*words, "--json", **changes)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def connect(self, creator: str, *words: str, **kind: str) -> subprocess.CompletedProcess[str]:
        return self("connect", "--agency", "Nova", "--creator-uuid", creator, *words, **kind)

    def findings(self, **changes: str) -> tuple[int, dict[str, tuple[str, str]]]:
        done = self("doctor", "--json", **changes)
        found = json.loads(done.stdout)
        return done.returncode, {one["check"]: (one["verdict"], one["text"]) for one in found}
