"""What one run of a worker did, in a few numbers that do not grow with its jobs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(slots=True)
class Waits:
    """How long jobs waited, in milliseconds to two digits: as small after a year as at first."""

    counts: Counter[int] = field(default_factory=Counter)

    def add(self, waited: timedelta) -> None:
        """Count one wait."""
        milliseconds = round(waited / timedelta(milliseconds=1))
        self.counts[round(milliseconds, 2 - len(str(milliseconds)))] += 1

    def quantile(self, share: float) -> int | None:
        """Return the milliseconds that this share of the jobs did not exceed, None without jobs."""
        place = int(share * self.counts.total())
        for milliseconds, count in sorted(self.counts.items()):
            place -= count
            if place < 0:
                return milliseconds
        return max(self.counts, default=None)


@dataclass(slots=True)
class Tally:
    """What one run of this worker did."""

    claimed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    throttled: int = 0
    lost: int = 0
    pickup: Waits = field(default_factory=Waits)
    interrupted: bool = False

    @property
    def dead(self) -> int:
        """Return how many jobs of this run ended dead."""
        return self.outcomes["dead"]
