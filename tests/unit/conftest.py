"""Fixtures of the unit tests: whoever opens a network connection here fails."""

from __future__ import annotations

import errno
import socket
from typing import Any, NoReturn

import pytest

import tests.support.examples  # noqa: F401 - loads the profile


NETWORK = frozenset({socket.AF_INET, socket.AF_INET6})
# The discard port of this machine stands for a server that is down: refused without asking anyone.
NOBODY = ("127.0.0.1", 9)


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every network socket and name look-up; an event loop's own pipes are not network."""
    real_connect, real_bind = socket.socket.connect, socket.socket.bind

    def connect(self: socket.socket, address: Any) -> None:
        _refuse_network(self, address)
        real_connect(self, address)

    def bind(self: socket.socket, address: Any) -> None:
        _refuse_network(self, address)
        real_bind(self, address)

    def look_up(host: object, *_: object, **__: object) -> NoReturn:
        pytest.fail(f"a unit test looks up {host}")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect)
    monkeypatch.setattr(socket.socket, "bind", bind)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def _refuse_network(sock: socket.socket, address: object) -> None:
    if address == NOBODY:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens here")
    if sock.family in NETWORK:
        pytest.fail(f"a unit test opens a socket to {address}")
