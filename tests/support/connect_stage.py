"""Fanvue, the connect function and an engine that know each other, and what their tables say.

The function reads its settings when it starts, so one simulated Fanvue serves a whole module of
tests.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from simulator.client import SimulatorControl
from simulator.clock import SimulatedClock
from simulator.population import populate
from simulator.server import running
from simulator.world import World
from tests.support.edge_functions import function_settings
from tests.support.engine import Engine, forget
from tests.support.postgres import PROJECT
from tests.support.stack import fanvue_place, is_local
from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN
from worker.sealing import Keyring


if TYPE_CHECKING:
    from collections.abc import Iterator


DASHBOARD = "http://127.0.0.1:3000"
CLIENT = {"FANVUE_CLIENT_ID": "simulator-client", "FANVUE_CLIENT_SECRET": "simulator-secret"}
_VECTORS = PROJECT / "tests" / "contract" / "vectors" / "connections.json"


def connection_vectors() -> dict[str, Any]:
    """Return what both programs must read alike of a connection."""
    vectors: dict[str, Any] = json.loads(_VECTORS.read_text(encoding="utf-8"))
    return vectors


@contextmanager
def known_fanvue(stack: dict[str, str]) -> Iterator[SimulatorControl]:
    """Serve a Fanvue that the function knows; the vectors' key opens beside the stack's."""
    world = World(SimulatedClock())
    populate(world, agencies=1, models=0, transactions=0)
    if not is_local():
        # The function was told of this one when the stack was made.
        host, port = fanvue_place(stack)
        with (
            running(world, host=host, port=port) as server,
            SimulatorControl(server.url) as control,
        ):
            yield control
        return
    with (
        running(world) as server,
        SimulatorControl(server.url) as control,
        function_settings(
            **_addresses(control), **function_secrets(stack["TOKEN_ENCRYPTION_KEYS"])
        ),
    ):
        yield control


def function_secrets(keys: str) -> dict[str, str]:
    """Return what the connect function is given here, its own keys and the vectors' among it."""
    opening = f"{keys},{connection_vectors()['verifier']['key']}"
    return {**CLIENT, "DASHBOARD_URL": DASHBOARD, "TOKEN_ENCRYPTION_KEYS": opening}


@contextmanager
def engine_beside(stack: dict[str, str], fanvue: SimulatorControl) -> Iterator[Engine]:
    """Return an engine with empty books beside that Fanvue, which behaves as usual again."""
    fanvue.reset_knobs(rate_limit=100_000)
    fanvue.clear_faults()
    fanvue.clear_requests()
    fanvue.set_clock(datetime.now(UTC))
    with psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True) as database:
        forget(database)
        yield Engine({**stack, **_addresses(fanvue), **CLIENT}, fanvue, database)
        forget(database)


def _addresses(fanvue: SimulatorControl) -> dict[str, str]:
    return {"FANVUE_API_URL": fanvue.url, "FANVUE_AUTH_URL": fanvue.url}


def new_creator(engine: Engine, transactions: int = 0) -> str:
    """Add a creator to Fanvue, connected by nobody."""
    made = engine.fanvue.add_creators(transactions=transactions)
    return made[0]["uuid"]


def model_of(engine: Engine, creator: str) -> dict[str, Any]:
    """Return a creator's model, which the engine knows from now on."""
    row = engine.database.execute(
        "select to_jsonb(m) from public.models m where m.fanvue_user_uuid = %s", (creator,)
    ).fetchone()
    assert row is not None
    engine.models[creator] = row[0]["id"]
    model: dict[str, Any] = row[0]
    return model


def sealed_tokens(engine: Engine, creator: str) -> dict[str, str]:
    """Return a creator's tokens as they are stored, by column."""
    model = model_of(engine, creator)
    return {column: model[column] for column in (ACCESS_COLUMN, REFRESH_COLUMN)}


def opened_tokens(engine: Engine, creator: str) -> list[str]:
    """Return a creator's tokens as the worker opens them."""
    keyring = Keyring(engine.settings().sealing.keys)
    model_id = model_of(engine, creator)["id"]
    return [
        keyring.open(text, model_id, column).value
        for column, text in sealed_tokens(engine, creator).items()
    ]


def adopted_model(engine: Engine, agency_id: str) -> str:
    """Add a model as an older application left it: without its creator's uuid, or a grant."""
    row = engine.database.execute(
        "insert into public.models (agency_id, handle, status)"
        " values (%s, 'ana', 'reauth_required') returning id::text",
        (agency_id,),
    ).fetchone()
    assert row is not None
    return str(row[0])


def count_attempts(engine: Engine) -> int:
    """Count the connections under way."""
    row = engine.database.execute("select count(*) from private.connection_attempts").fetchone()
    assert row is not None
    return int(row[0])


def has_no_models(engine: Engine) -> bool:
    """Tell whether nobody is connected, not even half."""
    return engine.database.execute("select 1 from public.models").fetchall() == []
