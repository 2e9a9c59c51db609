"""The block of ports one instance uses, counted from the gateway's port.

Everything binds to loopback. A block that somebody else uses in part is skipped as a whole.
A choice is written down for a minute, so that two instances starting together differ.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from local.errors import StackError


HOST = "127.0.0.1"
DEFAULT_PORT = 54321
STEP = 100
RESERVED_SECONDS = 60.0
_ATTEMPTS = 60
_HIGHEST = 65_000


@dataclass(frozen=True, slots=True)
class Ports:
    """Gateway P, PostgreSQL P+1, Redis P+2, Upstash P+3, Realtime P+4; functions choose."""

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

    def fixed(self) -> tuple[int, ...]:
        """Every port that is taken as soon as the stack is up."""
        return (self.gateway, self.postgres, self.redis, self.upstash, self.realtime)


def reserve_ports(preferred: int, owner: Path) -> Ports:
    """Return the first block at or after the preferred port that is free and not spoken for."""
    register = Path(tempfile.gettempdir()) / f"fanvue-local-stack-ports-{os.geteuid()}.json"
    with register.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        entries: dict[str, list[float | str]] = json.loads(file.read() or "{}")
        oldest = time.time() - RESERVED_SECONDS
        entries = {port: entry for port, entry in entries.items() if float(entry[0]) > oldest}
        taken = {int(port) for port, entry in entries.items() if entry[1] != str(owner)}
        ports = _first_free(preferred, taken)
        entries[str(ports.gateway)] = [time.time(), str(owner)]
        file.seek(0)
        file.truncate()
        file.write(json.dumps(entries))
    return ports


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
