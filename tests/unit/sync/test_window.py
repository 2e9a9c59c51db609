"""What may be committed of a page, and where the list goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.property.fanvue_list import earning
from worker.sync.window import (
    INSTANT,
    NOT_IN_ORDER,
    NOT_LED_ON,
    NOT_WITHIN_DATES,
    Crowd,
    Place,
    Span,
    other_size,
    query_span,
    settle_crowd,
    turn_page,
)


if TYPE_CHECKING:
    from worker.sync.rows import LedgerRow


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SPAN = Span(NOON - timedelta(days=30), NOON + timedelta(days=1))


def at(minutes_ago: int, order_id: str | None = "order") -> LedgerRow:
    return earning(NOON - timedelta(minutes=minutes_ago), 100, order_id)


def test_a_list_begins_with_its_whole_span() -> None:
    assert query_span(SPAN, Place()) == SPAN


def test_a_place_is_asked_for_below_its_date_with_a_cursor_or_without() -> None:
    below = NOON - timedelta(minutes=1)

    for cursor in (None, "c1"):
        asked = query_span(SPAN, Place(cursor=cursor, position=NOON - timedelta(1), below=below))

        assert asked == Span(SPAN.start, below)


def test_the_oldest_instant_of_a_page_is_left_for_the_next_one() -> None:
    turn = turn_page([at(1), at(2), at(3), at(3)], "c1", Place())

    assert turn.rows == [at(1), at(2)]
    assert turn.after == Place(position=at(3).at, below=at(2).at)


def test_the_last_page_is_committed_whole() -> None:
    turn = turn_page([at(2), at(1)], None, Place())

    assert turn.rows == [at(1), at(2)]
    assert turn.after is None


def test_a_full_page_is_turned_like_one_with_a_cursor() -> None:
    rows = [at(1), at(2), at(3)]

    assert turn_page(rows, None, Place(), full=True) == turn_page(rows, "c1", Place())


def test_a_page_of_one_single_instant_may_go_on() -> None:
    turn = turn_page([at(1, None), at(1, None)], "c1", Place())

    assert turn.crowded
    assert not turn_page([at(1), at(1)], None, Place()).crowded


def test_of_a_page_out_of_order_more_is_left() -> None:
    rows = [at(n) for n in range(40)]
    rows[7], rows[8] = rows[8], rows[7]

    turn = turn_page(rows, "c1", Place())

    assert turn.rows == [at(n) for n in range(30)]
    assert turn.after == Place(position=at(39).at, below=at(29).at, left=9, newest=at(30).at)


def test_a_row_above_what_was_left_shows_that_the_order_does_not_hold() -> None:
    place = Place(position=at(3).at, below=at(1).at)

    turn = turn_page([at(2), at(3), at(4)], "c2", place)

    assert turn.trouble == NOT_IN_ORDER
    assert turn.rows == [at(2), at(3), at(4)]
    assert turn.after == Place("cursor", "c2", at(4).at, at(1).at)


def test_rows_above_the_date_asked_for_show_that_dates_are_ignored() -> None:
    turn = turn_page([at(0), at(3)], "c2", Place(position=at(3).at, below=at(1).at))

    assert turn.trouble == NOT_WITHIN_DATES


def test_by_cursor_a_page_is_committed_whole_with_its_cursor_and_date() -> None:
    place = Place("cursor", "c1", at(3).at, at(1).at)

    turn = turn_page([at(2), at(4)], "c2", place)

    assert turn.rows == [at(2), at(4)]
    assert turn.after == Place("cursor", "c2", at(4).at, at(1).at)


def test_a_cursor_that_comes_back_at_once_ends_the_list_in_doubt() -> None:
    turn = turn_page([at(2)], "c1", Place("cursor", "c1", at(1).at))

    assert (turn.after, turn.trouble) == (None, NOT_LED_ON)


def test_an_answer_that_ignores_the_time_of_day_is_read_again_by_days() -> None:
    place = Place(position=at(2).at, below=at(1).at)

    for rows in ([], [at(3), at(4)]):
        turn = turn_page(rows, None, place)

        assert turn.rows == []
        assert turn.reread == Place("days", below=datetime(2026, 11, 21, tzinfo=UTC))


def test_an_empty_page_that_promises_more_is_followed() -> None:
    turn = turn_page([], "c2", Place(cursor="c1", position=NOON, below=NOON))

    assert turn.rows == []
    assert turn.after == Place(cursor="c2", position=NOON, below=NOON)


def test_a_place_comes_back_as_it_was_kept() -> None:
    for place in (
        Place(),
        Place("days", "c", NOON, NOON + INSTANT, 3),
        Place(position=NOON),
        Place(position=at(9).at, below=at(1).at, left=4, newest=at(2).at),
    ):
        kept = place.as_json()

        assert Place.resumed(place.mode, place.cursor, place.column, kept) == place


def test_an_older_worker_goes_on_above_everything_that_was_left() -> None:
    rows = [at(n) for n in range(40)]
    rows[7], rows[8] = rows[8], rows[7]
    disordered, ordered = turn_page(rows, "c1", Place()), turn_page([at(1), at(2)], "c1", Place())
    midnight = datetime(2026, 11, 20, tzinfo=UTC)

    assert disordered.after is not None
    assert ordered.after is not None
    # An older worker asks for what is not newer than the stored position, and expects it there.
    assert disordered.after.column == at(30).at
    assert ordered.after.column == at(2).at
    assert Place("days", None, NOON - timedelta(days=2), midnight).column == midnight - INSTANT


def test_a_place_that_an_older_worker_kept_goes_on_by_instants_or_begins_again() -> None:
    stale = Place(position=NOON - INSTANT).as_json()

    by_instants = Place.resumed("window", None, NOON, stale)
    by_cursor = Place.resumed("cursor", "c1", NOON, None)

    assert by_instants == Place(position=NOON, below=NOON + INSTANT)
    assert by_cursor == Place()


def test_a_row_that_both_readings_of_a_day_repeat_is_not_two() -> None:
    newer, named, unnamed = at(2, "n"), at(1, "m"), at(1, None)
    instant = [named, unnamed]
    first = Crowd([[newer, newer, *instant], instant], ended=True, borders=(4,))
    second = Crowd([[newer], [newer, unnamed], instant], ended=True, borders=(1, 3))

    rows, whole = settle_crowd(first, second)

    assert (rows.count(unnamed), whole) == (1, False)


def test_a_second_reading_is_cut_where_the_first_was_not() -> None:
    borders = range(4, 100, 4)

    cut = [0]
    while cut[-1] < 90:
        cut.append(cut[-1] + other_size(4, cut[-1], borders))

    assert not {*cut} & {*borders}


def test_two_readings_of_a_crowd_prove_it_only_where_they_agree() -> None:
    six = [at(1, None)] * 6
    first = Crowd([six[:4], six[:2]], ended=True)

    assert settle_crowd(first, Crowd([six[:3], six[:3]], ended=True)) == (six, True)
    for second in (
        Crowd([six[:3]], ended=True),
        Crowd([six[:3], six[:3]], ended=False),
        Crowd([six[:4], six[:2]], ended=True),
    ):
        assert settle_crowd(first, second) == (six[:4], False)
