"""Fixtures: a small frozen world with one agency, and callers of its API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from simulator.app import create_app
from simulator.clock import SimulatedClock
from simulator.population import populate
from simulator.world import World
from tests.simulator.caller import Caller
from tests.simulator.press import NOON, Press, Printer, printing


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.applications import Starlette

    from simulator.people import Creator
    from simulator.simulation import Simulation


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


@pytest.fixture(scope="session")
def printer() -> Iterator[Printer]:
    with printing() as printer:
        yield printer


@pytest.fixture
def press(printer: Printer) -> Iterator[Press]:
    with printer.press() as press:
        yield press
