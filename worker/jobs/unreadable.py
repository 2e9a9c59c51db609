"""What of a page could not be read: looked at twice, counted, named by an example, never hidden.

A walk that met such rows ends as partial, whatever else it read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from worker.errors import ProviderContract


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence


class _Page(Protocol):
    @property
    def unreadable(self) -> Sequence[str]: ...


_P = TypeVar("_P", bound=_Page)


async def second_look(read: Callable[[], Awaitable[_P]]) -> _P:
    """Read a page; one that breaks its shape is read once more before that counts."""
    try:
        page = await read()
    except ProviderContract:
        return await read()
    return await read() if page.unreadable else page


def note_unreadable(notes: Mapping[str, Any], unreadable: Sequence[str]) -> dict[str, Any]:
    """Return a walk's notes with the complaints about one more page."""
    if not unreadable:
        return dict(notes)
    return {
        **notes,
        "unreadable": int(notes.get("unreadable", 0)) + len(unreadable),
        "unreadable_example": unreadable[0],
    }


def partial_of(notes: Mapping[str, Any]) -> str | None:
    """Say what a walk with these notes did not read, if anything."""
    reasons = []
    if count := notes.get("unreadable"):
        example = notes.get("unreadable_example")
        reasons.append(f"{count} rows could not be read, such as: {example}")
    if stopped := notes.get("stopped"):
        reasons.append(f"the list was not read to its end: {stopped}")
    if crowded := notes.get("crowded"):
        reasons.append(f"{crowded} pages of messages were one single instant: some may be missing")
    return "; ".join(reasons) or None
