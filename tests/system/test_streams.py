"""Every stream, in both families: its first sync is exact, and what a poll costs follows change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.system.audience_books import AudienceBooks


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

FAMILIES = pytest.mark.parametrize("family", ["v1", "unversioned"])
POLLED = ["earnings", "messages", "subscribers", "followers", "posts", "top_fans", "account"]
STREAMS = [*POLLED, "message_history"]


@pytest.fixture
def books(engine: Engine) -> Callable[..., AudienceBooks]:
    """Return a maker of creators whom only the test itself syncs."""
    engine.fanvue.turn(rate_limit=100_000)
    engine.database.execute("update private.sync_streams set enabled = true")

    def make(family: str = "v1", **order: Any) -> AudienceBooks:
        size = {"messages": 200, "posts": 110, "subscribers": 110, "followers": 110, "fans": 8}
        creator = engine.creator(**{"transactions": 90, **size, **order})
        return AudienceBooks(engine, creator, family)

    return make


def first_sync(books: AudienceBooks, sync_type: str) -> dict[str, Any]:
    if sync_type == "message_history":
        books.sync("messages")
    return books.sync(sync_type)


def make_news(b: AudienceBooks, sync_type: str) -> None:
    """Let something happen that the stream has to bring."""
    fanvue, creator = b.engine.fanvue, b.creator
    match sync_type:
        case "earnings" | "top_fans" | "account":
            fanvue.add_sales(creator, 3)
        case "messages":
            chats = list(fanvue.audience(creator).chats)
            fanvue.add_messages(creator, 2, fan_uuid=chats[0])
            fanvue.add_messages(creator, 1, fan_uuid=chats[1], sent=True, price=900)
        case "subscribers":
            fanvue.add_fans(creator, subscribers=3)
        case "followers":
            fanvue.add_fans(creator, followers=3)
        case "posts":
            fanvue.add_posts(creator, 3)


def live_on(b: AudienceBooks, sync_type: str) -> None:
    """Let minutes pass, with news in their midst."""
    b.engine.pass_time(60)
    make_news(b, sync_type)
    b.engine.pass_time(60)


@FAMILIES
@pytest.mark.parametrize(
    ("sync_type", "quiet", "calls"),
    [
        ("earnings", 1, 2),
        # The list, and each chat that has news.
        ("messages", 1, 3),
        # Older messages that are all known are not asked for at all.
        ("message_history", 0, 0),
        # The page with the news, and the one that shows that there are no more.
        ("subscribers", 1, 2),
        ("followers", 1, 2),
        ("posts", 1, 2),
        ("top_fans", 1, 1),
        ("account", 1, 1),
    ],
)
def test_first_sync_and_polls_are_exact_and_cost_calls_and_rows_for_news_alone(
    books: Callable[..., AudienceBooks], family: str, sync_type: str, quiet: int, calls: int
) -> None:
    b = books(family)

    result = first_sync(b, sync_type)

    assert (result["state"], result["error"]) == ("succeeded", None)
    b.assert_exact(sync_type)
    assert result["requests"] == len(b.calls())
    before = b.written(sync_type)

    result = b.sync(sync_type)

    assert result["state"] == "succeeded"
    assert len(b.calls()) == quiet
    assert b.written(sync_type) == before
    if sync_type == "message_history":
        return
    live_on(b, sync_type)

    result = b.sync(sync_type)

    assert result["state"] == "succeeded"
    b.assert_exact(sync_type)
    assert len(b.calls()) <= calls
    assert result["rows_inserted"] + result["rows_updated"] > 0


@pytest.mark.parametrize(
    ("sync_type", "family", "validators"),
    [
        *((name, "v1", "etag") for name in POLLED),
        *((name, "unversioned", "both") for name in POLLED),
        ("earnings", "v1", "last_modified"),
    ],
)
def test_a_poll_that_is_answered_304_costs_one_call_and_no_row_and_hides_no_news(
    books: Callable[..., AudienceBooks], sync_type: str, family: str, validators: str
) -> None:
    b = books(family)
    b.engine.fanvue.turn(validators=validators)
    first_sync(b, sync_type)
    b.sync(sync_type)
    before = b.written(sync_type)

    result = b.sync(sync_type)

    assert result["state"] == "succeeded"
    assert [call["status"] for call in b.calls()] == [304]
    assert b.written(sync_type) == before
    live_on(b, sync_type)

    b.sync(sync_type)

    b.assert_exact(sync_type)


@FAMILIES
@pytest.mark.parametrize("sync_type", ["subscribers", "followers", "posts"])
def test_a_full_walk_sees_who_left(
    books: Callable[..., AudienceBooks], family: str, sync_type: str
) -> None:
    b = books(family)
    first_sync(b, sync_type)
    b.engine.pass_time(60)
    fanvue, creator = b.engine.fanvue, b.creator
    if sync_type == "subscribers":
        fanvue.cancel_subscriptions(creator, 4)
    elif sync_type == "followers":
        fanvue.unfollow(creator, count=4)
    else:
        fanvue.delete_posts(creator, *list(fanvue.audience(creator).posts)[:4])

    # Missed twice means gone: numbered pages shift while they are read.
    b.sync(sync_type, full=True)
    b.engine.pass_time(60)
    b.sync(sync_type, full=True)

    b.assert_exact(sync_type)


@FAMILIES
@pytest.mark.parametrize("sync_type", ["subscribers", "followers", "posts"])
def test_a_list_that_ends_early_ends_nobody(
    books: Callable[..., AudienceBooks], family: str, sync_type: str
) -> None:
    b = books(family)
    first_sync(b, sync_type)

    for share in (0.5, 0):
        b.engine.fanvue.turn(list_share={f"/{sync_type}": share})
        assert b.sync(sync_type, full=True)["state"] == "partial"
        b.assert_exact(sync_type)

    b.engine.fanvue.turn(list_share={})
    assert b.sync(sync_type)["state"] == "succeeded"
    b.assert_exact(sync_type)


@FAMILIES
def test_a_long_history_comes_in_slices_and_is_whole(
    books: Callable[..., AudienceBooks], family: str
) -> None:
    b = books(family, messages=0)
    b.engine.fanvue.add_history(b.creator, 1000, fans=8, days=90, ties=150)
    b.sync("messages")

    result = b.sync("message_history", WORKER_SLICE_PAGES="7")

    assert result["state"] == "succeeded"
    b.assert_exact("message_history")
    assert len(b.calls()) <= 1000 / 50 + 8 * 2


def test_a_text_that_is_not_to_be_kept_is_nowhere(books: Callable[..., AudienceBooks]) -> None:
    b = books()
    b.engine.database.execute(
        "insert into private.sync_overrides (model_id, sync_type, keep_text)"
        " select %s, sync_type, false from private.sync_streams where sync_type like 'message%%'",
        (b.model,),
    )

    first_sync(b, "message_history")

    ours = b.rows("select body from public.fanvue_messages where model_id = %(model)s")
    assert len(ours) == b.truth().messages
    assert {row[0] for row in ours} == {None}


@FAMILIES
def test_a_chat_that_was_deleted_meanwhile_is_passed_over(
    books: Callable[..., AudienceBooks], family: str
) -> None:
    b = books(family, messages=0)
    b.engine.fanvue.add_history(b.creator, 400, fans=3, days=30)
    b.sync("messages")
    b.engine.fanvue.delete_chat(b.creator, next(iter(b.truth().chats)))

    result = b.sync("message_history")

    assert result["state"] == "succeeded"
    assert b._true_messages(b.truth()) <= b._messages()


def test_a_scope_that_was_not_granted_is_named(engine: Engine) -> None:
    creator = engine.fanvue.add_creators()[0]["uuid"]
    engine.connect(creator, scopes=["offline_access", "read:creator"])
    engine.database.execute("update private.sync_streams set enabled = true")
    b = AudienceBooks(engine, creator)

    states = {sync_type: b.sync(sync_type)["state"] for sync_type in POLLED}

    assert states == dict.fromkeys(POLLED, "failed")
    jobs = engine.database.execute(
        "select sync_type, state, last_error ->> 'remedy' from public.sync_jobs"
    ).fetchall()
    assert {(name, state) for name, state, _ in jobs} == {(name, "dead") for name in POLLED}
    assert all(f"{name} takes read:" in remedy for name, _, remedy in jobs)
