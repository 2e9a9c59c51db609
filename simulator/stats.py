"""Counters of what happened, per creator and in total.

Only counts; single requests are in the journal, bucket use is with the buckets.
"""

from __future__ import annotations

from collections import Counter, defaultdict


NAMES = ("calls", "throttled", "errors", "refreshes", "grace_hits", "chain_kills", "faults")


class Stats:
    """Named counters."""

    def __init__(self) -> None:
        self._total: Counter[str] = Counter()
        self._creators: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def count(self, name: str, creator_uuid: str | None = None) -> None:
        """Add one to a counter."""
        self._total[name] += 1
        if creator_uuid is not None:
            self._creators[creator_uuid][name] += 1

    def total(self) -> dict[str, int]:
        """Return every counter over all creators."""
        return {name: self._total[name] for name in NAMES}

    def by_creator(self) -> dict[str, dict[str, int]]:
        """Return every counter of each creator that did anything."""
        return {
            uuid: {name: counter[name] for name in NAMES}
            for uuid, counter in sorted(self._creators.items())
        }

    def clear(self) -> None:
        """Forget everything."""
        self._total.clear()
        self._creators.clear()
