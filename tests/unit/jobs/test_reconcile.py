"""What a reconciliation reads, how often, and when it says that sums differ."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from tests.support.fanvue_stub import json_answer
from tests.unit.jobs.reconcile_bench import EARNINGS, SUMMARY, ReconcileBench, proving
from worker.errors import LeaseLost, Transient
from worker.jobs.outcomes import Cancelled, Done, Yielded
from worker.jobs.walk import Slice


async def test_rows_are_read_once_and_the_sums_asked_once() -> None:
    p = proving(120)

    assert await p.run() == Done()

    p.assert_exact()
    assert (p.calls(EARNINGS), p.calls(SUMMARY)) == (3, 1)
    assert p.differing == []


@pytest.mark.parametrize("ids", [True, False])
async def test_a_run_in_slices_ends_where_a_run_in_one_piece_does(ids: bool) -> None:
    p = proving(160, ids=ids)

    assert await p.run_in_slices(Slice(pages=1, duration=timedelta(hours=1))) == Done()

    p.assert_exact()
    assert len(p.book.verdicts) == 1


async def test_a_day_on_which_fanvue_has_more_is_read_once_more_before_it_counts() -> None:
    p = proving(120)
    p.surplus = [{p.day(5): 100, p.day(9): -50}]

    await p.run()

    assert p.calls(SUMMARY) == 2
    again = p.book.steps[-1]
    assert [step["pages"] for step in p.book.steps] == [1, 1, 1, 0, 1]
    assert again["todo"] == []
    assert p.api.calls[-2][1]["startDate"][:10] == p.day(6), "an instant before the day begins"
    assert p.differing == [p.day(9), p.day(5)]


async def test_a_difference_that_a_fresh_summary_does_not_show_is_none() -> None:
    p = proving(120)
    p.surplus = [{p.day(5): 100}, {}]

    await p.run()

    assert p.differing == []


async def test_the_second_summary_is_asked_for_other_dates_so_that_no_cache_answers() -> None:
    p = proving(120)
    p.surplus = [{p.day(5): 100}]

    await p.run()

    first, second = [params for path, params in p.api.calls if path.endswith("summary")]
    assert first["endDate"] != second["endDate"]
    assert second["endDate"][:10] == p.day(4)


async def test_differences_that_are_known_cost_nothing_more() -> None:
    p = proving(120)
    await p.run()
    sums = p.book.sums({})["days"][p.day(5)]["net"]
    p.book.known = {p.day(5): {"ledger": sums, "fanvue": str(Decimal(sums) + 1)}}
    p.book.verdicts.clear()
    p.api.calls.clear()
    p.surplus = [{p.day(5): 100}]

    await p.run()

    assert (p.calls(EARNINGS), p.calls(SUMMARY)) == (3, 1)
    assert p.differing == [p.day(5)]


async def test_days_that_still_move_are_not_judged() -> None:
    p = proving(120)
    p.surplus = [{p.day(0): 100}]

    await p.run()

    assert p.differing == []
    assert p.calls(SUMMARY) == 1


async def test_all_of_history_is_judged_unless_somebody_asked_for_days() -> None:
    asked, night = proving(160, days=10, requested=10), proving(160, days=10)
    for p in (asked, night):
        p.surplus = [{p.day(20): -100}]
        await p.run()

    assert asked.differing == []
    assert night.day(20) in night.differing
    assert night.api.calls[-2][0].endswith(EARNINGS), "a day not read yet is read before it counts"


@pytest.mark.parametrize("answer", [{}, {"overTime": [{}]}, json_answer({"error": "no"}, 403)])
async def test_without_a_summary_rows_are_judged_and_nothing_is_proved(answer: Any) -> None:
    p = proving(60)
    p.api.tamper = lambda path, _, body: answer if path == SUMMARY else body

    result = await p.run()

    (verdict,) = p.book.verdicts
    assert (verdict["sums"], verdict["partial"]) == ([], None)
    assert "no day was compared with Fanvue's summary: " in verdict["uncompared"]
    assert result == Done(partial=verdict["uncompared"])


async def test_where_no_day_has_settled_yet_nothing_is_proved() -> None:
    p = proving(2, days=0, requested=1)

    result = await p.run()

    (verdict,) = p.book.verdicts
    assert (verdict["sums"], verdict["partial"]) == ([], None)
    assert verdict["uncompared"].endswith("summary: no day has settled yet")
    assert result == Done(partial=verdict["uncompared"])
    assert p.calls(SUMMARY) == 0


async def test_a_summary_that_stays_broken_ends_the_run_at_the_third_attempt() -> None:
    p = proving(60)
    p.api.tamper = lambda path, _, body: json_answer({}, 500) if path == SUMMARY else body

    with pytest.raises(Transient):
        await p.run()
    p.attempt = 3
    result = await p.run()

    assert isinstance(result, Done)
    assert "no day was compared" in str(result.partial)


async def test_a_row_that_stays_unreadable_makes_the_run_partial() -> None:
    p = proving(60)

    def tamper(path: str, _: int, body: Any) -> Any:
        if path == EARNINGS and body["data"]:
            body["data"][0].pop("gross")
        return body

    p.api.tamper = tamper

    result = await p.run()

    assert isinstance(result, Done)
    assert "could not be read" in str(result.partial)
    assert p.book.verdicts[0]["partial"] == result.partial
    assert p.calls(SUMMARY) == 0


async def test_pages_that_go_on_for_ever_make_the_run_partial() -> None:
    p = proving(60)
    cursors = count()
    p.api.list.page = lambda *_: ([], f"c{next(cursors)}")  # type: ignore[method-assign]

    result = await p.run_in_slices(Slice(pages=6, duration=timedelta(hours=1)))

    assert isinstance(result, Done)
    assert "go on and bring nothing new" in str(result.partial)
    assert len(p.api.calls) < 30


async def test_many_days_to_read_again_are_not_a_list_without_end() -> None:
    p = proving(220, days=60)
    doubtful = [p.day(ago) for ago in range(2, 52, 2)]
    p.surplus = [dict.fromkeys(doubtful, 100)]

    result = await p.run_in_slices(Slice(pages=6, duration=timedelta(hours=1)))

    assert result == Done()
    assert sorted(p.differing) == sorted(doubtful)


async def test_reversals_kept_apart_are_read_as_well() -> None:
    p = proving(60)
    p.api.v1 = False

    await p.run()

    assert p.calls("/insights/spending") == 1 + 1, "the v1 path is tried first"
    p.assert_exact()


def of_an_agency(surplus: dict[int, int]) -> ReconcileBench:
    """Return a run over a list that has no reversals, and cents that the summary has more."""
    p = proving(120)
    p.api.v1 = False
    p.path_prefix = "/creators/7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01"
    p.surplus = [{p.day(ago): cents for ago, cents in surplus.items()}]
    return p


async def test_a_creator_without_a_list_of_reversals_is_compared_and_not_proved() -> None:
    p = of_an_agency({5: 100})

    result = await p.run()

    (verdict,) = p.book.verdicts
    assert p.differing == [p.day(5)]
    assert verdict["partial"] is None
    assert verdict["uncompared"].startswith("Fanvue has no list of refunds")
    assert result == Done(partial=verdict["uncompared"])


async def test_less_in_fanvues_sums_may_be_reversals_that_have_no_list() -> None:
    p = of_an_agency({5: -50})

    await p.run()

    assert p.differing == []
    assert [sums["kind"] for sums in p.book.verdicts[0]["sums"]] == ["summary"]


async def test_a_cancelled_run_stops_after_its_page_and_a_stopping_worker_yields() -> None:
    cancelled, stopped = proving(120, cancel=True), proving(120)
    stopped.stopping = lambda: True

    assert await cancelled.run() == Cancelled()
    assert await stopped.run() == Yielded()
    assert len(cancelled.book.steps) == len(stopped.book.steps) == 1


async def test_a_lost_lease_ends_the_run_at_once() -> None:
    p = proving(120, lost_at=1)

    with pytest.raises(LeaseLost):
        await p.run()

    assert p.calls(EARNINGS) == 2
    assert p.book.verdicts == []
