"""Chats and their messages: which chat is read next, and back to where."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.database.chats import House, names, pending, stored
from tests.database.streams import Creator


if TYPE_CHECKING:
    from tests.database.engine import Engine


@pytest.fixture
def creator(engine: Engine) -> Creator:
    return Creator(engine, "messages", "message_history")


@pytest.fixture
def house(creator: Creator) -> House:
    return House(creator)


# Which chats ----------------------------------------------------------------------------------


def test_new_chats_are_pending_and_read_liveliest_first(creator: Creator, house: House) -> None:
    reading = creator.begin("messages")

    reply = house.list_chats(reading, house.chat("a", 3), house.chat("b", 7), house.chat("c", 5))

    assert names(reply["todo"]) == ["b", "c", "a"]
    assert [chat["known_until"] for chat in reply["todo"]] == [None] * 3
    assert reply["complete"] is False
    assert creator.state("messages")["walk_phase"] == "talk"


def test_the_walk_is_complete_when_no_chat_is_left(creator: Creator, house: House) -> None:
    reading = creator.begin("messages")
    house.list_chats(reading, house.chat("a", 3), house.chat("b", 7))

    first = house.talk(reading, "b", 6, 7)
    last = house.talk(reading, "a", 2, 3)

    assert (first["complete"], names(first["todo"])) == (False, ["a"])
    assert (last["complete"], last["todo"]) == (True, [])
    assert creator.state("messages")["walk_id"] is None


def test_a_list_without_news_completes_the_walk_at_once(creator: Creator, house: House) -> None:
    house.learn(("a", 3))
    before = creator.rows("fanvue_chats", "xmin::text", "1")

    reply = house.list_chats(creator.begin("messages"), house.chat("a", 3))

    assert (reply["complete"], reply["unchanged"]) == (True, 1)
    assert creator.rows("fanvue_chats", "xmin::text", "1") == before
    assert creator.state("messages")["quiet_runs"] == 1


def test_only_a_chat_with_another_last_message_is_read(creator: Creator, house: House) -> None:
    house.learn(("a", 3), ("b", 2))

    reply = house.list_chats(creator.begin("messages"), house.chat("a", 3), house.chat("b", 9))

    assert names(reply["todo"]) == ["b"]
    assert reply["todo"][0]["known_until"] is not None


def test_a_list_that_does_not_name_the_last_message_is_no_news(
    creator: Creator, house: House
) -> None:
    house.learn(("a", 3))

    reply = house.list_chats(creator.begin("messages"), house.chat("a", 3, last_message_uuid=None))

    assert reply["complete"] is True


def test_an_empty_chat_has_no_news_until_somebody_writes(creator: Creator, house: House) -> None:
    reply = house.list_chats(creator.begin("messages"), {"fan_uuid": "a", "at": None})
    assert (reply["complete"], pending(creator)) == (True, set())
    creator.engine.rows("delete from public.sync_jobs")

    reading = creator.begin("messages")
    house.list_chats(reading, house.chat("a", 1))
    house.talk(reading, "a", 1, cursor="older")

    assert creator.rows("fanvue_chats", "history_done, history_cursor", "1") == [(False, "older")]


def test_more_than_twenty_chats_with_news_are_all_read(creator: Creator, house: House) -> None:
    reading = creator.begin("messages")
    reply = house.list_chats(reading, *(house.chat(f"f{n:02}", n + 1) for n in range(45)))
    assert len(reply["todo"]) == 20

    read = []
    while not reply["complete"]:
        fan = reply["todo"][0]["fan_uuid"]
        read.append(fan)
        reply = house.talk(reading, fan, 1)

    assert read == [f"f{n:02}" for n in reversed(range(45))]
    assert pending(creator) == set()


def test_a_chat_that_is_given_up_leaves_the_others_readable_and_the_walk_partial(
    creator: Creator, house: House
) -> None:
    reading = creator.begin("messages")
    house.list_chats(reading, house.chat("a", 3), house.chat("b", 7))
    skip = {"phase": "talk", "next_phase": "talk", "notes": {"skipped": ["b"]}, "partial": "one"}

    reply = reading.commit(**skip)
    assert names(reply["todo"]) == ["a"]
    last = reading.commit(*house.messages("a", 3), chat="a", chat_done=True, **skip)

    assert (last["complete"], last["partial"]) == (True, "one")
    assert pending(creator) == {"b"}
    reading.settle()
    assert names(creator.begin("messages").state["todo"]) == ["b"]


def test_a_worker_that_gives_up_closes_the_walk(creator: Creator, house: House) -> None:
    reading = creator.begin("messages")
    house.list_chats(reading, house.chat("a", 3))

    reply = reading.commit(phase="talk", next_phase="talk", complete=True, partial="unreadable")

    assert (reply["complete"], reply["partial"]) == (True, "unreadable")
    assert creator.state("messages")["walk_id"] is None


# One chat -------------------------------------------------------------------------------------


def test_a_known_chat_is_read_over_several_pages_down_to_what_is_known(
    creator: Creator, house: House
) -> None:
    house.learn(("a", 3))
    (known,) = creator.rows("fanvue_chats", "known_until", "1")
    reading = creator.begin("messages")
    house.list_chats(reading, house.chat("a", 9))

    reply = house.talk(reading, "a", 8, 9, done=False, cursor="c1")
    assert reply["todo"][0]["cursor"] == "c1"
    assert creator.rows("fanvue_chats", "known_until", "1") == [known]
    reading.settle("yield")

    resumed = creator.begin("messages")
    assert resumed.state["todo"][0]["cursor"] == "c1"
    last = house.talk(resumed, "a", 3, 4, 5, 6, 7)

    assert last["complete"] is True
    assert stored(creator, "a") == set(range(1, 10))
    (row,) = creator.rows("fanvue_chats", "known_until, live_cursor, live_newest, pending", "1")
    assert row == (house.start + timedelta(minutes=9), None, None, False)


def test_a_new_chat_leaves_its_older_messages_to_the_history(
    creator: Creator, house: House
) -> None:
    reading = creator.begin("messages")
    house.list_chats(reading, house.chat("a", 9), house.chat("b", 2))
    house.talk(reading, "a", 7, 8, 9, cursor="older")
    house.talk(reading, "b", 1, 2)
    reading.settle()

    assert creator.state("message_history")["next_sync_at"] <= creator.now()
    history = creator.begin("message_history")
    assert [(chat["fan_uuid"], chat["cursor"]) for chat in history.state["todo"]] == [
        ("a", "older")
    ]
    house.talk(history, "a", 5, 6, done=False, cursor="still older")
    history.settle("yield")

    resumed = creator.begin("message_history")
    assert resumed.state["todo"][0]["cursor"] == "still older"
    last = house.talk(resumed, "a", 1, 2, 3, 4)

    assert last["complete"] is True
    assert stored(creator, "a") == set(range(1, 10))
    assert creator.state("message_history")["next_sync_at"] is None


def test_news_while_the_history_is_read_do_not_move_its_place(
    creator: Creator, house: House
) -> None:
    reading = creator.begin("messages")
    house.list_chats(reading, house.chat("a", 9))
    house.talk(reading, "a", 8, 9, cursor="older")
    reading.settle()
    history = creator.begin("message_history")
    house.talk(history, "a", 6, 7, done=False, cursor="even older")

    news = creator.begin("messages")
    house.list_chats(news, house.chat("a", 11))
    house.talk(news, "a", 8, 9, 10, 11, cursor="not the history's")

    (row,) = creator.rows("fanvue_chats", "history_cursor, history_done", "1")
    assert row == ("even older", False)


def test_reading_everything_anew_reads_each_chat_again_and_keeps_what_is_stored(
    creator: Creator, house: House
) -> None:
    house.learn(("a", 3), ("b", 2))

    reading = creator.begin("messages", full=True)

    assert reading.state["kind"] == "full"
    assert pending(creator) == {"a", "b"}
    assert stored(creator, "a") == {1, 2, 3}


def test_what_was_read_is_seen_without_reading_the_chat(creator: Creator, house: House) -> None:
    reading = creator.begin("messages")
    house.list_chats(reading, house.chat("a", 3, unread=2), house.chat("b", 2))
    house.talk(reading, "a", 2, 3)
    reading.commit(
        *house.messages("b", 2, sender="creator"),
        phase="talk",
        next_phase="talk",
        chat="b",
        chat_done=True,
    )
    reading.settle()

    reply = house.list_chats(
        creator.begin("messages"),
        house.chat("a", 3, unread=0, last_message_read=True),
        house.chat("b", 2, last_message_read=True),
    )

    assert reply["complete"] is True
    assert creator.names("read_at is null", "fanvue_messages", "message_uuid") == set()
