"""How the messages of one chat are walked, newest first, back to where they are known.

Pure. Where Fanvue pages messages by dates it gives one bound for each direction, both exclusive
and without a tie-breaker. We set both to just above the oldest message seen, so that messages
sharing that instant are read again instead of lost. Numbered pages shift when messages arrive,
which only repeats some.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from worker.sync.window import INSTANT


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


BEFORE: Final = "before:"
# So many pages of a chat in a row may show nothing older than the ones before.
IDLE_PAGES: Final = 5


@dataclass(frozen=True, slots=True)
class Onward:
    """Where a chat's older messages go on; no cursor means that its beginning was reached.

    `crowded`: a page was one single instant, so more messages may share it than a page shows.
    """

    cursor: str | None
    crowded: bool = False


def bound_of(cursor: str | None) -> datetime | None:
    """Return the exclusive upper bound that a cursor stands for, if it is one by dates."""
    if cursor is None or not cursor.startswith(BEFORE):
        return None
    return datetime.fromisoformat(cursor.removeprefix(BEFORE))


def onward_by_dates(
    instants: Sequence[datetime], bound: datetime | None, offered: datetime | None
) -> Onward:
    """Step down from a page that is neither empty nor the last.

    `offered` is the bound that Fanvue named, for a page on which nothing else tells the time.
    Raises `ValueError` when the page does not lead further down.
    """
    crowded = False
    if not instants:
        following = offered
    elif min(instants) == max(instants):
        # One instant cannot be split by instants.
        following, crowded = instants[0], len(instants) > 1
    else:
        following = min(instants) + INSTANT
    if following is None:
        raise ValueError("no message of the page says when it was sent")
    if bound is not None and following >= bound:
        raise ValueError("the page does not lead to older messages")
    return Onward(f"{BEFORE}{following.isoformat(timespec='milliseconds')}", crowded)


def steps_down(
    reading: Mapping[str, Any] | None, chat: str, instants: Sequence[datetime]
) -> dict[str, Any]:
    """Return what a walk notes of the chat it reads: its oldest instant, and pages without one.

    Numbered pages may repeat some messages, but not for ever. Raises `ValueError` when too many in
    a row came to nothing older.
    """
    known = reading if reading is not None and reading["chat"] == chat else {}
    oldest = min((moment.isoformat() for moment in instants), default=None)
    before = known.get("oldest")
    if oldest is not None and (before is None or oldest < before):
        return {"chat": chat, "oldest": oldest, "idle": 0}
    idle = int(known.get("idle", 0)) + 1
    if idle > IDLE_PAGES:
        raise ValueError("the pages of a chat go on and come to nothing older")
    return {"chat": chat, "oldest": before, "idle": idle}


def reached(instants: Sequence[datetime], known_until: datetime | None) -> bool:
    """Tell whether everything down to what is known was read, ties at that instant included."""
    return known_until is not None and bool(instants) and min(instants) < known_until
