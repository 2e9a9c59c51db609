"""Turns Fanvue's earnings rows into ledger rows: exact dollars, categories, and a name each.

Pure. Money leaves here as text with two decimals, so that no float can touch it on the way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol
    from uuid import UUID

    class _Payer(Protocol):
        """The fan of a row."""

        @property
        def uuid(self) -> UUID: ...
        @property
        def handle(self) -> str | None: ...

    class _Earning(Protocol):
        """What a row of Fanvue's earnings or spending list says; amounts in US cents."""

        @property
        def date(self) -> datetime: ...
        @property
        def gross(self) -> int: ...
        @property
        def net(self) -> int | None: ...
        @property
        def currency(self) -> str | None: ...
        @property
        def source(self) -> str | None: ...
        @property
        def message_uuid(self) -> UUID | None: ...
        @property
        def post_uuid(self) -> UUID | None: ...
        @property
        def transaction_order_id(self) -> str | None: ...
        @property
        def transaction_order_status(self) -> str | None: ...
        @property
        def reversed_transaction_order_id(self) -> str | None: ...
        @property
        def user(self) -> _Payer | None: ...


# Source and category of money of which Fanvue does not say where it came from.
UNKNOWN: Final = "unknown"
REVERSALS: Final = frozenset({"refund", "chargeback"})
_STATUS: Final = {"pendingBalance": "pending", "availableForPayout": "available"}
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A row as the ledger takes it; `fanvue_id` is None where Fanvue gave no id."""

    fanvue_id: str | None
    at: datetime
    source: str
    category: str
    amount: Decimal
    net: Decimal | None
    currency: str | None
    status: str | None
    fan_uuid: str | None
    fan_handle: str | None
    message_uuid: str | None
    post_uuid: str | None
    reverses_fanvue_id: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the row as `commit_sync_page` takes it."""
        return {
            "fanvue_id": self.fanvue_id,
            "at": self.at.isoformat(timespec="milliseconds"),
            "source": self.source,
            "category": self.category,
            "amount": str(self.amount),
            "net": None if self.net is None else str(self.net),
            "currency": self.currency,
            "status": self.status,
            "fan_uuid": self.fan_uuid,
            "fan_handle": self.fan_handle,
            "message_uuid": self.message_uuid,
            "post_uuid": self.post_uuid,
            "reverses_fanvue_id": self.reverses_fanvue_id,
        }


def dollars(cents: int) -> Decimal:
    """Return US cents as exact dollars."""
    return Decimal(cents).scaleb(-2)


def category_of(source: str) -> str:
    """Return a source in snake_case; unknown sources are data, not errors."""
    return _HUMP.sub("_", source.strip()).replace("-", "_").replace(" ", "_").lower()


def to_ledger(row: _Earning) -> LedgerRow:
    """Map one row of any generation of the API."""
    source = row.source or UNKNOWN
    # A reversal that says what it reverses, and not why: told as the usual kind of them.
    reverses = row.source is None and row.gross < 0
    category = "refund" if reverses else category_of(source)
    return LedgerRow(
        fanvue_id=_name(row, category),
        at=row.date.astimezone(UTC),
        source=source,
        category=category,
        amount=dollars(row.gross),
        net=None if row.net is None else dollars(row.net),
        currency=row.currency,
        status=_STATUS.get(row.transaction_order_status or "", row.transaction_order_status),
        fan_uuid=None if row.user is None else str(row.user.uuid),
        fan_handle=None if row.user is None else row.user.handle,
        message_uuid=_text(row.message_uuid),
        post_uuid=_text(row.post_uuid),
        reverses_fanvue_id=row.reversed_transaction_order_id,
    )


def _name(row: _Earning, category: str) -> str | None:
    """Name a row by its order id; a reversal that may share its sale's id gets a suffix.

    The rule looks at this row alone, so that it gives the same name on every page and path.
    """
    order_id = row.transaction_order_id
    if order_id is None or category not in REVERSALS:
        return order_id
    reversed_id = row.reversed_transaction_order_id
    if reversed_id is not None and reversed_id != order_id:
        return order_id
    return f"{order_id}:{category}"


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def out_of_place(rows: Sequence[LedgerRow]) -> int:
    """Return by how many places the worst row of a page is away from newest first; 0: in order."""
    order = sorted(range(len(rows)), key=lambda n: rows[n].at, reverse=True)
    return max((abs(place - n) for place, n in enumerate(order)), default=0)
