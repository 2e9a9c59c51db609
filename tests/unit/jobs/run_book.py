"""The reconciliation functions of the database in memory: one open run and a pure ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.property.fanvue_list import earning
from tests.property.ledger import Ledger
from tests.unit.jobs.walk_book import floats_in
from tests.unit.store.rpc_stub import lost_lease


@dataclass
class RunBook:
    """What the database knows of one model's run."""

    ranges: list[dict[str, Any]]
    requested: int | None = None
    known: dict[str, dict[str, str]] = field(default_factory=dict)
    cancel: bool = False
    # The lease ends at this version; commits after it are refused.
    lost_at: int | None = None
    ledger: Ledger = field(default_factory=Ledger)
    steps: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    version: int = 0
    run: dict[str, Any] | None = None

    def begin(self, _: dict[str, Any]) -> dict[str, Any]:
        if self.run is None:
            notes = {} if self.requested is None else {"requested": self.requested}
            self.run = {
                "run_id": "run",
                "days": 35,
                "ranges": self.ranges,
                "todo": [{**one, "list": "earnings"} for one in self.ranges],
                "place": {},
                "notes": notes,
                "ceiling": None,
            }
        counted = {"pages": len(self.steps), "known": len(self.ledger.entries)}
        return {**self.run, **counted, "version": self.version, "settle_seconds": 1200}

    def commit(self, asked: dict[str, Any]) -> dict[str, Any]:
        page = asked["p_page"]
        assert not floats_in(page), "money must not travel as a float"
        if self.run is None or self.version != asked["p_version"] or self.version == self.lost_at:
            raise lost_lease()
        before = len(self.ledger.entries)
        self.ledger.apply([_row(item) for item in page["rows"]], [])
        self.version += 1
        self.steps.append(page)
        self.run |= {"todo": page["todo"], "place": page["place"]}
        self.run["notes"] = {**self.run["notes"], **page["notes"]}
        self.run["ceiling"] = self.run["ceiling"] or page["ceiling"]
        added = len(self.ledger.entries) - before
        return {
            "version": self.version,
            "inserted": added,
            "updated": 0,
            "mended": added,
            "cancel": self.cancel,
        }

    def sums(self, _: dict[str, Any]) -> dict[str, Any]:
        return sums_of(self.ledger, self.known)

    def finish(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.verdicts.append(asked["p_verdict"])
        self.version += 1
        self.run = None
        partial = asked["p_verdict"]["partial"] or asked["p_verdict"]["uncompared"]
        return {"version": self.version, "mended": {}, "drift": {}, "partial": partial}


def sums_of(ledger: Ledger, known: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Return the sums per day as the database does, reversals left out."""
    days: dict[str, Decimal] = {}
    for entry in ledger.entries:
        if entry.amount > 0:
            day = entry.at.date().isoformat()
            days[day] = days.get(day, Decimal(0)) + entry.amount
    texts = {day: {"gross": str(sum_), "net": str(sum_)} for day, sum_ in days.items()}
    return {"days": texts, "known": known}


def _row(item: dict[str, Any]) -> Any:
    whole, _, cents = item["amount"].partition(".")
    return earning(datetime.fromisoformat(item["at"]), int(whole + cents), item["fanvue_id"])
