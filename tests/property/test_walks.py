"""Whatever Fanvue's list looks like and however its cursors behave, a walk books it exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.fanvue_list import Dates, FanvueList, Ties, earning, never
from tests.property.ledger import Ledger, money_of
from tests.property.walker import Walker
from worker.sync.window import Span, first_place


if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from worker.sync.rows import LedgerRow


pytestmark = pytest.mark.property

DAY_ONE = datetime(2026, 3, 1, tzinfo=UTC)
EVERYTHING = Span(DAY_ONE - timedelta(days=9))
EVERY_IDS = ("present", "absent", "mixed", "duplicate")
NAMED = ("present", "duplicate")
EXACT_DATES = (Dates.TO_THE_INSTANT, Dates.START_EXCLUSIVE)
INSTANTS = st.builds(
    lambda day, hour, millis: DAY_ONE + timedelta(days=day, hours=hour, milliseconds=millis),
    st.integers(0, 2),
    st.sampled_from([0, 11, 23]),
    st.integers(0, 3) | st.integers(0, 60_000),
)
GROUPS = st.lists(
    st.tuples(INSTANTS, st.lists(st.sampled_from([100, 200, -100]), min_size=1, max_size=49)),
    max_size=25,
    unique_by=lambda group: group[0],
)


class Mishaps:
    """Happens now and then, but not for ever."""

    def __init__(self, chance: Random, most: int) -> None:
        self._chance = chance
        self._left = most

    def __call__(self) -> bool:
        if self._left and self._chance.random() < 0.3:
            self._left -= 1
            return True
        return False


MISHAPS = st.builds(Mishaps, st.randoms(use_true_random=False), st.sampled_from([0, 0, 3, 12]))


@dataclass
class Situation:
    """A list, the way it behaves, and what goes wrong on the way."""

    rows: list[LedgerRow]
    size: int
    ties: Ties
    dates: Dates
    expires: Callable[[], bool]
    crashes: Callable[[], bool]

    def fanvue(self) -> FanvueList:
        return FanvueList(self.rows, self.size, self.ties, self.dates, self.expires)

    def booked(self, kind: str) -> Ledger:
        return Walker(self.fanvue(), EVERYTHING, first_place(kind), self.crashes).walk()


@st.composite
def situations(
    draw: st.DrawFn,
    ids: tuple[str, ...] = EVERY_IDS,
    ties: tuple[Ties, ...] = tuple(Ties),
    dates: tuple[Dates, ...] = EXACT_DATES,
    *,
    undisturbed: bool = False,
) -> Situation:
    """Draw a list of which fewer rows than fill a page share an instant."""
    size = draw(st.integers(2, 8) | st.integers(2, 50))
    style = draw(st.sampled_from(ids))
    together = draw(st.integers(1, size - 1))
    rows: list[LedgerRow] = []
    for at, amounts in draw(GROUPS):
        for cents in amounts[:together]:
            rows.append(earning(at, cents, _order_id(draw, style, len(rows))))
    return Situation(
        rows,
        size,
        draw(st.sampled_from(ties)),
        draw(st.sampled_from(dates)),
        never if undisturbed else draw(MISHAPS),
        never if undisturbed else draw(MISHAPS),
    )


def _order_id(draw: st.DrawFn, style: str, number: int) -> str | None:
    if style == "absent" or (style == "mixed" and draw(st.booleans())):
        return None
    return f"order-{number // 2 if style == 'duplicate' else number}"


@given(situations())
def test_by_instants_nothing_is_lost_or_doubled_in_any_behaviour(case: Situation) -> None:
    ledger = case.booked("incremental")

    assert ledger.contents() == money_of(case.rows)


@given(situations(undisturbed=True), INSTANTS, INSTANTS)
def test_no_row_between_any_floor_and_ceiling_is_skipped(
    case: Situation, one: datetime, other: datetime
) -> None:
    span = Span(min(one, other), max(one, other))
    fanvue = case.fanvue()

    ledger = Walker(fanvue, span, first_place("incremental")).walk()

    assert ledger.contents() == money_of(fanvue.within(span))


@given(situations(NAMED))
def test_by_cursor_rows_with_ids_are_never_doubled_and_only_skipped_ones_lost(
    case: Situation,
) -> None:
    booked, money = case.booked("full").contents(), money_of(case.rows)

    assert not booked - money
    assert booked == money or case.ties is Ties.SKIP


@given(situations(("mixed",), (Ties.EXACT, Ties.REPEAT)))
def test_by_cursor_rows_with_and_without_ids_are_booked_exactly(case: Situation) -> None:
    ledger = case.booked("full")

    assert ledger.contents() == money_of(case.rows)


@given(situations(("absent",)))
def test_history_without_any_ids_is_exact_even_where_cursors_skip(case: Situation) -> None:
    ledger = case.booked("full")

    assert ledger.contents() == money_of(case.rows)


@pytest.mark.parametrize("kind", ["full", "incremental"])
@given(case=situations(NAMED, dates=(Dates.TO_THE_DAY,)))
def test_filters_that_ignore_the_time_of_day_double_nothing_and_lose_only_what_cursors_skip(
    case: Situation, kind: str
) -> None:
    booked, money = case.booked(kind).contents(), money_of(case.rows)

    assert not booked - money
    assert booked == money or case.ties is Ties.SKIP


@given(situations(undisturbed=True))
def test_by_instants_each_call_brings_a_page_less_one_instant(case: Situation) -> None:
    fanvue = case.fanvue()

    Walker(fanvue, EVERYTHING, first_place("incremental")).walk()

    widest = max(Counter(row.at for row in case.rows).values(), default=1)
    assert fanvue.calls <= ceil(len(case.rows) / (case.size - widest)) + 3


@given(situations(NAMED, (Ties.EXACT,), undisturbed=True))
def test_by_cursor_no_row_is_read_twice(case: Situation) -> None:
    fanvue = case.fanvue()

    Walker(fanvue, EVERYTHING, first_place("full")).walk()

    assert fanvue.calls == max(1, ceil(len(case.rows) / case.size))


@given(situations())
def test_walking_again_changes_nothing(case: Situation) -> None:
    ledger = case.booked("incremental")
    booked = ledger.contents()

    Walker(case.fanvue(), EVERYTHING, first_place("incremental"), ledger=ledger).walk()

    assert ledger.contents() == booked


@given(situations(("present",), undisturbed=True))
def test_rows_whose_ids_come_later_are_the_same_rows(case: Situation) -> None:
    nameless = [earning(row.at, int(row.amount * 100), None) for row in case.rows]
    before = FanvueList(nameless, case.size, case.ties, case.dates)
    ledger = Walker(before, EVERYTHING, first_place("incremental")).walk()

    Walker(case.fanvue(), EVERYTHING, first_place("incremental"), ledger=ledger).walk()

    assert ledger.contents() == money_of(case.rows)
