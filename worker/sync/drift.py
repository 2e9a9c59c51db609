"""Reads Fanvue's own sums, day by day: its summary, and its report to an agency.

Pure. The summary leaves reversals out and may be ten minutes old, so today's figure is never
conclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from worker.sync.rows import dollars
from worker.sync.window import Span


if TYPE_CHECKING:
    from collections.abc import Iterable


# No creator earns more in a day, and no longer number is worth computing with.
LARGEST_DIGITS: Final = 15


@dataclass(frozen=True, slots=True)
class DaySum:
    """The sales of one UTC day, US dollars: what was asked, and what is left of it after fees."""

    gross: Decimal
    net: Decimal


def summary_sums(body: object) -> dict[date, DaySum]:
    """Return gross and net per UTC day from a summary's `overTime`.

    Raises `ValueError` when the answer has another shape.
    """
    return {
        date.fromisoformat(_day_of(entry)): DaySum(
            _dollars_of(entry, "gross"), _dollars_of(entry, "net")
        )
        for entry in _over_time(body)
    }


def report_sums(rows: Iterable[object], creator_uuid: str) -> dict[date, DaySum]:
    """Return gross and net per UTC day from the rows of an agency's report.

    Amounts are in the minor units of each row's currency: a day that is not all in dollars is left
    out. Raises `ValueError` when a row has another shape.
    """
    sums: dict[date, DaySum] = {}
    foreign: set[date] = set()
    for row in rows:
        if not isinstance(row, dict) or str(row.get("creatorUuid")).lower() != creator_uuid.lower():
            raise ValueError("a row of the report is not of the creator who was asked for")
        day = date.fromisoformat(str(row.get("date")))
        if str(row.get("currency") or "USD").upper() != "USD":
            foreign.add(day)
            continue
        held = sums.get(day, DaySum(dollars(0), dollars(0)))
        gross, net = _dollars_of(row, "gross"), _dollars_of(row, "net")
        sums[day] = DaySum(held.gross + gross, held.net + net)
    return {day: total for day, total in sums.items() if day not in foreign}


def _over_time(body: object) -> list[Any]:
    if not isinstance(body, dict) or not isinstance(body.get("overTime"), list):
        raise ValueError("the summary has no overTime list")  # noqa: TRY004 - one error kind
    return list(body["overTime"])


def _day_of(entry: Any) -> str:
    if not isinstance(entry, dict):
        raise ValueError("an entry of overTime is not an object")  # noqa: TRY004 - one error kind
    started = entry.get("periodStart")
    if not isinstance(started, str):
        raise ValueError("an entry of overTime has no start")  # noqa: TRY004 - one error kind
    moment = datetime.fromisoformat(started)
    if moment.tzinfo is None:
        raise ValueError("an entry of overTime has no time zone")
    try:
        day = moment.astimezone(UTC).date()
    except OverflowError:
        raise ValueError("an entry of overTime is outside the calendar") from None
    return day.isoformat()


def _dollars_of(entry: dict[str, Any], name: str) -> Decimal:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"an entry has no {name}")  # noqa: TRY004 - one error kind
    exact = Decimal(value)
    # Bounded before it is compared: 1E+999999 would otherwise be written out in full.
    if not exact.is_finite() or exact.adjusted() >= LARGEST_DIGITS or exact % 1:
        raise ValueError(f"the {name} of an entry is not an amount in cents")
    return dollars(int(exact))


def spans_of(days: list[date]) -> list[Span]:
    """Return the ranges that cover the days, adjoining days in one range, newest first."""
    spans: list[Span] = []
    for day in days:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        end = start + timedelta(days=1)
        if spans and spans[-1].end == start:
            spans[-1] = Span(spans[-1].start, end)
        else:
            spans.append(Span(start, end))
    return spans[::-1]
