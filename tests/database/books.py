"""A creator's true books, and the pages in which Fanvue may list them.

The property tests draw books and listings here; the ledger must end equal to the books.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st


FIRST = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sale:
    """One row of money as Fanvue knows it."""

    instant: int
    cents: int
    order_id: str | None
    fan: str | None
    source: str

    @property
    def at(self) -> datetime:
        """When the fan paid; few instants, so that rows share them."""
        return FIRST + timedelta(seconds=self.instant)

    @property
    def facts(self) -> tuple[Any, ...]:
        """What the ledger must hold of it."""
        amount = Decimal(self.cents) / 100
        return (self.at, amount, self.source, self.fan)

    def listed(self, *, with_id: bool = True, status: str = "pending") -> dict[str, Any]:
        """Return the row as a page carries it."""
        return {
            "fanvue_id": self.order_id if with_id else None,
            "source": self.source,
            "category": self.source,
            "amount": f"{Decimal(self.cents) / 100:.2f}",
            "net": f"{Decimal(self.cents * 8 // 10) / 100:.2f}",
            "currency": "USD",
            "status": status,
            "fan_uuid": self.fan,
            "at": self.at.isoformat(),
        }


def totals(sales: list[Sale]) -> Counter[tuple[Any, ...]]:
    """Count the sales by what the ledger must hold of them."""
    return Counter(sale.facts for sale in sales)


sales = st.builds(
    Sale,
    instant=st.integers(0, 2),
    cents=st.sampled_from([500, 999, -500]),
    order_id=st.sampled_from(["A", "B", "C", None]),
    fan=st.sampled_from(["f1", None]),
    source=st.sampled_from(["tip", "message"]),
)


def _distinct_under_id(drawn: list[Sale]) -> list[Sale]:
    # Rows that agree in id, instant and facts are one row; only rows without id may be twins.
    seen: set[Sale] = set()
    kept = []
    for sale in drawn:
        if sale.order_id is not None and sale in seen:
            continue
        seen.add(sale)
        kept.append(sale)
    return kept


books = st.lists(sales, min_size=1, max_size=7).map(_distinct_under_id)


# What a row looks like whose details could not be read.
LOST: dict[str, Any] = {"net": None, "currency": None, "fan_uuid": None, "source": "unknown"}


@st.composite
def enumerations(
    draw: st.DrawFn, book: list[Sale], lost: dict[Sale, set[str]] | None = None
) -> list[list[dict[str, Any]]]:
    """Draw one listing of the book: pages of complete instants, any order, some twice.

    `lost` says which details of a sale cannot be read.
    """
    by_instant: dict[int, list[dict[str, Any]]] = {}
    for sale in draw(st.permutations(book)):
        shown = draw(st.booleans())
        row = sale.listed(with_id=shown) | {name: LOST[name] for name in (lost or {}).get(sale, ())}
        by_instant.setdefault(sale.instant, []).append(row)
    pages: list[list[dict[str, Any]]] = []
    for instant in draw(st.permutations(sorted(by_instant))):
        if draw(st.booleans()) and pages:
            pages[-1].extend(by_instant[instant])
        else:
            pages.append(list(by_instant[instant]))
    repeated = draw(st.lists(st.sampled_from(pages), max_size=2))
    return pages + repeated


@st.composite
def histories(
    draw: st.DrawFn,
) -> tuple[list[Sale], list[list[list[dict[str, Any]]]]]:
    """Draw a book that grows, and a listing of it at each stage."""
    book = draw(books)
    return book, [draw(enumerations(stage)) for stage in draw(_stages(book))]


@st.composite
def spoilt_histories(
    draw: st.DrawFn,
) -> tuple[list[Sale], list[list[list[dict[str, Any]]]]]:
    """Draw a history in which details of some sales cannot be read, until the last listing.

    No id comes twice: two rows under one id are told apart by their details alone.
    """
    book = draw(books.filter(_names_no_two))
    lost = {sale: draw(st.sets(st.sampled_from(sorted(LOST)))) for sale in book}
    *spoilt, last = draw(_stages(book))
    listings = [draw(enumerations(stage, draw(st.sampled_from([lost, None])))) for stage in spoilt]
    return book, [*listings, draw(enumerations(last))]


def _names_no_two(book: list[Sale]) -> bool:
    ids = [sale.order_id for sale in book if sale.order_id is not None]
    return len(ids) == len(set(ids))


@st.composite
def _stages(draw: st.DrawFn, book: list[Sale]) -> list[list[Sale]]:
    stages = sorted(draw(st.lists(st.integers(1, len(book)), min_size=1, max_size=3)))
    stages[-1] = len(book)
    return [book[:stage] for stage in stages]
