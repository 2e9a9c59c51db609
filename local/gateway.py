"""The Node process that serves Auth, Edge Functions and Redis over HTTP, and leads to the rest.

Writes its configuration, starts it, asks it whether it is well, and restarts it when the
configuration changed. What it serves and how is written in local/gateway/*.mjs.
"""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.environment import NODE_ENVIRONMENT, function_environment, published_key
from local.errors import StackError, log_excerpt
from local.ports import HOST
from local.postgres import SUPERUSER, database_url
from local.processes import START_SECONDS, wait_until
from local.programs import PROJECT, find_node, find_node_tool
from local.project import read_project


if TYPE_CHECKING:
    from local.instance import Instance, State


_SERVER = Path(__file__).resolve().parent / "gateway" / "server.mjs"


class Gateway:
    """Start, stop and question the gateway of one instance."""

    def __init__(self, instance: Instance, state: State, functions: Path) -> None:
        self._instance = instance
        self._ports = state.ports
        self._functions = functions

    def start(self, env: dict[str, str]) -> None:
        """Start it, or start it anew if it runs with another configuration."""
        text = json.dumps(self._configuration(env), indent=2) + "\n"
        file = self._instance.file("gateway.json")
        processes = self._instance.processes
        running = processes.find("gateway") is not None
        if running and file.exists() and file.read_text(encoding="utf-8") == text:
            return
        processes.stop("gateway")
        self._instance.write_private("gateway.json", text)
        processes.start(
            "gateway",
            [find_node(), str(_SERVER), str(file)],
            env={**os.environ, **NODE_ENVIRONMENT, "LITE_TELEMETRY": "0"},
            cwd=PROJECT,
        )

    def wait(self) -> None:
        """Wait until it serves with the database behind it."""
        record = self._instance.processes.find("gateway")

        def settled() -> bool:
            return self.is_healthy() or record is None or not record.is_running()

        wait_until(settled, START_SECONDS)
        if record is None or not record.is_running() or not self.is_healthy():
            log = self._instance.processes.log("gateway")
            port = self._ports.gateway
            raise StackError(f"the gateway did not start on port {port}\n{log_excerpt(log)}")

    def is_healthy(self) -> bool:
        """Tell whether it answers with its database and the Auth tables in place."""
        connection = http.client.HTTPConnection(HOST, self._ports.gateway, timeout=START_SECONDS)
        try:
            connection.request("GET", "/health")
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        return bool(answer.get("database")) and answer.get("instance") == self._name

    def stop(self) -> bool:
        """Stop it together with the Edge Functions."""
        return self._instance.processes.stop("gateway")

    @property
    def _name(self) -> str:
        return str(self._instance.directory)

    def _configuration(self, env: dict[str, str]) -> dict[str, Any]:
        published = published_key(env)
        return {
            "instance": self._name,
            "url": env["SUPABASE_URL"],
            "port": self._ports.gateway,
            "upstashPort": self._ports.upstash,
            "realtimePort": self._ports.realtime,
            "redisPort": self._ports.redis,
            "databaseUrl": database_url(self._ports.postgres, SUPERUSER),
            "postgrestPort": self._ports.postgrest,
            "jwtSecret": env["SUPABASE_JWT_SECRET"],
            "signingKey": env["SUPABASE_SIGNING_KEY"],
            "signingKeyId": published["kid"],
            "publishedKeys": [published],
            "publishableKey": env["SUPABASE_PUBLISHABLE_KEY"],
            "secretKey": env["SUPABASE_SECRET_KEY"],
            "signUps": read_project(self._functions.parent / "config.toml").sign_ups,
            "upstashToken": env["UPSTASH_REDIS_REST_TOKEN"],
            "functionsDirectory": str(self._functions),
            "functionsEnvFile": str(self._instance.functions_env_file),
            "functionEnv": function_environment(env),
            "logsDirectory": str(self._instance.processes.log("gateway").parent),
            "deno": find_node_tool("deno"),
        }
