"""The truth about a creator's money: exact totals of every row visible now.

Checks compare a database with these figures; integers only, reversals included as negatives.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from simulator.people import Creator
    from simulator.world import World


@dataclass(slots=True)
class Totals:
    """A count and two sums in US cents."""

    count: int = 0
    gross_cents: int = 0
    net_cents: int = 0

    def add(self, gross: int, net: int) -> None:
        """Count one row."""
        self.count += 1
        self.gross_cents += gross
        self.net_cents += net


@dataclass(slots=True)
class Books(Totals):
    """Totals of a creator, also per category (the row's source) and per UTC day."""

    by_category: dict[str, Totals] = field(default_factory=lambda: defaultdict(Totals))
    by_day: dict[str, Totals] = field(default_factory=lambda: defaultdict(Totals))

    def as_json(self) -> dict[str, Any]:
        """Return plain dictionaries with sorted keys."""
        return {
            "count": self.count,
            "gross_cents": self.gross_cents,
            "net_cents": self.net_cents,
            "by_category": {k: asdict(v) for k, v in sorted(self.by_category.items())},
            "by_day": {k: asdict(v) for k, v in sorted(self.by_day.items())},
        }


def books(world: World, creator: Creator, upto: int | None = None) -> Books:
    """Add up the rows visible now, only those dated before `upto` (milliseconds) if given."""
    with world.lock:
        creator.ledger.settle(world.clock.now_ms())
        result = Books()
        for row in creator.ledger.between(None, upto):
            result.add(row.gross, row.net)
            result.by_category[row.source].add(row.gross, row.net)
            result.by_day[row.date[:10]].add(row.gross, row.net)
        return result
