"""Money rows of one creator and the sorted ledger that finds a page of them quickly.

A ledger answers range questions by bisection; no request may scan it whole. Rows that are
to appear later wait aside until the clock reaches their time.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.clock import stamp


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from simulator.people import Fan


REVERSAL_SOURCES = frozenset({"refund", "chargeback"})
REWARD_SOURCES = frozenset({"referral", "affiliate", "giveaway"})
SALE_SOURCES = (
    "affiliate",
    "appStore",
    "checkoutLink",
    "fanExperience",
    "giveaway",
    "mediaLink",
    "message",
    "post",
    "referral",
    "renewal",
    "subscription",
    "tip",
)

EVERYTHING = "*everything"
SALES = "*sales"
REVERSALS = "*reversals"


@dataclass(slots=True, eq=False)
class Transaction:
    """One row of money; amounts in US cents, instants in milliseconds."""

    at: int
    serial: int
    number: int
    paired_number: int
    source: str
    gross: int
    net: int
    total: int
    currency: str | None
    fan: Fan | None
    available_at: int
    visible_at: int
    message_uuid: str | None = None
    post_uuid: str | None = None
    reverses: Transaction | None = None
    reversed_by: Transaction | None = None
    date: str = field(init=False)

    def __post_init__(self) -> None:
        self.date = stamp(self.at)

    @property
    def order_id(self) -> str:
        """Return the unique order id."""
        return f"FV-ORDER-{self.number}"

    @property
    def is_reversal(self) -> bool:
        """Tell whether this row takes money back."""
        return self.source in REVERSAL_SOURCES

    def status(self, now_ms: int) -> str:
        """Return the payout status at an instant."""
        return "availableForPayout" if now_ms >= self.available_at else "pendingBalance"


@dataclass(slots=True)
class Sum:
    """Two sums in US cents."""

    gross: int = 0
    net: int = 0


@dataclass(frozen=True, slots=True)
class Balance:
    """What is available for payout within a span of time."""

    version: int
    since: int
    until: int | None
    net: int


def sort_key(row: Transaction) -> tuple[int, int]:
    """Order rows by time, then by their creation: the tie-breaker of equal milliseconds."""
    return (row.at, row.serial)


class Ledger:
    """All rows of one creator, sorted by time, with one index per source."""

    def __init__(self) -> None:
        self._indexes: dict[str, list[Transaction]] = {EVERYTHING: [], SALES: [], REVERSALS: []}
        self._by_order: dict[str, list[Transaction]] = {}
        self._pending: list[tuple[int, int, Transaction]] = []
        self._serial = 0
        self._previous_number = 0
        self._sums: dict[str, Sum] = {}
        self._by_fan: dict[str, list[Transaction]] = {}
        self._balance: Balance | None = None
        self.version = 0

    def next_serial(self) -> int:
        """Hand out the next creation number."""
        self._serial += 1
        return self._serial

    def paired_number(self, serial: int, number: int) -> int:
        """Return the order number that every second row shares with the row before it."""
        shared = number if serial % 2 else self._previous_number
        self._previous_number = number
        return shared

    def add(self, row: Transaction, now_ms: int) -> None:
        """Add a row, at once or when its time to appear comes."""
        if row.visible_at <= now_ms:
            self._show(row)
        else:
            heapq.heappush(self._pending, (row.visible_at, row.serial, row))

    def settle(self, now_ms: int) -> None:
        """Let the rows appear whose time has come."""
        while self._pending and self._pending[0][0] <= now_ms:
            self._show(heapq.heappop(self._pending)[2])

    def touched(self) -> None:
        """Note that a row changed in place, so that cached answers are dropped."""
        self.version += 1

    def _show(self, row: Transaction) -> None:
        self.version += 1
        kind = REVERSALS if row.is_reversal else SALES
        for name in (EVERYTHING, kind, row.source):
            insort(self._indexes.setdefault(name, []), row, key=sort_key)
            total = self._sums.setdefault(name, Sum())
            total.gross += row.gross
            total.net += row.net
        if row.fan is not None:
            insort(self._by_fan.setdefault(row.fan.uuid, []), row, key=sort_key)
        self._by_order.setdefault(row.order_id, []).append(row)

    def __len__(self) -> int:
        return len(self._indexes[EVERYTHING])

    @property
    def pending_count(self) -> int:
        """Return how many rows still wait for their time to appear."""
        return len(self._pending)

    def rows(self, index: str = EVERYTHING) -> Sequence[Transaction]:
        """Return an index, oldest first."""
        return self._indexes.get(index, [])

    def total(self, index: str = EVERYTHING) -> Sum:
        """Return the sums of an index."""
        return self._sums.get(index, Sum())

    def available(self, now_ms: int) -> int:
        """Return the net cents whose time for payout has come; kept until that changes."""
        found = self._balance
        if (
            found is None
            or found.version != self.version
            or now_ms < found.since
            or (found.until is not None and now_ms >= found.until)
        ):
            rows = self._indexes[EVERYTHING]
            found = self._balance = Balance(
                version=self.version,
                since=now_ms,
                until=min((r.available_at for r in rows if r.available_at > now_ms), default=None),
                net=sum(r.net for r in rows if r.available_at <= now_ms),
            )
        return found.net

    def of_fan(self, uuid: str) -> Sequence[Transaction]:
        """Return a fan's rows, oldest first."""
        return self._by_fan.get(uuid, [])

    def find(self, order_id: str) -> Transaction | None:
        """Return the row with an order id."""
        found = self._by_order.get(order_id)
        return found[0] if found else None

    def between(
        self, start: int | None, end: int | None, index: str = EVERYTHING
    ) -> Sequence[Transaction]:
        """Return the rows with start <= time < end, oldest first."""
        rows = self._indexes.get(index, [])
        low = 0 if start is None else bisect_left(rows, (start, 0), key=sort_key)
        high = len(rows) if end is None else bisect_left(rows, (end, 0), key=sort_key)
        return rows[low:high]

    def newest_before(
        self, border: tuple[int, int] | None, start: int | None, indexes: Iterable[str]
    ) -> Iterator[Transaction]:
        """Walk back in time from just below the border down to start, lazily."""
        walks = [self._walk(name, border, start) for name in indexes]
        if len(walks) == 1:
            return walks[0]
        return heapq.merge(*walks, key=sort_key, reverse=True)

    def _walk(
        self, index: str, border: tuple[int, int] | None, start: int | None
    ) -> Iterator[Transaction]:
        rows = self._indexes.get(index, [])
        position = len(rows) if border is None else bisect_left(rows, border, key=sort_key)
        while position > 0:
            position -= 1
            row = rows[position]
            if start is not None and row.at < start:
                return
            yield row
