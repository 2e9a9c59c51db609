"""The stack's Edge Functions under other settings, and what they wrote to their logs.

Settings are given as on a hosted project: in a file, read when a function starts. Whatever stood
there before stands there afterwards.
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.programs import find_node_tool
from tests.support.postgres import PROJECT
from tests.support.stack import find_local_stack
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack


SHARED = PROJECT / "supabase" / "functions" / "_shared"


@contextmanager
def function_settings(**values: str) -> Iterator[None]:
    """Run all functions with these settings while the block runs."""
    stack = find_local_stack()
    file = stack.instance.functions_env_file
    before = file.read_text(encoding="utf-8") if file.exists() else None
    _apply(stack, (before or "") + "".join(f"{key}={value}\n" for key, value in values.items()))
    try:
        yield
    finally:
        _apply(stack, before)


def _apply(stack: Stack, text: str | None) -> None:
    if text is None:
        stack.instance.functions_env_file.unlink(missing_ok=True)
    else:
        stack.instance.write_private("functions.env", text)
    stack.restart_gateway()


class FunctionLog:
    """What one function writes to its log from now on."""

    def __init__(self, name: str) -> None:
        self._path: Path = find_local_stack().instance.processes.log(f"function-{name}")
        self._from = self._path.stat().st_size if self._path.exists() else 0

    def read(self) -> str:
        """Return what was written so far."""
        if not self._path.exists():
            return ""
        return self._path.read_bytes()[self._from :].decode()

    def wait_for(self, text: str) -> str:
        """Return what was written, once this text is in it."""
        wait_until(lambda: text in self.read())
        return self.read()


def run_deno(script: str, *words: str) -> str:
    """Run a script that may import the functions' shared modules; return what it printed."""
    done = subprocess.run(
        [find_node_tool("deno"), "run", "--quiet", "--no-prompt", "--no-config", "-", *words],
        input=script,
        cwd=SHARED,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
