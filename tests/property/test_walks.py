"""Whatever Fanvue's list looks like and however its cursors behave, a walk books it exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.property.fanvue_list import (
    SPLITTING,
    Cursors,
    Dates,
    FanvueList,
    Order,
    earning,
    never,
)
from tests.property.ledger import Ledger, money_of
from tests.property.walker import Walker
from worker.sync.window import Span


if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from worker.sync.rows import LedgerRow


pytestmark = pytest.mark.property

DAY_ONE = datetime(2026, 3, 1, tzinfo=UTC)
EVERYTHING = Span(DAY_ONE - timedelta(days=9))
EVERY_IDS = ("present", "absent", "mixed", "duplicate")
ORDERED = (Order.NEWEST_FIRST, Order.SHUFFLED_PAGES)
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
    cursors: Cursors
    dates: Dates
    order: Order
    chance: Random
    expires: Callable[[], bool]
    crashes: Callable[[], bool]

    def fanvue(self) -> FanvueList:
        return FanvueList(
            self.rows, self.size, self.cursors, self.dates, self.expires, self.order, self.chance
        )

    def walked(self, span: Span = EVERYTHING, ledger: Ledger | None = None) -> Walker:
        walker = Walker(self.fanvue(), span, self.crashes, ledger or Ledger())
        walker.walk()
        return walker


@st.composite
def situations(  # noqa: PLR0913 - one parameter per choice
    draw: st.DrawFn,
    ids: tuple[str, ...] = EVERY_IDS,
    cursors: tuple[Cursors, ...] = tuple(Cursors),
    dates: tuple[Dates, ...] = EXACT_DATES,
    order: tuple[Order, ...] = ORDERED,
    *,
    crowded: bool = False,
    undisturbed: bool = False,
) -> Situation:
    """Draw a list; unless it is crowded, fewer rows than fill a page share an instant."""
    size = draw(st.integers(2, 8) | st.integers(2, 50))
    style = draw(st.sampled_from(ids))
    together = 49 if crowded else draw(st.integers(1, size - 1))
    rows: list[LedgerRow] = []
    for at, amounts in draw(GROUPS):
        for cents in amounts[:together]:
            rows.append(earning(at, cents, _order_id(draw, style, len(rows))))
    return Situation(
        rows,
        size,
        draw(st.sampled_from(cursors)),
        draw(st.sampled_from(dates)),
        draw(st.sampled_from(order)),
        draw(st.randoms(use_true_random=False)),
        never if undisturbed else draw(MISHAPS),
        never if undisturbed else draw(MISHAPS),
    )


def _order_id(draw: st.DrawFn, style: str, number: int) -> str | None:
    if style == "absent" or (style == "mixed" and draw(st.booleans())):
        return None
    return f"order-{number // 2 if style == 'duplicate' else number}"


@given(situations())
def test_nothing_is_lost_or_doubled_whatever_the_cursors_and_the_order_in_pages(
    case: Situation,
) -> None:
    walked = case.walked()

    assert walked.ledger.contents() == money_of(case.rows)
    assert walked.partial is None


@given(situations(cursors=SPLITTING, crowded=True, undisturbed=True))
def test_instants_that_fill_pages_are_exact_where_the_cursor_can_split_them(
    case: Situation,
) -> None:
    walked = case.walked()

    assert walked.ledger.contents() == money_of(case.rows)
    assert walked.partial is None


@given(situations(crowded=True, order=(*ORDERED, Order.SWAPPED)))
def test_a_walk_that_succeeds_has_every_row_and_no_walk_doubles_one(case: Situation) -> None:
    walked = case.walked()

    booked, money = walked.ledger.contents(), money_of(case.rows)
    assert not booked - money
    assert booked == money or walked.partial is not None


@given(situations(crowded=True, order=(Order.ANY,), dates=(*EXACT_DATES, Dates.TO_THE_DAY)))
def test_a_list_in_no_order_at_all_doubles_nothing_and_ends(case: Situation) -> None:
    assert not case.walked().ledger.contents() - money_of(case.rows)


@given(situations(crowded=True, order=(Order.DISPLACED, Order.ANY)))
def test_sales_that_come_pages_late_are_booked_or_the_walk_is_partial(case: Situation) -> None:
    walked = case.walked()

    booked, money = walked.ledger.contents(), money_of(case.rows)
    assert not booked - money
    # The summary, which shows what no page does, leaves reversals out.
    missing = [row for row in money - booked if row[2] > 0]
    assert not missing or walked.partial is not None


@given(situations(cursors=(Cursors.OFFSET,), order=(Order.SWAPPED,), undisturbed=True))
def test_rows_one_place_out_of_order_are_read_on_by_cursor_and_all_booked(
    case: Situation,
) -> None:
    assert case.walked().ledger.contents() == money_of(case.rows)


@given(situations(undisturbed=True), INSTANTS, INSTANTS)
def test_no_row_between_any_floor_and_ceiling_is_skipped(
    case: Situation, one: datetime, other: datetime
) -> None:
    span = Span(min(one, other), max(one, other))

    walked = case.walked(span)

    assert walked.ledger.contents() == money_of(case.fanvue().within(span))


@given(situations(dates=(Dates.TO_THE_DAY,), crowded=True, undisturbed=True))
def test_filters_that_ignore_the_time_of_day_are_read_by_days(case: Situation) -> None:
    walked = case.walked()

    booked, money = walked.ledger.contents(), money_of(case.rows)
    assert not booked - money
    assert booked == money or walked.partial is not None


@given(situations(dates=(Dates.TO_THE_DAY,), cursors=SPLITTING, crowded=True, undisturbed=True))
def test_by_days_every_row_is_booked_where_the_cursor_can_split_an_instant(
    case: Situation,
) -> None:
    # A day is held together up to a bound; pages of two rows can be cut nowhere else.
    assume(len(case.rows) <= 25 * case.size and case.size > 2)

    walked = case.walked()

    assert walked.ledger.contents() == money_of(case.rows)
    assert walked.partial is None


@given(situations(order=(Order.NEWEST_FIRST,), undisturbed=True))
def test_each_call_brings_a_page_less_one_instant(case: Situation) -> None:
    fanvue = case.fanvue()

    Walker(fanvue, EVERYTHING).walk()

    widest = max(Counter(row.at for row in case.rows).values(), default=1)
    assert fanvue.calls <= ceil(len(case.rows) / (case.size - widest)) + 3


@given(situations())
def test_walking_again_changes_nothing(case: Situation) -> None:
    ledger = case.walked().ledger
    booked = ledger.contents()

    case.walked(ledger=ledger)

    assert ledger.contents() == booked


@given(situations(("present",), undisturbed=True))
def test_rows_whose_ids_come_later_are_the_same_rows(case: Situation) -> None:
    nameless = [earning(row.at, int(row.amount * 100), None) for row in case.rows]
    before = FanvueList(nameless, case.size, case.cursors, case.dates)
    ledger = Walker(before, EVERYTHING).walk()

    case.walked(ledger=ledger)

    assert ledger.contents() == money_of(case.rows)
