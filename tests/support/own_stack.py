"""The stack of one test process: started when the first test asks, gone when the process ends.

It lives in a directory named after the run and the process. What a run that was killed left
behind is stopped by the next one; a run that still goes on is left alone.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from local.ports import is_free
from local.realtime import SETTINGS
from local.stack import Stack
from tests.support.postgres import PROJECT


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# What a hosted project lets wait takes no time here; tests that are about it start servers of
# their own.
QUICK_REALTIME: Final = {"refuseJoinMs": 0, "reconnectMs": 100, "publicationCheckMs": 500}
STACKS: Final = PROJECT / ".local" / "test"
# Below the range from which the system takes ports for outgoing connections.
FIRST_PORT: Final = 25321
PORT_STEP: Final = 100
# Below those of all stacks, for single servers.
OTHER_PORTS: Final = range(11_000, 20_000)


@contextmanager
def own_stack() -> Iterator[Path]:
    """Run a stack of this process's own; yield the file with its settings."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    port = FIRST_PORT + PORT_STEP * int(worker.removeprefix("gw"))
    stack = Stack(STACKS / f"run-{run}-{worker}", port=port, volatile=True)
    os.environ.setdefault(SETTINGS, json.dumps(QUICK_REALTIME))
    try:
        stack.up()
        yield stack.instance.env_file
    finally:
        _remove(stack)


def free_port() -> int:
    """Return a port that nobody listens on, and that no connection is given meanwhile."""
    while True:
        # Of the system's chance: that of a test is the same in every process.
        port = secrets.choice(OTHER_PORTS)
        if is_free(port):
            return port


def stop_abandoned_stacks() -> None:
    """Stop the stacks of this run's processes and of runs that ended without doing so."""
    for directory in STACKS.glob("run-*-gw*"):
        run = int(directory.name.split("-")[1])
        if run == os.getpid() or not _is_alive(run):
            _remove(Stack(directory))


def _remove(stack: Stack) -> None:
    stack.down(reset=True)
    shutil.rmtree(stack.instance.directory)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
