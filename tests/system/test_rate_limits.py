"""A rate limit pauses what it is about, and nothing else: no attempt, no other endpoint's calls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.day_clock import DayClock, stopped_database
from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.engine import Engine
    from tests.system.audience_books import AudienceBooks


pytestmark = pytest.mark.system

CHATS, MESSAGES = "/chats", "/chats/{userUuid}/messages"
LIMIT = 5
SHARED_LIMIT = 100
WINDOW_SECONDS = 60
# Past the window, and the little while for which a call that was granted may still be made.
STEP_SECONDS = WINDOW_SECONDS + 4


def only(engine: Engine, *streams: str) -> None:
    """Let these streams be synced alone."""
    engine.database.execute(
        "update private.sync_streams set enabled = sync_type = any (%s)", (list(streams),)
    )


def enqueue(b: AudienceBooks, *streams: str) -> None:
    for stream in streams:
        b.engine.database.execute("select public.enqueue_sync(%s, %s)", (b.model, stream))


def statuses(b: AudienceBooks, endpoint: str) -> list[int]:
    """Return how each call of an endpoint ended, oldest first."""
    calls = b.engine.fanvue.requests(creator=b.creator, limit=100_000)
    return [call["status"] for call in calls if call["template"].endswith(endpoint)]


def waiting(b: AudienceBooks, stream: str) -> tuple[Any, ...]:
    """Return (state, attempt, kind of the last error) of a stream's job."""
    row = b.engine.database.execute(
        "select state, attempt, last_error ->> 'kind' from public.sync_jobs"
        " where model_id = %s and sync_type = %s",
        (b.model, stream),
    ).fetchone()
    assert row is not None
    return tuple(row)


def calling_health(engine: Engine) -> tuple[str, str]:
    """Return what the console says of Fanvue's limits."""
    row = engine.database.execute(
        "select state, answer from ops.health where where_to_look = 'ops.budgets'"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def use_up(b: AudienceBooks) -> None:
    """Call Fanvue as another tool with the same app and account does, until it refuses."""
    token = b.engine.fanvue.grant(b.creator).access_token
    headers = {"authorization": f"Bearer {token}"}
    url = f"{b.engine.environment['FANVUE_API_URL']}/v1/insights/earnings"
    with httpx.Client(headers=headers, timeout=PATIENCE_SECONDS) as tool:
        for _ in range(SHARED_LIMIT + 1):
            if tool.get(url).status_code == 429:
                return
    raise AssertionError("Fanvue refuses nothing")


def unblock(engine: Engine) -> None:
    engine.database.execute("select ops.unblock_bucket(bucket) from private.api_endpoints")


def test_an_endpoint_that_is_refused_for_good_stops_its_own_stream_alone(
    books: Callable[..., AudienceBooks],
) -> None:
    b = books()
    engine = b.engine
    only(engine, "earnings", "messages")
    engine.fanvue.turn(endpoint_limits={CHATS: 0})
    enqueue(b, "earnings", "messages")
    engine.drain(wait_seconds=0)

    for _ in range(3):
        b.assert_exact("earnings")
        engine.fanvue.add_sales(b.creator, 2)
        before = len(engine.calls(b.creator))
        # Wanted anew each time, as by a webhook or by a person: Fanvue is not asked again.
        enqueue(b, "earnings", "messages")
        engine.drain(wait_seconds=0)
        assert len(engine.calls(b.creator)) - before <= 2

    b.assert_exact("earnings")
    assert statuses(b, CHATS) == [429]
    assert waiting(b, "messages") == ("queued", 0, "throttled")
    assert set(engine.run_states(b.creator)) == {"succeeded"}
    engine.fanvue.turn(endpoint_limits={})
    unblock(engine)
    engine.drain(wait_seconds=0)
    b.assert_exact("messages")


def test_chats_with_a_limit_of_five_are_read_in_turns_while_the_money_is_read_at_once(
    books: Callable[..., AudienceBooks],
) -> None:
    b = books(messages=40, posts=0, subscribers=0, followers=0, fans=12)
    engine = b.engine
    only(engine, "earnings", "messages")
    chats = len(b.truth().chats)
    assert chats > LIMIT
    engine.fanvue.turn(endpoint_limits={MESSAGES: LIMIT}, rate_window_seconds=WINDOW_SECONDS)
    engine.fanvue.freeze()
    clock = DayClock(engine.fanvue, engine.database, datetime.now(UTC))
    with stopped_database(engine.database):
        clock.move_to(clock.instant)
        enqueue(b, "messages")
        for _ in range(-(-chats // LIMIT) + 1):
            engine.fanvue.add_sales(b.creator, 1)
            enqueue(b, "earnings")
            engine.drain(wait_seconds=0)
            b.assert_exact("earnings")
            clock.pass_seconds(STEP_SECONDS)

    assert statuses(b, MESSAGES) == [200] * chats
    assert engine.fanvue.stats()["total"]["throttled"] == 0
    # what was sold meanwhile was written in chats that had been read
    engine.fanvue.turn(endpoint_limits={})
    enqueue(b, "messages")
    engine.drain(wait_seconds=0)
    b.assert_exact("messages")


def test_what_another_tool_used_up_is_learnt_from_one_refusal(
    books: Callable[..., AudienceBooks],
) -> None:
    b = books(messages=10, posts=2, subscribers=0, followers=0, fans=3)
    engine = b.engine
    only(engine, "earnings", "messages", "posts")
    engine.fanvue.turn(rate_limit=SHARED_LIMIT, rate_window_seconds=3600)
    engine.fanvue.freeze()
    clock = DayClock(engine.fanvue, engine.database, datetime.now(UTC))
    with stopped_database(engine.database):
        clock.move_to(clock.instant)
        enqueue(b, "earnings", "messages", "posts")
        engine.drain(wait_seconds=0)
        assert 429 not in statuses(b, "")
        use_up(b)
        engine.fanvue.clear_requests()

        enqueue(b, "earnings")
        engine.drain(wait_seconds=0)
        assert statuses(b, "") == [429]
        enqueue(b, "messages", "posts")
        engine.drain(wait_seconds=0)

    # The others are told the same limit: they wait without a refusal of their own.
    assert statuses(b, "") == [429]
    assert {waiting(b, stream) for stream in ("earnings", "messages", "posts")} == {
        ("queued", 0, "throttled")
    }


def test_a_rate_limit_at_the_token_endpoint_pauses_and_shows(engine: Engine) -> None:
    creator = engine.creator(60)
    engine.fanvue.expire_tokens(creator)
    engine.fanvue.add_fault("status", path="/oauth2/token", status=429)
    b = engine.models[creator]

    for _ in range(10):
        engine.drain(wait_seconds=0)
        engine.pass_time(STEP_SECONDS)
        engine.database.execute("update public.sync_jobs set run_at = private.engine_now()")
    engine.drain(wait_seconds=0)

    job = engine.database.execute(
        "select state, attempt, last_error ->> 'kind' from public.sync_jobs"
        " where model_id = %s and sync_type = 'earnings'",
        (b,),
    ).fetchone()
    assert job == ("queued", 0, "throttled")
    # Each of the blocks lasts a minute; that they follow each other is what people are told.
    state, answer = calling_health(engine)
    assert state == "attention"
    assert answer.startswith("Fanvue refuses /oauth2/token, again and again since")
    engine.fanvue.clear_faults()
    unblock(engine)
    engine.drain(wait_seconds=0)
    engine.assert_exact(creator)
    assert engine.fanvue.stats()["total"]["chain_kills"] == 0
