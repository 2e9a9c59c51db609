"""What Fanvue offers so that nothing new costs nothing: kept, offered again, and forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.database.chats import House
from tests.database.streams import Creator, fans


if TYPE_CHECKING:
    from tests.database.engine import Engine


OFFERED = {"request": "/followers?size=50", "etag": 'W/"1"', "last_modified": None}
NEWER = {**OFFERED, "etag": 'W/"2"'}


@pytest.fixture
def creator(engine: Engine) -> Creator:
    creator = Creator(engine, "followers", "messages", "top_fans", "message_history")
    creator.read("followers", fans("a", "b"))
    return creator


def poll(creator: Creator, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    reading = creator.begin("followers")
    reply = reading.commit(*rows, **more)
    reading.settle("done" if reply["complete"] else "yield")
    return reply


def test_what_a_polls_first_page_offered_is_offered_to_the_next_poll(creator: Creator) -> None:
    assert creator.begin("followers").state["validator"] is None
    creator.engine.rows("delete from public.sync_jobs")

    poll(creator, *fans("a", "b"), complete=True, validator=OFFERED)

    assert creator.begin("followers").state["validator"] == OFFERED


def test_a_first_page_that_offers_nothing_takes_the_old_offer_away(creator: Creator) -> None:
    poll(creator, *fans("a", "b"), complete=True, validator=OFFERED)

    poll(creator, *fans("a", "b"), complete=True)

    assert creator.state("followers")["validator"] is None


def test_a_later_page_offers_nothing(creator: Creator) -> None:
    reading = creator.begin("followers")
    reading.commit(*fans("new"), validator=OFFERED, cursor="c1")
    resumed = creator.engine.begin(reading.job)
    assert resumed["validator"] is None

    reading.commit(*fans("a"), complete=True, validator=NEWER)

    assert creator.state("followers")["validator"] == OFFERED


def test_a_complete_reading_neither_takes_nor_gets_an_offer(creator: Creator) -> None:
    poll(creator, *fans("a", "b"), complete=True, validator=OFFERED)
    reading = creator.begin("followers", full=True)
    assert (reading.state["kind"], reading.state["validator"]) == ("full", None)

    reading.commit(*fans("a", "b"), complete=True, validator=NEWER)

    assert creator.state("followers")["validator"] == OFFERED


def test_a_deep_walk_gets_no_offer(creator: Creator) -> None:
    house = House(creator)
    house.learn(("f1", 1))
    reading = creator.begin("messages")
    reading.commit(house.chat("f1", 1), next_phase="talk", validator=OFFERED)
    reading.settle()
    creator.engine.move_clock(hours=25)

    deep = creator.begin("messages").state

    assert (deep["kind"], deep["validator"]) == ("deep", None)


def test_a_partial_poll_takes_the_offer_away(creator: Creator) -> None:
    poll(creator, *fans("a", "b"), complete=True, validator=OFFERED)

    poll(creator, *fans("a", "b"), complete=True, validator=NEWER, partial="one row unreadable")

    assert creator.begin("followers").state["validator"] is None


def test_an_answer_that_nothing_changed_closes_the_poll_without_news(creator: Creator) -> None:
    poll(creator, *fans("a", "b"), complete=True, validator=OFFERED)
    before = creator.rows("fanvue_fans", "xmin::text", "fan_uuid")

    reply = poll(creator, not_modified=True)

    assert (reply["complete"], reply["partial"], reply["unchanged"]) == (True, None, 0)
    assert creator.rows("fanvue_fans", "xmin::text", "fan_uuid") == before
    state = creator.state("followers")
    assert (state["walk_id"], state["quiet_runs"], state["validator"]) == (None, 2, OFFERED)
    assert state["last_success_at"] is not None


def test_a_list_of_chats_that_did_not_change_is_followed_by_the_chats_that_wait(
    creator: Creator,
) -> None:
    house = House(creator)
    first = creator.begin("messages")
    house.list_chats(first, house.chat("f1", 1), house.chat("f2", 2))
    house.talk(first, "f2", 2)
    skip = {"phase": "talk", "next_phase": "talk"}
    first.commit(complete=True, partial="unreadable", **skip)
    first.settle()
    creator.engine.rows(
        "update public.sync_state set (high_water, last_deep_at, last_full_at)"
        " = (select t, t, t from private.engine_now() t) where sync_type = 'messages'"
    )

    second = creator.begin("messages")
    assert second.state["kind"] == "incremental"
    reply = second.commit(not_modified=True, next_phase="talk")

    assert (reply["complete"], [chat["fan_uuid"] for chat in reply["todo"]]) == (False, ["f1"])
    assert creator.state("messages")["walk_phase"] == "talk"
    assert house.talk(second, "f1", 1)["complete"] is True


def test_a_list_of_chats_that_did_not_change_completes_the_walk_when_none_waits(
    creator: Creator,
) -> None:
    house = House(creator)
    house.learn(("f1", 1))

    assert creator.begin("messages").commit(not_modified=True)["complete"] is True
