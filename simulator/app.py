"""Builds the ASGI application: OAuth pages, API endpoints and the control API.

The only module that knows all parts. It opens no socket; see `server` for that.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Route

from simulator.control.routes import control_routes
from simulator.endpoint import serve_paths
from simulator.endpoints.catalogue import ENDPOINTS
from simulator.gate import Gate
from simulator.journal import Entry
from simulator.knobs import KnobBook, Knobs
from simulator.oauth.pages import OAuthPages
from simulator.replies import NotFound, Reply, to_response
from simulator.simulation import DEFAULT_CLIENT, Simulation, assemble


if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.requests import Request
    from starlette.responses import Response

    from simulator.clock import SimulatedClock
    from simulator.endpoint import Served
    from simulator.oauth.consents import Client
    from simulator.world import World


def create_app(
    world: World,
    clock: SimulatedClock,
    knobs: Knobs | KnobBook | None = None,
    client: Client = DEFAULT_CLIENT,
) -> Starlette:
    """Return the application; `app.state.simulation` is what runs behind it."""
    book = knobs if isinstance(knobs, KnobBook) else KnobBook(knobs)
    simulation = assemble(world, clock, book, client)
    app = Starlette(
        routes=[
            *(_route(simulation, served) for served in serve_paths(ENDPOINTS)),
            *OAuthPages(simulation).routes(),
            *control_routes(simulation),
        ],
        exception_handlers={404: _not_found(simulation), 405: _not_found(simulation)},
    )
    app.router.redirect_slashes = False
    app.state.simulation = simulation
    return app


def _route(simulation: Simulation, served: Served) -> Route:
    gate = Gate(simulation, served)

    async def endpoint(request: Request) -> Response:
        return await gate(request)

    return Route(served.path, endpoint, methods=[served.endpoint.method])


def _not_found(
    simulation: Simulation,
) -> Callable[[Request, Exception], Coroutine[Any, Any, Response]]:
    async def answer(request: Request, _error: Exception) -> Response:
        error = NotFound()
        response = to_response(Reply(error.body, error.status))
        now = simulation.clock.now_ms()
        response.headers["Date"] = formatdate(now / 1000, usegmt=True)
        simulation.journal.write(
            Entry(
                at=now,
                method=request.method,
                path=request.url.path,
                query=dict(request.query_params),
                status=error.status,
            )
        )
        return response

    return answer
