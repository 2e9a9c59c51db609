"""What `make day` reckons of a day: what grows with creators, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.day.plans import DAYS, month_of
from tests.support.day_costs import Answers, Costs
from tests.support.news import announced


# A creator to whom nothing happens.
NOTHING = Costs(
    events=0,
    announced={},
    sales=0,
    runs=0,
    trouble_runs=0,
    counted_runs=0,
    quiet_rows=0,
    data_bytes=0,
    hints=0,
    hints_open=0,
    refreshes=0,
    refreshes_open=0,
    counted_open=0,
    hint_bytes=0,
    worker_messages=0,
    answers={},
    health_bytes=0,
    health_changed=0,
    overview_bytes=0,
    feed_bytes=0,
    stats_bytes=0,
    stats_bytes_of_a_creator=0,
    head_bytes=0,
)


def grown(costs: Costs, name: str) -> float:
    """Return what a month of ten creators has more than one of nobody to whom anything happens."""
    return month_of(costs, 10)[name] - month_of(NOTHING, 10)[name]


def test_what_a_worker_asks_by_itself_does_not_grow_with_creators() -> None:
    one, hundred = (month_of(NOTHING, creators) for creators in (1, 100))

    assert one == pytest.approx(hundred)
    assert one["egress"] > 0


def test_the_calls_of_a_poll_do() -> None:
    costs = replace(NOTHING, answers={"commit_sync_page": Answers(calls=10, bytes=4_000)})

    assert grown(costs, "egress") == pytest.approx(10 * DAYS * 4_000 / 1_000_000)


def test_an_announcement_is_a_call_and_messages_may_be_left_out() -> None:
    costs = replace(NOTHING, announced={"money": 20, "fans": 5, "chats": 100})

    assert grown(costs, "function calls") == pytest.approx(10 * DAYS * 125)
    without = month_of(costs, 10, messages=False)
    assert without["function calls"] == pytest.approx(
        month_of(NOTHING, 10)["function calls"] + 10 * DAYS * 25
    )
    assert without["database"] < month_of(costs, 10)["database"]


def test_changes_that_come_close_together_are_fetched_together() -> None:
    few, many = (replace(NOTHING, refreshes_open=changes) for changes in (0.1, 1_000))

    # one a day of ten creators, for each of three dashboards
    assert grown(few, "function calls") == pytest.approx(3 * DAYS, rel=0.01)
    # one in ten seconds at most, eight hours a day
    assert grown(many, "function calls") < 3 * DAYS * 8 * 360


def test_what_fanvue_has_no_topic_for_is_announced_by_nothing() -> None:
    for do in ("posts", "posts/react", "unfollows"):
        assert announced({"do": do}).total() == 0
    tip = {"do": "sales", "rows": [{"source": "tip"}]}
    renewal = {"do": "sales", "rows": [{"source": "renewal"}]}
    assert (announced(tip)["money"], announced(renewal)["money"]) == (1, 2)
