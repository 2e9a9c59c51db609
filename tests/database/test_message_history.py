"""Older messages are read on demand: while some are left, and not with every poll."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.chats import House
from tests.database.streams import Creator


if TYPE_CHECKING:
    from tests.database.engine import Engine
    from tests.database.streams import Reading


@pytest.fixture
def creator(engine: Engine) -> Creator:
    return Creator(engine, "messages", "message_history")


@pytest.fixture
def house(creator: Creator) -> House:
    return House(creator)


def unread_history(creator: Creator, house: House) -> Reading:
    reading = creator.begin("messages")
    house.list_chats(reading, house.chat("a", 9))
    house.talk(reading, "a", 9, cursor="older")
    reading.settle()
    creator.engine.call("enqueue_due")
    return creator.begin("message_history")


def poll_again(creator: Creator, house: House) -> None:
    reading = creator.begin("messages")
    house.list_chats(reading, house.chat("a", 9))
    reading.settle()


def history_due(creator: Creator) -> bool:
    due = creator.state("message_history")["next_sync_at"]
    return due is not None and due <= creator.now()


def test_the_history_rests_when_nothing_is_left(creator: Creator, house: House) -> None:
    house.talk(unread_history(creator, house), "a", 1)

    poll_again(creator, house)

    assert creator.state("message_history")["next_sync_at"] is None


def test_a_history_job_that_was_cancelled_is_taken_up_after_the_next_poll(
    creator: Creator, house: House
) -> None:
    history = unread_history(creator, house)
    house.talk(history, "a", 8, done=False, cursor="on")
    history.settle("cancelled")
    assert not history_due(creator)

    poll_again(creator, house)

    assert history_due(creator)
    assert creator.begin("message_history").state["todo"][0]["cursor"] == "on"


def test_a_history_job_that_died_is_tried_again_later(creator: Creator, house: House) -> None:
    unread_history(creator, house).settle("dead")
    poll_again(creator, house)
    assert not history_due(creator)

    creator.engine.move_clock(hours=6)

    assert history_due(creator)
    assert creator.engine.call("enqueue_due")["revived"] == 1


def test_a_history_that_could_not_be_read_is_not_tried_with_every_poll(
    creator: Creator, house: House
) -> None:
    history = unread_history(creator, house)
    history.commit(phase="history", next_phase="history", complete=True, partial="unreadable")
    history.settle()

    poll_again(creator, house)
    assert not history_due(creator)

    creator.engine.move_clock(hours=24)
    assert history_due(creator)


def test_a_paused_creators_history_goes_on_when_they_are_resumed(
    creator: Creator, house: House
) -> None:
    history = unread_history(creator, house)
    house.talk(history, "a", 8, done=False, cursor="on")
    creator.engine.rows("update public.models set status = 'paused'")
    history.settle("yield")
    assert creator.state("message_history")["next_sync_at"] is None

    creator.engine.rows("update public.models set status = 'active'")

    assert history_due(creator)
    assert creator.begin("message_history").state["todo"][0]["cursor"] == "on"


def test_a_history_that_is_switched_off_is_not_asked_for(creator: Creator, house: House) -> None:
    creator.override("message_history", enabled=False)
    reading = creator.begin("messages")
    house.list_chats(reading, house.chat("a", 9))

    house.talk(reading, "a", 9, cursor="older")

    assert creator.state("message_history")["next_sync_at"] is None
