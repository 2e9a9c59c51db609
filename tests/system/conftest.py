"""Fixtures of the system tests: the running stack, a fresh Fanvue, an engine between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from simulator.client import SimulatorControl
from simulator.clock import SimulatedClock
from simulator.population import populate
from simulator.server import running
from simulator.world import World
from tests.support.drills import Console
from tests.support.engine import Engine, forget, silence_cron
from tests.system.audience_books import AudienceBooks


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def empty(stack: dict[str, str]) -> Iterator[Callable[[], None]]:
    """Return what empties the engine, in one session that knows the tables already."""
    url = stack["SUPABASE_DB_URL"]
    opened = [psycopg.connect(url, autocommit=True)]

    def empty() -> None:
        try:
            forget(opened[0])
        except psycopg.OperationalError:
            # A test restarted the database.
            opened[0].close()
            opened[0] = psycopg.connect(url, autocommit=True)
            forget(opened[0])

    yield empty
    opened[0].close()


@pytest.fixture
def engine(stack: dict[str, str], silent_cron: None, empty: Callable[[], None]) -> Iterator[Engine]:
    """Return an engine with empty books, beside a Fanvue without creators."""
    world = World(SimulatedClock())
    populate(world, agencies=1, models=0, transactions=0)
    empty()
    with running(world) as fanvue, SimulatorControl(fanvue.url) as control:
        environment = {
            **stack,
            "FANVUE_API_URL": fanvue.url,
            "FANVUE_AUTH_URL": fanvue.url,
            "FANVUE_CLIENT_ID": "simulator-client",
            "FANVUE_CLIENT_SECRET": "simulator-secret",
            # Calls are counted, and a busy machine's slow answer is no reason to ask again.
            "FANVUE_TIMEOUT_SECONDS": "120",
        }
        database = psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True)
        engine = Engine(environment, control, database)
        yield engine
        # A test that restarted the database has another connection by now.
        engine.database.close()
        empty()


@pytest.fixture
def books(engine: Engine) -> Callable[..., AudienceBooks]:
    """Return a maker of creators whom only the test itself syncs."""
    engine.fanvue.turn(rate_limit=100_000)
    # The snapshot of top fans is its day's: at midnight a new one begins.
    engine.pass_time_to_noon()
    engine.database.execute("update private.sync_streams set enabled = true")

    def make(family: str = "v1", **order: Any) -> AudienceBooks:
        # More than a page of everything.
        size = {"messages": 200, "posts": 60, "subscribers": 60, "followers": 60, "fans": 8}
        creator = engine.creator(**{"transactions": 90, **size, **order})
        return AudienceBooks(engine, creator, family)

    return make


@pytest.fixture
def console(engine: Engine) -> Iterator[Console]:
    """Return the operators' console of an engine whose trail is empty."""
    engine.fanvue.turn(rate_limit=100_000)
    engine.database.execute("delete from ops.actions")
    yield Console(engine)
    # What a remedy woke, or a drill that failed left behind.
    silence_cron(engine.database)
    engine.database.execute("alter table public.fanvue_transactions drop constraint if exists odd")
