"""What of a page could not be read: counted, named by an example, never hidden.

Records that could not be read are looked at twice and make their walk partial, whatever else it
read. Lost details of records that were read are noted, no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from worker.errors import ProviderContract


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from worker.fanvue.wire import Complaints


class _Page(Protocol):
    @property
    def complaints(self) -> Complaints: ...


_P = TypeVar("_P", bound=_Page)


# Of a creator who is read through an agency, where reversals are in a list of their own.
NO_REVERSALS: Final = (
    "Fanvue has no list of refunds and chargebacks for a creator whom an agency reads, unless its "
    "/v1 answers: webhooks alone bring them; with a consent of their own they are read"
)


async def second_look(read: Callable[[], Awaitable[_P]]) -> _P:
    """Read a page; one that breaks its shape is read once more before that counts."""
    try:
        page = await read()
    except ProviderContract:
        return await read()
    return await read() if page.complaints.records else page


def note_unreadable(notes: Mapping[str, Any], complaints: Complaints) -> dict[str, Any]:
    """Return a walk's notes with the complaints about one more page."""
    noted = dict(notes)
    if complaints.records:
        noted["unreadable"] = int(noted.get("unreadable", 0)) + len(complaints.records)
        noted["unreadable_example"] = complaints.records[0].message
    if complaints.details:
        noted["details"] = int(noted.get("details", 0)) + len(complaints.details)
        noted["details_example"] = complaints.details[0]
    return noted


def note_doubts(
    notes: Mapping[str, Any], trouble: str | None, withheld: datetime | None
) -> dict[str, Any]:
    """Return a walk's notes with why its list proves nothing, and what Fanvue does not show."""
    noted = dict(notes)
    if trouble is not None:
        noted.setdefault("trouble", trouble)
    if withheld is not None:
        noted["withheld"] = int(noted.get("withheld", 0)) + 1
        noted.setdefault("withheld_example", withheld.isoformat(timespec="milliseconds"))
    return noted


def partial_of(notes: Mapping[str, Any]) -> str | None:
    """Say what a walk with these notes did not read, if anything."""
    reasons = []
    if count := notes.get("unreadable"):
        example = notes.get("unreadable_example")
        reasons.append(f"{count} rows could not be read, such as: {example}")
    if trouble := notes.get("trouble"):
        reasons.append(trouble)
    if withheld := notes.get("withheld"):
        reasons.append(
            f"at {withheld} instants, such as {notes['withheld_example']}, Fanvue's cursor does "
            "not show every row: some may be missing"
        )
    if short := notes.get("short"):
        reasons.append(
            f"Fanvue's summary has more than its list shows on {short['days']} days, such as "
            f"{short['example']}: rows may be missing"
        )
    if stopped := notes.get("stopped"):
        reasons.append(f"the list was not read to its end: {stopped}")
    if crowded := notes.get("crowded"):
        reasons.append(f"{crowded} pages of messages were one single instant: some may be missing")
    return "; ".join(reasons) or None
