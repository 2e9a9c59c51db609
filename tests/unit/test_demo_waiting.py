"""The demo's waiting: for as long as something moves, and an interruption ends it at once."""

from __future__ import annotations

from itertools import count

import pytest

from local.demo import waiting
from local.demo.waiting import InterruptedDemoError, Patience
from local.errors import StackError


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a minute pass at every look."""
    minutes = count()
    monkeypatch.setattr(waiting, "monotonic", lambda: 60.0 * next(minutes))
    monkeypatch.setattr(waiting, "LOOK_EVERY_SECONDS", 0.0)


def test_what_moves_is_waited_for_however_long_it_takes() -> None:
    said: list[str] = []
    moves = count()
    left = iter([False] * 60 + [True])

    assert Patience(said.append).until(
        lambda: next(left), "the rest", moving=lambda: f"{next(moves)} done"
    )
    assert said[0] == "  60 s  waiting for the rest: 1 done"


def test_what_does_not_move_for_minutes_hangs() -> None:
    patience = Patience(lambda _: None)

    assert not patience.until(lambda: False, "nothing")
    with pytest.raises(StackError, match=r"the answer did not come within 300 s; see gateway\.log"):
        patience.need(lambda: False, "the answer", "gateway.log")


def test_an_interruption_ends_a_wait() -> None:
    patience = Patience(lambda _: None)
    patience.interrupt()

    with pytest.raises(InterruptedDemoError):
        patience.until(lambda: False, "anything")
