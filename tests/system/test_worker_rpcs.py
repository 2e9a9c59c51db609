"""Every RPC that the worker knows is answered over REST, as the role that a worker has there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.worker_calls import read_calls
from tests.support.agency_stage import AgencyStage
from tests.support.postgres import PROJECT
from tests.support.program import Program
from tests.support.webhooks import REGISTRABLE
from worker.app import open_books
from worker.store.database import Database


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

NEW_KEY = "later:" + "B" * 43 + "="
HOUR = 3600
# The runs of a night begin within it.
NIGHT = 4 * HOUR


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of the RPCs that were answered, as they come."""
    names: set[str] = set()
    call = Database.call

    async def note(
        database: Database, name: str, parameters: Mapping[str, Any] | None = None
    ) -> Any:
        reply = await call(database, name, parameters)
        names.add(name)
        return reply

    monkeypatch.setattr(Database, "call", note)
    return names


def test_every_call_of_the_worker_is_answered_over_rest(
    engine: Engine, answered: set[str], tmp_path: Path
) -> None:
    program = Program(engine, tmp_path)
    agency = AgencyStage(engine, program)
    fanvue, database = engine.fanvue, engine.database
    good, lost = engine.creator(60), engine.creator(1)
    model = engine.models[good]

    # A week: a 429, a token that ended, a grant that died, an agency that connects its creators.
    fanvue.add_fault("status", "/insights/earnings$", status=429, times=1)
    engine.drain()
    engine.pass_time(120)
    engine.drain()
    agency.creators(1)
    assert agency.run(*agency.consent(), agency="Agency A").returncode == 0
    fanvue.kill_chain(lost)
    engine.pass_time(2 * HOUR)
    asyncio.run(_tick(engine))
    engine.drain()
    assert program("sync", model).returncode == 0
    engine.sync(good, full=True)
    database.execute("select public.enqueue_sync(%s::uuid, 'earnings')", (model,))
    job = str(program.json("jobs", "list")[0]["id"])
    assert program("jobs", "retry", job).returncode == 0
    assert program("jobs", "cancel", job).returncode == 0

    # No cron: the night that was missed begins by a worker's tick. Then one that a person asks for.
    engine.pass_time(31 * HOUR)
    asyncio.run(_tick(engine))
    engine.pass_time(NIGHT)
    engine.drain()
    nights = database.execute(
        "select from public.sync_runs where sync_type = 'reconcile' and model_id = %s", (model,)
    )
    assert nights.rowcount == 1
    assert program("reconcile", "--model", model).returncode == 0

    # People, and a link for a creator.
    who = ("--agency", "Agency A")
    assert program("members", "add", *who, "--email", "ana@example.test").returncode == 0
    assert program("members", "list", *who).returncode == 0
    assert program("members", "remove", *who, "--member", "ana@example.test").returncode == 0
    assert program("connect-link", *who).returncode == 0

    # A webhook's life.
    fanvue.turn(**REGISTRABLE)
    for words in (("register",), ("test",), ("rotate",), ("delete", "--yes")):
        done = program("webhooks", words[0], model, *words[1:])
        assert done.returncode == 0, done.stderr
    fanvue.drop_webhook_target()

    # What people look at, and a key that is replaced.
    for words in (("status",), ("creators",), ("doctor",), ("tokens", "status")):
        assert program(*words, "--json").stdout
    keys = f"{NEW_KEY},{engine.environment['TOKEN_ENCRYPTION_KEYS']}"
    assert program("tokens", "rotate-key", TOKEN_ENCRYPTION_KEYS=keys).returncode == 0
    asyncio.run(_look_after_itself(engine))

    assert sorted(set(read_calls(PROJECT / "worker")) - answered) == []
    engine.assert_exact(good)


async def _tick(engine: Engine) -> None:
    """Do what each worker does every minute."""
    async with open_books(engine.settings()) as books:
        await books.jobs.enqueue_due("worker")
        await books.jobs.retry_webhooks()
        await books.jobs.reap()
        await books.jobs.prune()


async def _look_after_itself(engine: Engine) -> None:
    """Beat, tell troubles and fill the cache, as a worker does beside its jobs."""
    agency = engine.database.execute("select id::text from public.agencies").fetchone()
    assert agency is not None
    async with open_books(engine.settings()) as books:
        await books.jobs.heartbeat([])
        await books.overview.gauges()
        await books.alerts.settle(await books.alerts.claim(), sent=True)
        days = {"p_from": "2026-11-01", "p_to": "2026-11-30"}
        await books.database.call("dashboard_stats", {"p_agency_id": agency[0], **days})
