"""What a stream has to declare before a walk can read it.

A declaration says where a list is, what it takes to read it, and how an answer becomes rows of
`commit_sync_page`. How pages are walked, and how urgent that is, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeAlias, TypeVar

from worker.fanvue.wire import Wire


LARGEST_PAGE: Final = 50

W = TypeVar("W", bound=Wire)
Row: TypeAlias = dict[str, Any]
Window: TypeAlias = Mapping[str, str | int | datetime | None]


class Extent(StrEnum):
    """How much of a list a full walk reads."""

    # Page by page to the end: by Fanvue's cursor, or by numbers where it counts its pages.
    WHOLE = "whole"
    # The first page is all that is wanted of it.
    FIRST_PAGE = "first page"
    # Not a list: the answer itself is the one row.
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a mapping may know beside the row: its place on the page, and what is not kept."""

    place: int
    keep_text: bool


def whole_list(_: date) -> Window:
    """Ask without any filter."""
    return {}


@dataclass(frozen=True, slots=True)
class ListStream(Generic[W]):
    """A list, or one object, whose rows need nothing but themselves.

    `paths` are tried in order while they are not there. `window` narrows the request by the UTC
    day, and must say the same all day long.
    """

    sync_type: str
    paths: tuple[str, ...]
    scopes: tuple[str, ...]
    shape: type[W]
    row: Callable[[W, Seen], Row]
    window: Callable[[date], Window] = whole_list
    extent: Extent = Extent.WHOLE
    page_size: int = LARGEST_PAGE


@dataclass(frozen=True, slots=True)
class ChatStream(Generic[W]):
    """The messages of chats; `chats` is the list that shows which of them have news, if any."""

    sync_type: str
    path: Callable[[str], str]
    scopes: tuple[str, ...]
    shape: type[W]
    row: Callable[[W, str, bool], Row]
    chats: ListStream[Any] | None = None
    page_size: int = LARGEST_PAGE


@dataclass(frozen=True, slots=True)
class MoneyStream(Generic[W]):
    """The ledger: rows, the list that keeps reversals apart, and sums to compare with."""

    sync_type: str
    rows: str
    reversals: str
    summary: str
    scopes: tuple[str, ...]
    shape: type[W]
    page_size: int = LARGEST_PAGE


Stream: TypeAlias = ListStream[Any] | ChatStream[Any] | MoneyStream[Any]


def first_path(stream: Stream) -> str | None:
    """Return the path that a walk of the stream begins with; None where the database names it."""
    match stream:
        case MoneyStream():
            return stream.rows
        case ListStream():
            return stream.paths[0]
        case ChatStream():
            return None if stream.chats is None else stream.chats.paths[0]


def iso(moment: datetime | None) -> str | None:
    """Write an instant as rows carry it."""
    return None if moment is None else moment.isoformat(timespec="milliseconds")
