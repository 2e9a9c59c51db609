"""Serves a simulation on a loopback port: for ever, or in a thread while a test runs.

The HTTP protocol class hands its transport to the application, so that a fault can reset
the connection for real. Loopback is bound, unless an address is named.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from simulator.app import create_app
from simulator.clock import SimulatedClock
from simulator.mishaps import TRANSPORT_KEY
from simulator.population import populate
from simulator.simulation import DEFAULT_CLIENT
from simulator.world import World


if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from types import FrameType

    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

    from simulator.knobs import Knobs
    from simulator.oauth.consents import Client
    from simulator.simulation import Simulation
    from simulator.webhooks.courier import Courier


LOOPBACK = "127.0.0.1"
# Long enough for a machine that is busy with other things: it catches a hang alone.
START_SECONDS = 300
KEEP_ALIVE_SECONDS = 75


class TransportProtocol(H11Protocol):
    """Puts the connection's transport into the scope of each of its requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it the same way
        """Remember the transport for this connection's requests."""
        inner = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT_KEY] = transport
            await inner(scope, receive, send)

        self.app = with_transport
        super().connection_made(transport)


class SignallingServer(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, courier: Courier | None = None) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self._courier = courier

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start up with the courier, then signal."""
        await super().startup(sockets)
        if self._courier is not None:
            self._courier.start()
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the courier and shut down."""
        if self._courier is not None:
            await self._courier.stop()
        await super().shutdown(sockets)

    def stop(self) -> None:
        """Stop soon, without waiting for answers that a fault holds back."""
        self.should_exit = True
        self.force_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Stop quietly on a signal, so that the program ends with success."""
        self.stop()


@dataclass(slots=True)
class Running:
    """A served simulation."""

    url: str
    simulation: Simulation

    @property
    def world(self) -> World:
        """Return the world behind it."""
        return self.simulation.world


def bind(port: int = 0, host: str = LOOPBACK) -> socket.socket:
    """Listen, on loopback unless told otherwise; port 0 takes a free one.

    The protocol is named because asyncio only then turns Nagle's delay off, which costs
    40 ms per answer.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Whoever is told the address may call it before the server has started.
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def make_server(app: Starlette, courier: Courier | None = None) -> SignallingServer:
    """Return a quiet server for an application, with a courier in its loop if given."""
    return SignallingServer(
        uvicorn.Config(
            app,
            http=TransportProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        ),
        courier,
    )


@contextmanager
def running(  # noqa: PLR0913 - a world, and where it is served
    world: World | None = None,
    clock: SimulatedClock | None = None,
    knobs: Knobs | None = None,
    client: Client = DEFAULT_CLIENT,
    *,
    port: int = 0,
    host: str = LOOPBACK,
) -> Iterator[Running]:
    """Serve a world in a thread while the block runs; without one, a small seeded world."""
    if world is None:
        clock = clock or SimulatedClock()
        world = World(clock)
        populate(world, agencies=1, models=2, transactions=30, fans=9)
    app = create_app(world, clock or world.clock, knobs, client)
    listener = bind(port, host)
    simulation = cast("Simulation", app.state.simulation)
    server = make_server(app, simulation.newsroom.courier)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="simulator", daemon=True
    )
    thread.start()
    try:
        if not server.listening.wait(START_SECONDS):
            raise RuntimeError("the simulator did not start")
        number = listener.getsockname()[1]
        yield Running(f"http://{host}:{number}", simulation)
    finally:
        server.stop()
        thread.join()
        listener.close()
