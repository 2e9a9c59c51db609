"""The lists of subscribers and followers: who is on them, and who left."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.streams import Creator, fans


if TYPE_CHECKING:
    from tests.database.engine import Engine


LISTS = {"subscribers": "is_subscriber", "followers": "is_follower"}
_WRITES = "select xmin::text, ctid::text from public.fanvue_fans order by fan_uuid"


@pytest.fixture
def creator(engine: Engine) -> Creator:
    return Creator(engine, "subscribers", "followers")


both = pytest.mark.parametrize("stream", LISTS)


@both
def test_the_first_reading_is_complete_and_names_everybody(creator: Creator, stream: str) -> None:
    reading = creator.begin(stream)
    assert reading.state["kind"] == "full"
    first = reading.commit(*fans("a", "b"), cursor="c1")
    last = reading.commit(*fans("c"), complete=True)

    assert (first["inserted"], last["inserted"], last["complete"]) == (2, 1, True)
    assert creator.names(LISTS[stream]) == {"a", "b", "c"}
    assert sum(creator.counters()) == 3
    state = creator.state(stream)
    assert (state["walk_id"], state["full_requested"]) == (None, False)
    assert state["last_full_at"] is not None


@both
def test_a_poll_that_finds_only_known_fans_ends_at_once_and_writes_nothing(
    creator: Creator, stream: str
) -> None:
    creator.read(stream, fans("a", "b"))
    before = creator.engine.rows(_WRITES)

    replies = creator.poll(stream, fans("a", "b"), fans("never read"))

    assert [reply["complete"] for reply in replies] == [True]
    assert (replies[0]["unchanged"], replies[0]["updated"]) == (2, 0)
    assert creator.engine.rows(_WRITES) == before
    assert creator.state(stream)["quiet_runs"] == 1


@both
def test_a_poll_goes_on_while_pages_bring_news(creator: Creator, stream: str) -> None:
    creator.read(stream, fans("a"))

    replies = creator.poll(stream, fans("d"), fans("c"), fans("a"), fans("never read"))

    assert [reply["complete"] for reply in replies] == [False, False, True]
    assert creator.names(LISTS[stream]) == {"a", "c", "d"}


@both
def test_a_poll_ends_nobody(creator: Creator, stream: str) -> None:
    creator.read(stream, fans("a", "b"))

    creator.poll(stream, fans("b"))

    assert creator.names(LISTS[stream]) == {"a", "b"}


@both
def test_a_poll_that_sees_the_whole_list_asks_for_a_complete_reading_when_somebody_left(
    creator: Creator, stream: str
) -> None:
    creator.read(stream, fans("a", "b", "c"))
    creator.poll(stream, fans("a", "b", "c"))
    assert not creator.state(stream)["full_requested"]

    creator.poll(stream, fans("new", "a", "b"))

    assert creator.names(LISTS[stream]) == {"a", "b", "c", "new"}
    assert creator.state(stream)["full_requested"]
    assert creator.state(stream)["next_sync_at"] - creator.now() < timedelta(minutes=1)
    creator.read(stream, fans("new", "a", "b"))
    assert creator.names(LISTS[stream]) == {"a", "b", "new"}
    assert not creator.state(stream)["full_requested"]


@both
def test_a_changed_name_is_written_and_is_no_new_fan(creator: Creator, stream: str) -> None:
    creator.read(stream, fans("a"))

    (reply,) = creator.poll(stream, [{"fan_uuid": "a", "handle": "@other"}])

    assert (reply["inserted"], reply["updated"]) == (0, 1)
    assert creator.rows("fanvue_fans", "handle", "1") == [("@other",)]


@pytest.mark.parametrize("status", ["expired", "pending_confirmation"])
def test_a_listed_fan_whose_subscription_does_not_run_is_no_subscriber(
    creator: Creator, status: str
) -> None:
    creator.read("subscribers", [*fans("a"), *fans("b", subscription_status=status)])

    assert creator.names("is_subscriber") == {"a"}
    assert creator.counters() == (1, 0)


def test_a_period_that_is_over_ends_a_subscription_unless_it_renews(creator: Creator) -> None:
    over = creator.at(hours=1)

    creator.read(
        "subscribers",
        [*fans("a", expires_at=over), *fans("b", expires_at=over, auto_renews=True)],
    )

    assert creator.names("is_subscriber") == {"b"}


@pytest.mark.parametrize("kind", ["complete", "poll"])
def test_an_event_that_is_younger_than_the_page_knows_better(creator: Creator, kind: str) -> None:
    creator.read("subscribers", fans("a", "b", subscription_status="active"))
    reading = creator.begin("subscribers", full=kind == "complete")
    page = reading.page(*fans("a", "b", subscription_status="active"), complete=True)
    creator.unsubscribed("a", creator.at(seconds=-2))

    reading.send(page, reading.version)

    assert creator.names("is_subscriber") == {"b"}
    assert creator.rows("fanvue_fans", "subscription_status", "fan_uuid")[0] == ("expired",)


def test_a_page_that_is_younger_than_the_event_knows_better(creator: Creator) -> None:
    creator.read("subscribers", fans("a"))
    creator.unsubscribed("a", creator.at(minutes=1))

    (reply,) = creator.poll("subscribers", fans("a"))

    assert reply["inserted"] == 1
    assert creator.names("is_subscriber") == {"a"}
    assert creator.rows("fanvue_fans", "ended_at, end_reason", "1") == [(None, None)]


@both
def test_a_complete_reading_of_one_page_ends_whom_it_does_not_name(
    creator: Creator, stream: str
) -> None:
    creator.read(stream, fans("a", "b"))

    creator.read(stream, fans("a"), full=True)

    assert creator.names(LISTS[stream]) == {"a"}
    assert sum(creator.counters()) == 1
    assert not creator.state(stream)["full_requested"]


def test_a_subscription_that_is_no_longer_listed_says_so(creator: Creator) -> None:
    creator.read("subscribers", fans("a", "b", subscription_status="active"))

    creator.read("subscribers", fans("a"), full=True)

    (ended,) = creator.engine.rows(
        "select ended_at, end_reason, subscription_status from public.fanvue_fans"
        " where fan_uuid = 'b'"
    )
    assert ended["ended_at"] is not None
    assert (ended["end_reason"], ended["subscription_status"]) == ("no longer listed", None)


@both
def test_a_reading_of_several_pages_ends_a_fan_only_when_a_second_one_misses_him_too(
    creator: Creator, stream: str
) -> None:
    creator.read(stream, fans("a", "b", "c"))

    creator.read(stream, fans("a"), fans("b"), full=True)

    assert creator.names(LISTS[stream]) == {"a", "b", "c"}
    assert creator.state(stream)["full_requested"]

    second = creator.begin(stream)
    assert second.state["kind"] == "full"
    second.commit(*fans("a"), cursor="c1")
    second.commit(*fans("b"), complete=True)

    assert creator.names(LISTS[stream]) == {"a", "b"}
    assert not creator.state(stream)["full_requested"]


@both
def test_a_fan_who_slipped_between_two_pages_once_is_not_ended(
    creator: Creator, stream: str
) -> None:
    creator.read(stream, fans("a", "b", "c"))
    creator.read(stream, fans("a"), fans("b"), full=True)

    creator.read(stream, fans("a", "b"), fans("c"))

    assert creator.names(LISTS[stream]) == {"a", "b", "c"}
    assert not creator.state(stream)["full_requested"]
    # and the next miss is a first one
    creator.read(stream, fans("a"), fans("b"), full=True)
    assert creator.names(LISTS[stream]) == {"a", "b", "c"}


def test_a_missed_fan_of_whom_an_event_tells_is_not_ended_by_the_next_miss(
    creator: Creator,
) -> None:
    creator.read("subscribers", fans("a", "b", "c"))
    creator.read("subscribers", fans("a"), fans("b"), full=True)
    creator.subscribed("c")

    creator.read("subscribers", fans("a"), fans("b"))

    assert creator.names("is_subscriber") == {"a", "b", "c"}


def test_whoever_an_event_names_during_the_reading_is_not_missing(creator: Creator) -> None:
    creator.read("subscribers", fans("a", "back"))
    creator.read("followers", fans("a", "again"))
    creator.read("subscribers", fans("a"), full=True)
    creator.read("followers", fans("a"), full=True)
    readings = [creator.begin(stream, full=True) for stream in LISTS]
    pages = [reading.page(*fans("a"), complete=True) for reading in readings]
    for fan in ("back", "new"):
        creator.subscribed(fan)
    for fan in ("again", "fresh"):
        creator.followed(fan)

    for reading, page in zip(readings, pages, strict=True):
        reading.send(page, reading.version)

    assert creator.names("is_subscriber") == {"a", "back", "new"}
    assert creator.names("is_follower") == {"a", "again", "fresh"}
    assert creator.counters() == (3, 3)


def test_a_clock_of_fanvues_that_runs_behind_ends_nobody_who_just_subscribed(
    creator: Creator,
) -> None:
    creator.read("subscribers", fans("a", "b"))
    creator.read("subscribers", fans("a"), full=True)
    reading = creator.begin("subscribers", full=True)
    page = reading.page(*fans("a"), complete=True, ceiling=creator.at(seconds=9))
    creator.subscribed("b", creator.at(seconds=8))

    reading.send(page, reading.version)

    assert creator.names("is_subscriber") == {"a", "b"}


def test_an_old_follow_that_arrives_late_brings_nobody_back(creator: Creator) -> None:
    creator.read("followers", fans("a", "b"))
    long_ago = creator.at(hours=1)
    creator.read("followers", fans("a"), full=True)

    creator.followed("b", long_ago)
    assert creator.names("is_follower") == {"a"}

    creator.followed("b", creator.at(seconds=-1))
    assert creator.names("is_follower") == {"a", "b"}
    assert creator.names("unfollowed_at is not null") == set()


def test_a_subscription_event_gives_its_word_and_the_list_its_own(creator: Creator) -> None:
    creator.subscribed("a")
    assert creator.rows("fanvue_fans", "subscription_status", "1") == [("active",)]

    creator.engine.move_clock(minutes=1)
    creator.poll("subscribers", fans("a", subscription_status="cancelled"))

    assert creator.rows("fanvue_fans", "subscription_status", "1") == [("cancelled",)]


@both
def test_who_comes_back_after_an_end_is_a_new_one(creator: Creator, stream: str) -> None:
    creator.read(stream, fans("a", "b"))
    creator.read(stream, fans("a"), full=True)

    replies = creator.poll(stream, fans("b"), fans("a"))

    assert [reply["inserted"] for reply in replies] == [1, 0]
    assert creator.names(LISTS[stream]) == {"a", "b"}
    assert creator.names("ended_at is not null or unfollowed_at is not null") == set()
    assert sum(creator.counters()) == 2


@both
def test_a_complete_reading_sets_the_counter_anew_whatever_it_was(
    creator: Creator, stream: str
) -> None:
    creator.engine.rows("update public.models set subscribers_count = 41, followers_count = null")

    creator.read(stream, fans("a", "b"))

    counted = dict(zip(LISTS, creator.counters(), strict=True))
    assert counted[stream] == 2


def shapes(reply: dict[str, Any]) -> tuple[Any, ...]:
    return reply["inserted"], reply["updated"], reply["unchanged"]


@both
def test_the_same_fan_twice_on_a_page_is_one_fan(creator: Creator, stream: str) -> None:
    reply = creator.read(stream, [*fans("a", "a"), *fans("b")])

    assert shapes(reply) == (2, 0, 0)
    assert sum(creator.counters()) == 2
