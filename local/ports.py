"""The block of ports one instance uses, counted from the gateway's port.

Everything binds to loopback. A block that somebody else uses in part is skipped as a whole.
A choice is written down until its owner binds the ports or is taken down, so that two instances
starting together differ.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Iterator


HOST = "127.0.0.1"
DEFAULT_PORT = 54321
STEP = 100
# For owners that vanished meanwhile.
RESERVED_SECONDS = 900.0
_ATTEMPTS = 200
_HIGHEST = 65_000


@dataclass(frozen=True, slots=True)
class Ports:
    """Gateway P, PostgreSQL P+1, Redis P+2, Upstash P+3, Realtime P+4, PostgREST P+5 and P+6."""

    gateway: int

    @property
    def postgres(self) -> int:
        """The database."""
        return self.gateway + 1

    @property
    def redis(self) -> int:
        """Redis itself."""
        return self.gateway + 2

    @property
    def upstash(self) -> int:
        """Redis over HTTP."""
        return self.gateway + 3

    @property
    def realtime(self) -> int:
        """Realtime, which clients reach through the gateway."""
        return self.gateway + 4

    @property
    def postgrest(self) -> int:
        """PostgREST, which clients reach through the gateway."""
        return self.gateway + 5

    @property
    def postgrest_admin(self) -> int:
        """Where PostgREST says whether it is ready."""
        return self.gateway + 6

    def fixed(self) -> tuple[int, ...]:
        """Every port that is taken as soon as the stack is up."""
        return tuple(range(self.gateway, self.postgrest_admin + 1))


def reserve_ports(preferred: int, owner: Path) -> Ports:
    """Return the first block at or after the preferred port that is free and not spoken for."""
    with _others_choices(owner) as entries:
        ports = _first_free(preferred, {int(port) for port in entries})
        entries[str(ports.gateway)] = [time.time(), str(owner)]
    return ports


def release_ports(owner: Path) -> None:
    """Let others have what an owner chose."""
    with _others_choices(owner):
        pass


@contextmanager
def _others_choices(owner: Path) -> Iterator[dict[str, list[float | str]]]:
    """Read what is written down but for the owner's; what the block makes of it is written back."""
    register = Path(tempfile.gettempdir()) / f"fanvue-local-stack-ports-{os.geteuid()}.json"
    with register.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        oldest = time.time() - RESERVED_SECONDS
        entries: dict[str, list[float | str]] = {
            port: entry
            for port, entry in json.loads(file.read() or "{}").items()
            if float(entry[0]) > oldest and entry[1] != str(owner)
        }
        yield entries
        file.seek(0)
        file.truncate()
        file.write(json.dumps(entries))


def _first_free(preferred: int, taken: set[int]) -> Ports:
    for attempt in range(_ATTEMPTS):
        ports = Ports(preferred + attempt * STEP)
        if max(ports.fixed()) > _HIGHEST:
            break
        if ports.gateway not in taken and all(is_free(port) for port in ports.fixed()):
            return ports
    raise StackError(f"no free block of ports from {preferred} on: choose another with --port")


def is_free(port: int) -> bool:
    """Tell whether a port on loopback can be bound right now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    """Tell whether somebody answers on a port of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0
