"""Keeps the walk of a list from going in circles.

Pure. A cursor that comes back is noticed with one remembered cursor, however long the circle is:
the remembered one is replaced whenever the number of pages doubles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Mapping


_LANDMARK: Final = "landmark"


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
