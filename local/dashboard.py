"""The Node process that serves the example dashboard, built beforehand by `make setup`.

It is given the address and the publishable key of an instance and nothing else of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import httpx

from local.errors import StackError, log_excerpt
from local.ports import HOST
from local.processes import START_SECONDS, wait_until
from local.programs import PROJECT, find_program


if TYPE_CHECKING:
    from local.instance import Instance


NAME = "dashboard"
_HOME = PROJECT / "examples" / "dashboard"
_NEXT = _HOME / "node_modules" / "next" / "dist" / "bin" / "next"
# What a process of ours would hand on: the browser's server must not even hold it.
_INHERITED = ("HOME", "LANG", "PATH", "TMPDIR", "TZ")


class Dashboard:
    """Start and stop the dashboard of one instance."""

    def __init__(self, instance: Instance, port: int) -> None:
        self._instance = instance
        self._port = port

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self._port}"

    def start(self, env: dict[str, str]) -> None:
        """Start it and wait until it answers."""
        if not (_HOME / ".next" / "BUILD_ID").exists():
            raise StackError("the dashboard is not built: run `make setup`")
        own = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._instance.processes.start(
            NAME,
            [find_program("node"), str(_NEXT), "start", "-H", HOST, "-p", str(self._port)],
            env={
                **own,
                "NODE_ENV": "production",
                "NEXT_TELEMETRY_DISABLED": "1",
                "SUPABASE_URL": env["SUPABASE_URL"],
                "SUPABASE_PUBLISHABLE_KEY": env["SUPABASE_PUBLISHABLE_KEY"],
            },
            cwd=_HOME,
        )
        record = self._instance.processes.find(NAME)

        def settled() -> bool:
            return record is None or not record.is_running() or self._answers()

        wait_until(settled, START_SECONDS)
        if record is None or not record.is_running() or not self._answers():
            log = self._instance.processes.log(NAME)
            raise StackError(f"the dashboard did not start; {log_excerpt(log)}")

    def stop(self) -> bool:
        """Stop it; True when it ran."""
        return self._instance.processes.stop(NAME)

    def _answers(self) -> bool:
        try:
            return httpx.get(self.url, timeout=START_SECONDS).is_success
        except httpx.HTTPError:
            return False
