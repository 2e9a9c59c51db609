"""Redis of an instance: its own port, nothing kept on disk.

Clients of the stack reach it over HTTP through the gateway, the way Upstash serves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.errors import StackError, log_excerpt
from local.ports import HOST, accepts
from local.processes import START_SECONDS, wait_until
from local.programs import find_program


if TYPE_CHECKING:
    from local.instance import Instance


class Redis:
    """Start and stop one Redis server."""

    def __init__(self, instance: Instance, port: int) -> None:
        self._instance = instance
        self.port = port

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        processes = self._instance.processes
        record = processes.find("redis")
        if record is None:
            options = {
                "port": str(self.port),
                "bind": HOST,
                "save": "",
                "appendonly": "no",
                "daemonize": "no",
                "databases": "1",
                "maxmemory": "128mb",
                "dir": str(self._instance.directory),
            }
            flat = [part for name, value in options.items() for part in (f"--{name}", value)]
            record = processes.start("redis", [find_program("redis-server"), *flat])
        running = record
        wait_until(lambda: accepts(self.port) or not running.is_running(), START_SECONDS)
        if not record.is_running():
            log = processes.log("redis")
            raise StackError(f"Redis did not start on port {self.port}\n{log_excerpt(log)}")

    def stop(self) -> bool:
        """Stop the server; its data is gone."""
        return self._instance.processes.stop("redis")
