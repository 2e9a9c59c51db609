"""The log of requests the simulator answered, newest kept, for checks to read.

Never holds tokens or bodies.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from simulator.clock import stamp


CAPACITY = 50_000


@dataclass(slots=True)
class Entry:
    """One answered request."""

    at: int
    method: str
    path: str
    query: dict[str, str]
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


class Journal:
    """The newest entries, numbered from 1."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=CAPACITY)
        self._count = 0

    def write(self, entry: Entry) -> None:
        """Append an entry."""
        self._count += 1
        entry.n = self._count
        self._entries.append(entry)

    def read(
        self,
        *,
        path: str | None = None,
        creator: str | None = None,
        since: int = 0,
        limit: int = 1000,
    ) -> list[Entry]:
        """Return entries numbered above `since`, oldest first, at most the newest `limit`."""
        found = [
            e
            for e in self._entries
            if e.n > since
            and (path is None or path in e.path)
            and (creator is None or e.creator == creator)
        ]
        return found[-limit:]

    def clear(self) -> None:
        """Forget all entries; numbering goes on."""
        self._entries.clear()
