"""An agency on both sides: its account and creators on Fanvue, its connection in our tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    import subprocess

    from tests.support.engine import Engine
    from tests.support.program import Program


OURS = "Nova"


@dataclass(slots=True)
class AgencyStage:
    """One agency of the simulated Fanvue, and the commands that connect it."""

    engine: Engine
    program: Program

    @property
    def account(self) -> str:
        """The administrator account's uuid."""
        (agency, *_) = self.engine.fanvue.world()["agencies"]
        return str(agency["owner_uuid"])

    def creators(self, count: int, transactions: int = 30) -> list[str]:
        """Add creators whom the agency manages."""
        made = self.engine.fanvue.add_creators(count=count, transactions=transactions)
        return [one["uuid"] for one in made]

    def consent(self, **order: Any) -> list[str]:
        """Let the administrator consent; return the words that hand the grant over."""
        (agency, *_) = self.engine.fanvue.world()["agencies"]
        grant = self.engine.fanvue.agency_grant(agency["name"], **order)
        words = ["--refresh-token", str(grant.refresh_token), "--access-token", grant.access_token]
        return [*words, "--expires-in", str(grant.expires_in)]

    def run(self, *words: str, agency: str = OURS) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        who = ("--agency", agency, "--user-uuid", self.account)
        return self.program("connect-agency", *who, *words, "--yes", "--json")

    def connect(self, *words: str) -> dict[str, Any]:
        """Run the command and remember the models it names."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        self.engine.models |= {one["creator_uuid"]: one["model_id"] for one in result["creators"]}
        return result

    def outcomes(self, result: dict[str, Any]) -> dict[str, str]:
        """Return what became of each creator."""
        return {one["creator_uuid"]: one["outcome"] for one in result["creators"]}

    def statuses(self) -> dict[str, int]:
        """Count the models by status."""
        rows = self.engine.database.execute(
            "select status, count(*) from public.models group by status"
        ).fetchall()
        return {str(status): int(count) for status, count in rows}

    def connection(self) -> dict[str, Any]:
        """Return the stored connection."""
        row = self.engine.database.execute(
            "select to_jsonb(c) from public.agency_connections c"
        ).fetchone()
        assert row is not None
        return dict(row[0])

    def stats(self) -> dict[str, int]:
        """Return Fanvue's counters of the administrator's account."""
        return dict(self.engine.fanvue.stats()["creators"].get(self.account, {}))

    def data_paths(self) -> list[dict[str, Any]]:
        """Return Fanvue's log of every call for data, the roster's own calls left out."""
        return [
            call
            for call in self.engine.fanvue.requests(limit=100_000)
            if not call["path"].endswith(("/oauth2/token", "/users/me", "/v1/creators"))
            and call["path"] != "/creators"
        ]

    def tick(self) -> None:
        """Queue what is due."""
        self.engine.database.execute("select public.enqueue_due('test')")
