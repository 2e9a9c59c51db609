"""`fanvue-sync` as the demo runs it: real processes with the stack's settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.demo.waiting import Patience


# Nothing of it can be seen moving: ends a hang alone.
COMMAND_SECONDS: Final = 1800.0
COMMAND: Final = (sys.executable, "-m", "worker")
# By its path: the directory that commands run in is not the checkout.
SEVERAL: Final = (sys.executable, "-P", str(Path(__file__).with_name("several.py")))


class Program:
    """Runs commands in a directory that holds no `.env`; an interruption ends them."""

    def __init__(self, settings: Mapping[str, str], directory: Path, patience: Patience) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = {**kept, **settings}
        self.directory = directory
        self._patience = patience

    def verdict(self, what: str, *words: str) -> Any:
        """Run a command with `--json`; its code 1 means that it found something."""
        printed = self._run([*COMMAND, *words, "--json"], what, good=(0, 1))
        return json.loads(printed)

    def several(self, what: str, orders: Sequence[tuple[Sequence[str], str]]) -> None:
        """Run one command after the other in one process, each with a text on its stdin."""
        text = json.dumps([{"words": list(words), "stdin": stdin} for words, stdin in orders])
        self._run(SEVERAL, what, good=(0,), stdin=text)

    def _run(
        self, command: Sequence[str], what: str, *, good: tuple[int, ...], stdin: str = ""
    ) -> str:
        with (
            tempfile.TemporaryFile("w+") as given,
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as err,
        ):
            given.write(stdin)
            given.seek(0)
            process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                env=self.environment,
                cwd=self.directory,
                stdin=given,
                stdout=out,
                stderr=err,
                # A Ctrl-C in the terminal is the demo's to handle.
                start_new_session=True,
            )
            try:
                ended = self._patience.until(
                    lambda: process.poll() is not None, what, hang=COMMAND_SECONDS
                )
            finally:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            out.seek(0)
            err.seek(0)
            printed, complaint = out.read(), err.read().strip()
        if not ended or process.returncode not in good or not printed:
            how = f"it ended with {process.returncode}" if ended else "it did not end"
            raise StackError(f"waited in vain for {what}: {how}; {complaint}")
        return printed
