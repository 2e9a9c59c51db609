"""A simulated Fanvue in a process of its own, and the engine beside it.

Its own process, so that serving does not take the worker's processor time. Knows nothing of rows
and tables of the benchmarks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.client import SimulatorControl
from worker.app import open_books, open_engine
from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN
from worker.sealing import Keyring
from worker.settings import Settings, load_settings


if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.stage import Stage


NO_LIMIT = 100_000
CLIENT = {"FANVUE_CLIENT_ID": "bench-client", "FANVUE_CLIENT_SECRET": "bench-secret"}
PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Outside:
    """Fanvue's control and the settings of a worker that talks to it."""

    control: SimulatorControl
    environment: dict[str, str]

    def settings(self, **changes: str) -> Settings:
        """Return the worker's settings, some of them changed."""
        return load_settings({**self.environment, **changes}, None)

    def creators(self, count: int, transactions: int) -> list[str]:
        """Add creators with a history; return their uuids."""
        made = self.control.add_creators(count, transactions=transactions)
        return [creator["uuid"] for creator in made]

    async def connect(self, creator: str) -> str:
        """Connect a creator, as the command does; return the model's id."""
        settings = self.settings()
        keyring = Keyring(settings.sealing.keys)
        pair = self.control.grant(creator)
        async with open_books(settings) as books:
            connection = await books.grants.connect("bench", creator, None, replace=False)
            model_id = connection.model_id
            await books.grants.store(
                connection,
                keyring.seal(pair.access_token, model_id, ACCESS_COLUMN),
                keyring.seal(pair.refresh_token or "", model_id, REFRESH_COLUMN),
                timedelta(seconds=pair.expires_in),
            )
        return model_id

    async def enqueue(self, model_id: str) -> None:
        """Queue a creator's earnings now."""
        async with open_books(self.settings()) as books:
            await books.jobs.enqueue(model_id, "earnings", full=False)

    async def drain(self, **changes: str) -> None:
        """Run a worker until nothing is due and nothing runs."""
        async with open_engine(self.settings(**changes)) as engine:
            await engine.runner.run(drain=True, horizon=PATIENCE)

    def earnings_calls(self, creator: str) -> list[dict[str, Any]]:
        """Return Fanvue's log of the calls about a creator's earnings."""
        calls = self.control.requests(creator=creator, limit=NO_LIMIT)
        return [call for call in calls if "/insights/" in call["path"]]


@contextmanager
def open_outside(stage: Stage) -> Iterator[Outside]:
    """Serve an empty Fanvue without a rate limit while the block runs."""
    command = [sys.executable, "-m", "simulator", "--json", "--port", "0", "--models", "0"]
    command += ["--rate-limit", str(NO_LIMIT)]
    command += ["--client-id", CLIENT["FANVUE_CLIENT_ID"]]
    command += ["--client-secret", CLIENT["FANVUE_CLIENT_SECRET"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise RuntimeError("the simulated Fanvue did not start")
            url = json.loads(line)["url"]
            addresses = {"FANVUE_API_URL": url, "FANVUE_AUTH_URL": url}
            with SimulatorControl(url) as control:
                yield Outside(control, {**stage.environment, **addresses, **CLIENT})
        finally:
            process.terminate()
