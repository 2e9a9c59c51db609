"""The demo's dashboard: built beside everything else if need be, then served.

Whatever becomes of it, the rest goes on: it says in one line that it is there, or why not.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import httpx

from local.dashboard import BUILD, Build, Dashboard
from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Callable

    from local.demo.waiting import Patience
    from local.instance import Instance


REQUEST_SECONDS: Final = 300.0
# Packages to fetch and a build behind everybody else: ends a hang alone.
BUILD_SECONDS: Final = 3600.0


class Page:
    """Where the dashboard is, and how far it has come."""

    def __init__(self, instance: Instance, port: int) -> None:
        self._dashboard = Dashboard(instance, port)
        self._build = Build(instance.processes.log(BUILD))
        self._settings: dict[str, str] = {}
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self.is_there = False
        self.failure = ""

    @property
    def url(self) -> str:
        """Where it is, once it is there."""
        return self._dashboard.url

    def begin(self, say: Callable[[str], None]) -> None:
        """Build it if need be, and serve it as soon as there is something to show."""
        self._thread = threading.Thread(target=self._run, args=(say,), name="page", daemon=True)
        self._thread.start()

    def show(self, settings: dict[str, str]) -> None:
        """Tell that the stack is up, with its settings."""
        self._settings = settings
        self._ready.set()

    def status(self, patience: Patience) -> str:
        """Wait until it is there, or will never be; open it and return how it answered."""
        thread = self._thread
        if thread is not None:
            patience.until(lambda: not thread.is_alive(), "the dashboard", hang=BUILD_SECONDS)
            if thread.is_alive():
                return f"is not there after {BUILD_SECONDS:.0f} s"
        if self.failure:
            return self.failure
        try:
            return f"answered {httpx.get(self.url, timeout=REQUEST_SECONDS).status_code}"
        except httpx.HTTPError as error:
            return f"did not answer: {type(error).__name__}"

    def close(self) -> None:
        """Stop building and serving."""
        self._closing.set()
        self._ready.set()
        self._build.stop()
        # Whoever waits for the server sees that it is gone.
        self._dashboard.stop()
        if self._thread is not None:
            self._thread.join()
            self._dashboard.stop()

    def _run(self, say: Callable[[str], None]) -> None:
        if not self._build.run():
            self.failure = "could not be built"
            if not self._closing.is_set():
                say(f"the dashboard could not be built: {self._build.last_word()}")
            return
        self._ready.wait()
        if self._closing.is_set():
            return
        try:
            self._dashboard.start(self._settings)
        except StackError as error:
            self.failure = "did not start"
            if not self._closing.is_set():
                say(str(error))
        else:
            self.is_there = True
            say(f"the dashboard is there: {self.url}")
