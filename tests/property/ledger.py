"""A pure ledger with the identity rules of the database's: what counts as one row of money.

Only what the rules say, in the simplest form: matching happens inside one instant.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from decimal import Decimal

    from worker.sync.rows import LedgerRow


@dataclass(eq=False)
class Entry:
    """One stored row."""

    order_id: str | None
    at: datetime
    amount: Decimal


@dataclass
class Ledger:
    """Rows as committed, page after page."""

    entries: list[Entry] = field(default_factory=list)

    def apply(self, rows: Sequence[LedgerRow], border: Sequence[Entry]) -> None:
        """Write one page; `border` is what was stored at the place the page begins."""
        left = _distinct(rows)
        here = {row.at for row in left}
        free = [entry for entry in self.entries if entry.at in here]
        left = _match(left, free, _same)
        left = _match(left, free, _given_an_id)
        left = _match(left, free, _sent_without_an_id, nameless_first=True)
        shielded = {id(entry) for entry in border}
        free[:] = [entry for entry in free if id(entry) not in shielded]
        left = _match(left, free, _amended)
        self.entries += [Entry(row.fanvue_id, row.at, row.amount) for row in left]

    def at(self, instant: datetime | None) -> list[Entry]:
        return [entry for entry in self.entries if entry.at == instant]

    def contents(self) -> Counter[tuple[str | None, datetime, Decimal]]:
        return Counter((entry.order_id, entry.at, entry.amount) for entry in self.entries)


def money_of(rows: Iterable[LedgerRow]) -> Counter[tuple[str | None, datetime, Decimal]]:
    """Return what a ledger holds once it knows all these rows."""
    return Counter((row.fanvue_id, row.at, row.amount) for row in _distinct(rows))


def _distinct(rows: Iterable[LedgerRow]) -> list[LedgerRow]:
    seen: set[tuple[str, datetime, Decimal]] = set()
    kept: list[LedgerRow] = []
    for row in rows:
        if row.fanvue_id is not None:
            key = (row.fanvue_id, row.at, row.amount)
            if key in seen:
                continue
            seen.add(key)
        kept.append(row)
    return kept


def _same(row: LedgerRow, entry: Entry) -> bool:
    named = row.fanvue_id is not None and row.fanvue_id == entry.order_id
    return named and row.at == entry.at and row.amount == entry.amount


def _given_an_id(row: LedgerRow, entry: Entry) -> bool:
    nameless = row.fanvue_id is not None and entry.order_id is None
    return nameless and row.at == entry.at and row.amount == entry.amount


def _sent_without_an_id(row: LedgerRow, entry: Entry) -> bool:
    return row.fanvue_id is None and row.at == entry.at and row.amount == entry.amount


def _amended(row: LedgerRow, entry: Entry) -> bool:
    named = row.fanvue_id is not None and row.fanvue_id == entry.order_id
    return named and row.at == entry.at


def _match(
    rows: list[LedgerRow],
    free: list[Entry],
    rule: Callable[[LedgerRow, Entry], bool],
    *,
    nameless_first: bool = False,
) -> list[LedgerRow]:
    left: list[LedgerRow] = []
    for row in rows:
        candidates = [entry for entry in free if rule(row, entry)]
        if nameless_first:
            candidates.sort(key=lambda entry: entry.order_id is not None)
        if not candidates:
            left.append(row)
            continue
        entry = candidates[0]
        free.remove(entry)
        entry.amount = row.amount
        entry.order_id = row.fanvue_id or entry.order_id
    return left
