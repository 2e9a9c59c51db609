"""The log of requests the simulator answered, for checks to read, and counts of them.

The newest entries are kept; the counts never roll over. Never holds tokens or bodies.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from simulator.clock import stamp


if TYPE_CHECKING:
    from collections.abc import Iterator


CAPACITY = 250_000
TRIMMED_AT_ONCE = 25_000
FACETS = ("creator", "template", "method", "status", "bucket", "fault")

Facets = tuple[str | int | None, ...]


@dataclass(slots=True)
class Entry:
    """One answered request."""

    at: int
    method: str
    path: str
    query: dict[str, str]
    template: str | None = None
    creator: str | None = None
    bucket: str | None = None
    status: int = 0
    rows: int | None = None
    cursor: str | None = None
    fault: str | None = None
    n: int = field(default=0)

    def as_json(self) -> dict[str, Any]:
        """Return the entry with a readable time."""
        plain = asdict(self)
        plain["time"] = stamp(plain.pop("at"))
        return plain

    def facets(self) -> Facets:
        """Return what requests are counted by."""
        return (self.creator, self.template, self.method, self.status, self.bucket, self.fault)


class Journal:
    """The newest entries, numbered from 1, and how many of each kind there ever were."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._entries: list[Entry] = []
        self._counts: Counter[Facets] = Counter()
        self._count = 0

    @property
    def last(self) -> int:
        """Return the number of the newest entry."""
        return self._count

    def write(self, entry: Entry) -> None:
        """Append an entry."""
        self._count += 1
        entry.n = self._count
        self._entries.append(entry)
        self._counts[entry.facets()] += 1
        if len(self._entries) >= self._capacity + TRIMMED_AT_ONCE:
            del self._entries[:TRIMMED_AT_ONCE]

    def read(
        self,
        *,
        path: str | None = None,
        creator: str | None = None,
        since: int = 0,
        limit: int = 1000,
    ) -> list[Entry]:
        """Return entries numbered above `since`, oldest first, at most the newest `limit`."""
        found = (
            e
            for e in self._newest_first(since)
            if (path is None or path in e.path) and (creator is None or e.creator == creator)
        )
        return list(islice(found, limit))[::-1]

    def counts(
        self,
        by: tuple[str, ...],
        *,
        path: str | None = None,
        creator: str | None = None,
        since: int | None = None,
    ) -> Counter[Facets]:
        """Count requests by the named facets: all there ever were, or those after an entry.

        `path` is a part of the template. Entries that were forgotten cannot be counted from.
        """
        positions = [FACETS.index(name) for name in by]
        if since is None:
            counted = self._counts
        else:
            if self._entries and since + 1 < self._entries[0].n:
                raise ValueError(f"entries before {self._entries[0].n} are forgotten")
            counted = Counter(entry.facets() for entry in self._newest_first(since))
        result: Counter[Facets] = Counter()
        for facets, count in counted.items():
            if (creator is None or facets[0] == creator) and (
                path is None or path in str(facets[1])
            ):
                result[tuple(facets[position] for position in positions)] += count
        return result

    def clear(self) -> None:
        """Forget all entries and counts; numbering goes on."""
        self._entries.clear()
        self._counts.clear()

    def _newest_first(self, since: int) -> Iterator[Entry]:
        for entry in reversed(self._entries):
            if entry.n <= since:
                return
            yield entry
