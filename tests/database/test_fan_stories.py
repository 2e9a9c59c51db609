"""Whatever happens in whatever order, a complete reading ends with the rows that are true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.database.streams import Creator, fans


if TYPE_CHECKING:
    from tests.database.engine import Engine


NAMES = "abcdef"
SIZES = st.integers(1, 4)
fan = st.sampled_from(NAMES)
# What happens on Fanvue (told by an event or not), and what is read meanwhile.
moves = st.one_of(
    st.tuples(st.just("subscribe"), fan, st.booleans()),
    st.tuples(st.just("unsubscribe"), fan, st.booleans()),
    st.tuples(st.just("complete"), SIZES, st.one_of(st.none(), fan)),
    st.tuples(st.just("poll"), SIZES, st.one_of(st.none(), fan)),
)


class Truth:
    """Who subscribes on Fanvue, newest first, and what has been told of it."""

    def __init__(self, creator: Creator) -> None:
        self.creator = creator
        self.subscribers: list[str] = []

    def move(self, name: str, *, joins: bool, told: bool) -> None:
        """Let a fan come or go."""
        if (name in self.subscribers) is joins:
            return
        if joins:
            self.subscribers.insert(0, name)
        else:
            self.subscribers.remove(name)
        self.creator.engine.move_clock(seconds=5)
        if told:
            hear = self.creator.subscribed if joins else self.creator.unsubscribed
            hear(name)
        self.creator.engine.move_clock(seconds=5)

    def read(self, size: int, *, full: bool, turning: str | None) -> None:
        """Read the numbered pages of the list; `turning` comes or goes, untold, after the first."""
        reading = self.creator.begin("subscribers", full=full)
        place, complete = 0, False
        while not complete:
            page = self.subscribers[place : place + size]
            place += size
            complete = place >= len(self.subscribers)
            reply = reading.commit(*fans(*page), complete=complete, until_known=True, cursor="c")
            complete = reply["complete"]
            if turning is not None:
                self.move(turning, joins=turning not in self.subscribers, told=False)
                turning = None
        reading.settle()
        self.creator.engine.move_clock(seconds=5)

    def read_until_certain(self, size: int) -> None:
        """Read the whole list, and once more when the engine asks for it."""
        self.read(size, full=True, turning=None)
        for _ in range(2):
            if self.creator.state("subscribers")["full_requested"]:
                self.read(size, full=False, turning=None)
        assert not self.creator.state("subscribers")["full_requested"]


@pytest.mark.property
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(story=st.lists(moves, max_size=8), size=SIZES)
def test_any_story_ends_true_after_a_complete_reading(
    engine: Engine, story: list[tuple[str, str | int, bool | str | None]], size: int
) -> None:
    truth = Truth(Creator(engine, "subscribers"))

    for kind, what, more in story:
        if kind in ("subscribe", "unsubscribe"):
            truth.move(str(what), joins=kind == "subscribe", told=bool(more))
        else:
            turning = more if isinstance(more, str) else None
            truth.read(int(what), full=kind == "complete", turning=turning)
    truth.read_until_certain(size)

    assert truth.creator.names("is_subscriber") == set(truth.subscribers)
    assert truth.creator.counters()[0] == len(truth.subscribers)
    assert truth.creator.names("is_subscriber and ended_at is not null") == set()
    assert truth.creator.names("not is_subscriber and ended_at is null") == set()
