"""Sums prove what they can: settled days, by net, and only after what may be missing was read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sync.drift import DaySum, report_sums, summary_sums
from worker.sync.reconcile import (
    EARNINGS,
    NOTHING,
    Days,
    Reading,
    around,
    compare,
    judged_days,
    read_again,
)
from worker.sync.rows import dollars
from worker.sync.window import HISTORY_BEGINS, INSTANT, Span


FIRST = date(2026, 1, 30)
WINDOW = Days(FIRST, FIRST + timedelta(days=30))
DAYS = st.integers(-5, 40).map(lambda number: FIRST + timedelta(days=number))
SUMS = st.builds(
    lambda gross, net: DaySum(dollars(gross), dollars(net)), st.integers(0, 3), st.integers(0, 3)
)
BOOKS = st.dictionaries(DAYS, SUMS)


@given(BOOKS, BOOKS)
def test_exactly_the_judged_days_with_another_net_differ(
    ours: dict[date, DaySum], theirs: dict[date, DaySum]
) -> None:
    found = compare(ours, theirs, WINDOW)

    expected = [
        day
        for day in sorted(ours.keys() | theirs.keys())
        if WINDOW.first <= day < WINDOW.until
        and ours.get(day, NOTHING).net != theirs.get(day, NOTHING).net
    ]
    assert [one.day for one in found] == expected


@given(BOOKS, BOOKS, st.integers(0, 30))
def test_what_may_be_missing_is_read_again_and_nothing_else(
    ours: dict[date, DaySum], theirs: dict[date, DaySum], begins: int
) -> None:
    differences = compare(ours, theirs, WINDOW)
    read = Span(datetime.combine(FIRST + timedelta(days=begins), datetime.min.time(), UTC))

    readings = read_again(differences, [read])

    covered = [
        found.day
        for found in differences
        if any(_holds(reading, found.day) for reading in readings)
    ]
    assert covered == [
        found.day for found in differences if found.missing or found.day < read.start.date()
    ]


def _holds(reading: Reading, day: date) -> bool:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return reading.end is not None and reading.start <= noon < reading.end


@given(BOOKS, BOOKS)
def test_the_days_around_hold_every_difference(
    ours: dict[date, DaySum], theirs: dict[date, DaySum]
) -> None:
    differences = compare(ours, theirs, WINDOW)
    if differences:
        days = around(differences)

        assert all(found.day in days for found in differences)
        assert Days.from_texts(days.first.isoformat(), days.until.isoformat()) == days


def test_today_and_what_has_not_settled_is_not_judged() -> None:
    first, settle = datetime(2026, 3, 1, tzinfo=UTC), timedelta(minutes=20)

    assert judged_days(first, datetime(2026, 3, 9, 0, 19, tzinfo=UTC), settle) == Days(
        date(2026, 3, 1), date(2026, 3, 8)
    )
    assert judged_days(first, datetime(2026, 3, 9, 0, 20, tzinfo=UTC), settle) == Days(
        date(2026, 3, 1), date(2026, 3, 9)
    )
    assert judged_days(first, datetime(2026, 3, 1, 12, tzinfo=UTC), settle) is None


def test_a_reading_asks_for_an_instant_more_and_survives_its_json() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    reading = Reading(EARNINGS, start, None)

    assert reading.span == Span(start - INSTANT, None)
    assert Reading(EARNINGS, HISTORY_BEGINS, start).span.start == HISTORY_BEGINS
    assert Reading.from_json(reading.as_json()) == reading


def test_a_summary_gives_gross_and_net_of_each_day() -> None:
    body = {"overTime": [{"periodStart": "2026-11-20T00:00:00.000Z", "gross": 1250, "net": 1000}]}

    assert summary_sums(body) == {date(2026, 11, 20): DaySum(Decimal("12.50"), Decimal("10.00"))}


@pytest.mark.parametrize("net", [None, True, "1000", Decimal("0.5"), Decimal("NaN"), 10**40])
def test_a_net_of_another_shape_is_a_value_error(net: object) -> None:
    body = {"overTime": [{"periodStart": "2026-11-20T00:00:00.000Z", "gross": 1250, "net": net}]}

    with pytest.raises(ValueError, match="net"):
        summary_sums(body)


def reported(day: str, gross: int, **fields: Any) -> dict[str, Any]:
    row = {"creatorUuid": "c1", "date": day, "gross": gross, "net": gross, "currency": "USD"}
    return {**row, **fields}


def test_a_report_gives_the_days_that_are_all_in_dollars() -> None:
    rows = [
        reported("2026-11-21", 500),
        reported("2026-11-21", 250, currency=None),
        reported("2026-11-20", 900),
        reported("2026-11-20", 700, currency="EUR"),
    ]

    assert report_sums(rows, "c1") == {date(2026, 11, 21): DaySum(Decimal("7.50"), Decimal("7.50"))}


@pytest.mark.parametrize(
    "row",
    [
        None,
        "row",
        reported("2026-11-20", 1, creatorUuid="c2"),
        reported("yesterday", 1),
        reported("2026-11-20", 1, date=None),
        reported("2026-11-20", 1, net=None),
        reported("2026-11-20", 1) | {"gross": Decimal("0.1")},
    ],
    ids=repr,
)
def test_a_report_of_another_shape_is_a_value_error(row: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - one kind for every shape is the promise
        report_sums([row], "c1")
