"""A page whose reply was lost is sent again: it gets its first answer and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.database.chats import House
from tests.database.engine import WAIT
from tests.database.streams import Creator, Reading, crowd, fans


if TYPE_CHECKING:
    from tests.database.engine import Engine


TABLES = (
    "fanvue_fans",
    "fanvue_chats",
    "fanvue_messages",
    "fanvue_posts",
    "fanvue_top_fans",
    "fanvue_accounts",
    "sync_jobs",
    "sync_state",
    "models",
)
STREAMS = ("subscribers", "followers", "posts", "top_fans", "account", "messages")
LAST = {"complete": True}
SPENDER = {"fan_uuid": "a", "rank": 1, "gross": "5.00", "net": "4.00"}
POST = {"post_uuid": "p", "at": "2026-03-01T12:00:00Z", "body": "hello"}
PAGES: dict[str, tuple[str, list[dict[str, Any]], dict[str, Any]]] = {
    "a page of subscribers": ("subscribers", fans("a", "b"), {"cursor": "c1"}),
    "the last page of subscribers": ("subscribers", fans("a", "b"), LAST),
    "a page of followers": ("followers", fans("a", "b"), {"cursor": "c1"}),
    "the last page of followers": ("followers", fans("a", "b"), LAST),
    "a page of posts": ("posts", [POST], {"cursor": "c1"}),
    "the last page of posts": ("posts", [POST], LAST),
    "top fans": ("top_fans", [SPENDER], LAST),
    "unmodified top fans": ("top_fans", [], {"not_modified": True}),
    "an account": ("account", [{"status": "active", "followers": 3}], LAST),
    "an unreadable list": ("followers", fans("a"), LAST | {"partial": "a row is unreadable"}),
}


@pytest.fixture
def creator(engine: Engine) -> Creator:
    return Creator(engine, *STREAMS, "message_history")


def everything(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Return which versions of which rows there are."""
    return {
        table: engine.rows(f"select ctid::text, xmin::text from public.{table} order by ctid")  # noqa: S608 - names above
        for table in TABLES
    }


def assert_repeatable(reading: Reading, page: dict[str, Any]) -> dict[str, Any]:
    """Send a page from two connections at once, and once more."""
    engine, version = reading.engine, reading.version
    workers = engine.another(), engine.another()
    sent = [worker.run(reading.send, page, version, worker) for worker in workers]
    first: dict[str, Any]
    first, second = (future.result(WAIT) for future in sent)
    before = everything(engine)

    assert first == second == reading.send(page, version)

    assert everything(engine) == before
    assert engine.value("select max(pages) from public.sync_jobs") == version + 1
    reading.version = first["version"]
    return first


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_of_a_list_counts_once(creator: Creator, kind: str) -> None:
    stream, rows, more = PAGES[kind]
    reading = creator.begin(stream)

    assert_repeatable(reading, reading.page(*rows, **more))


@pytest.mark.parametrize("stream", ["subscribers", "followers", "posts"])
def test_an_end_of_a_list_that_ends_some_or_none_counts_once(creator: Creator, stream: str) -> None:
    if stream == "posts":
        rows = [POST | {"post_uuid": name} for name in crowd(20)]
    else:
        rows = fans(*crowd(20))
    creator.read(stream, rows)

    for left, refused in ((10, True), (17, False)):
        reading = creator.begin(stream, full=True)
        creator.engine.rows("update public.sync_state set version = 0 where walk_id is not null")
        reading.version = 0
        reply = assert_repeatable(reading, reading.page(*rows[:left], complete=True))
        assert (reply["partial"] is not None) is refused
        reading.partial = reply["partial"]
        reading.settle()


def test_every_page_of_a_walk_over_chats_counts_once(creator: Creator) -> None:
    house = House(creator)
    reading = creator.begin("messages")
    talk = {"phase": "talk", "next_phase": "talk"}

    assert_repeatable(reading, reading.page(house.chat("a", 9), cursor="c1"))
    assert_repeatable(reading, reading.page(house.chat("b", 3), next_phase="talk"))
    said = house.messages("a", 8, 9)
    part = {"chat": "a", "chat_done": True, "chat_cursor": "older", **talk}
    assert_repeatable(reading, reading.page(*said, **part))
    last = {"chat": "b", "chat_done": True, **talk}
    assert assert_repeatable(reading, reading.page(*house.messages("b", 3), **last))["complete"]
    reading.settle()

    history = creator.begin("message_history")
    older = {"chat": "a", "phase": "history", "next_phase": "history"}
    assert_repeatable(history, history.page(*house.messages("a", 5), chat_cursor="oldest", **older))
    end = history.page(*house.messages("a", 1), chat_done=True, **older)
    assert assert_repeatable(history, end)["complete"]
