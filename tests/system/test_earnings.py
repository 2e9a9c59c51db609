"""What the earnings job costs, and that its books are exact however Fanvue behaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

NO_LIMIT = {"rate_limit": 100_000}


def test_first_sync_reads_one_row_in_fifty_twice_and_no_page_more(engine: Engine) -> None:
    engine.fanvue.turn(**NO_LIMIT)
    creator = engine.creator(1000)

    engine.drain()

    engine.assert_exact(creator)
    calls = engine.calls(creator)
    # The last one is for the summary.
    assert len(calls) == 21 + 1
    assert sum(call["rows"] for call in calls[:-1]) == 1000 + 20


def test_poll_without_news_costs_one_call_and_writes_no_ledger_row(engine: Engine) -> None:
    engine.fanvue.turn(**NO_LIMIT)
    creator = engine.creator(120)
    engine.drain()
    before = _written_rows(engine)
    engine.fanvue.clear_requests()

    engine.sync(creator)

    assert len(engine.calls(creator)) == 1
    assert _written_rows(engine) == before


def test_poll_after_seven_sales_costs_at_most_two_calls(engine: Engine) -> None:
    engine.fanvue.turn(**NO_LIMIT)
    creator = engine.creator(120)
    engine.drain()
    engine.pass_time(900)
    now = _now(engine)
    engine.fanvue.add_sales(creator, 7, since=_iso(now - timedelta(seconds=600)), until=_iso(now))
    engine.fanvue.clear_requests()

    engine.sync(creator)

    assert len(engine.calls(creator)) <= 2
    engine.assert_exact(creator)


def test_creator_without_any_sale_is_synced_with_one_call_each_time(engine: Engine) -> None:
    creator = engine.creator(0)

    engine.drain()
    engine.sync(creator)

    assert len(engine.calls(creator)) == 2
    assert engine.run_states(creator) == ["succeeded", "succeeded"]
    engine.assert_exact(creator)


@pytest.mark.parametrize(
    "knobs",
    [
        {"ids": "absent"},
        {"ids": "duplicate"},
        {"ties": "skip"},
        {"ties": "repeat"},
        {"ids": "absent", "ties": "skip"},
        {"ids": "absent", "ties": "repeat"},
        {"ids": "duplicate", "ties": "repeat"},
        {"v1": "missing"},
        {"v1": "missing", "ids": "absent"},
        {"v1": "missing", "ties": "skip"},
        {"v1": "sunset"},
        {"unversioned": "missing"},
        {"reversal_ids": "shared"},
        {"reversal_ids": "none"},
        {"null_optionals": True},
        {"start_inclusive": False},
        {"dates_truncated_to_day": True},
        {"order_id_filter": False},
        {"v1_total": False},
    ],
    ids=str,
)
def test_books_are_exact_when_fanvue_behaves_like(engine: Engine, knobs: dict[str, Any]) -> None:
    engine.fanvue.turn(**NO_LIMIT, **knobs)
    creator = engine.creator(130)
    engine.fanvue.add_sales(creator, 40, ties={"borders": [1, 2], "width": 4})
    engine.fanvue.add_reversals(creator, 6)
    engine.fanvue.add_reversals(creator, 3, kind="chargeback")
    engine.drain()
    engine.assert_exact(creator)

    engine.pass_time(3700)
    engine.fanvue.add_sales(creator, 9)
    engine.fanvue.add_reversals(creator, 2)
    engine.sync(creator)
    engine.assert_exact(creator)

    engine.sync(creator, full=True)
    engine.assert_exact(creator)
    assert set(engine.run_states(creator)) == {"succeeded"}


def test_rows_that_get_their_ids_later_are_the_same_rows(engine: Engine) -> None:
    engine.fanvue.turn(**NO_LIMIT, ids="absent", v1="missing")
    creator = engine.creator(180)
    engine.fanvue.add_reversals(creator, 4)
    engine.drain()
    engine.assert_exact(creator)

    engine.fanvue.turn(ids="present", v1="served")
    engine.sync(creator, full=True)

    engine.assert_exact(creator)
    hashed = engine.database.execute(
        "select count(*) from public.fanvue_transactions where fanvue_id like 'h:%'"
    ).fetchone()
    assert hashed == (0,)


def test_two_equal_tips_in_one_millisecond_are_two_rows(engine: Engine) -> None:
    creator = engine.creator(20)
    tip = {"source": "tip", "gross_cents": 700, "at": _iso(_now(engine) - timedelta(hours=1))}
    engine.fanvue.add_sales(creator, rows=[tip, tip])

    engine.drain()
    engine.sync(creator)

    engine.assert_exact(creator)


def test_late_row_with_an_old_date_is_found_by_a_later_poll(engine: Engine) -> None:
    creator = engine.creator(120)
    engine.drain()
    now = _now(engine)
    row = {"source": "tip", "gross_cents": 1234, "at": _iso(now - timedelta(days=20))}
    engine.fanvue.add_sales(creator, rows=[row])

    engine.pass_time(25 * 3600)
    engine.sync(creator)

    engine.assert_exact(creator)


def test_status_that_flips_is_updated_and_no_money_moves(engine: Engine) -> None:
    creator = engine.creator(60)
    engine.drain()
    engine.fanvue.flip_statuses(creator)

    engine.pass_time(25 * 3600)
    engine.sync(creator)

    engine.assert_exact(creator)
    pending = engine.database.execute(
        "select count(*) from public.fanvue_transactions where status = 'pending'"
    ).fetchone()
    assert pending == (0,)


def test_unknown_source_and_rewards_without_a_fan_are_booked_as_they_come(engine: Engine) -> None:
    creator = engine.creator(10)
    at = _iso(_now(engine) - timedelta(minutes=5))
    engine.fanvue.add_sales(
        creator,
        rows=[
            {"source": "hologramShow", "gross_cents": 4200, "at": at},
            {"source": "giveaway", "gross_cents": 300, "at": at},
        ],
    )

    engine.drain()

    engine.assert_exact(creator)
    rows = engine.database.execute(
        "select category, fan_uuid is null from public.fanvue_transactions"
        " where source in ('hologramShow', 'giveaway') order by category"
    ).fetchall()
    assert rows == [("giveaway", True), ("hologram_show", False)]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 401},
        {"kind": "status", "status": 429},
        {"kind": "html"},
        {"kind": "truncated_json"},
        {"kind": "reset"},
        {"kind": "reset", "moment": "after"},
        {"kind": "empty_400"},
        {"kind": "invalid_page_order"},
        {"kind": "missing_field"},
        {"kind": "unknown_enum"},
        {"kind": "cursor_expired"},
    ],
    ids=str,
)
def test_books_are_exact_after(engine: Engine, fault: dict[str, Any]) -> None:
    engine.fanvue.turn(**NO_LIMIT)
    creator = engine.creator(180)
    engine.fanvue.add_fault(path="/insights/earnings$", nth=3, times=2, **fault)

    engine.drain()

    assert engine.fanvue.faults()[0]["hits"] >= 1
    engine.pass_time(70)
    engine.sync(creator)
    engine.assert_exact(creator)


def test_row_that_stays_unreadable_gives_partial_and_holds_the_high_water_mark(
    engine: Engine,
) -> None:
    creator = engine.creator(30)
    engine.fanvue.add_fault("missing_field", path="/insights/earnings$", field="gross")

    engine.drain()

    assert engine.run_states(creator) == ["partial"]
    state = engine.database.execute(
        "select high_water, last_error from public.sync_state"
    ).fetchone()
    assert state is not None
    assert state[0] is None
    assert "could not be read" in state[1]["message"]

    engine.fanvue.clear_faults()
    engine.sync(creator)
    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["partial", "succeeded"]


def _written_rows(engine: Engine) -> list[tuple[Any, ...]]:
    return engine.database.execute(
        "select id, xmin::text, synced_at from public.fanvue_transactions order by id"
    ).fetchall()


def _now(engine: Engine) -> datetime:
    return datetime.fromisoformat(engine.fanvue.clock()["now"]).astimezone(UTC)


def _iso(moment: datetime) -> str:
    return moment.isoformat()
