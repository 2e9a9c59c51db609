"""An agency with sales, readers of `dashboard-stats`, and counters of what a reading costs.

The function reaches the database through a proxy that counts its calls by name. Judges nothing.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from local.environment import function_environment
from local.ports import HOST
from local.programs import PROJECT, find_node_tool
from tests.support.consent import mint
from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import psycopg
    from upstash_redis import Redis

    from tests.support.flaky_rest import FlakyRest


DAYS = ("2026-11-01", "2026-11-30")
PASSING = ("as_of", "freshness")
FUNCTION = PROJECT / "supabase" / "functions" / "dashboard-stats"
PRELOADED = ("local/gateway/deno-shim.ts", "tests/support/patience.ts")
_LISTENING = re.compile(r"edge-function-listening (\d+)\n")


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer of the function."""

    status: int
    cache: str | None
    stats: dict[str, Any]

    @property
    def figures(self) -> dict[str, Any]:
        """What a kept answer and SQL have in common."""
        return {name: value for name, value in self.stats.items() if name not in PASSING}

    @property
    def gross(self) -> str:
        """The total."""
        return str(self.stats["totals"]["gross"])


@dataclass(slots=True)
class Reader:
    """A signed-in user with a connection of his own, as a dashboard has it."""

    http: httpx.Client
    address: str
    token: str

    def ask(
        self, agency_id: str, days: tuple[str, str] = DAYS, known: str | None = None
    ) -> Reading:
        """Read an agency's figures, or whether those of a stamp stand."""
        answer = self.http.get(
            self.address,
            params={"agency_id": agency_id, "from": days[0], "to": days[1]},
            headers=({"authorization": f"Bearer {self.token}"} if self.token else {})
            | ({"x-known-stamp": known} if known else {}),
        )
        return Reading(answer.status_code, answer.headers.get("x-cache"), answer.json())


@dataclass(slots=True)
class StatsStage:
    """The database, Redis and the proxy between the function and the database."""

    environment: Mapping[str, str]
    database: psycopg.Connection[Any]
    redis: Redis
    rest: FlakyRest
    # Of processes of the function that ask through the proxy; readers ask the first.
    addresses: Sequence[str]
    _opened: ExitStack = field(default_factory=ExitStack)

    def new_agency(self, name: str) -> str:
        """Make an agency with one creator and a first sale of $100; return its id."""
        row = self.database.execute(
            "insert into public.agencies (name) values (%s) returning id::text", (name,)
        ).fetchone()
        assert row is not None
        self.database.execute(
            "insert into public.models (agency_id, handle, status) values (%s, %s, 'active')",
            (row[0], f"creator-of-{name.lower()}"),
        )
        self.sell(row[0], "100.00")
        return str(row[0])

    def add_creators(self, agency_id: str, count: int) -> None:
        """Give the agency more creators, none of whom sells."""
        self.database.execute(
            "insert into public.models (agency_id, handle, display_name, status)"
            " select %s, 'creator-number-' || n, 'Creator number ' || n, 'active'"
            " from generate_series(1, %s) n",
            (agency_id, count),
        )
        self.database.execute("analyze public.models")

    def sell(self, agency_id: str, amount: str = "1.00") -> None:
        """Commit a sale of the agency's creator."""
        self.database.execute(
            "insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount,"
            " net_amount, category, fanvue_created_at)"
            " select agency_id, id, %s, %s, %s, 'tip', '2026-11-15T12:00:00Z'"
            " from public.models where agency_id = %s",
            (uuid.uuid4().hex, amount, amount, agency_id),
        )

    def new_reader(self, agency_id: str, address: str | None = None, **claims: Any) -> Reader:
        """Sign a new member of the agency in."""
        user_id = str(uuid.uuid4())
        self.database.execute(
            "insert into public.agency_members (agency_id, user_id) values (%s, %s)",
            (agency_id, user_id),
        )
        http = self._opened.enter_context(httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False))
        return Reader(http, address or self.addresses[0], mint(self.environment, user_id, **claims))

    @property
    def public_address(self) -> str:
        """The stack's own function, as dashboards reach it."""
        return f"{self.environment['SUPABASE_URL']}/functions/v1/dashboard-stats"

    def sql(self, agency_id: str, days: tuple[str, str] = DAYS) -> dict[str, Any]:
        """Return the figures as SQL gives them now."""
        row = self.database.execute(
            "select public.dashboard_stats(%s, %s, %s)", (agency_id, *days)
        ).fetchone()
        assert row is not None
        return {name: value for name, value in row[0].items() if name not in PASSING}

    @property
    def computations(self) -> int:
        """How often the figures were computed for the function."""
        return self.rest.calls.count("dashboard_stats")

    def commands(self) -> dict[str, int]:
        """Return how often Redis ran each command since it started, but for this question."""
        text = str(self.redis.execute(["INFO", "commandstats"]))
        found = re.findall(r"cmdstat_([\w|]+):calls=(\d+)", text)
        return {name: int(calls) for name, calls in found if name != "info"}

    @contextmanager
    def keeping(self, agency_id: str) -> Iterator[list[list[str]]]:
        """Yield what holds, at the end, the commands that kept figures of the agency meanwhile."""
        found: list[list[str]] = []
        self._log_slower_than(0)
        self.redis.execute(["SLOWLOG", "RESET"])
        try:
            yield found
            entries: Any = self.redis.execute(["SLOWLOG", "GET", -1])
            found += [
                one for _, _, _, one, *_ in entries if one[:2] == ["SET", value_key(agency_id)]
            ]
        finally:
            self._log_slower_than(-1)

    def _log_slower_than(self, microseconds: int) -> None:
        # Past the HTTP side, which sets nothing up, as Upstash's.
        port = re.findall(r"tcp_port:(\d+)", str(self.redis.execute(["INFO", "server"])))[0]
        with socket.create_connection((HOST, int(port))) as line, line.makefile("rw") as words:
            for setting in ("max-len 100000", f"log-slower-than {microseconds}"):
                words.write(f"CONFIG SET slowlog-{setting}\r\n")
                words.flush()
                assert words.readline() == "+OK\n"

    def kept(self, agency_id: str, days: tuple[str, str] = DAYS) -> dict[str, Any]:
        """Return the value in Redis."""
        value: dict[str, Any] = json.loads(self.redis.get(value_key(agency_id, days)) or "{}")
        return value

    def close(self) -> None:
        """Sign everybody out."""
        self._opened.close()


def value_key(agency_id: str, days: tuple[str, str] = DAYS) -> str:
    """Return the key of a value."""
    return f"fanvue:stats:v1:{agency_id}:{days[0]}:{days[1]}"


def difference(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """Return what was added to each counter, without zeros."""
    added = {name: calls - before.get(name, 0) for name, calls in after.items()}
    return {name: calls for name, calls in added.items() if calls}


@contextmanager
def isolates(environment: Mapping[str, str], count: int) -> Iterator[list[str]]:
    """Run processes of the function beside the stack's, for whom no limit is near."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [
        *(find_node_tool("deno"), "run", "--quiet", "--no-prompt", "--allow-all", "--no-lock"),
        *(f"--preload={PROJECT / module}" for module in PRELOADED),
        *("--config", str(FUNCTION / "deno.json"), str(FUNCTION / "index.ts")),
    ]
    with ExitStack() as opened:
        started = [
            opened.enter_context(
                subprocess.Popen(
                    command,
                    env=inherited | function_environment(dict(environment)),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(count)
        ]
        # Their input ends with the block, and they with it.
        yield [f"http://127.0.0.1:{_port(process)}/dashboard-stats" for process in started]
        for process in started:
            process.terminate()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    listening = _LISTENING.fullmatch(process.stdout.readline())
    assert listening is not None, "a process of the function did not start"
    return int(listening[1])
