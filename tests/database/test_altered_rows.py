"""Rows that were altered or lost in the ledger are put right by the next complete listing."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Rollback
from psycopg.types.json import Jsonb

from tests.database.books import Sale, books, totals


if TYPE_CHECKING:
    from tests.database.engine import Engine


HARM = {
    "none": "select 1",
    "lost": "delete from public.fanvue_transactions where id = %(id)s",
    "amount": "update public.fanvue_transactions set amount = amount + 100{n} where id = %(id)s",
    "fan": "update public.fanvue_transactions set fan_uuid = 'wrong-{n}' where id = %(id)s"
    " and fan_uuid is not null",
    "category": "update public.fanvue_transactions set category = 'wrong' where id = %(id)s",
    "status": "update public.fanvue_transactions set status = 'wrong' where id = %(id)s",
}
TELLING = {"amount", "fan"}
FACTS = "fanvue_id, fanvue_created_at, amount, net_amount, source, category, status, fan_uuid"
_APPLY = """
  select inserted, updated, cardinality(listed) as listed, cardinality(added) as added,
         coalesce(jsonb_array_length(before), 0) as before
  from private.apply_transactions(%s, %s, %s, '{}', private.engine_now())
"""


def _uniform(book: list[Sale], *, with_ids: bool) -> list[Sale]:
    # Fanvue gives ids or it does not: not both for the same money at the same instant.
    named = [sale if sale.order_id else replace(sale, order_id="D") for sale in book]
    if with_ids:
        return list(dict.fromkeys(named))
    return [replace(sale, order_id=None) for sale in book]


UNIFORM = st.builds(lambda book, with_ids: _uniform(book, with_ids=with_ids), books, st.booleans())


class Ledger:
    """One creator's ledger, listed as a whole."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.agency_id = engine.agency()
        self.model_id = engine.model(self.agency_id, due=False)

    def apply(self, book: list[Sale]) -> dict[str, Any]:
        page = Jsonb([sale.listed() for sale in book])
        (done,) = self.engine.rows(_APPLY, self.agency_id, self.model_id, page)
        return done

    @staticmethod
    def with_ids(book: list[Sale]) -> bool:
        return all(sale.order_id for sale in book)

    def rows(self, columns: str) -> list[tuple[Any, ...]]:
        query = (
            f"select {columns} from public.fanvue_transactions where model_id = %s order by 1, 2"  # noqa: S608 - test's own text
        )
        return [tuple(row.values()) for row in self.engine.rows(query, self.model_id)]


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger(engine)


@pytest.mark.property
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(book=UNIFORM, data=st.data())
def test_any_harm_is_undone_by_one_listing(
    ledger: Ledger, book: list[Sale], data: st.DataObject
) -> None:
    with ledger.engine.owner.transaction():
        ledger.apply(book)
        before = ledger.rows(FACTS)
        kept = set()
        harms: defaultdict[Any, set[str]] = defaultdict(set)
        for n, (_, row_id, at) in enumerate(ledger.rows("fanvue_id, id, fanvue_created_at")):
            # Without ids, rows of one instant are told apart by what they say: where one lost that,
            # no second one may lose it or be gone, or which of them stands is anybody's guess.
            told = ledger.with_ids(book) or not harms[at] & (TELLING | {"lost"})
            alone = ledger.with_ids(book) or not harms[at] & TELLING
            allowed = HARM.keys() - (set() if told else TELLING) - (set() if alone else {"lost"})
            harm = data.draw(st.sampled_from(sorted(allowed)))
            harms[at].add(harm)
            ledger.engine.owner.execute(HARM[harm].format(n=n), {"id": row_id})
            kept |= {row_id} if harm != "lost" else set()
        done = ledger.apply(book)
        after, ids = ledger.rows(FACTS), {row[0] for row in ledger.rows("id, fanvue_id")}
        again = ledger.apply(book)
        raise Rollback

    # Rows that share an id and were lost together may take each other's name.
    assert Counter(row[1:] for row in after) == Counter(row[1:] for row in before)
    assert len({row[0] for row in after}) == len(after)
    assert kept <= ids, "a row that was altered is still itself"
    assert (done["listed"], done["added"]) == (len(after), len(after) - len(kept))
    assert (again["inserted"], again["updated"], again["before"]) == (0, 0, 0)


def test_a_lost_twin_without_an_id_comes_back_under_its_own_name(ledger: Ledger) -> None:
    twin = Sale(0, 500, None, "f1", "tip")
    ledger.apply([twin] * 3)
    names = ledger.rows("fanvue_id, amount")
    ledger.engine.rows("delete from public.fanvue_transactions where fanvue_id like '%%:2'")

    ledger.apply([twin] * 3)

    assert ledger.rows("fanvue_id, amount") == names


def test_an_altered_row_without_an_id_is_put_right_when_it_comes_with_one(ledger: Ledger) -> None:
    named, nameless = Sale(0, 500, "A", "f1", "tip"), Sale(0, 500, None, "f1", "tip")
    ledger.apply([nameless])
    before = ledger.rows("id, origin")
    ledger.engine.rows("update public.fanvue_transactions set amount = 9")

    done = ledger.apply([named])

    assert (done["inserted"], done["updated"]) == (0, 1)
    assert ledger.rows("id, origin") == before
    assert [row[0] for row in ledger.rows(FACTS)] == ["A"]


def test_totals_follow_what_is_put_right(ledger: Ledger) -> None:
    book = [Sale(0, 500, None, "f1", "tip"), Sale(1, 999, "A", None, "message")]
    ledger.apply(book)
    ledger.engine.rows("update public.fanvue_transactions set amount = amount * 10")

    ledger.apply(book)

    assert ledger.engine.value("select revenue_total from public.models") == sum(
        facts[1] * count for facts, count in totals(book).items()
    )
