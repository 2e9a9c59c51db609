"""The two plain paging styles: numbered pages, and cursors over a list that stands still.

Earnings have their own key-set cursor; see `endpoints.earnings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from simulator.call import BAD_CURSOR, write_cursor
from simulator.replies import Invalid, Reply


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulator.call import Call


T = TypeVar("T")

PAGE_SIZE = 15
CURSOR_SIZE = 20


def numbered(call: Call, items: Sequence[T], render: Callable[[T], Any]) -> Reply:
    """Answer one numbered page; `size` in the answer is the number of rows returned."""
    page = call.integer("page", 1)
    size = call.size(PAGE_SIZE)
    chosen = items[(page - 1) * size : page * size]
    return Reply(
        {
            "data": [render(item) for item in chosen],
            "pagination": {
                "page": page,
                "size": len(chosen),
                "hasMore": page * size < len(items),
            },
        }
    )


def by_cursor(
    call: Call, items: Sequence[T], render: Callable[[T], Any], key: Callable[[T], str]
) -> Reply:
    """Answer one page of a list, resuming after the item the cursor names."""
    size = call.size(CURSOR_SIZE)
    cursor = call.cursor()
    start = 0
    if cursor is not None:
        after = cursor.get("after")
        start = next((n for n, item in enumerate(items, 1) if key(item) == after), 0)
        if not start:
            raise Invalid(BAD_CURSOR)
    chosen = items[start : start + size]
    more = start + size < len(items)
    return Reply(
        {
            "data": [render(item) for item in chosen],
            "nextCursor": write_cursor({"after": key(chosen[-1])}) if more else None,
        }
    )
