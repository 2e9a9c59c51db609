"""PostgREST of an instance: the real one, behind the gateway, set as on hosted projects.

The gateway turns API keys into JWTs; who may do what is decided here and in the database.
"""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING

from local.environment import verifying_keys
from local.errors import StackError, log_excerpt
from local.ports import HOST
from local.postgres import DATABASE, PASSWORD
from local.processes import START_SECONDS, wait_until
from local.programs import find_postgrest


if TYPE_CHECKING:
    from local.instance import Instance
    from local.ports import Ports
    from local.programs import PostgrestProgram
    from local.project import ProjectSettings


_FILE = "postgrest.conf"


class Postgrest:
    """Start and stop the REST server of one instance."""

    def __init__(self, instance: Instance, ports: Ports, project: ProjectSettings) -> None:
        self._instance = instance
        self._ports = ports
        self._project = project

    def start(self, env: dict[str, str]) -> PostgrestProgram:
        """Start it, or start it anew if it runs with another configuration."""
        program = find_postgrest()
        settings = self._configuration(env)
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
        file = self._instance.file(_FILE)
        processes = self._instance.processes
        running = processes.find("postgrest") is not None
        if not running or not file.exists() or file.read_text(encoding="utf-8") != text:
            processes.stop("postgrest")
            self._instance.write_private(_FILE, text)
            processes.start("postgrest", [program.path, str(file)])
        return program

    def wait(self) -> None:
        """Wait until it has read the schema and serves."""
        record = self._instance.processes.find("postgrest")

        def settled() -> bool:
            return self._is_ready() or record is None or not record.is_running()

        wait_until(settled, START_SECONDS)
        if record is None or not record.is_running() or not self._is_ready():
            log = self._instance.processes.log("postgrest")
            port = self._ports.postgrest
            raise StackError(f"PostgREST did not start on port {port}\n{log_excerpt(log)}")

    def stop(self) -> bool:
        """Stop the server."""
        return self._instance.processes.stop("postgrest")

    def _is_ready(self) -> bool:
        port = self._ports.postgrest_admin
        connection = http.client.HTTPConnection(HOST, port, timeout=START_SECONDS)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _configuration(self, env: dict[str, str]) -> dict[str, str | int]:
        login = f"authenticator:{PASSWORD}@{HOST}:{self._ports.postgres}"
        return {
            "db-uri": f"postgresql://{login}/{DATABASE}",
            "db-schemas": ",".join(self._project.schemas),
            "db-extra-search-path": ",".join(self._project.search_path),
            "db-max-rows": self._project.max_rows,
            "db-anon-role": "anon",
            "jwt-secret": json.dumps(verifying_keys(env)),
            "server-host": HOST,
            "server-port": self._ports.postgrest,
            "admin-server-port": self._ports.postgrest_admin,
            "openapi-server-proxy-uri": f"{env['SUPABASE_URL']}/rest/v1",
            "log-level": "error",
        }
