"""Control of how the simulator behaves: knobs, faults, time, grants and clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.control import orders
from simulator.faults import Fault
from simulator.oauth.consents import AGENCY_SCOPES, CREATOR_SCOPES, Client


if TYPE_CHECKING:
    from simulator.simulation import Simulation


class Steering:
    """Acts on a simulation's behaviour; each method answers one route."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

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
            user_uuid = self._owner(order.creator)
            scopes = AGENCY_SCOPES if sim.world.agency_of(user_uuid) else CREATOR_SCOPES
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

    def _target(self, query: dict[str, str]) -> str | None:
        return self._owner(query["creator"]) if "creator" in query else None

    def _owner(self, name: str) -> str:
        world = self._sim.world
        return name if name in world.users else world.creator(name).uuid
