"""What the control API can report: the request log, counters, bucket use, the world."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from simulator.audience import audience
from simulator.clock import to_millis
from simulator.journal import FACETS
from simulator.particulars import particulars


if TYPE_CHECKING:
    from simulator.simulation import Simulation


class Records:
    """Reads and clears records; each method answers one route."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def read_requests(self, query: dict[str, str], _body: Any) -> Any:
        """Return log entries, filtered by a part of the path, creator and number."""
        entries = self._sim.journal.read(
            path=query.get("path"),
            creator=self._creator(query),
            since=int(query.get("since", "0")),
            limit=int(query.get("limit", "1000")),
        )
        return {"requests": [entry.as_json() for entry in entries]}

    def count_requests(self, query: dict[str, str], _body: Any) -> Any:
        """Return how many requests there were of each kind."""
        journal = self._sim.journal
        by = tuple(query.get("by", "creator,template,status").split(","))
        if not set(by) <= set(FACETS):
            raise ValueError(f"by must be some of {', '.join(FACETS)}")
        counts = journal.counts(
            by,
            path=query.get("path"),
            creator=self._creator(query),
            since=int(query["since"]) if "since" in query else None,
        )
        return {
            "last": journal.last,
            "total": counts.total(),
            "by": by,
            "counts": [[*facets, count] for facets, count in counts.items()],
        }

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

    def read_audience(self, query: dict[str, str], _body: Any) -> Any:
        """Return the truth about a creator's people and content."""
        sim = self._sim
        creator = sim.world.creator(query.get("creator", ""))
        start, end = (_instant(query.get(name)) for name in ("start", "end"))
        told = audience(sim.world, creator, sim.knobs.of(creator.uuid), start, end)
        if query.get("details") == "true":
            told |= particulars(creator, sim.clock.now_ms())
        return told

    def read_world(self, _query: dict[str, str], _body: Any) -> Any:
        """Return who lives in the world."""
        return read_world(self._sim)

    def _creator(self, query: dict[str, str]) -> str | None:
        name = query.get("creator")
        if name is None or name in self._sim.world.users:
            return name
        return self._sim.world.creator(name).uuid


def read_stats(simulation: Simulation) -> dict[str, Any]:
    """Return counters in total and per creator, and the use of every bucket."""
    return {
        "total": simulation.stats.total(),
        "creators": simulation.stats.by_creator(),
        "buckets": simulation.buckets.report(),
    }


def read_world(simulation: Simulation) -> dict[str, Any]:
    """Return agencies and creators."""
    now = simulation.clock.now_ms()
    world = simulation.world
    for creator in world.creators.values():
        creator.ledger.settle(now)
    return {
        "seed": world.seed,
        "agencies": [
            {
                "uuid": agency.uuid,
                "name": agency.name,
                "owner_uuid": agency.owner.uuid,
                "owner_handle": agency.owner.handle,
                "owner_is_creator": agency.owner.is_creator,
                "creators": [
                    {
                        "uuid": creator.uuid,
                        "handle": creator.handle,
                        "display_name": creator.user.display_name,
                        "transactions": len(creator.ledger),
                        "waiting": creator.ledger.pending_count,
                        "fans": len(creator.fans),
                    }
                    for creator in agency.creators
                ],
            }
            for agency in world.agencies
        ],
    }


def _instant(text: str | None) -> int | None:
    return None if text is None else to_millis(datetime.fromisoformat(text))
