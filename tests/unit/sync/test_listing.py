"""A walk that is led in a circle, or nowhere, notices."""

from __future__ import annotations

from itertools import cycle, islice

import pytest

from worker.sync.listing import ANY_LIST, is_endless, next_landmark


def walk(cursors: list[str]) -> int:
    """Follow the cursors; return after how many pages a circle was noticed, 0 if never."""
    notes: dict[str, str] = {}
    asked: str | None = None
    for pages, following in enumerate(cursors, 1):
        try:
            notes |= next_landmark(following, asked, pages, notes)
        except ValueError:
            return pages
        asked = following
    return 0


def test_cursors_that_are_all_different_lead_on() -> None:
    assert walk([f"c{n}" for n in range(1000)]) == 0


@pytest.mark.parametrize("length", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("before", [0, 1, 5, 33])
def test_a_circle_is_noticed_within_a_few_rounds(before: int, length: int) -> None:
    straight = [f"s{n}" for n in range(before)]
    circle = islice(cycle([f"c{n}" for n in range(length)]), 20 * (length + before + 1))

    assert 0 < walk([*straight, *circle]) <= 4 * (before + length + 1)


def test_a_list_begun_again_may_meet_its_cursors_again() -> None:
    notes = next_landmark("c1", None, 1, {})
    notes |= next_landmark("c2", "c1", 2, notes)

    assert next_landmark("c1", None, 3, notes) == {"landmark": "c1"}


def test_a_list_may_have_as_many_pages_as_what_is_known_needs_twice_over() -> None:
    assert not is_endless(ANY_LIST - 1, 0)
    assert is_endless(ANY_LIST, 0)
    assert not is_endless(1000 // 50 + ANY_LIST, 1000)
    assert is_endless(2 * 1000 // 50 + ANY_LIST, 1000)


def test_a_list_that_brings_rows_is_never_endless() -> None:
    assert not any(is_endless(pages, 50 * pages) for pages in range(2000))
