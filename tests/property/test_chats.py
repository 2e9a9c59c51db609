"""Any chat, with any ties, is collected whole by dates, however small Fanvue's pages are.

The model applies Fanvue's filters to the letter: both bounds are exclusive, and a direction whose
bound is missing while the other's is given is at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from worker.sync.talk import bound_of, onward_by_dates, reached


BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
MOST_IN_AN_INSTANT = 4


@dataclass(frozen=True)
class Message:
    uuid: int
    at: datetime
    sent: bool


@st.composite
def chats(draw: st.DrawFn) -> list[Message]:
    """Return messages at few enough instants that many share one."""
    crowds = draw(st.lists(st.integers(1, MOST_IN_AN_INSTANT), max_size=25))
    gaps = draw(st.lists(st.integers(1, 3), min_size=len(crowds), max_size=len(crowds)))
    messages: list[Message] = []
    at = BEGAN
    for crowd, gap in zip(crowds, gaps, strict=True):
        at += timedelta(milliseconds=gap)
        messages += [Message(len(messages) + n, at, draw(st.booleans())) for n in range(crowd)]
    return messages


def page_of(
    chat: list[Message], bound: datetime | None, size: int
) -> tuple[list[Message], datetime | None]:
    """Answer as Fanvue does: a page, and where the directions go on at the latest."""
    bounds = {True: bound, False: bound}
    found = sorted(chat, key=lambda m: (m.at, m.uuid), reverse=True)
    if bound is not None:
        found = [m for m in found if (limit := bounds[m.sent]) is not None and m.at < limit]
    page, rest = found[:size], found[size:]
    offered = []
    for sent in (True, False):
        if any(m.sent is sent for m in rest):
            shown = [m.at for m in page if m.sent is sent]
            offered.append(shown[-1] if shown else page[-1].at + timedelta(milliseconds=1))
    return page, max(offered, default=None)


def collect(chat: list[Message], size: int, known_until: datetime | None = None) -> list[Message]:
    """Walk a chat with the worker's arithmetic."""
    collected: list[Message] = []
    cursor: str | None = None
    for _ in range(4 * len(chat) + 4):
        page, offered = page_of(chat, bound_of(cursor), size)
        collected += page
        instants = [message.at for message in page]
        if not page or offered is None or reached(instants, known_until):
            return collected
        cursor = onward_by_dates(instants, bound_of(cursor), offered).cursor
    raise AssertionError("the walk does not end")


@given(chats(), st.integers(MOST_IN_AN_INSTANT, 12))
def test_every_message_is_collected_and_none_is_made_up(chat: list[Message], size: int) -> None:
    assert set(collect(chat, size)) == set(chat)


@given(chats(), st.integers(MOST_IN_AN_INSTANT, 12), st.data())
def test_reading_back_to_what_is_known_leaves_no_gap(
    chat: list[Message], size: int, data: st.DataObject
) -> None:
    known = data.draw(st.sampled_from([BEGAN, *(message.at for message in chat)]))

    collected = set(collect(chat, size, known_until=known))

    assert {message for message in chat if message.at >= known} <= collected


@given(chats(), st.integers(MOST_IN_AN_INSTANT + 1, 12))
def test_pages_larger_than_any_crowd_never_raise_the_alarm(chat: list[Message], size: int) -> None:
    cursor: str | None = None
    while True:
        page, offered = page_of(chat, bound_of(cursor), size)
        if not page or offered is None:
            return
        onward = onward_by_dates([m.at for m in page], bound_of(cursor), offered)
        assert not onward.crowded
        cursor = onward.cursor
