"""The way of docs/adopt.md, by its own commands: from older books to right ones, and back.

Four thousand rows with the faults that such books have; a simulated Fanvue is the truth.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import jwt
import psycopg
import pytest

from local.programs import find_postgres
from local.stack import Stack
from simulator.client import SimulatorControl
from simulator.clock import SimulatedClock
from simulator.population import populate
from simulator.server import running
from simulator.world import World
from tests.docs.fences import read_fences
from tests.support.engine import Engine
from tests.support.legacy_books import LegacyBooks, LegacyModel
from tests.support.postgres import PROJECT, run_file
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.system

DOCUMENT = PROJECT / "docs" / "adopt.md"
LEGACY_ACCESS = PROJECT / "tests" / "database" / "legacy_access.sql"
HEARD = 'policy "everybody hears" on realtime.messages'
LEGACY_SCHEMA = PROJECT / "tests" / "database" / "legacy_schema.sql"
PORT = 27421
FAR_OFF = 4_102_444_800
CREATORS = 4
ROWS_EACH = 1000
OWNERS = (
    UUID("e0000000-0000-0000-0000-000000000001"),
    UUID("e0000000-0000-0000-0000-000000000002"),
)
ROWS_OF_OLD = (
    "select id, agency_id, model_id, fanvue_id, amount, category, fanvue_created_at"
    " from public.fanvue_transactions order by id"
)


@dataclass
class Adoption:
    """An older application's project, and the document's commands in its directory."""

    directory: Path
    engine: Engine
    models: list[LegacyModel]
    stack: Stack
    ran: list[int] = field(default_factory=list)

    def follow(self, heading: str, number: int = 0) -> subprocess.CompletedProcess[str]:
        """Run one block of the document as it stands."""
        blocks = [one for one in read_fences(DOCUMENT) if one.language == "sh"]
        block = [one for one in blocks if one.heading == heading][number]
        self.ran.append(block.line)
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],  # noqa: S607 - the reader's own shell
            env=self._environment(),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def table(self, heading: str, number: int = 0) -> list[dict[str, str]]:
        """Run a block that prints CSV."""
        done = self.follow(heading, number)
        assert done.returncode == 0, done.stderr
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database as its owner."""
        return self.engine.database.execute(query.encode(), values).fetchall()

    def seen_by(self, user: UUID, query: str) -> list[tuple[Any, ...]]:
        """Ask as the older application's pages do: as a signed-in user."""
        database = self.engine.database
        with database.transaction(force_rollback=True):
            claims = json.dumps({"sub": str(user), "role": "authenticated"})
            database.execute("select set_config('request.jwt.claims', %s, true)", [claims])
            database.execute("set local role authenticated")
            return database.execute(query.encode()).fetchall()

    def _environment(self) -> dict[str, str]:
        tools = (PROJECT / "node_modules" / ".bin", PROJECT / ".venv" / "bin", find_postgres().bin)
        return {
            **self.engine.environment,
            "SUPABASE_DB_URL": f"{self.engine.environment['SUPABASE_DB_URL']}?sslmode=disable",
            "PATH": os.pathsep.join([*map(str, tools), os.environ["PATH"]]),
            "HOME": str(self.directory),
            "PYTHONPATH": str(PROJECT),
            "SUPABASE_TELEMETRY_DISABLED": "1",
            "CI": "1",
        }


@contextmanager
def older_project(directory: Path) -> Iterator[Stack]:
    """Start a stack whose database nobody has migrated."""
    none = directory / "no-migrations"
    none.mkdir()
    stack = Stack(directory / "stack", port=PORT, volatile=True, migrations=none)
    try:
        stack.up()
        yield stack
    finally:
        stack.down(reset=True)


@pytest.fixture
def adoption(tmp_path: Path) -> Iterator[Adoption]:
    world = World(SimulatedClock())
    populate(world, agencies=1, models=0, transactions=0)
    with (
        older_project(tmp_path) as stack,
        running(world) as fanvue,
        SimulatorControl(fanvue.url) as control,
        psycopg.connect(stack.env()["SUPABASE_DB_URL"], autocommit=True) as database,
    ):
        environment = {
            **stack.env(),
            "FANVUE_API_URL": fanvue.url,
            "FANVUE_AUTH_URL": fanvue.url,
            "FANVUE_CLIENT_ID": "simulator-client",
            "FANVUE_CLIENT_SECRET": "simulator-secret",
        }
        control.turn(rate_limit=100_000)
        run_file(database, LEGACY_SCHEMA)
        run_file(database, LEGACY_ACCESS)
        engine = Engine(environment, control, database)
        models = write_old_books(engine, world)
        yield Adoption(clone(tmp_path / "project"), engine, models, stack)


def clone(directory: Path) -> Path:
    """Copy what the command line of Supabase reads of the repository."""
    copy = directory / "supabase"
    copy.mkdir(parents=True)
    for name in ("config.toml", "seed.sql"):
        shutil.copy(PROJECT / "supabase" / name, copy)
    shutil.copytree(PROJECT / "supabase" / "migrations", copy / "migrations")
    return directory


def write_old_books(engine: Engine, world: World) -> list[LegacyModel]:
    books = LegacyBooks(engine.database, seed=20261101)
    agencies = [books.agency(f"Agency {n}", owner) for n, owner in enumerate(OWNERS)]
    models = []
    made = engine.fanvue.add_creators(count=CREATORS, transactions=ROWS_EACH, days=400)
    for number, one in enumerate(made):
        engine.fanvue.add_reversals(one["uuid"], 5)
        creator = world.creator(one["uuid"])
        agency = agencies[number % len(agencies)]
        model = books.model(agency, creator, creator.ledger.rows())
        engine.models[one["uuid"]] = str(model.id)
        models.append(model)
    return models


def write_grants(adoption: Adoption) -> None:
    lines = [
        f"{model.agency_id},{model.creator},{adoption.engine.fanvue.grant(model.creator).refresh_token}"
        for model in adoption.models
    ]
    (adoption.directory / "creators.csv").write_text("\n".join(lines) + "\n")


# It migrates a stack of its own, whatever the others run on.
@pytest.mark.usefixtures("local_stack")
def test_the_document_leads_there_and_back(adoption: Adoption) -> None:
    old_rows = adoption.rows(ROWS_OF_OLD)
    assert len(old_rows) > 3_900
    assert len(old_rows) == sum(model.rows for model in adoption.models)

    assert_ok(adoption.follow("Before"))
    assert_the_survey_changes_nothing(adoption)
    assert_ok(adoption.follow("Look first", 1))
    assert_ok(adoption.follow("Migrate", 0))
    assert_ok(adoption.follow("Migrate", 1))
    assert "count_revenue" in adoption.follow("Migrate", 2).stdout
    adoption.engine.database.execute("drop trigger count_revenue on public.fanvue_transactions")
    adoption.stack.restart_gateway()
    assert_migrated(adoption, old_rows)
    assert_reads_go_on(adoption)
    assert_old_inserts_go_on(adoption)
    assert_nothing_leaks(adoption)

    settings = adoption.follow("Settings")
    assert settings.returncode == 1
    assert "everybody hears" in settings.stdout, "the doctor tells what was left to the operator"
    adoption.rows("select ops.keep_access(%s, 'a test of it')", HEARD)
    assert_ok(adoption.follow("Settings"))
    write_grants(adoption)
    assert_ok(adoption.follow("Connect the creators"))
    assert_ok(adoption.follow("Sync"))
    assert_doubles_are_named(adoption)
    assert_ok(adoption.follow("Take the doubled rows out"))
    assert_only_wrong_days_changed(adoption)
    for model in adoption.models:
        adoption.engine.assert_exact(model.creator)
    assert adoption.rows("select * from ops.drift") == []
    assert_reads_go_on(adoption)

    assert_ok(adoption.follow("Back"))
    assert adoption.rows(ROWS_OF_OLD) == old_rows
    assert (
        adoption.rows("select nspname from pg_namespace where nspname in ('ops', 'private')") == []
    )
    seen = adoption.seen_by(OWNERS[0], "select id from public.agencies")
    assert len(seen) == len(OWNERS), "as open as it was"

    # And once more there: nothing of the first time stands in the way.
    assert_ok(adoption.follow("Migrate", 0))
    assert_migrated(adoption, old_rows)
    assert_reads_go_on(adoption)
    runnable = [one.line for one in read_fences(DOCUMENT) if one.language == "sh"]
    assert set(adoption.ran) == set(runnable), "every command of the document was run"


def assert_the_survey_changes_nothing(adoption: Adoption) -> None:
    before = adoption.rows("select oid, xmin::text from pg_class order by 1")
    said = adoption.follow("Look first", 0)
    assert_ok(said)
    assert adoption.rows("select oid, xmin::text from pg_class order by 1") == before
    for line in (
        "Enable read access for all users",
        "public.all_sales()",
        "column public.models.api_key",
    ):
        assert re.search(rf"closed +\|.*{re.escape(line)}", said.stdout)
    assert re.search("told +.*everybody hears", said.stdout)
    assert "refused" not in said.stdout


def assert_nothing_leaks(adoption: Adoption) -> None:
    """Ask over HTTP for what is another agency's, by every door that stood open."""
    environment = adoption.engine.environment
    claims = {"sub": str(OWNERS[0]), "role": "authenticated", "exp": FAR_OFF}
    token = jwt.encode(claims, environment["SUPABASE_JWT_SECRET"], "HS256")
    ((agency,),) = adoption.seen_by(OWNERS[0], "select id from public.agencies")
    with httpx.Client(
        base_url=f"{environment['SUPABASE_URL']}/rest/v1",
        headers={
            "apikey": environment["SUPABASE_PUBLISHABLE_KEY"],
            "authorization": f"Bearer {token}",
        },
        timeout=PATIENCE_SECONDS,
    ) as http:

        def answered() -> bool:
            return http.get("/sync_health?select=model_id&limit=1").is_success

        # it reads the new schema a moment after the migration
        wait_until(answered)
        models = http.get("/models?select=id,agency_id").raise_for_status().json()
        sales = http.get("/sales?select=model_id").raise_for_status().json()
        ledger = http.get(f"/fanvue_transactions?select=id&agency_id=neq.{agency}").json()
        refused = [
            http.post("/rpc/all_sales").status_code,
            http.post("/rpc/list_models").status_code,
            http.post("/rpc/run_sql", json={"query": "select 1"}).status_code,
            http.get("/models?select=api_key").status_code,
            http.get("/models?select=session_cookie").status_code,
            http.get("/model_names").status_code,
        ]
    assert {row["agency_id"] for row in models} == {str(agency)}
    assert {row["model_id"] for row in sales} <= {row["id"] for row in models}
    assert len(sales) > 0
    assert ledger == []
    assert refused == [httpx.codes.FORBIDDEN] * len(refused)


def assert_ok(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def assert_migrated(adoption: Adoption, old_rows: list[tuple[Any, ...]]) -> None:
    rows = adoption.rows(ROWS_OF_OLD)
    cents = [(*row[:4], round(row[4], 2), *row[5:]) for row in old_rows]
    assert rows == cents, "every row is kept, to the cent"
    findings = dict(
        adoption.rows("select finding, count(*) from private.adoption_findings group by 1")
    )
    dusty = sum(row[4] != round(row[4], 2) for row in old_rows)
    told = {finding.partition(";")[0]: count for finding, count in findings.items()}
    assert told["amount had parts of a cent"] == dusty > 200
    assert told["revenue_total was not the sum of the rows"] == CREATORS
    assert told["the creator uuid was not in plain lower case, or empty"] == CREATORS


def assert_reads_go_on(adoption: Adoption) -> None:
    """What the older application's pages ask, each owner for his own."""
    for owner in OWNERS:
        (agency,) = adoption.seen_by(owner, "select id from public.agencies")
        models = adoption.seen_by(
            owner, "select id, name, revenue_total, subscribers_count from public.models"
        )
        (newest,) = adoption.seen_by(
            owner,
            "select t.fanvue_created_at from public.fanvue_transactions t"
            " order by t.fanvue_created_at desc limit 1",
        )
        (revenue,) = adoption.seen_by(owner, f"select public.get_agency_revenue('{agency[0]}')")
        (total,) = adoption.rows(
            "select sum(amount) from public.fanvue_transactions where agency_id = %s", agency[0]
        )
        assert len(models) == CREATORS / len(OWNERS)
        assert newest[0] is not None
        assert revenue == total


def assert_old_inserts_go_on(adoption: Adoption) -> None:
    """What the older application's sync wrote, it could still write: each row once."""
    database, model = adoption.engine.database, adoption.models[0]
    total = "select revenue_total from public.models where id = %s"
    with database.transaction(force_rollback=True):
        (before,) = adoption.rows(total, model.id)
        database.execute("set local role service_role")
        for _ in range(2):
            database.execute(
                "insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount,"
                " category, fanvue_created_at, synced_at)"
                " values (%s, %s, 'purchase-0', 9.99, 'tip', now(), now())"
                " on conflict (fanvue_id, model_id) do nothing",
                (model.agency_id, model.id),
            )
        (after,) = adoption.rows(total, model.id)
    assert after[0] - before[0] == Decimal("9.99")


def assert_doubles_are_named(adoption: Adoption) -> None:
    proved = adoption.follow("Prove", 0)
    assert proved.returncode == 1, proved.stderr
    named = adoption.table("Prove", 1)
    doubles = [pair for model in adoption.models for pair in model.doubles]
    found = {
        row[0]
        for row in adoption.rows(
            "select transaction_id from public.reconciliation_findings"
            " where kind = 'not_listed' and state = 'open'"
        )
    }
    assert len(named) == len(found) == len(doubles) > 40
    assert all(len(pair & found) == 1 for pair in doubles)


def assert_only_wrong_days_changed(adoption: Adoption) -> None:
    changed = adoption.table("Compare")
    days = {(row["model_id"], row["day"]) for row in changed}
    wrong = {(str(model.id), day) for model in adoption.models for day in model.wrong_days}
    assert days == wrong
    missing = sum(model.missing - len(model.doubles) for model in adoption.models)
    before = sum(int(row["rows_before"] or 0) for row in changed)
    now = sum(int(row["rows_now"]) for row in changed)
    assert now - before == missing
