"""Days on which Fanvue counts more than we do are found, and exactly those are read again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sync.drift import days_short, spans_of, summary_days
from worker.sync.rows import dollars
from worker.sync.window import Span


FIRST = date(2026, 1, 30)
DAYS = st.integers(0, 40).map(lambda number: FIRST + timedelta(days=number))
TOTALS = st.dictionaries(DAYS.map(date.isoformat), st.integers(-500, 500).map(dollars))


def entry(**fields: Any) -> dict[str, Any]:
    return {"periodStart": "2026-11-20T00:00:00.000Z", "gross": 1250, **fields}


@given(TOTALS, TOTALS)
def test_a_day_is_short_only_when_fanvue_counts_more(
    ours: dict[str, Decimal], theirs: dict[str, Decimal]
) -> None:
    short = days_short(ours, theirs)

    assert short == sorted(short)
    for day, total in theirs.items():
        assert (date.fromisoformat(day) in short) == (total > ours.get(day, Decimal(0)))
    assert {day.isoformat() for day in short} <= theirs.keys()


@given(TOTALS)
def test_equal_books_are_never_short(totals: dict[str, Decimal]) -> None:
    assert days_short(totals, totals) == []


@given(st.sets(DAYS))
def test_spans_cover_exactly_the_days_in_few_ranges_newest_first(days: set[date]) -> None:
    spans = spans_of(sorted(days))

    assert [day for span in reversed(spans) for day in _days_of(span)] == sorted(days)
    for newer, older in pairwise(spans):
        assert older.end is not None
        assert older.end < newer.start


def _days_of(span: Span) -> list[date]:
    assert span.end is not None
    assert span.start.tzinfo is UTC
    length = (span.end - span.start) // timedelta(days=1)
    return [(span.start + timedelta(days=number)).date() for number in range(length)]


def test_adjoining_days_are_one_range() -> None:
    days = [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 9)]

    assert spans_of(days) == [
        Span(datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC)),
        Span(datetime(2026, 2, 27, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)),
    ]


def test_a_summary_is_read_to_the_cent_and_by_utc_day() -> None:
    body = {
        "overTime": [
            entry(),
            entry(periodStart="2026-11-22T01:00:00+02:00", gross=Decimal("99.0")),
        ]
    }

    assert summary_days(body) == {"2026-11-20": Decimal("12.50"), "2026-11-21": Decimal("0.99")}


def test_an_empty_summary_says_nothing_is_missing() -> None:
    assert days_short({"2026-11-20": Decimal(5)}, summary_days({"overTime": []})) == []


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {},
        {"overTime": None},
        {"overTime": {}},
        {"overTime": [None]},
        {"overTime": ["2026-11-20"]},
        {"overTime": [{}]},
        {"overTime": [entry(periodStart=None)]},
        {"overTime": [entry(periodStart=1)]},
        {"overTime": [entry(periodStart="yesterday")]},
        {"overTime": [entry(periodStart="2026-11-20T00:00:00")]},
        {"overTime": [entry(gross=None)]},
        {"overTime": [entry(gross=True)]},
        {"overTime": [entry(gross=Decimal("12.5"))]},
        {"overTime": [entry(gross="many")]},
        {"overTime": [entry(gross="1250")]},
        {"overTime": [entry(gross=[1])]},
        {"overTime": [entry(gross={})]},
        {"overTime": [entry(gross=Decimal("1E+999999"))]},
        {"overTime": [entry(gross=Decimal("NaN"))]},
        {"overTime": [entry(gross=10**40)]},
        {"overTime": [entry(periodStart="0001-01-01T00:00:00+14:00")]},
    ],
    ids=lambda body: repr(body)[:80],
)
def test_a_summary_of_another_shape_is_a_value_error(body: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - one kind for every shape is the promise
        summary_days(body)
