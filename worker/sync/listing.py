"""Keeps the walk of a list from going in circles.

Pure. A cursor that comes back is noticed with one remembered cursor, however long the circle is:
the remembered one is replaced whenever the number of pages doubles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Mapping


_LANDMARK: Final = "landmark"


def circles(following: str, asked: str | None, notes: Mapping[str, Any]) -> bool:
    """Tell whether a cursor leads back to where the walk has been."""
    return following in {asked, notes.get(_LANDMARK)}


def landmark(following: str, pages: int) -> dict[str, str]:
    """Return what is to be noted after so many pages."""
    return {_LANDMARK: following} if pages & (pages - 1) == 0 else {}
