"""The walk functions of the database in memory: one open walk, its version, and a pure ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.property.fanvue_list import earning
from tests.property.ledger import Entry, Ledger
from tests.unit.store.rpc_stub import lost_lease


if TYPE_CHECKING:
    from worker.sync.rows import LedgerRow


@dataclass
class WalkBook:
    """What the database knows of one stream."""

    kind: str = "incremental"
    floor: datetime | None = None
    aside_due: bool = False
    aside_checked_at: datetime | None = None
    cancel: bool = False
    # The lease ends at this version; commits after it are refused.
    lost_at: int | None = None
    ledger: Ledger = field(default_factory=Ledger)
    pages: list[dict[str, Any]] = field(default_factory=list)
    high_water: datetime | None = None
    version: int = 0
    walk: dict[str, Any] | None = None
    validator: dict[str, Any] | None = None
    # Differences that are findings already.
    known: dict[str, dict[str, str]] = field(default_factory=dict)
    _border: list[Entry] = field(default_factory=list)
    _replies: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def turned(self) -> int:
        """How many pages were committed, by themselves or together."""
        return sum(page["pages"] for page in self.pages)

    @property
    def phases(self) -> list[str]:
        return [page["phase"] for page in self.pages for _ in range(page["pages"])]

    def begin(self, _: dict[str, Any]) -> dict[str, Any]:
        if self.walk is None:
            self.walk = {
                "walk_id": "walk",
                "kind": self.kind,
                "phase": "rows",
                "mode": "window",
                "cursor": None,
                "position": None,
                "ceiling": None,
                "newest": None,
                "notes": {},
                "pages": 0,
                "rows": 0,
            }
        return {
            **self.walk,
            "version": self.version,
            "floor": _text(self.floor),
            "aside_due": self.aside_due,
            "aside_checked_at": _text(self.aside_checked_at),
            "validator": None if self.walk["pages"] else self.validator,
            # Nothing is counted for a poll of a few pages.
            "known": len(self.ledger.entries)
            if self.kind != "incremental" or self.walk["pages"]
            else None,
        }

    def commit(self, asked: dict[str, Any]) -> dict[str, Any]:
        page = asked["p_page"]
        assert not floats_in(page), "money must not travel as a float"
        if self.version == asked["p_version"] + 1 and page["key"] in self._replies:
            return self._replies[page["key"]]
        if self.walk is None or self.version != asked["p_version"] or self.version == self.lost_at:
            raise lost_lease()
        before = len(self.ledger.entries)
        rows = [_row(item) for item in page["rows"]]
        self.ledger.apply(rows, self._border)
        inserted = len(self.ledger.entries) - before
        self.version += 1
        self.pages.append(page)
        self._advance(self.walk, page, rows)
        self.validator = page["validator"] or self.validator
        reply = {
            "version": self.version,
            "inserted": inserted,
            "updated": 0,
            "unchanged": len(rows) - inserted,
            "amount": "0.00",
            "cancel": self.cancel,
        }
        self._replies[page["key"]] = reply
        return reply

    def _advance(self, walk: dict[str, Any], page: dict[str, Any], rows: list[LedgerRow]) -> None:
        newest = [walk["newest"]] if walk["newest"] else []
        if page["phase"] == "rows":
            newest += [row.at.isoformat() for row in rows]
        walk |= {name: page[name] for name in ("mode", "cursor", "position")}
        walk["pages"] += page["pages"]
        walk["newest"] = max(newest, default=None)
        walk["phase"] = page["next_phase"]
        walk["ceiling"] = walk["ceiling"] or page["ceiling"]
        walk["notes"] = {**walk["notes"], **page["notes"]}
        if page["position"] is not None and page["cursor"] and page["mode"] != "window":
            self._border = self.ledger.at(datetime.fromisoformat(page["position"]))
        else:
            self._border = []
        if page["complete"]:
            if page["partial"] is None and walk["newest"] is not None:
                self.high_water = datetime.fromisoformat(walk["newest"])
            self.walk = None


def floats_in(value: Any) -> list[float]:
    """Return every float inside some JSON."""
    if isinstance(value, float):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return []
    return [found for item in inner for found in floats_in(item)]


def _row(item: dict[str, Any]) -> LedgerRow:
    dollars, _, cents = item["amount"].partition(".")
    whole = int(dollars + cents)
    return earning(datetime.fromisoformat(item["at"]), whole, item["fanvue_id"])


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def rows_every(
    step: timedelta, number: int, *, until: datetime, ids: bool = True
) -> list[LedgerRow]:
    """Return sales at even distances, the newest last."""
    first = until - step * (number - 1)
    return [
        earning(first + step * n, 100 + n, f"order-{n}" if ids else None) for n in range(number)
    ]
