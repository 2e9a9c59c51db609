"""What a reconciliation reads, and what its sums prove: ranges, days, differences.

Pure. Days are judged by net: what a creator gets of a sale is the same in every family of Fanvue's
API, while gross is the price in one and what the fan's card paid in another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from worker.sync.drift import DaySum, spans_of
from worker.sync.window import HISTORY_BEGINS, INSTANT, Span


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


EARNINGS: Final = "earnings"
# Reversals, where Fanvue keeps them apart.
SPENDING: Final = "spending"
# Days that are read once more because their sums differ.
AGAIN: Final = "again"
DAY: Final = timedelta(days=1)
# Twice as long as Fanvue may answer with a summary that it made before.
SETTLED_AFTER: Final = timedelta(minutes=20)
NOTHING: Final = DaySum(Decimal("0.00"), Decimal("0.00"))


@dataclass(frozen=True, slots=True)
class Reading:
    """One list to read to its end: `start` inclusive, `end` exclusive; None is open."""

    list: str
    start: datetime
    end: datetime | None

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> Reading:
        """Read one as the database keeps it."""
        end = item.get("end")
        return cls(
            str(item["list"]),
            datetime.fromisoformat(item["start"]),
            None if end is None else datetime.fromisoformat(end),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as the database keeps it."""
        end = None if self.end is None else self.end.isoformat()
        return {"list": self.list, "start": self.start.isoformat(), "end": end}

    @property
    def span(self) -> Span:
        """Return what to ask for; an instant more, as the docs do not say that starts count."""
        early = self.start if self.start <= HISTORY_BEGINS else self.start - INSTANT
        return Span(early, self.end)


@dataclass(frozen=True, slots=True)
class Days:
    """The UTC days that can be judged: `first` inclusive, `until` exclusive."""

    first: date
    until: date

    @classmethod
    def from_texts(cls, first: str, until: str) -> Days:
        """Read them as a run's notes keep them."""
        return cls(date.fromisoformat(first), date.fromisoformat(until))

    @property
    def span(self) -> Span:
        """Return what to ask a summary for: a day earlier, where an excluded start can hide."""
        return Span(_midnight(self.first) - DAY, _midnight(self.until))

    def __contains__(self, day: date) -> bool:
        return self.first <= day < self.until


@dataclass(frozen=True, slots=True)
class Difference:
    """A day on which the ledger and Fanvue do not agree."""

    day: date
    ledger: DaySum
    fanvue: DaySum

    @property
    def missing(self) -> bool:
        """Tell whether Fanvue has more: then rows may have been missed, and can be read."""
        return self.fanvue.net > self.ledger.net

    def as_json(self) -> dict[str, str]:
        """Return it as `finish_reconcile` takes it."""
        return {
            "day": self.day.isoformat(),
            "ledger_gross": str(self.ledger.gross),
            "ledger_net": str(self.ledger.net),
            "fanvue_gross": str(self.fanvue.gross),
            "fanvue_net": str(self.fanvue.net),
        }


def judged_days(first: datetime, ceiling: datetime, settle: timedelta) -> Days | None:
    """Return the whole days that have settled by the ceiling, None when there is none."""
    begin, until = first.astimezone(UTC).date(), (ceiling - settle).astimezone(UTC).date()
    return Days(begin, until) if begin < until else None


def compare(
    ours: Mapping[date, DaySum], theirs: Mapping[date, DaySum], days: Days
) -> list[Difference]:
    """Return the days on which the nets differ, oldest first; a day not named is empty."""
    differing = [
        Difference(day, ours.get(day, NOTHING), theirs.get(day, NOTHING))
        for day in sorted(ours.keys() | theirs.keys())
        if day in days
    ]
    return [found for found in differing if found.ledger.net != found.fanvue.net]


def held(sums: Mapping[date, tuple[Decimal, Decimal]]) -> dict[date, DaySum]:
    """Return our sums per day, gross and net, as they are compared."""
    return {day: DaySum(*both) for day, both in sums.items()}


def is_known(found: Difference, known: Mapping[date, tuple[Decimal, Decimal]]) -> bool:
    """Tell whether this very difference, our net and theirs, is a finding already."""
    return known.get(found.day) == (found.ledger.net, found.fanvue.net)


def whole_days(start: datetime | None, ceiling: datetime) -> Days | None:
    """Return the settled days of which a walk from such a start read every hour."""
    first = HISTORY_BEGINS if start is None else start + DAY
    return judged_days(first, ceiling, SETTLED_AFTER)


def read_again(differences: Sequence[Difference], read: Sequence[Span]) -> list[Reading]:
    """Return what to read before the differences count, newest first.

    Days that were read whole are worth a second reading only where Fanvue has more; any other day
    may hold rows whose values are wrong.
    """
    days = [
        found.day
        for found in differences
        if found.missing or not any(_covers(span, found.day) for span in read)
    ]
    return [Reading(AGAIN, span.start, span.end) for span in spans_of(days)]


def around(differences: Sequence[Difference]) -> Days:
    """Return the days from the first difference to the last."""
    found = [difference.day for difference in differences]
    return Days(min(found), max(found) + DAY)


def _covers(span: Span, day: date) -> bool:
    start = _midnight(day)
    return span.start <= start and (span.end is None or start + DAY <= span.end)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
