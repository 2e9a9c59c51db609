"""A page of old messages that was read before everything was asked for again skips nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.database.chats import House, stored
from tests.database.streams import Creator


if TYPE_CHECKING:
    from tests.database.engine import Engine


def test_history_under_way_does_not_run_ahead_of_a_reading_that_begins_anew(
    engine: Engine,
) -> None:
    creator = Creator(engine, "messages", "message_history")
    house = House(creator)
    first = creator.begin("messages")
    house.list_chats(first, house.chat("f1", 30))
    house.talk(first, "f1", *range(21, 31), cursor="before:21")
    first.settle()
    history = creator.begin("message_history")
    house.talk(history, "f1", *range(11, 21), done=False, cursor="before:11")
    engine.rows("delete from public.fanvue_messages")

    anew = creator.begin("messages", full=True)
    house.list_chats(anew, house.chat("f1", 30))
    house.talk(anew, "f1", *range(21, 31), cursor="before:21")
    anew.settle()
    with pytest.raises(psycopg.Error, match="moved on"):
        house.talk(history, "f1", *range(1, 11), done=True)

    engine.settle(history.job, "retry")
    engine.move_clock(hours=1)
    again = creator.begin("message_history")
    assert [chat["cursor"] for chat in again.state["todo"]] == ["before:21"]
    house.talk(again, "f1", *range(1, 21))
    assert stored(creator, "f1") == set(range(1, 31))
