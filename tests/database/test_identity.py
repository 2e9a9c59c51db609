"""Money is counted once: any split, order and repetition of pages leaves the ledger as the books.

Calls the matching function itself; the walk around it has its own tests.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from psycopg import Rollback
from psycopg.types.json import Jsonb

from tests.database.books import LOST, Sale, histories, spoilt_histories, totals


if TYPE_CHECKING:
    import uuid

    from tests.database.engine import Engine


TIP = Sale(instant=0, cents=500, order_id="A", fan="f1", source="tip")
_APPLY = """
  select inserted, updated, unchanged, amount
  from private.apply_transactions(%s, %s, %s, %s, private.engine_now())
"""
_LEDGER = """
  select fanvue_created_at, amount, source, fan_uuid
  from public.fanvue_transactions where model_id = %s
"""


class Ledger:
    """One creator's ledger, written as a page commit writes it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.agency_id = engine.agency()
        self.model_id = engine.model(self.agency_id, due=False)

    def apply(self, *page: dict[str, Any], border: list[uuid.UUID] | None = None) -> dict[str, Any]:
        """Apply one page and return its counts."""
        (done,) = self.engine.rows(
            _APPLY, self.agency_id, self.model_id, Jsonb(list(page)), border or []
        )
        return done

    def held(self) -> Counter[tuple[Any, ...]]:
        """Count the rows by their facts."""
        rows = self.engine.rows(_LEDGER, self.model_id)
        return Counter(tuple(row.values()) for row in rows)

    def rows(self, columns: str) -> list[tuple[Any, ...]]:
        """Return columns of the rows, ordered."""
        query = f"select {columns} from public.fanvue_transactions where model_id = %s order by 1"  # noqa: S608 - test's own text
        return [tuple(row.values()) for row in self.engine.rows(query, self.model_id)]


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger(engine)


@pytest.mark.property
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=histories())
def test_any_listing_of_the_books_leaves_the_ledger_equal_to_them(
    ledger: Ledger, history: tuple[list[Sale], list[Any]]
) -> None:
    book, listings = history

    with ledger.engine.owner.transaction():
        for pages in listings:
            for page in pages:
                ledger.apply(*page)
        held = ledger.held()
        raise Rollback

    assert held == totals(book)


@pytest.mark.property
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=spoilt_histories())
def test_rows_whose_details_are_lost_are_counted_once_and_made_whole(
    ledger: Ledger, history: tuple[list[Sale], list[Any]]
) -> None:
    book, listings = history

    with ledger.engine.owner.transaction():
        for pages in listings:
            # A page that repeats another one tells nothing new.
            told = [page for place, page in enumerate(pages) if page not in pages[:place]]
            money = Counter((row["at"], row["amount"]) for page in told for row in page)
            for page in pages:
                ledger.apply(*page)
            held = Counter(
                (at.isoformat(), str(amount))
                for at, amount in ledger.rows("fanvue_created_at, amount")
            )
            assert held == money
        facts = ledger.held()
        raise Rollback

    assert facts == totals(book)


@pytest.mark.parametrize("lost", [[name] for name in LOST] + [list(LOST)])
@pytest.mark.parametrize("with_id", [False, True])
def test_a_row_without_id_is_known_again_without_its_details(
    ledger: Ledger, lost: list[str], with_id: bool
) -> None:
    spoilt = TIP.listed(with_id=False) | {name: LOST[name] for name in lost}
    ledger.apply(spoilt)
    before = ledger.rows("id")

    ledger.apply(TIP.listed(with_id=with_id))
    again = ledger.apply(spoilt)

    assert (again["unchanged"], again["amount"]) == (1, 0)
    assert ledger.rows("id") == before
    assert ledger.held() == totals([TIP])


def test_a_row_that_contradicts_is_another_one(ledger: Ledger) -> None:
    other = TIP.listed(with_id=False) | {"fan_uuid": "f2", "net": None}
    ledger.apply(TIP.listed(with_id=False))

    ledger.apply(TIP.listed(with_id=False), other)
    ledger.apply(other)

    assert len(ledger.rows("id")) == 2


def test_a_reversal_that_does_not_say_why_keeps_the_reason_it_has(ledger: Ledger) -> None:
    dispute = Sale(0, -500, "R", "f1", "chargeback").listed() | {"reverses_fanvue_id": "A"}
    nameless = dispute | {"source": "unknown", "category": "refund"}
    ledger.apply(nameless)
    ledger.apply(dispute)
    ledger.apply(nameless)

    assert ledger.rows("source, category") == [("chargeback", "chargeback")]


@pytest.mark.parametrize("order", [1, -1])
def test_a_refund_that_says_what_it_reverses_now_and_then_is_one_row(
    ledger: Ledger, order: int
) -> None:
    told = Sale(0, -500, "R", "f1", "refund").listed() | {"reverses_fanvue_id": "A"}
    untold = told | {"fanvue_id": "R:refund", "reverses_fanvue_id": None}

    for row in [told, untold][::order] * 2:
        ledger.apply(row)

    assert ledger.rows("amount") == [(Decimal("-5.00"),)]


def test_a_refund_in_capitals_is_the_same_refund(ledger: Ledger) -> None:
    order = "ABCDEF00-77AA-4F0B-8C1E-5A5D2F3B2201"
    refund = Sale(0, -500, f"{order}:refund", "f1", "refund").listed()

    for fanvue_id in (f"{order}:refund", f"{order.lower()}:refund"):
        ledger.apply(refund | {"fanvue_id": fanvue_id})

    assert ledger.rows("fanvue_id") == [(f"{order.lower()}:refund",)]


def test_a_row_that_is_known_again_confirms_no_announcement(ledger: Ledger) -> None:
    first = Sale(0, -500, None, "f1", "refund").listed()
    second = Sale(120, -500, None, "f1", "refund").listed()
    ledger.apply(first | {"fan_uuid": None})
    ledger.engine.rows(
        "insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount, category,"
        " source, fan_uuid, origin, fanvue_created_at)"
        " values (%s, %s, 'w:1', -5.00, 'refund', 'refund', 'f1', 'webhook', %s)",
        ledger.agency_id,
        ledger.model_id,
        second["at"],
    )

    ledger.apply(first)
    ledger.apply(first, second)

    assert ledger.rows("amount, origin") == [(Decimal("-5.00"), "api")] * 2


def test_a_page_read_again_writes_no_row(ledger: Ledger) -> None:
    page = [TIP.listed(), TIP.listed(with_id=False) | {"fan_uuid": "f2"}]
    first = ledger.apply(*page)
    before = ledger.rows("id, xmin::text, ctid::text")

    again = ledger.apply(*page)

    assert (first["inserted"], first["amount"]) == (2, Decimal("10.00"))
    assert (again["inserted"], again["updated"], again["unchanged"]) == (0, 0, 2)
    assert str(again["amount"]) == "0.00"
    assert ledger.rows("id, xmin::text, ctid::text") == before


@pytest.mark.parametrize("with_id", [True, False])
def test_a_page_with_a_row_without_its_instant_is_refused_whole(
    ledger: Ledger, *, with_id: bool
) -> None:
    listed = [{**TIP.listed(), "fanvue_id": f"N-{n}", "at": f"2026-03-0{n}Z"} for n in (1, 2)]

    with pytest.raises(psycopg.errors.NotNullViolation):
        ledger.apply(*listed, TIP.listed(with_id=with_id) | {"at": None})

    assert ledger.held() == Counter()


def test_two_equal_tips_in_one_instant_are_two_rows(ledger: Ledger) -> None:
    ledger.apply(TIP.listed(with_id=False), TIP.listed(with_id=False))
    ledger.apply(TIP.listed(with_id=False), TIP.listed(with_id=False))

    assert ledger.held() == Counter({TIP.facts: 2})


def test_equal_rows_without_id_at_other_instants_are_rows_of_their_own(ledger: Ledger) -> None:
    later = Sale(instant=60, cents=500, order_id=None, fan="f1", source="tip")

    ledger.apply(TIP.listed(with_id=False))
    ledger.apply(later.listed())

    assert ledger.held() == totals([TIP, later])


def test_one_id_that_comes_back_every_month_names_a_row_each_month(ledger: Ledger) -> None:
    months = [Sale(n * 2_592_000, 999, "SUB-1", "f1", "renewal") for n in range(4)]

    for month in months:
        ledger.apply(month.listed())
    ledger.apply(*(month.listed() for month in months))

    assert ledger.held() == totals(months)


def test_a_row_that_gets_its_id_later_keeps_its_primary_key(ledger: Ledger) -> None:
    ledger.apply(TIP.listed(with_id=False))
    before = ledger.rows("id")

    done = ledger.apply(TIP.listed())

    assert done["updated"] == 1
    assert ledger.rows("id") == before
    assert ledger.rows("fanvue_id") == [("A",)]


def test_an_id_that_is_not_sent_again_is_not_forgotten(ledger: Ledger) -> None:
    ledger.apply(TIP.listed())

    done = ledger.apply(TIP.listed(with_id=False))

    assert done["unchanged"] == 1
    assert ledger.rows("fanvue_id") == [("A",)]


def test_a_status_that_changes_is_an_update_and_moves_no_money(ledger: Ledger) -> None:
    ledger.apply(TIP.listed(status="pending"))

    done = ledger.apply(TIP.listed(status="available"))

    assert (done["updated"], done["amount"]) == (1, 0)
    assert ledger.rows("status") == [("available",)]


def test_an_amended_amount_replaces_the_old_one(ledger: Ledger) -> None:
    ledger.apply(TIP.listed())

    done = ledger.apply(TIP.listed() | {"amount": "7.50"})

    assert (done["inserted"], done["updated"], done["amount"]) == (0, 1, Decimal("2.50"))
    assert ledger.rows("amount") == [(Decimal("7.50"),)]


def test_an_amended_second_row_under_one_id_leaves_no_stale_row(ledger: Ledger) -> None:
    second = TIP.listed() | {"amount": "9.00"}
    ledger.apply(TIP.listed(), second)

    ledger.apply(TIP.listed(), second | {"amount": "9.50"})

    assert ledger.rows("amount") == [(Decimal("5.00"),), (Decimal("9.50"),)]


def test_a_second_row_under_one_id_across_a_page_border_is_not_an_amendment(ledger: Ledger) -> None:
    ledger.apply(TIP.listed())
    border = [row[0] for row in ledger.rows("id")]

    ledger.apply(TIP.listed() | {"amount": "9.00"}, border=border)

    assert ledger.rows("amount") == [(Decimal("5.00"),), (Decimal("9.00"),)]


@pytest.mark.parametrize("old_id", ["A", "old-application-17"])
def test_a_row_of_the_older_application_keeps_its_primary_key(ledger: Ledger, old_id: str) -> None:
    ledger.engine.rows(
        "insert into public.fanvue_transactions"
        " (agency_id, model_id, fanvue_id, amount, fanvue_created_at)"
        " values (%s, %s, %s, 5.00, %s)",
        ledger.agency_id,
        ledger.model_id,
        old_id,
        TIP.at,
    )
    before = ledger.rows("id")

    done = ledger.apply(TIP.listed())

    assert (done["inserted"], done["updated"], done["amount"]) == (0, 1, 0)
    assert ledger.rows("id") == before
    assert ledger.rows("fanvue_id, net_amount, source") == [("A", Decimal("4.00"), "tip")]
