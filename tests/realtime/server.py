"""A Realtime server of a test's own, beside that of the stack and on the same database.

It can be given other limits, be stopped, started and frozen, without anybody else noticing. Its
clock stands still unless the test moves it, so no limit of its own is met by a slow machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.environment import NODE_ENVIRONMENT, published_key
from local.ports import HOST, accepts
from local.processes import wait_until
from local.programs import find_node
from tests.realtime.clients import SECONDS
from tests.support.own_stack import free_port
from tests.support.postgres import PROJECT, as_superuser


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from local.stack import Stack

_ARGUMENTS = ("--import", "./tests/realtime/clock.mjs", "local/realtime/server.mjs")


class OwnServer:
    """One server process on a port that it keeps when it is started again."""

    def __init__(
        self, stack: Mapping[str, str], directory: Path, port: int, settings: dict[str, object]
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._file = directory / f"realtime-{self.port}.json"
        self._log = self._file.with_suffix(".log")
        config = {
            "port": self.port,
            "databaseUrl": as_superuser(stack["SUPABASE_DB_URL"]),
            "jwtSecret": stack["SUPABASE_JWT_SECRET"],
            "publishedKey": published_key(stack),
            "publishableKey": stack["SUPABASE_PUBLISHABLE_KEY"],
            "secretKey": stack["SUPABASE_SECRET_KEY"],
            "settings": settings,
        }
        self._file.write_text(json.dumps(config))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [find_node(), *_ARGUMENTS, str(self._file)],
                env={**os.environ, **NODE_ENVIRONMENT},
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert wait_until(lambda: accepts(self.port), SECONDS), self._log.read_text()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(how)
        self._process.communicate(timeout=SECONDS)
        self._process = None

    def advance(self, seconds: float) -> None:
        """Move its clock on; returns once it has been."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seconds * 1000:.0f}\n".encode())
        self._process.stdin.flush()
        assert self._process.stdout.readline() == b"moved\n"

    def has_said(self, text: str) -> bool:
        """Tell whether its log has this text."""
        return text in self._log.read_text()

    def freeze(self) -> None:
        """Let it say nothing more, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def own_server(
    stack: Mapping[str, str], directory: Path, *, port: int = 0, **settings: object
) -> Iterator[OwnServer]:
    """Run a server of one's own, on any port unless one is named."""
    server = OwnServer(stack, directory, port, settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def forget_partitions(local_stack: Stack) -> None:
    """Leave the messages as they are when nobody was connected for three days."""
    days = local_stack.query(
        "select inhrelid::regclass from pg_inherits where inhparent = 'realtime.messages'::regclass"
    )
    local_stack.query(f"drop table {', '.join(days.split())}")
