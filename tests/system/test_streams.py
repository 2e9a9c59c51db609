"""Every stream, in both families: its first sync is exact, and what a poll costs follows change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.system.audience_books import FAMILIES, POLLED, STREAMS, first_sync
from worker.store.database import Database


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.audience_books import AudienceBooks


pytestmark = pytest.mark.system


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


@pytest.mark.parametrize("sync_type", STREAMS)
def test_a_poll_of_one_page_is_three_round_trips_to_the_database(
    books: Callable[..., AudienceBooks], monkeypatch: pytest.MonkeyPatch, sync_type: str
) -> None:
    b = books("v1")
    first_sync(b, sync_type)
    b.engine.drain()
    asked: list[str] = []
    call = Database.call

    async def note(database: Database, name: str, *parameters: Any) -> Any:
        asked.append(name)
        return await call(database, name, *parameters)

    monkeypatch.setattr(Database, "call", note)
    b.engine.database.execute("select public.enqueue_sync(%s, %s)", (b.model, sync_type))
    tally = b.engine.drain()

    assert tally.outcomes == {"succeeded": 1}
    # once in a token's life, beside the walk's beginning
    asked.remove("begin_token_refresh")
    assert asked == [
        "claim_sync_jobs",
        "begin_sync_walk",
        "commit_sync_page",
        # nothing is left
        "claim_sync_jobs",
    ]


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
