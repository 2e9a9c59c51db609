"""A walk reads every page once, commits each with its place, and goes on where it was stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, pairwise
from math import ceil
from typing import Any

import httpx
import pytest

from tests.property.fanvue_list import Cursors, Dates, Order
from tests.property.ledger import money_of
from tests.support.clock import NOON
from tests.support.fanvue_stub import json_answer
from tests.unit.jobs.walk_bench import PATIENT, WalkBench, walking
from worker.errors import LeaseLost, Throttled
from worker.fanvue.calls import Family
from worker.jobs.earnings_walk import ASIDE_LOOKBACK
from worker.jobs.outcomes import Cancelled, Done, Yielded
from worker.jobs.walk import PAGES_AT_ONCE, Slice
from worker.sync.listing import ANY_LIST
from worker.sync.window import HISTORY_BEGINS


EARNINGS = "/v1/insights/earnings"
SPENDING = "/insights/spending"
SUMMARY = "/v1/insights/earnings/summary"


async def test_history_of_5000_sales_costs_104_calls_and_23_commits() -> None:
    w = walking(5000, kind="full")

    assert await w.run() == Done()

    w.assert_exact()
    assert len(w.api.calls) == w.meter.requests == w.book.turned == 104
    assert len(w.book.pages) == 2 + ceil(102 / PAGES_AT_ONCE)


@pytest.mark.parametrize("kind", ["incremental", "deep", "full"])
async def test_every_walk_goes_by_instants_and_ends_with_the_list(kind: str) -> None:
    w = walking(120, kind=kind)

    assert await w.run() == Done()

    w.assert_exact()
    # What is read to the end is compared once, in a commit of its own.
    assert w.book.phases == ["rows"] * (ceil(119 / 49) + (kind != "incremental"))
    assert "cursor" not in {name for _, params in w.api.calls for name in params}


async def test_a_poll_without_news_costs_one_call() -> None:
    w = walking(40, floor=NOON - timedelta(days=3))

    await w.run()
    before = w.book.ledger.contents()
    w.api.calls.clear()
    await w.run()

    assert len(w.api.calls) == 1
    assert w.api.calls[0][1]["startDate"] == "2026-11-19T12:00:00.000Z"
    assert w.book.ledger.contents() == before


async def test_a_creator_without_sales_costs_one_call() -> None:
    w = walking(0, kind="full")

    assert await w.run() == Done()
    assert len(w.api.calls) == 1


async def test_the_ceiling_is_fanvues_own_time_at_the_first_page() -> None:
    w = walking(120)
    w.api.takes = timedelta(minutes=1)

    await w.run()

    ceilings = [datetime.fromisoformat(page["ceiling"]) for page in w.book.pages]
    assert ceilings[0] == NOON + timedelta(minutes=1)
    assert w.book.high_water == w.rows[-1].at


@pytest.mark.parametrize("kind", ["incremental", "full"])
async def test_more_equal_rows_without_ids_than_fill_a_page_are_all_counted(kind: str) -> None:
    w = walking(200, ids=False, kind=kind)
    first = w.rows[20]
    w.rows[20:150] = [first] * 130
    w.api.list.__post_init__()

    assert await w.run() == Done()

    w.assert_exact()


@pytest.mark.parametrize("cursors", list(Cursors))
async def test_rows_that_share_an_instant_at_a_border_are_neither_lost_nor_doubled(
    cursors: Cursors,
) -> None:
    w = walking(130, ids=False)
    together = w.rows[75].at
    w.rows[75:85] = [replace(row, at=together) for row in w.rows[75:85]]
    w.api.list.__post_init__()
    w.api.list.cursors = cursors

    await w.run()

    w.assert_exact()


async def test_filters_that_ignore_the_time_of_day_are_noticed_and_read_by_days() -> None:
    w = walking(300)
    w.api.list.dates = Dates.TO_THE_DAY

    assert await w.run() == Done()

    w.assert_exact()
    assert "days" in {page["mode"] for page in w.book.pages}


async def test_money_and_names_travel_as_the_database_takes_them() -> None:
    w = walking(1)

    await w.run()

    (row,) = w.book.pages[0]["rows"]
    assert row["amount"] == "1.00"
    assert row["at"] == "2026-11-22T11:59:00.000+00:00"


# Lists that are not as promised -------------------------------------------------------------------


def crowded(number: int, *, ids: bool, cursors: Cursors, older: int = 20) -> WalkBench:
    """Return a bench of which so many rows share one instant, with some older ones or none."""
    w = walking(older + number + 10, ids=ids, kind="full")
    together = w.rows[older].at
    alike = range(older, older + number)
    w.rows[older : older + number] = [replace(w.rows[n], at=together) for n in alike]
    w.api.list.cursors = cursors
    w.api.list.__post_init__()
    return w


async def test_ten_rows_on_one_page_with_two_swapped_are_ten_rows() -> None:
    w = walking(10)

    def swap(path: str, _: int, body: Any) -> Any:
        body["data"][3:5] = body["data"][3:5][::-1]
        return body

    w.api.tamper = swap

    assert await w.run() == Done()

    w.assert_exact()
    assert len(w.api.calls) == 1


async def test_pages_in_any_order_within_are_exact_and_the_walk_succeeds() -> None:
    w = walking(400, kind="full", ids=False)
    w.api.list.order = Order.SHUFFLED_PAGES

    assert await w.run() == Done()

    w.assert_exact()


async def test_a_row_that_comes_a_page_late_is_booked_and_the_walk_is_partial() -> None:
    w = walking(170, kind="full")
    w.api.list.cursors = Cursors.OFFSET
    ordered = w.api.list._ordered
    ordered[49:51] = ordered[49:51][::-1]

    result = await w.run()

    assert isinstance(result, Done)
    assert result.partial is not None
    assert "not in order from page to page" in result.partial
    w.assert_exact()
    assert w.book.high_water is None


def with_a_row_two_places_late(kind: str = "full") -> WalkBench:
    """Return a bench with a row that stands on the other side of a border, on a settled day."""
    w = walking(400, kind=kind)
    ordered = w.api.list._ordered
    # The fourth page is 147 to 196.
    ordered.insert(197, ordered.pop(195))
    return w


@pytest.mark.parametrize("kind", ["deep", "full"])
async def test_a_row_that_no_page_shows_is_told_by_the_summary(kind: str) -> None:
    w = with_a_row_two_places_late(kind)

    result = await w.run()

    assert isinstance(result, Done)
    assert result.partial is not None
    assert "summary has more than its list shows on 1 days, such as 2026-11-21" in result.partial
    assert sum((money_of(w.rows) - w.book.ledger.contents()).values()) == 1
    assert w.book.high_water is None
    assert w.api.paths.count(SUMMARY) == 1


async def test_a_walk_that_ended_is_compared_by_whoever_goes_on() -> None:
    w = with_a_row_two_places_late()

    result, runs = await w.run_in_slices(Slice(pages=1, duration=PATIENT.duration))

    assert runs == 10
    assert isinstance(result, Done)
    assert "summary has more" in str(result.partial)


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_without_a_summary_a_walk_ends_as_it_would_have(status: int) -> None:
    w = walking(400, kind="full")
    w.api.tamper = lambda path, _, body: (
        json_answer({"error": "no"}, status) if path == SUMMARY.removeprefix("/v1") else body
    )

    assert await w.run() == Done()

    w.assert_exact()
    assert w.book.high_water == w.rows[-1].at


async def test_what_is_known_to_differ_and_days_that_still_move_make_no_walk_partial() -> None:
    w = walking(400, kind="full")
    w.api.extra_in_summary = {"2026-11-21": 500, "2026-11-22": 500}
    held = sum(row.amount for row in w.rows if row.at.day == 21)
    w.book.known = {"2026-11-21": {"ledger": str(held), "fanvue": str(held + 5)}}

    assert await w.run() == Done()


async def test_where_fanvue_has_less_nothing_is_missing() -> None:
    w = walking(400, kind="full")
    w.api.extra_in_summary = {"2026-11-21": -500}

    assert await w.run() == Done()


@pytest.mark.parametrize(("number", "kind"), [(40, "full"), (400, "incremental")])
async def test_one_page_hides_nothing_and_a_poll_is_not_compared(number: int, kind: str) -> None:
    w = walking(number, kind=kind)

    await w.run()

    assert SUMMARY not in w.api.paths


@pytest.mark.parametrize("older", [0, 20])
@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("number", [50, 51, 60, 70, 200])
@pytest.mark.parametrize("cursors", [Cursors.EXACT, Cursors.OFFSET])
async def test_a_crowd_is_exact_where_the_cursor_can_split_it(
    cursors: Cursors, number: int, ids: bool, older: int
) -> None:
    w = crowded(number, ids=ids, cursors=cursors, older=older)

    assert await w.run() == Done()

    w.assert_exact()


@pytest.mark.parametrize("older", [0, 20])
@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("number", [51, 60, 200])
@pytest.mark.parametrize("cursors", [Cursors.SKIP, Cursors.REPEAT])
async def test_a_crowd_that_a_date_cannot_split_is_partial_and_nothing_is_doubled(
    cursors: Cursors, number: int, ids: bool, older: int
) -> None:
    w = crowded(number, ids=ids, cursors=cursors, older=older)

    result = await w.run()

    assert isinstance(result, Done)
    assert result.partial is not None
    assert "does not show every row" in result.partial
    missing = money_of(w.rows) - w.book.ledger.contents()
    assert not w.book.ledger.contents() - money_of(w.rows)
    assert sum(missing.values()) == number - 50


async def test_a_full_last_page_is_no_end() -> None:
    w = walking(51)
    w.rows[0] = replace(w.rows[0], at=w.rows[1].at)
    w.api.list.cursors = Cursors.SKIP
    w.api.list.__post_init__()

    assert await w.run() == Done()

    w.assert_exact()
    assert "cursor" not in {name for _, params in w.api.calls for name in params}


async def test_a_cursor_goes_back_with_the_dates_it_was_given_for() -> None:
    w = crowded(120, ids=False, cursors=Cursors.OFFSET)

    await w.run()

    asked = [params for _, params in w.api.calls]
    for before, after in pairwise(asked):
        if "cursor" in after:
            ours = {**after, "cursor": before.get("cursor")}
            assert ours == {**before, "cursor": before.get("cursor")}


@pytest.mark.parametrize("rows", [0, 50])
async def test_pages_that_go_on_for_ever_end_as_partial(rows: int) -> None:
    w = walking(300, kind="full")
    cursors = count()
    w.api.list.page = lambda *_: (w.rows[-rows:] if rows else [], f"c{next(cursors)}")  # type: ignore[method-assign]

    result, _ = await w.run_in_slices(Slice(pages=7, duration=PATIENT.duration))

    assert isinstance(result, Done)
    assert "go on and bring nothing new" in str(result.partial)
    assert len(w.api.calls) < 30


@pytest.mark.parametrize("booked", [1500, 0])
async def test_a_long_poll_of_what_others_brought_is_not_taken_for_endless(booked: int) -> None:
    w = walking(1500)
    w.book.ledger.apply(w.rows[:booked], [])

    assert await w.run(Slice(pages=50, duration=PATIENT.duration)) == Done()

    w.assert_exact()
    assert len(w.api.calls) > ANY_LIST


async def test_a_poll_that_goes_on_for_ever_ends_with_its_slice() -> None:
    w = walking(300)
    cursors = count()
    w.api.list.page = lambda *_: (w.rows[-50:], f"c{next(cursors)}")  # type: ignore[method-assign]

    result, _ = await w.run_in_slices(Slice(pages=50, duration=PATIENT.duration))

    assert isinstance(result, Done)
    assert "go on and bring nothing new" in str(result.partial)
    assert len(w.api.calls) <= 2 * 50


async def test_a_walk_that_an_older_worker_began_by_cursor_is_begun_again() -> None:
    w = walking(120, kind="full")
    w.book.begin({})
    assert w.book.walk is not None
    w.book.walk |= {"mode": "cursor", "cursor": "old", "position": w.rows[60].at.isoformat()}
    verifying = walking(120, kind="full")
    verifying.book.begin({})
    assert verifying.book.walk is not None
    verifying.book.walk |= {"phase": "mend", "notes": {"by_cursor": True, "mend": []}}

    for bench in (w, verifying):
        assert await bench.run() == Done()
        bench.assert_exact()


# Reversals kept apart ----------------------------------------------------------------------------


async def test_without_v1_reversals_are_read_from_the_spending_list() -> None:
    w = walking(60, kind="full")
    w.api.v1 = False

    assert await w.run() == Done()

    spending = [params for path, params in w.api.calls if path == SPENDING]
    assert len(spending) == 1
    assert datetime.fromisoformat(spending[0]["startDate"]) == HISTORY_BEGINS
    assert w.book.pages[0]["notes"]["family"] == Family.UNVERSIONED.value
    assert w.book.phases[-1] == "aside"


@pytest.mark.parametrize("kind", ["full", "incremental"])
async def test_an_agency_finds_no_list_of_reversals_and_says_so_when_it_is_due(kind: str) -> None:
    w = walking(60, kind=kind, aside_due=True)
    w.path_prefix = "/creators/7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01"
    w.api.v1 = False

    result = await w.run()

    assert isinstance(result, Done)
    assert "no list of refunds" in (result.partial or "")
    # The walk is whole all the same.
    assert [page["partial"] for page in w.book.pages] == [None] * len(w.book.pages)
    assert w.book.pages[-1]["aside_checked"]
    assert SPENDING not in w.api.paths


async def test_a_poll_looks_for_reversals_only_when_that_is_due() -> None:
    w = walking(20, aside_due=False)
    w.api.v1 = False

    await w.run()

    assert w.book.phases == ["rows"]
    assert SPENDING not in w.api.paths


async def test_looking_for_reversals_reaches_back_and_is_noted_when_done() -> None:
    checked = NOON - timedelta(hours=2)
    w = walking(20, aside_due=True, aside_checked_at=checked, floor=NOON - timedelta(days=2))
    w.api.v1 = False

    assert await w.run() == Done()

    (params,) = [params for path, params in w.api.calls if path == SPENDING]
    assert datetime.fromisoformat(params["startDate"]) == checked - ASIDE_LOOKBACK
    assert [page["aside_checked"] for page in w.book.pages] == [False, True]


# Slices, stops and crashes -----------------------------------------------------------------------


async def test_a_slice_ends_after_its_pages_and_the_next_one_goes_on_there() -> None:
    w = walking(400, kind="full")

    result, runs = await w.run_in_slices(Slice(pages=3, duration=PATIENT.duration))

    assert (result, runs) == (Done(), 4)
    w.assert_exact()
    assert w.api.paths.count(EARNINGS) == 9


async def test_a_slice_ends_after_its_time() -> None:
    w = walking(300)
    w.api.takes = timedelta(seconds=4)

    assert await w.run(Slice(pages=1000, duration=timedelta(seconds=10))) == Yielded()

    assert w.book.turned == 3


async def test_a_stopping_worker_commits_its_page_and_yields() -> None:
    w = walking(300)
    w.stopping = lambda: True

    assert await w.run() == Yielded()

    assert len(w.book.pages) == 1
    assert w.book.walk is not None


async def test_a_stop_at_the_last_page_is_an_end() -> None:
    w = walking(30)
    w.stopping = lambda: True

    assert await w.run(Slice(pages=1, duration=timedelta(0))) == Done()


async def test_a_cancelled_walk_stops_after_the_page_that_told_it() -> None:
    w = walking(300, cancel=True)

    assert await w.run() == Cancelled()
    assert len(w.book.pages) == 1


@pytest.mark.parametrize("kind", ["full", "incremental"])
@pytest.mark.parametrize("commits", range(5))
async def test_a_worker_that_dies_asks_again_for_what_it_held_and_no_money_is_lost(
    kind: str, commits: int
) -> None:
    w = walking(900, kind=kind)
    undisturbed = walking(900, kind=kind)
    await undisturbed.run()

    w.book.lost_at = commits
    with pytest.raises(LeaseLost):
        await w.run()
    in_vain = len(w.api.calls) - w.book.turned
    w.book.lost_at = None
    w.lease_id += 1
    await w.run()

    w.assert_exact()
    # What was being committed, and what was read meanwhile.
    assert 0 < in_vain <= 2 * PAGES_AT_ONCE
    assert len(w.api.calls) == len(undisturbed.api.calls) + in_vain


async def test_a_lost_lease_writes_nothing_more() -> None:
    w = walking(300)
    w.book.lost_at = 2

    with pytest.raises(LeaseLost):
        await w.run()

    assert len(w.book.pages) == 2
    assert len(w.stub.named("commit_sync_page")) == 3


async def test_a_commit_whose_reply_is_lost_is_sent_again_and_applied_once() -> None:
    w = walking(120)
    commit = w.stub.functions["commit_sync_page"]

    def applied_but_unheard(asked: dict[str, Any]) -> Any:
        w.stub.functions["commit_sync_page"] = commit
        commit(asked)
        raise httpx.ReadError("connection reset")

    w.stub.functions["commit_sync_page"] = applied_but_unheard

    assert await w.run() == Done()

    w.assert_exact()
    assert [page["key"] for page in w.book.pages] == ["70:0", "70:1"]


async def test_an_empty_budget_keeps_what_was_committed() -> None:
    w = walking(300, kind="full")

    def empty_after_two(_: str, number: int, body: Any) -> Any:
        if number == 2:
            w.budget.refusal = Throttled("spent", until=NOON)
        return body

    w.api.tamper = empty_after_two
    with pytest.raises(Throttled):
        await w.run()
    committed = len(w.book.pages)
    w.budget.refusal = None
    await w.run()

    assert committed == 2
    assert w.api.paths.count(EARNINGS) == 7
    w.assert_exact()


async def test_a_backfill_announces_that_it_will_call_again() -> None:
    full, poll = walking(10, kind="full"), walking(10)

    await full.run()
    await poll.run()

    assert full.budget.acquired[0][2] == 10
    assert poll.budget.acquired[0][2] is None
