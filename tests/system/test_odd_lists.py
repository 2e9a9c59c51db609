"""Lists that are not as promised: books are exact, or the walk is partial and says why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.reconciling import reconcile


if TYPE_CHECKING:
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

NO_LIMIT = {"rate_limit": 100_000}
LISTS = {"subscribers": "/subscribers", "followers": "/followers", "posts": "/posts"}


def crowd(engine: Engine, creator: str, number: int, **more: Any) -> None:
    """Add equal tips of one millisecond, a week old."""
    now = datetime.fromisoformat(engine.fanvue.clock()["now"]).astimezone(UTC)
    at = (now - timedelta(days=7)).isoformat()
    tip = {"source": "tip", "gross_cents": 500, "at": at, **more}
    engine.fanvue.add_sales(creator, rows=[tip] * number)


def last_error(engine: Engine, sync_type: str = "earnings") -> str:
    """Return what people read of the stream's last run."""
    row = engine.database.execute(
        "select last_error ->> 'message' from public.sync_state where sync_type = %s", (sync_type,)
    ).fetchone()
    return "" if row is None or row[0] is None else str(row[0])


def high_water(engine: Engine) -> Any:
    row = engine.database.execute(
        "select high_water from public.sync_state where sync_type = 'earnings'"
    ).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("rows", [10, 130])
@pytest.mark.parametrize("knobs", [{"swap_every": 4}, {"pages_shuffled": True}], ids=str)
def test_books_are_exact_whatever_the_order_within_pages(
    engine: Engine, knobs: dict[str, Any], rows: int
) -> None:
    engine.fanvue.turn(**NO_LIMIT, **knobs)
    creator = engine.creator(rows)

    engine.drain()

    engine.assert_exact(creator)
    if "pages_shuffled" in knobs or rows == 10:
        assert engine.run_states(creator) == ["succeeded"]


def test_a_row_that_comes_a_page_late_is_booked_and_the_walk_says_so(engine: Engine) -> None:
    engine.fanvue.turn(**NO_LIMIT, swap_every=50)
    creator = engine.creator(120)

    engine.drain()

    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["partial"]
    assert "not in order from page to page" in last_error(engine)
    assert high_water(engine) is None


def test_a_row_that_no_page_shows_is_told_by_the_summary_and_the_night_mends_it(
    engine: Engine,
) -> None:
    engine.fanvue.turn(**NO_LIMIT, swap_every=49, late_by=2)
    creator = engine.creator(120)

    engine.drain()

    assert engine.ledger(creator).count < 120
    assert engine.run_states(creator) == ["partial"]
    assert "summary has more than its list shows" in last_error(engine)
    assert high_water(engine) is None

    engine.fanvue.turn(swap_every=0)
    reconcile(engine)
    engine.assert_exact(creator)
    engine.pass_time(25 * 3600)
    engine.sync(creator)
    assert engine.run_states(creator)[-1] == "succeeded"


@pytest.mark.parametrize("ids", ["present", "absent"])
@pytest.mark.parametrize("number", [50, 60, 70, 200])
@pytest.mark.parametrize("ties", ["exact", "offset"])
def test_crowd_of_one_millisecond_is_exact_where_the_cursor_can_split_it(
    engine: Engine, ties: str, number: int, ids: str
) -> None:
    engine.fanvue.turn(**NO_LIMIT, ties=ties, ids=ids)
    creator = engine.creator(40)
    crowd(engine, creator, number)

    engine.drain()
    engine.assert_exact(creator)
    engine.sync(creator, full=True)

    engine.assert_exact(creator)
    assert set(engine.run_states(creator)) == {"succeeded"}


@pytest.mark.parametrize("older", [0, 40])
@pytest.mark.parametrize("number", [60, 200])
def test_crowd_that_a_date_cannot_split_is_told_and_never_doubled(
    engine: Engine, number: int, older: int
) -> None:
    engine.fanvue.turn(**NO_LIMIT, ties="skip", ids="absent")
    creator = engine.creator(older, days=90)
    crowd(engine, creator, number)

    engine.drain()
    engine.sync(creator, full=True)

    assert engine.ledger(creator).count == older + 50
    assert engine.run_states(creator)[0] == "partial"
    assert "does not show every row" in last_error(engine)
    assert high_water(engine) is None

    engine.fanvue.turn(ties="exact")
    engine.pass_time(25 * 3600)
    engine.sync(creator, full=True)
    engine.assert_exact(creator)
    assert engine.run_states(creator)[-1] == "succeeded"


def test_full_last_page_is_no_end(engine: Engine) -> None:
    engine.fanvue.turn(**NO_LIMIT, ties="skip")
    creator = engine.creator(0)
    now = datetime.fromisoformat(engine.fanvue.clock()["now"]).astimezone(UTC)
    ages = [*range(1, 50), 50, 50]
    rows = [{"source": "tip", "at": (now - timedelta(hours=age)).isoformat()} for age in ages]
    engine.fanvue.add_sales(creator, rows=rows)

    engine.drain()

    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["succeeded"]


@pytest.mark.parametrize("how", ["empty", "repeated"])
def test_earnings_that_never_end_are_booked_and_the_walk_says_so(engine: Engine, how: str) -> None:
    engine.fanvue.turn(**NO_LIMIT, endless={"/insights/earnings": how})
    creator = engine.creator(120)

    engine.drain()

    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["partial"]
    assert len(engine.calls(creator)) < 60
    assert high_water(engine) is None

    engine.fanvue.turn(endless={})
    engine.pass_time(25 * 3600)
    engine.sync(creator)
    engine.assert_exact(creator)
    assert engine.run_states(creator)[-1] == "succeeded"
