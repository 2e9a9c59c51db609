"""A walk reads every page once, commits each with its place, and goes on where it was stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import httpx
import pytest

from tests.property.fanvue_list import Dates, Ties
from tests.support.clock import NOON
from tests.unit.jobs.walk_bench import PATIENT, walking
from worker.errors import DatabaseUnavailable, LeaseLost, SchemaMissing, SyncError, Throttled
from worker.fanvue.calls import Family
from worker.jobs.earnings_walk import ASIDE_LOOKBACK
from worker.jobs.outcomes import Cancelled, Done, Yielded
from worker.jobs.walk import Slice
from worker.sync.window import HISTORY_BEGINS


EARNINGS = "/v1/insights/earnings"
SUMMARY = "/v1/insights/earnings/summary"
SPENDING = "/insights/spending"


async def test_history_is_read_by_cursor_then_its_reversals_then_compared_with_the_summary() -> (
    None
):
    w = walking(120, kind="full")

    assert await w.run() == Done()

    w.assert_exact()
    assert w.book.phases == ["rows", "rows", "rows", "aside", "verify"]
    assert w.api.paths == [EARNINGS] * 4 + [SUMMARY]
    assert w.api.calls[3][1]["source"] == "refund,chargeback"
    assert w.book.walk is None


async def test_history_of_5000_sales_costs_100_pages_and_two_calls() -> None:
    w = walking(5000, kind="full")

    await w.run()

    w.assert_exact()
    assert len(w.api.calls) == 102
    assert w.meter.requests == 102


@pytest.mark.parametrize("kind", ["incremental", "deep"])
async def test_shorter_walks_go_by_instants_and_end_with_the_list(kind: str) -> None:
    w = walking(120, kind=kind)

    assert await w.run() == Done()

    w.assert_exact()
    assert w.book.phases == ["rows"] * ceil(119 / 49)
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


async def test_the_summary_is_asked_for_up_to_the_ceiling() -> None:
    w = walking(120, kind="full")
    w.api.takes = timedelta(minutes=1)

    await w.run()

    path, params = w.api.calls[-1]
    assert path == SUMMARY
    assert datetime.fromisoformat(params["endDate"]) == NOON + timedelta(minutes=1)


async def test_history_without_ids_is_read_by_instants_from_the_start() -> None:
    w = walking(120, kind="full", ids=False)

    await w.run()

    w.assert_exact()
    assert {page["mode"] for page in w.book.pages[:-1]} == {"window"}


@pytest.mark.parametrize("kind", ["incremental", "full"])
async def test_more_equal_rows_without_ids_than_fill_a_page_are_all_counted(kind: str) -> None:
    w = walking(200, ids=False, kind=kind)
    first = w.rows[20]
    w.rows[20:150] = [first] * 130
    w.api.list.__post_init__()

    assert await w.run() == Done()

    w.assert_exact()


@pytest.mark.parametrize("ties", list(Ties))
async def test_rows_that_share_an_instant_at_a_border_are_neither_lost_nor_doubled(
    ties: Ties,
) -> None:
    w = walking(130, ids=False)
    together = w.rows[75].at
    w.rows[75:85] = [replace(row, at=together) for row in w.rows[75:85]]
    w.api.list.__post_init__()
    w.api.list.ties = ties

    await w.run()

    w.assert_exact()


async def test_filters_that_ignore_the_time_of_day_are_noticed_and_read_by_days() -> None:
    w = walking(150)
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


# Reversals kept apart ----------------------------------------------------------------------------


async def test_without_v1_reversals_are_read_from_the_spending_list() -> None:
    w = walking(60, kind="full")
    w.api.v1 = False

    assert await w.run() == Done()

    spending = [params for path, params in w.api.calls if path == SPENDING]
    assert len(spending) == 1
    assert datetime.fromisoformat(spending[0]["startDate"]) == HISTORY_BEGINS
    assert w.book.pages[0]["notes"]["family"] == Family.UNVERSIONED.value
    assert w.book.phases[-1] == "verify"


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


# The second opinion ------------------------------------------------------------------------------


async def test_days_on_which_the_summary_shows_more_are_read_again_newest_first() -> None:
    w = walking(120, kind="full")
    w.api.extra_in_summary = {"2026-11-14": 500, "2026-11-10": 100, "2026-11-11": 100}

    assert await w.run() == Done()

    w.assert_exact()
    assert w.book.phases[-3:] == ["verify", "mend", "mend"]
    mends = [params for path, params in w.api.calls if path == EARNINGS][-2:]
    assert [(each["startDate"][:10], each["endDate"][:10]) for each in mends] == [
        ("2026-11-14", "2026-11-15"),
        ("2026-11-10", "2026-11-12"),
    ]
    assert w.book.pages[4]["notes"]["verified"] is False


async def test_what_a_skipping_cursor_lost_is_found_by_the_summary() -> None:
    w = walking(130, kind="full")
    together = w.rows[75].at
    w.rows[75:85] = [replace(row, at=together) for row in w.rows[75:85]]
    w.api.list.__post_init__()
    w.api.list.ties = Ties.SKIP

    assert await w.run() == Done()

    w.assert_exact()
    assert "mend" in w.book.phases


@pytest.mark.parametrize(
    "answer",
    [{}, {"overTime": [{"periodStart": "2026-11-22"}]}, [], {"overTime": [None]}],
    ids=repr,
)
async def test_a_summary_out_of_shape_keeps_no_walk_from_ending(answer: Any) -> None:
    w = walking(60, kind="full")
    w.api.tamper = lambda path, _, body: answer if path.endswith("/summary") else body

    assert await w.run() == Done()

    assert w.book.pages[-1]["notes"]["verified"] is None
    assert w.book.high_water == w.rows[-1].at


@pytest.mark.parametrize(
    "away", [DatabaseUnavailable("it is away"), SchemaMissing("the database has no take_calls")]
)
async def test_a_database_that_fails_beside_the_summary_is_not_taken_for_its_absence(
    away: SyncError,
) -> None:
    def fail(path: str, _: object, body: Any) -> Any:
        if path.endswith("/summary"):
            raise away
        return body

    w = walking(60, kind="full")
    w.api.tamper = fail

    with pytest.raises(type(away)):
        await w.run()

    assert w.book.walk is not None


# Slices, stops and crashes -----------------------------------------------------------------------


async def test_a_slice_ends_after_its_pages_and_the_next_one_goes_on_there() -> None:
    w = walking(400, kind="full")

    result, runs = await w.run_in_slices(Slice(pages=3, duration=PATIENT.duration))

    assert (result, runs) == (Done(), 4)
    w.assert_exact()
    assert w.api.paths.count(EARNINGS) == 8 + 1


async def test_a_slice_ends_after_its_time() -> None:
    w = walking(300)
    w.api.takes = timedelta(seconds=4)

    assert await w.run(Slice(pages=1000, duration=timedelta(seconds=10))) == Yielded()

    assert len(w.book.pages) == 3


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
@pytest.mark.parametrize("crash_at", range(1, 6))
async def test_a_worker_that_dies_with_a_page_in_hand_costs_one_call_and_no_money(
    kind: str, crash_at: int
) -> None:
    w = walking(190, kind=kind)
    undisturbed = walking(190, kind=kind)
    await undisturbed.run()
    calls = len(undisturbed.api.calls)

    w.book.lost_at = crash_at - 1
    if crash_at <= calls:
        with pytest.raises(LeaseLost):
            await w.run()
    w.book.lost_at = None
    w.lease_id += 1
    await w.run()

    w.assert_exact()
    if crash_at <= calls:
        assert len(w.api.calls) == calls + 1


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
    assert [page["key"] for page in w.book.pages] == ["70:0", "70:1", "70:2"]


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
    assert w.api.paths.count(EARNINGS) == 6 + 1
    w.assert_exact()


async def test_a_backfill_announces_that_it_will_call_again() -> None:
    full, poll = walking(10, kind="full"), walking(10)

    await full.run()
    await poll.run()

    assert full.budget.acquired[0][2] == 10
    assert poll.budget.acquired[0][2] is None
