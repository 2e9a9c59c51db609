"""All streams at once, by the schedule: exact whatever Fanvue does, and whenever a worker dies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.ambush import Moment, ambush
from tests.support.flaky_rest import flaky
from tests.system.audience_books import POLLED, STREAMS, AudienceBooks


if TYPE_CHECKING:
    from tests.support.ambush import Ambush
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

CHECKED = [name for name in STREAMS if name != "message_history"]
READS = ("chats", "messages", "subscribers", "followers", "posts", "account")
WRITES = ("begin_sync_walk", "commit_sync_page", "settle_sync_jobs")
MOMENTS = [
    *(Moment(call, after=True) for call in READS),
    *(Moment(call, after=after) for call in WRITES for after in (False, True)),
]


def enable_all(engine: Engine) -> None:
    engine.fanvue.turn(rate_limit=100_000)
    engine.database.execute("update private.sync_streams set enabled = true")


def populated(engine: Engine, family: str = "v1", *, posts: int = 60) -> AudienceBooks:
    people = {"subscribers": 60, "followers": 60, "fans": 6}
    creator = engine.creator(90, messages=150, posts=posts, **people)
    return AudienceBooks(engine, creator, family)


def make_due(engine: Engine) -> None:
    """Let every stream's slot come now, instead of somewhere in its interval."""
    engine.database.execute(
        "update public.sync_state set next_sync_at = private.engine_now()"
        " where next_sync_at is not null"
    )
    tick(engine)


def tick(engine: Engine) -> None:
    engine.database.execute("select public.enqueue_due('test')")


def assert_all_exact(books: AudienceBooks) -> None:
    for sync_type in CHECKED:
        books.assert_exact(sync_type)
    books.assert_exact("message_history")


@pytest.mark.parametrize("family", ["v1", "unversioned"])
def test_a_connected_creator_is_synced_whole_without_being_asked(
    engine: Engine, family: str
) -> None:
    enable_all(engine)
    books = populated(engine, family)
    make_due(engine)

    engine.drain(FANVUE_API_FAMILY=family)
    # What the first look at the chats left is work for the next tick.
    tick(engine)
    engine.drain(FANVUE_API_FAMILY=family)

    assert_all_exact(books)
    assert set(engine.run_states(books.creator)) == {"succeeded"}


def test_workers_killed_at_each_call_lose_nothing_in_any_stream(engine: Engine) -> None:
    enable_all(engine)
    books = populated(engine)

    with ambush(engine.environment) as road:
        for moment in MOMENTS:
            # A walk may have been at its end already; then every stream begins a new one.
            assert any(kill(engine, road, moment) for _ in range(2)), moment
            engine.take_back()
    engine.drain()
    tick(engine)
    engine.drain()

    assert_all_exact(books)


def kill(engine: Engine, road: Ambush, moment: Moment) -> bool:
    make_due(engine)
    # In slices: their ends are settled by themselves, that of a walk with its last page.
    worker = engine.worker(drain=True, WORKER_SLICE_PAGES="1", **road.settings())
    return road.kill(moment, worker)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "empty_400"},
        {"kind": "reset", "moment": "after"},
        {"kind": "status", "status": 401},
        {"kind": "cursor_expired"},
    ],
    ids=str,
)
def test_a_fault_at_any_call_costs_no_row(engine: Engine, fault: dict[str, Any]) -> None:
    enable_all(engine)
    books = populated(engine)
    for path in ("chats$", "messages$", "subscribers$", "followers$", "posts$", "account$"):
        engine.fanvue.add_fault(path=path, nth=2, **fault)
        engine.fanvue.add_fault(path=path, nth=3, **fault)
    make_due(engine)

    engine.drain(wait_seconds=10)
    engine.fanvue.clear_faults()
    _poll_all(books)

    assert_all_exact(books)


def test_rows_that_lack_a_field_leave_their_runs_partial_until_fanvue_is_well(
    engine: Engine,
) -> None:
    enable_all(engine)
    books = populated(engine)
    engine.fanvue.add_fault("missing_field", path="followers$", field="uuid")
    make_due(engine)

    engine.drain()

    assert _states(engine, "followers") == ["partial"]
    assert _states(engine, "posts") == ["succeeded"]
    engine.fanvue.clear_faults()
    books.sync("followers")
    books.assert_exact("followers")


def test_one_unreadable_chat_keeps_no_other_from_being_read_and_is_tried_again(
    engine: Engine,
) -> None:
    engine.fanvue.turn(rate_limit=100_000)
    engine.database.execute("update private.sync_streams set enabled = sync_type like 'message%'")
    books = populated(engine)
    make_due(engine)
    with flaky(engine.environment["FANVUE_API_URL"]) as fanvue:
        # Three attempts, each with a second look: always the same chat.
        broken = fanvue.refuse("messages", status=200, body=b'{"data": "?"}', times=6)
        for _ in range(3):
            engine.drain(FANVUE_API_URL=fanvue.url)
            engine.pass_time(600)

    assert broken.hits == 6
    assert _states(engine, "messages") == ["partial"]
    (left,) = books.rows(
        "select count(*) from public.fanvue_chats where model_id = %(model)s and pending"
    )
    assert left == (1,)
    assert books.sync("messages")["state"] == "succeeded"
    books.assert_exact("messages")


def _poll_all(books: AudienceBooks) -> None:
    for sync_type in [*POLLED, "message_history"]:
        assert books.sync(sync_type)["state"] == "succeeded"


def _states(engine: Engine, sync_type: str) -> list[str]:
    rows = engine.database.execute(
        "select distinct state from public.sync_runs where sync_type = %s", (sync_type,)
    ).fetchall()
    return [row[0] for row in rows]
