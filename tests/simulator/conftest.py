"""Fixtures: a small frozen world with one agency, and callers of its API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from simulator.app import create_app
from simulator.clock import SimulatedClock
from simulator.population import populate
from simulator.world import World
from tests.simulator.caller import Caller


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette

    from simulator.people import Creator
    from simulator.simulation import Simulation


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(frozen_at=NOON)


@pytest.fixture
def world(clock: SimulatedClock) -> World:
    world = World(clock)
    populate(world, agencies=2, models=3, transactions=0, fans=12)
    return world


@pytest.fixture
def app(world: World, clock: SimulatedClock) -> Starlette:
    return create_app(world, clock)


@pytest.fixture
def simulation(app: Starlette) -> Simulation:
    simulation: Simulation = app.state.simulation
    simulation.knobs.update({"rate_limit": 10_000})
    return simulation


@pytest.fixture
async def http(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator.test") as client:
        yield client


@pytest.fixture
def creator(world: World) -> Creator:
    return world.agencies[0].creators[0]


@pytest.fixture
def anyone(http: httpx.AsyncClient, simulation: Simulation) -> Caller:
    return Caller(http, simulation)


@pytest.fixture
def me(anyone: Caller, creator: Creator) -> Caller:
    return anyone.sign_in(creator)
