"""The plain paging styles: numbered pages, and cursors over a sorted or a named list.

A list may be told to end early or to have gaps, silently, as if it were whole. Earnings
have their own key-set cursor; see `endpoints.earnings`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from simulator.call import BAD_CURSOR, write_cursor
from simulator.replies import Invalid, Reply


if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.call import Call


T = TypeVar("T")

PAGE_SIZE = 15
CURSOR_SIZE = 20


class NewestFirst(Sequence[T]):
    """The first `count` rows of an oldest-first list, seen from the newest, without a copy."""

    def __init__(self, rows: list[T], count: int | None = None) -> None:
        self._rows = rows
        self._count = len(rows) if count is None else count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._rows[self._count - 1 - n] for n in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        return self._rows[self._count - 1 - index]


def listed(call: Call, items: Sequence[T]) -> Sequence[T]:
    """Return what the endpoint admits of a list: all of it unless a knob says otherwise."""
    share = call.list_share
    if share >= 1:
        return items
    count = math.ceil(len(items) * share)
    if call.knobs.list_gaps:
        return [items[n * len(items) // count] for n in range(count)]
    return items[:count]


def numbered(call: Call, items: Sequence[T], render: Callable[[T], Any]) -> Reply:
    """Answer one numbered page; `size` in the answer is the number of rows returned."""
    page = call.integer("page", 1)
    size = call.size(PAGE_SIZE)
    items = listed(call, items)
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


def by_key(
    call: Call, items: Sequence[T], render: Callable[[T], Any], key: Callable[[T], tuple[Any, ...]]
) -> Reply:
    """Answer one page of a list sorted by a descending key, resuming below the cursor's key."""
    cursor = call.cursor()
    items = listed(call, items)
    start = 0
    if cursor is not None:
        below = cursor.get("below")
        if not isinstance(below, list):
            raise Invalid(BAD_CURSOR)
        border = tuple(below)
        try:
            start = bisect_left(items, x=True, key=lambda item: key(item) < border)
        except TypeError as error:
            raise Invalid(BAD_CURSOR) from error
    return _from(call, items, render, start, lambda item: {"below": key(item)})


def by_name(
    call: Call, items: Sequence[T], render: Callable[[T], Any], name: Callable[[T], str]
) -> Reply:
    """Answer one page of a list in no particular order, resuming after the item named."""
    cursor = call.cursor()
    items = listed(call, items)
    start = 0
    if cursor is not None:
        after = cursor.get("after")
        start = next((n for n, item in enumerate(items, 1) if name(item) == after), 0)
        if not start:
            raise Invalid(BAD_CURSOR)
    return _from(call, items, render, start, lambda item: {"after": name(item)})


def _from(
    call: Call,
    items: Sequence[T],
    render: Callable[[T], Any],
    start: int,
    cursor: Callable[[T], dict[str, Any]],
) -> Reply:
    size = call.size(CURSOR_SIZE)
    chosen = items[start : start + size]
    more = start + size < len(items)
    return Reply(
        {
            "data": [render(item) for item in chosen],
            "nextCursor": write_cursor(cursor(chosen[-1])) if more else None,
        }
    )
