"""A sealing key is replaced while three workers go on: no call fails, nothing stays under the old.

The way is the one of docs/operations.md: the new key behind the old one everywhere, then before it,
then `tokens rotate-key`, then without the old one.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from tests.support.agency_stage import AgencyStage
from tests.support.program import Program
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from worker.app import open_books


if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

NEW = "next:" + base64.b64encode(bytes(range(32))).decode()
SLOTS = 3
CREATORS = 4
# By our books every grant ends now, by Fanvue's only later: whoever asks for one refreshes it.
ENDED = """
with ours as (update public.models set fanvue_token_expires_at = private.engine_now()
              where fanvue_token_expires_at is not null)
update public.agency_connections set token_expires_at = private.engine_now()
"""


@dataclass
class Fleet:
    """Three workers that are replaced one after the other, never all at once."""

    engine: Engine
    creators: list[str]
    slots: list[ExitStack] = field(default_factory=lambda: [ExitStack() for _ in range(SLOTS)])
    processes: dict[int, BaseProcess] = field(default_factory=dict)

    def roll(self, *keys: str) -> None:
        """Give every worker these keys; between two of them there is work for old and new."""
        for number, slot in enumerate(self.slots):
            if number in self.processes:
                self.processes[number].terminate()
                self.processes[number].join()
                assert self.processes[number].exitcode == 0
            slot.close()
            worker = self.engine.worker(TOKEN_ENCRYPTION_KEYS=",".join(keys))
            self.processes[number] = slot.enter_context(worker)
            self.work()

    def work(self) -> None:
        """Sell something of every creator, and wait until all of it was synced."""
        self.order()
        self.finish()

    def order(self) -> None:
        """Sell something of every creator and queue a sync, with a grant that must be refreshed."""
        self.engine.database.execute(ENDED)
        for creator in self.creators:
            self.engine.fanvue.add_sales(creator, 1)
        asyncio.run(self._enqueue())

    def finish(self) -> None:
        """Wait until nothing is queued or running."""
        wait_until(lambda: self._open_jobs() == 0)

    def close(self) -> None:
        for slot in self.slots:
            slot.close()

    def _open_jobs(self) -> int:
        row = self.engine.database.execute(
            "select count(*) from public.sync_jobs where state <> 'dead'"
        ).fetchone()
        assert row is not None
        return int(row[0])

    async def _enqueue(self) -> None:
        async with open_books(self.engine.settings()) as books:
            for creator in self.creators:
                await books.jobs.enqueue(self.engine.models[creator], "earnings", full=False)


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    return Program(engine, tmp_path)


@pytest.fixture
def fleet(engine: Engine, program: Program) -> Iterator[Fleet]:
    """Connect creators with grants of their own, and others behind an agency's; start nobody."""
    engine.fanvue.turn(rate_limit=100_000)
    agency = AgencyStage(engine, program)
    managed = agency.creators(2, transactions=20)
    agency.connect(*agency.consent())
    creators = [engine.creator(20) for _ in range(CREATORS)]
    fleet = Fleet(engine, [*creators, *managed])
    yield fleet
    fleet.close()


def key_of(engine: Engine) -> str:
    return engine.environment["TOKEN_ENCRYPTION_KEYS"]


def columns_with(engine: Engine, text: str) -> list[str]:
    """Name every column of ours that holds a text, whatever it is for."""
    columns = engine.database.execute(
        """
        select c.table_schema, c.table_name, c.column_name
        from information_schema.columns c
        join information_schema.tables t using (table_schema, table_name)
        where c.table_schema in ('public', 'private') and t.table_type = 'BASE TABLE'
          and c.data_type in ('text', 'jsonb')
        """
    ).fetchall()
    found = []
    for schema, table, column in columns:
        query = sql.SQL("select exists (select from {} where {}::text like %s)").format(
            sql.Identifier(schema, table), sql.Identifier(column)
        )
        row = engine.database.execute(query, (f"%{text}%",)).fetchone()
        if row is not None and row[0]:
            found.append(f"{table}.{column}")
    return found


def assert_nothing_failed(engine: Engine, creators: list[str]) -> None:
    for creator in creators:
        engine.assert_exact(creator)
        assert set(engine.run_states(creator)) == {"succeeded"}
    statuses = {call["status"] for call in engine.fanvue.requests(limit=100_000)}
    assert statuses == {200}
    row = engine.database.execute(
        "select count(*) filter (where status <> 'active') from public.models"
    ).fetchone()
    assert row == (0,)


def test_a_key_is_replaced_under_three_workers_without_a_failed_call(
    fleet: Fleet, program: Program
) -> None:
    engine = fleet.engine
    old = key_of(engine)
    before = set(columns_with(engine, f"fse1.{old.partition(':')[0]}."))

    fleet.roll(old)
    fleet.roll(old, NEW)
    fleet.roll(NEW, old)
    fleet.order()
    rotated = program.json("tokens", "rotate-key", TOKEN_ENCRYPTION_KEYS=f"{NEW},{old}")
    fleet.finish()
    left = columns_with(engine, f"fse1.{old.partition(':')[0]}.")
    fleet.roll(NEW)

    assert before == {
        "models.fanvue_access_token",
        "models.fanvue_refresh_token",
        "agency_connections.access_token",
        "agency_connections.refresh_token",
    }
    assert left == []
    assert (rotated["sealed_by"], rotated["failed"]) == ("next", [])
    assert_nothing_failed(engine, fleet.creators)


def test_rotations_beside_refreshes_with_the_other_key_lose_no_grant(
    fleet: Fleet, program: Program
) -> None:
    engine = fleet.engine
    old = key_of(engine)
    fleet.roll(old, NEW)
    before = versions(engine)

    for keys, others in ((f"{NEW},{old}", f"{old},{NEW}"), (f"{old},{NEW}", f"{NEW},{old}")):
        fleet.order()
        # Seals what it refreshes with the other key, as a worker that was not restarted yet.
        refresher = program.start("tokens", "refresh", "--all", TOKEN_ENCRYPTION_KEYS=others)
        rotated = program.json("tokens", "rotate-key", TOKEN_ENCRYPTION_KEYS=keys)
        said = refresher.communicate(timeout=PATIENCE_SECONDS)
        assert refresher.returncode == 0, said
        assert rotated["failed"] == []
        fleet.finish()
    program.json("tokens", "rotate-key", TOKEN_ENCRYPTION_KEYS=f"{NEW},{old}")
    fleet.work()

    assert_nothing_failed(engine, fleet.creators)
    assert all(now >= then + 2 for then, now in zip(before, versions(engine), strict=True))


def versions(engine: Engine) -> list[int]:
    """Return how often each grant was renewed."""
    rows = engine.database.execute(
        "select token_version from public.models where fanvue_refresh_token is not null"
        " union all select token_version from public.agency_connections order by 1"
    ).fetchall()
    return [int(row[0]) for row in rows]
