"""A page of a chat says where older messages go on, or that it does not lead there."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.support.clock import NOON
from worker.sync.talk import IDLE_PAGES, bound_of, onward_by_dates, reached, steps_down


INSTANT = timedelta(milliseconds=1)
MINUTE = timedelta(minutes=1)


def test_the_next_page_reads_the_oldest_instant_once_more() -> None:
    onward = onward_by_dates([NOON, NOON - MINUTE], None, NOON)

    assert bound_of(onward.cursor) == NOON - MINUTE + INSTANT
    assert not onward.crowded


def test_the_order_within_a_page_does_not_matter() -> None:
    one = onward_by_dates([NOON - MINUTE, NOON], None, NOON)

    assert one == onward_by_dates([NOON, NOON - MINUTE], None, NOON)


def test_a_page_of_one_instant_is_stepped_over_and_noted() -> None:
    onward = onward_by_dates([NOON, NOON], None, NOON)

    assert bound_of(onward.cursor) == NOON
    assert onward.crowded


def test_a_page_of_one_message_is_no_crowd() -> None:
    assert not onward_by_dates([NOON], None, NOON).crowded


def test_a_page_that_tells_no_time_goes_on_where_fanvue_says() -> None:
    assert bound_of(onward_by_dates([], NOON, NOON - MINUTE).cursor) == NOON - MINUTE


@pytest.mark.parametrize(
    ("instants", "offered"),
    [([NOON, NOON - INSTANT], NOON), ([NOON], NOON), ([], NOON), ([], None)],
)
def test_a_page_that_leads_nowhere_is_refused(
    instants: list[datetime], offered: datetime | None
) -> None:
    with pytest.raises(ValueError, match=r"does not lead|says when"):
        onward_by_dates(instants, NOON, offered)


def test_ties_with_what_is_known_are_read_before_it_counts_as_reached() -> None:
    assert not reached([NOON], NOON)
    assert reached([NOON, NOON - INSTANT], NOON)
    assert not reached([], NOON)
    assert not reached([NOON], None)


def test_other_cursors_are_no_bounds() -> None:
    assert bound_of(None) is None
    assert bound_of("page:2") is None


def test_a_chat_is_left_when_its_pages_come_to_nothing_older() -> None:
    note = steps_down(None, "a", [NOON, NOON - MINUTE])
    for _ in range(IDLE_PAGES):
        note = steps_down(note, "a", [NOON - MINUTE])
    onward = steps_down(note, "a", [NOON - 2 * MINUTE])

    assert onward["idle"] == 0
    assert steps_down(note, "b", [NOON])["idle"] == 0
    with pytest.raises(ValueError, match="nothing older"):
        steps_down(note, "a", [])
