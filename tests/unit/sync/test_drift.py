"""Fanvue's sums are read to the cent, and days are covered by few ranges."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sync.drift import DaySum, spans_of, summary_sums
from worker.sync.window import Span


FIRST = date(2026, 1, 30)
DAYS = st.integers(0, 40).map(lambda number: FIRST + timedelta(days=number))


def entry(**fields: Any) -> dict[str, Any]:
    return {"periodStart": "2026-11-20T00:00:00.000Z", "gross": 1250, "net": 1000, **fields}


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

    assert summary_sums(body) == {
        date(2026, 11, 20): DaySum(Decimal("12.50"), Decimal("10.00")),
        date(2026, 11, 21): DaySum(Decimal("0.99"), Decimal("10.00")),
    }


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
        summary_sums(body)
