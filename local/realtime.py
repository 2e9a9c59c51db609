"""The Node process that serves Realtime behind the gateway, on a loopback port of its own.

Writes its configuration, starts it and asks whether it listens. What it serves and how is written
in local/realtime/*.mjs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from local.environment import NODE_ENVIRONMENT, published_key
from local.errors import StackError, log_excerpt
from local.ports import accepts
from local.postgres import SUPERUSER, database_url
from local.processes import START_SECONDS, wait_until
from local.programs import PROJECT, find_node


if TYPE_CHECKING:
    from local.instance import Instance
    from local.ports import Ports


# JSON with whatever shall differ from a hosted project's limits and delays: see settings.mjs.
SETTINGS: Final = "FSE_REALTIME_SETTINGS"
_SERVER = Path(__file__).resolve().parent / "realtime" / "server.mjs"


class Realtime:
    """Start and stop the Realtime server of one instance."""

    def __init__(self, instance: Instance, ports: Ports) -> None:
        self._instance = instance
        self._port = ports.realtime
        self._database_url = database_url(ports.postgres, SUPERUSER)

    def start(self, env: dict[str, str]) -> None:
        """Start it, or start it anew if it runs with another configuration."""
        text = json.dumps(self._configuration(env), indent=2) + "\n"
        file = self._instance.file("realtime.json")
        processes = self._instance.processes
        running = processes.find("realtime") is not None
        if running and file.exists() and file.read_text(encoding="utf-8") == text:
            return
        processes.stop("realtime")
        self._instance.write_private("realtime.json", text)
        processes.start(
            "realtime",
            [find_node(), str(_SERVER), str(file)],
            env={**os.environ, **NODE_ENVIRONMENT},
            cwd=PROJECT,
        )

    def wait(self) -> None:
        """Wait until it takes connections."""
        record = self._instance.processes.find("realtime")

        def settled() -> bool:
            return record is None or not record.is_running() or accepts(self._port)

        wait_until(settled, START_SECONDS)
        if record is None or not record.is_running() or not accepts(self._port):
            log = self._instance.processes.log("realtime")
            raise StackError(f"Realtime did not start on port {self._port}\n{log_excerpt(log)}")

    def _configuration(self, env: dict[str, str]) -> dict[str, object]:
        return {
            "port": self._port,
            "databaseUrl": self._database_url,
            "jwtSecret": env["SUPABASE_JWT_SECRET"],
            "publishedKey": published_key(env),
            "publishableKey": env["SUPABASE_PUBLISHABLE_KEY"],
            "secretKey": env["SUPABASE_SECRET_KEY"],
            "settings": json.loads(os.environ.get(SETTINGS, "{}")),
        }
