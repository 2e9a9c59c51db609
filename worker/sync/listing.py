"""Keeps the walk of a list from going on for ever.

Pure. A cursor that comes back is noticed with one remembered cursor, however long the circle is:
the remembered one is replaced whenever the number of pages doubles. Cursors that are always new
lead nowhere when there are far more pages than what is known fills.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Mapping


# So many pages any list may have; beyond, twice as many as full ones of all known rows.
ANY_LIST: Final = 20
ROWS_A_PAGE: Final = 50
ENDLESS: Final = "its pages go on and bring nothing new"
_LANDMARK: Final = "landmark"


def is_endless(pages: int, known: int) -> bool:
    """Tell whether a list was turned more often than what it is known to hold can need.

    `known` counts the rows held of it, those included that this walk added.
    """
    return pages >= ANY_LIST + 2 * known // ROWS_A_PAGE


def next_landmark(
    following: str, asked: str | None, pages: int, notes: Mapping[str, Any]
) -> dict[str, str]:
    """Return what is to be noted after a page with a cursor, so many pages into the walk.

    `asked` is None for the list's first page, also when it is begun again: the cursors after it
    are then the same as before. Raises `ValueError` when the cursor leads back.
    """
    if asked is None:
        return {_LANDMARK: following}
    if following in {asked, notes.get(_LANDMARK)}:
        raise ValueError("the cursor does not advance")
    return {_LANDMARK: following} if pages & (pages - 1) == 0 else {}
