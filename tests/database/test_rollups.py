"""Totals equal the rows, always: whatever statements write the ledger, in whatever order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Rollback


if TYPE_CHECKING:
    from tests.database.engine import Engine


Statement = tuple[str, dict[str, Any]]

DAYS = ["2026-03-01T23:59:59.999Z", "2026-03-02T00:00:00Z", "2026-03-02T12:00:00Z"]
CATEGORIES = ["tip", "message", None]
AMOUNTS = ["5.00", "0.00", "-5.00", "0.01"]

_INSERT = """
  insert into public.fanvue_transactions
    (agency_id, model_id, fanvue_id, amount, net_amount, category, fanvue_created_at)
  select m.agency_id, m.id, 'n' || nextval('private.lease_ids'), %(amount)s, %(net)s, %(category)s, %(at)s
  from public.models m cross join generate_series(1, %(count)s) where m.handle = any (%(models)s)
"""  # noqa: E501 - one line a clause
_UPSERT = """
  insert into public.fanvue_transactions
    (agency_id, model_id, fanvue_id, amount, net_amount, category, fanvue_created_at)
  select m.agency_id, m.id, x, %(amount)s, %(net)s, %(category)s, %(at)s
  from public.models m cross join unnest(array['u1', 'u2']) x where m.handle = any (%(models)s)
  on conflict (fanvue_id, model_id) do update
    set amount = excluded.amount, category = excluded.category,
        fanvue_created_at = excluded.fanvue_created_at
"""
_CHANGE = """
  update public.fanvue_transactions t
  set amount = t.amount + %(amount)s, net_amount = %(net)s, category = %(category)s,
      fanvue_created_at = %(at)s
  from public.models m where m.id = t.model_id and m.handle = any (%(models)s)
"""
_MOVE = """
  update public.fanvue_transactions t set model_id = m.id, agency_id = m.agency_id
  from public.models m where m.handle = %(target)s and t.fanvue_id not like 'u%%'
"""
_DELETE = """
  delete from public.fanvue_transactions t using public.models m
  where m.id = t.model_id and m.handle = any (%(models)s) and t.amount <= %(amount)s
"""
_TRUNCATE = "truncate public.fanvue_transactions cascade"

statements = st.tuples(
    st.sampled_from([_INSERT, _INSERT, _UPSERT, _CHANGE, _MOVE, _DELETE, _TRUNCATE]),
    st.fixed_dictionaries(
        {
            "amount": st.sampled_from(AMOUNTS),
            "net": st.sampled_from([*AMOUNTS, None]),
            "category": st.sampled_from(CATEGORIES),
            "at": st.sampled_from(DAYS),
            "count": st.integers(1, 3),
            "models": st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True),
            "target": st.sampled_from(["a", "b", "c"]),
        }
    ),
)

_WRONG_DAYS = """
  select * from (
    select agency_id, model_id, (fanvue_created_at at time zone 'UTC')::date as day,
           coalesce(category, 'uncategorised') as category, sum(amount) as gross,
           sum(coalesce(net_amount, 0)) as net, count(*) as transactions
    from public.fanvue_transactions group by 1, 2, 3, 4) r
  full join public.earnings_daily e using (agency_id, model_id, day, category)
  where (r.gross, r.net, r.transactions) is distinct from (e.gross, e.net, e.transactions::bigint)
"""
_WRONG_TOTALS = """
  select m.id, m.revenue_total from public.models m
  where m.revenue_total <> coalesce((select sum(t.amount) from public.fanvue_transactions t
                                     where t.model_id = m.id), 0)
"""


@pytest.mark.property
@settings(
    max_examples=35, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(written=st.lists(statements, min_size=1, max_size=10))
def test_rollups_equal_the_rows_after_any_statements(
    engine: Engine, written: list[Statement]
) -> None:
    with engine.owner.transaction():
        first = engine.agency()
        for handle, agency_id in (("a", first), ("b", first), ("c", engine.agency())):
            engine.model(agency_id, due=False, handle=handle)
        for statement, values in written:
            engine.owner.execute(statement.encode(), values)
        wrong = engine.rows(_WRONG_DAYS) + engine.rows(_WRONG_TOTALS)
        raise Rollback

    assert wrong == []


def test_a_creator_who_moves_to_another_agency_takes_their_rows_along(engine: Engine) -> None:
    old, new = engine.agency(), engine.agency()
    model_id = engine.model(old, due=False, handle="a")
    engine.owner.execute(
        _INSERT.encode(),
        {"amount": "5", "net": "4", "category": "tip", "at": DAYS[0], "count": 3, "models": ["a"]},
    )

    engine.rows("update public.models set agency_id = %s where id = %s", new, model_id)

    assert engine.rows(_WRONG_DAYS) + engine.rows(_WRONG_TOTALS) == []
    for table in ("fanvue_transactions", "earnings_daily", "sync_state"):
        (row,) = engine.rows(f"select distinct agency_id from public.{table}")  # noqa: S608 - names above
        assert row["agency_id"] == new


def test_one_statement_may_write_rows_of_several_agencies(engine: Engine) -> None:
    first, second = engine.agency(), engine.agency()
    engine.model(first, due=False, handle="a")
    engine.model(second, due=False, handle="b")

    engine.owner.execute(
        _INSERT.encode(),
        {
            "amount": "5",
            "net": None,
            "category": None,
            "at": DAYS[0],
            "count": 2,
            "models": list("ab"),
        },
    )

    assert engine.value("select count(*) from public.earnings_daily") == 2
    assert engine.rows(_WRONG_DAYS) + engine.rows(_WRONG_TOTALS) == []
