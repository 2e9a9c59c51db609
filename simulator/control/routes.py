"""The control API's routes: money, people, knobs, faults, time, tokens and records.

Loopback only and without any login; it must never look like part of Fanvue.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from starlette.routing import Route

from simulator.books import books
from simulator.clock import stamp, to_millis
from simulator.control import orders
from simulator.control.life import Life
from simulator.control.records import read_requests, read_stats, read_world
from simulator.faults import Fault
from simulator.oauth.consents import AGENCY_SCOPES, CREATOR_SCOPES, Client
from simulator.population import add_model
from simulator.replies import Reply, to_response
from simulator.sales import add_reversals, add_sale, add_sales, add_sales_with_ties, flip_statuses


if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from simulator.people import Creator
    from simulator.simulation import Simulation
    from simulator.transactions import Transaction


MAX_ECHOED_ROWS = 200


class Control:
    """Acts on a simulation; each method answers one route."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def books(self, query: dict[str, str], _body: Any) -> Any:
        """Return exact totals of one creator, or of all with their sum."""
        world = self._sim.world
        upto = int(query["upto_ms"]) if "upto_ms" in query else None
        if "creator" in query:
            creator = world.creator(query["creator"])
            return {"creator": creator.uuid, **books(world, creator, upto).as_json()}
        single = {uuid: books(world, c, upto) for uuid, c in world.creators.items()}
        return {
            "count": sum(b.count for b in single.values()),
            "gross_cents": sum(b.gross_cents for b in single.values()),
            "net_cents": sum(b.net_cents for b in single.values()),
            "creators": {uuid: b.as_json() for uuid, b in single.items()},
        }

    def add_creators(self, _query: dict[str, str], body: Any) -> Any:
        """Add creators."""
        order = orders.NewCreators.model_validate(body)
        if order.count > 1 and (order.handle or order.creator_uuid):
            raise ValueError("handle and creator_uuid name one creator: count must be 1")
        added = [
            add_model(
                self._sim.world,
                agency=order.agency,
                handle=order.handle,
                creator_uuid=order.creator_uuid,
                transactions=order.transactions,
                fans=order.fans,
                days=order.days,
            )
            for _ in range(order.count)
        ]
        return {"creators": [{"uuid": c.uuid, "handle": c.handle} for c in added]}

    def add_sales(self, _query: dict[str, str], body: Any) -> Any:
        """Add sales."""
        order = orders.NewSales.model_validate(body)
        world = self._sim.world
        creator = world.creator(order.creator)
        rows: list[Transaction] = []
        if order.ties is not None:
            rows += add_sales_with_ties(
                world,
                creator,
                order.count,
                page_size=order.ties.page_size,
                borders=order.ties.borders,
                width=order.ties.width,
                since=None if order.since is None else to_millis(order.since),
            )
        elif order.count:
            rows += add_sales(
                world,
                creator,
                order.count,
                since=None if order.since is None else to_millis(order.since),
                until=None if order.until is None else to_millis(order.until),
                visible_at=None if order.visible_at is None else to_millis(order.visible_at),
            )
        for sale in order.rows:
            rows += add_sale(world, creator, sale)
        return _echo(creator, rows)

    def add_reversals(self, _query: dict[str, str], body: Any) -> Any:
        """Add refunds or chargebacks."""
        order = orders.NewReversals.model_validate(body)
        creator = self._sim.world.creator(order.creator)
        rows = add_reversals(
            self._sim.world,
            creator,
            count=order.count,
            order_ids=order.order_ids,
            kind=order.kind,
            at=None if order.at is None else to_millis(order.at),
        )
        return _echo(creator, rows)

    def flip_statuses(self, _query: dict[str, str], body: Any) -> Any:
        """Make pending rows available."""
        order = orders.StatusFlips.model_validate(body)
        creator = self._sim.world.creator(order.creator)
        rows = flip_statuses(self._sim.world, creator, count=order.count, order_ids=order.order_ids)
        return _echo(creator, rows)

    def read_knobs(self, query: dict[str, str], _body: Any) -> Any:
        """Return the knobs in force."""
        return self._sim.knobs.of(self._target(query)).model_dump(mode="json")

    def replace_knobs(self, query: dict[str, str], body: Any) -> Any:
        """Set the named knobs and return all others to their defaults."""
        self._sim.cache.clear()
        return self._sim.knobs.replace(body, self._target(query)).model_dump(mode="json")

    def update_knobs(self, query: dict[str, str], body: Any) -> Any:
        """Set the named knobs."""
        self._sim.cache.clear()
        return self._sim.knobs.update(body, self._target(query)).model_dump(mode="json")

    def read_faults(self, _query: dict[str, str], _body: Any) -> Any:
        """Return the armed rules with what they did."""
        return {
            "faults": [
                {
                    "number": armed.number,
                    "matched": armed.matched,
                    "hits": armed.hits,
                    **armed.fault.model_dump(mode="json"),
                }
                for armed in self._sim.faults.armed()
            ]
        }

    def add_faults(self, query: dict[str, str], body: Any) -> Any:
        """Arm one rule or several; a rule's creator may be a handle."""
        several = isinstance(body, dict) and "faults" in body
        found = orders.NewFaults.model_validate(body).faults if several else [Fault(**body)]
        for fault in found:
            if fault.match.creator is not None:
                fault.match.creator = self._sim.world.creator(fault.match.creator).uuid
            self._sim.faults.arm(fault)
        return self.read_faults(query, body)

    def clear_faults(self, _query: dict[str, str], _body: Any) -> Any:
        """Disarm all rules."""
        self._sim.faults.clear()
        return {"faults": []}

    def read_clock(self, _query: dict[str, str], _body: Any) -> Any:
        """Return the time."""
        clock = self._sim.clock
        now = clock.now_ms()
        return {"now": stamp(now), "now_ms": now, "frozen": clock.frozen}

    def move_clock(self, query: dict[str, str], body: Any) -> Any:
        """Move, set, freeze or thaw time."""
        order = orders.ClockMove.model_validate(body)
        clock = self._sim.clock
        if order.set is not None:
            clock.set(order.set)
        if order.advance_seconds is not None:
            clock.advance(order.advance_seconds)
        if order.freeze is not None:
            (clock.freeze if order.freeze else clock.thaw)()
        return self.read_clock(query, body)

    def add_grant(self, _query: dict[str, str], body: Any) -> Any:
        """Return a pair of tokens, as if the owner had just consented."""
        order = orders.NewGrant.model_validate(body)
        sim = self._sim
        if order.creator is not None:
            user_uuid = sim.world.creator(order.creator).uuid
            scopes: tuple[str, ...] = CREATOR_SCOPES
        elif order.agency is not None:
            user_uuid, scopes = sim.world.agency(order.agency).owner.uuid, AGENCY_SCOPES
        else:
            raise ValueError("a grant needs a creator or an agency")
        client_id = order.client_id or next(iter(sim.consents.clients))
        wanted = scopes if order.scopes is None else tuple(order.scopes)
        pair = sim.tokens.grant(client_id, user_uuid, wanted, order.expires_in)
        return {
            "access_token": pair.access.text,
            "refresh_token": None if pair.refresh is None else pair.refresh.text,
            "expires_in": sim.tokens.expires_in(pair.access),
            "creator_uuid": user_uuid,
            "scope": " ".join(wanted),
        }

    def expire_tokens(self, _query: dict[str, str], body: Any) -> Any:
        """Let a creator's access tokens run out now."""
        order = orders.TokenOwner.model_validate(body)
        return {"expired": self._sim.tokens.expire_access(self._owner(order.creator))}

    def kill_chains(self, _query: dict[str, str], body: Any) -> Any:
        """Revoke a creator's grants."""
        order = orders.TokenOwner.model_validate(body)
        return {"killed": self._sim.tokens.kill_chains(self._owner(order.creator))}

    def add_client(self, _query: dict[str, str], body: Any) -> Any:
        """Register an OAuth client."""
        order = orders.NewClient.model_validate(body)
        self._sim.consents.register(
            Client(order.client_id, order.client_secret, tuple(order.redirect_uris))
        )
        return {"client_id": order.client_id}

    def read_requests(self, query: dict[str, str], _body: Any) -> Any:
        """Return the request log."""
        return read_requests(self._sim, query)

    def clear_requests(self, _query: dict[str, str], _body: Any) -> Any:
        """Forget the request log."""
        self._sim.journal.clear()
        return {"requests": []}

    def read_stats(self, _query: dict[str, str], _body: Any) -> Any:
        """Return counters and bucket use."""
        return read_stats(self._sim)

    def clear_stats(self, _query: dict[str, str], _body: Any) -> Any:
        """Forget counters and buckets."""
        self._sim.stats.clear()
        self._sim.buckets.clear()
        return read_stats(self._sim)

    def read_world(self, _query: dict[str, str], _body: Any) -> Any:
        """Return who lives in the world."""
        return read_world(self._sim)

    def _target(self, query: dict[str, str]) -> str | None:
        return self._owner(query["creator"]) if "creator" in query else None

    def _owner(self, name: str) -> str:
        world = self._sim.world
        return name if name in world.users else world.creator(name).uuid


def control_routes(simulation: Simulation) -> list[Route]:
    """Return all routes of the control API."""
    control = Control(simulation)
    life = Life(simulation)
    table: list[tuple[str, str, Callable[[dict[str, str], Any], Any]]] = [
        ("GET", "books", control.books),
        ("POST", "creators", control.add_creators),
        ("POST", "sales", control.add_sales),
        ("POST", "fans", life.add_fans),
        ("POST", "messages", life.add_messages),
        ("POST", "posts", life.add_posts),
        ("POST", "cancellations", life.cancel_subscriptions),
        ("POST", "reversals", control.add_reversals),
        ("POST", "status-flips", control.flip_statuses),
        ("GET", "knobs", control.read_knobs),
        ("PUT", "knobs", control.replace_knobs),
        ("PATCH", "knobs", control.update_knobs),
        ("GET", "faults", control.read_faults),
        ("POST", "faults", control.add_faults),
        ("DELETE", "faults", control.clear_faults),
        ("GET", "clock", control.read_clock),
        ("POST", "clock", control.move_clock),
        ("POST", "grants", control.add_grant),
        ("POST", "clients", control.add_client),
        ("POST", "tokens/expire", control.expire_tokens),
        ("POST", "tokens/kill-chain", control.kill_chains),
        ("GET", "requests", control.read_requests),
        ("DELETE", "requests", control.clear_requests),
        ("GET", "stats", control.read_stats),
        ("DELETE", "stats", control.clear_stats),
        ("GET", "world", control.read_world),
    ]
    return [
        Route(f"/_sim/{path}", _endpoint(simulation, act), methods=[method])
        for method, path, act in table
    ]


def _endpoint(
    simulation: Simulation, act: Callable[[dict[str, str], Any], Any]
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        try:
            body = json.loads(raw) if raw else {}
            with simulation.world.lock:
                answer = act(dict(request.query_params), body)
        except KeyError as error:
            return to_response(Reply({"error": str(error.args[0])}, 404))
        except ValidationError as error:
            details = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            return to_response(Reply({"error": "; ".join(details)}, 422))
        except (TypeError, ValueError) as error:
            return to_response(Reply({"error": str(error)}, 422))
        return to_response(Reply(answer))

    return endpoint


def _echo(creator: Creator, rows: list[Transaction]) -> dict[str, Any]:
    return {
        "creator": creator.uuid,
        "count": len(rows),
        "gross_cents": sum(row.gross for row in rows),
        "net_cents": sum(row.net for row in rows),
        "rows": [
            {
                "order_id": row.order_id,
                "date": row.date,
                "source": row.source,
                "gross_cents": row.gross,
                "net_cents": row.net,
                "fan_uuid": None if row.fan is None else row.fan.uuid,
                "message_uuid": row.message_uuid,
                "post_uuid": row.post_uuid,
            }
            for row in rows[:MAX_ECHOED_ROWS]
        ],
    }
