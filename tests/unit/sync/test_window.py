"""What may be committed of a page, and where the list goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.property.fanvue_list import earning
from worker.sync.window import INSTANT, Place, Span, first_place, query_span, turn_page


if TYPE_CHECKING:
    from worker.sync.rows import LedgerRow


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SPAN = Span(NOON - timedelta(days=30), NOON + timedelta(days=1))


def at(minutes_ago: int, order_id: str | None = "order") -> LedgerRow:
    return earning(NOON - timedelta(minutes=minutes_ago), 100, order_id)


def test_history_is_walked_by_cursor_and_anything_shorter_by_instants() -> None:
    assert first_place("full").mode == "cursor"
    assert first_place("deep").mode == first_place("incremental").mode == "window"


def test_a_list_begins_with_its_whole_span() -> None:
    assert query_span(SPAN, first_place("full")) == SPAN


def test_below_an_instant_the_instant_itself_is_asked_for_once_more() -> None:
    asked = query_span(SPAN, Place("window", position=NOON))

    assert asked == Span(SPAN.start, NOON + INSTANT)


def test_with_a_cursor_the_span_stays_as_it_was() -> None:
    assert query_span(SPAN, Place("cursor", "c1", NOON)) == SPAN


def test_the_oldest_instant_of_a_page_is_left_for_the_next_one() -> None:
    turn = turn_page([at(1), at(2), at(3), at(3)], "c1", Place("window"))

    assert turn.rows == [at(1), at(2)]
    assert turn.after == Place("window", None, at(3).at)


def test_the_last_page_is_committed_whole() -> None:
    turn = turn_page([at(1), at(2)], None, Place("window"))

    assert turn.rows == [at(1), at(2)]
    assert turn.after is None


def test_a_page_of_one_single_instant_is_turned_by_the_cursor() -> None:
    turn = turn_page([at(1, None), at(1, None)], "c1", Place("window"))

    assert turn.rows == [at(1, None), at(1, None)]
    assert turn.after == Place("window", "c1", at(1).at)


def test_after_a_page_of_one_instant_the_walk_goes_on_by_instants() -> None:
    turn = turn_page([at(1), at(2), at(3)], "c2", Place("window", "c1", at(1).at))

    assert turn.rows == [at(1), at(2)]
    assert turn.after == Place("window", None, at(3).at)


def test_by_cursor_a_page_is_committed_whole() -> None:
    turn = turn_page([at(1), at(2)], "c1", Place("cursor"))

    assert turn.rows == [at(1), at(2)]
    assert turn.after == Place("cursor", "c1", at(2).at)


def test_the_first_row_without_an_id_ends_walking_by_cursor() -> None:
    first = turn_page([at(1), at(2, None), at(3)], "c1", Place("cursor"))
    later = turn_page([at(2), at(3, None)], "c2", Place("cursor", "c1", at(1).at))

    assert first.rows == [at(1), at(2, None)]
    assert first.after == Place("window", None, at(3).at)
    assert later.reread == Place("window", position=at(1).at)
    assert later.rows == []


def test_an_answer_that_ignores_the_time_of_day_is_read_again_by_days() -> None:
    place = Place("window", position=at(1).at)

    for rows in ([], [at(2), at(3)]):
        turn = turn_page(rows, None, place)

        assert turn.rows == []
        assert turn.reread == Place("days", position=datetime(2026, 11, 21, tzinfo=UTC) - INSTANT)


def test_an_empty_page_that_promises_more_is_followed() -> None:
    turn = turn_page([], "c2", Place("cursor", "c1", NOON))

    assert turn.rows == []
    assert turn.after == Place("cursor", "c2", NOON)


def test_a_page_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="order"):
        turn_page([at(2), at(1)], None, Place("window"))


def test_a_page_above_its_place_is_refused() -> None:
    with pytest.raises(ValueError, match="newer"):
        turn_page([at(1)], None, Place("cursor", "c1", at(2).at))
