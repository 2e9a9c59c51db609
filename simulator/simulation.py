"""Everything one running simulator consists of, put together in one place.

The HTTP parts (gate, OAuth, control) all work on this object and keep no state of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.buckets import Buckets
from simulator.faults import FaultBook
from simulator.journal import Journal
from simulator.oauth.consents import Client, Consents
from simulator.oauth.tokens import Tokens
from simulator.stats import Stats
from simulator.validators import Versions
from simulator.webhooks.newsroom import Newsroom


if TYPE_CHECKING:
    from simulator.clock import SimulatedClock
    from simulator.knobs import KnobBook
    from simulator.world import World


DEFAULT_CLIENT = Client("simulator-client", "simulator-secret")


CACHE_SIZE = 2000


class AnswerCache(dict[Any, Any]):
    """Answers kept for a while; the oldest make room, so a long run does not grow."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if key not in self and len(self) >= CACHE_SIZE:
            del self[next(iter(self))]
        super().__setitem__(key, value)


@dataclass(slots=True)
class Simulation:
    """World, clock, knobs, tokens, limits, faults, webhooks and records."""

    world: World
    clock: SimulatedClock
    knobs: KnobBook
    tokens: Tokens
    consents: Consents
    stats: Stats
    newsroom: Newsroom
    buckets: Buckets = field(default_factory=Buckets)
    faults: FaultBook = field(default_factory=FaultBook)
    journal: Journal = field(default_factory=Journal)
    cache: AnswerCache = field(default_factory=AnswerCache)
    versions: Versions = field(default_factory=Versions)


def assemble(
    world: World, clock: SimulatedClock, knobs: KnobBook, client: Client = DEFAULT_CLIENT
) -> Simulation:
    """Build a simulation around a world, with one registered client."""
    stats = Stats()
    tokens = Tokens(world, knobs, stats)
    consents = Consents(world, knobs, tokens)
    consents.register(client)
    newsroom = Newsroom(clock, knobs, world.seed)
    world.listeners.append(newsroom.hear)
    return Simulation(world, clock, knobs, tokens, consents, stats, newsroom)
