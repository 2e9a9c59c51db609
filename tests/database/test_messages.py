"""Chats and their messages: which chat is read next, back to where, and what is stored of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.streams import Creator, Reading


if TYPE_CHECKING:
    from tests.database.engine import Engine


@pytest.fixture
def creator(engine: Engine) -> Creator:
    return Creator(engine, "messages", "message_history")


class House:
    """What Fanvue lists of a creator's chats; message n of a chat was sent in minute n."""

    def __init__(self, creator: Creator) -> None:
        self.creator = creator
        self.start = creator.now() - timedelta(days=1)

    def at(self, minute: int) -> str:
        return (self.start + timedelta(minutes=minute)).isoformat()

    def chat(self, fan: str, newest: int, **more: Any) -> dict[str, Any]:
        said = {"at": self.at(newest), "last_message_uuid": f"{fan}-{newest}"}
        return {"fan_uuid": fan, "handle": f"@{fan}", **said, **more}

    def messages(self, fan: str, *minutes: int, **more: Any) -> list[dict[str, Any]]:
        return [
            {
                "message_uuid": f"{fan}-{minute}",
                "at": self.at(minute),
                "sender": "fan",
                "body": f"text {minute}",
                "type": "SINGLE_RECIPIENT",
                **more,
            }
            for minute in minutes
        ]

    def list_chats(self, reading: Reading, *chats: dict[str, Any], **more: Any) -> dict[str, Any]:
        return reading.commit(*chats, next_phase="talk", **more)

    def talk(
        self,
        reading: Reading,
        fan: str,
        *minutes: int,
        done: bool = True,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        phase = "talk" if reading.job["sync_type"] == "messages" else "history"
        return reading.commit(
            *self.messages(fan, *minutes),
            phase=phase,
            next_phase=phase,
            chat=fan,
            chat_done=done,
            chat_cursor=cursor,
        )

    def learn(self, *chats: tuple[str, int]) -> None:
        """Read some chats for the first time, each of them one page long."""
        reading = self.creator.begin("messages")
        self.list_chats(reading, *(self.chat(fan, newest) for fan, newest in chats))
        for fan, newest in chats:
            self.talk(reading, fan, *range(1, newest + 1))
        reading.settle()


@pytest.fixture
def house(creator: Creator) -> House:
    return House(creator)


def names(todo: list[dict[str, Any]]) -> list[str]:
    return [chat["fan_uuid"] for chat in todo]


def pending(creator: Creator) -> set[str]:
    return creator.names("pending", "fanvue_chats")


def stored(creator: Creator, fan: str) -> set[int]:
    found = creator.names(f"fan_uuid = '{fan}'", "fanvue_messages", "message_uuid")
    return {int(name.rsplit("-", 1)[1]) for name in found}


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


# History on demand ----------------------------------------------------------------------------


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


def test_a_paused_creators_history_goes_on_when_she_is_resumed(
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
