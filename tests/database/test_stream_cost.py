"""What a page of a stream reads does not grow with what is stored of the creator.

Counts the rows that the server touched; the tables' statistics are of no help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from tests.database.streams import Creator, Reading, crowd, fans
from tests.database.test_cost import reading


if TYPE_CHECKING:
    from tests.database.engine import Engine


# So many that the planner, too, takes the tables for large ones.
CHATS, MESSAGES = 1_000, 20_000
FANS = 6_000
SENT = "2026-03-01T12:00:00Z"
pytestmark = pytest.mark.usefixtures("fresh_sessions")
_COMMIT = "select public.commit_sync_page(%s, %s, %s, %s)"


@pytest.fixture
def creator(engine: Engine) -> Creator:
    return Creator(engine, "messages", "message_history", "subscribers", "followers", "posts")


def as_owner(walk: Reading, page: dict[str, Any]) -> dict[str, Any]:
    """Commit on the connection that is measured."""
    ids = walk.job["id"], walk.job["lease_id"]
    reply = walk.engine.value(_COMMIT, *ids, walk.version, Jsonb(page))
    walk.version = reply["version"]
    return dict(reply)


def said(chat: str, *numbers: int) -> list[dict[str, Any]]:
    return [
        {"message_uuid": f"{chat}-{n}", "at": SENT, "sender": "fan", "body": "hi"} for n in numbers
    ]


def fill_chats(creator: Creator, chats: int, messages: int) -> None:
    """Store many chats, all read, and many messages in them."""
    creator.engine.rows(
        "insert into public.fanvue_chats (agency_id, model_id, fan_uuid, last_message_at,"
        " last_message_uuid, unread_count, known_until, history_done)"
        " select %s, %s, 'f' || n, now() - n * interval '1 minute', 'last-' || n, 1, now(), true"
        " from generate_series(1, %s) n",
        creator.agency_id,
        creator.model_id,
        chats,
    )
    creator.engine.rows(
        "insert into public.fanvue_messages"
        " (agency_id, model_id, message_uuid, fan_uuid, sender, sent_at)"
        " select %s, %s, 'm' || n, 'f' || (1 + n %% %s), 'fan', now() - n * interval '1 second'"
        " from generate_series(1, %s) n",
        creator.agency_id,
        creator.model_id,
        chats,
        messages,
    )


def test_a_page_of_a_chat_reads_its_own_messages_only(creator: Creator) -> None:
    walk = creator.begin("messages")
    chat = {"fan_uuid": "a", "at": SENT, "last_message_uuid": "a-1"}
    as_owner(walk, walk.page(chat, next_phase="talk"))
    more = {"chat": "a", "chat_cursor": "c", "phase": "talk", "next_phase": "talk"}
    # A pooled connection made its plans while the tables were empty, and keeps them.
    for n in range(8):
        as_owner(walk, walk.page(*said("a", n), **more))
    fill_chats(creator, CHATS, MESSAGES)

    with reading(creator.engine, "fanvue_messages", "fanvue_chats") as first:
        as_owner(walk, walk.page(*said("a", *range(100, 150)), **more))
    with reading(creator.engine, "fanvue_messages", "fanvue_chats") as again:
        as_owner(walk, walk.page(*said("a", *range(100, 150)), **more))

    assert first.rows <= 50
    assert again.rows <= 150


def test_a_page_of_chats_reads_its_own_chats_and_what_was_read_in_them(creator: Creator) -> None:
    walk = creator.begin("messages")
    for n in range(8):
        as_owner(walk, walk.page({"fan_uuid": f"e{n}", "at": None}, cursor="c"))
    fill_chats(creator, CHATS, MESSAGES)
    listed = [
        {"fan_uuid": f"f{n}", "at": creator.at(), "last_message_uuid": f"last-{n}", "unread": 0}
        for n in range(1, 51)
    ]

    with reading(creator.engine, "fanvue_messages", "fanvue_chats") as meter:
        as_owner(walk, walk.page(*listed, cursor="d"))

    # twenty messages in each of the chats, found and written
    assert meter.rows <= 50 * 20 * 2 + 300


def test_the_next_chats_are_found_without_reading_the_others(creator: Creator) -> None:
    find = "select jsonb_array_length(private.chats_to_read(%s, %s)) as found"
    # A pooled connection made its plans while the table was empty, and keeps them.
    for stream in ("messages", "message_history") * 8:
        assert creator.engine.value(find, creator.model_id, stream) == 0
    fill_chats(creator, 2_000, 1)
    creator.engine.rows(
        "update public.fanvue_chats set pending = true, history_done = false"
        " where fan_uuid in ('f1', 'f777', 'f1999')"
    )

    for stream in ("messages", "message_history"):
        with reading(creator.engine, "fanvue_chats") as meter:
            assert creator.engine.value(find, creator.model_id, stream) == 3
        assert meter.rows <= 30


@pytest.mark.parametrize("stream", ["subscribers", "followers"])
def test_a_page_of_a_list_of_fans_reads_its_own_fans_only(creator: Creator, stream: str) -> None:
    walk = creator.begin(stream)
    for n in range(8):
        as_owner(walk, walk.page(*fans(f"early{n}"), cursor="c"))
    creator.engine.rows(
        "insert into public.fanvue_fans"
        " (agency_id, model_id, fan_uuid, is_subscriber, is_follower)"
        " select %s, %s, 'f' || n, true, true from generate_series(1, %s) n",
        creator.agency_id,
        creator.model_id,
        FANS,
    )

    with reading(creator.engine, "fanvue_fans", "models") as first:
        as_owner(walk, walk.page(*fans(*crowd(50, "new")), cursor="d"))
    with reading(creator.engine, "fanvue_fans", "models") as again:
        as_owner(walk, walk.page(*fans(*crowd(50, "new")), cursor="e"))

    assert first.rows <= 70
    assert again.rows <= 170


def test_a_page_of_posts_reads_its_own_posts_only(creator: Creator) -> None:
    walk = creator.begin("posts")
    rows = [{"post_uuid": f"new{n}", "at": SENT, "body": "hello"} for n in range(50)]
    for row in rows[:8]:
        as_owner(walk, walk.page(row, cursor="c"))
    creator.engine.rows(
        "insert into public.fanvue_posts (agency_id, model_id, post_uuid, fanvue_created_at)"
        " select %s, %s, 'p' || n, now() from generate_series(1, 2000) n",
        creator.agency_id,
        creator.model_id,
    )

    with reading(creator.engine, "fanvue_posts") as meter:
        as_owner(walk, walk.page(*rows, cursor="d"))

    assert meter.rows <= 120


def test_an_event_about_a_message_reads_that_message_only(creator: Creator) -> None:
    receive = "select public.receive_webhook_event(%s)"
    for n in range(8):
        creator.wrote(f"early{n}")
    fill_chats(creator, CHATS, MESSAGES)
    about: dict[str, Any] = {"sender": "fan", "fan": {"uuid": "f1"}}

    with reading(creator.engine, "fanvue_messages", "fanvue_fans") as meter:
        for number, topic in enumerate(("message.received", "message.deleted")):
            event = creator.event(topic, uuid=f"m{number}", text="hi", **about)
            creator.engine.rows(receive, Jsonb(event))

    assert meter.rows <= 20
