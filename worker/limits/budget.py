"""What a call budget is: ask before every call, report what every response said.

Buckets are Fanvue's own (one per app and user, one per creator on agency paths); they are
opaque names here. Headers and refusals speak of one endpoint of a bucket.
Implementations: `shared` (all workers, in Postgres) and `local` (one process).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from worker.traffic import Lane, RateSeen


if TYPE_CHECKING:
    from datetime import datetime


__all__ = ["Budget", "Lane", "Permit", "RateSeen"]


class Budget(Protocol):
    """Grants single calls."""

    async def acquire(
        self, bucket: str, lane: Lane, *, endpoint: str = "", hint: int | None = None
    ) -> None:
        """Take one permit; short waits are slept through, long ones raise `Throttled`.

        `hint` is how many calls the caller expects to make, itself included.
        """
        ...

    def observe(self, bucket: str, seen: RateSeen, *, endpoint: str = "") -> None:
        """Learn from the headers of a response."""
        ...

    async def penalize(self, bucket: str, until: datetime, *, endpoint: str = "") -> None:
        """Close an endpoint until a moment, after a 429; without a name the whole bucket."""
        ...


@dataclass(slots=True)
class Permit:
    """A block of calls granted to a lane; it lapses at a moment of the monotonic clock.

    `count` of those `granted` are left.
    """

    lane: Lane
    count: int
    valid_until: float
    granted: int

    def serves(self, lane: Lane, moment: float) -> bool:
        """Tell whether a call may use it; less urgent work never eats urgent permits."""
        return self.count > 0 and moment < self.valid_until and lane.rank <= self.lane.rank
