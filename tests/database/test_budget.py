"""The rate budget: never exceeded in any window, shared exactly, and nearly all of it usable."""

from __future__ import annotations

import json
import uuid
from threading import Barrier
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Rollback

from tests.database.engine import WAIT
from worker.fanvue.paths import endpoint_of
from worker.streams.registry import STREAMS
from worker.streams.stream import ChatStream, ListStream, MoneyStream


if TYPE_CHECKING:
    from tests.database.engine import Engine


WINDOW = 60.0
VALID = 2.0
# Between the grant and the test's look at the clock.
CLOCK_READ = 0.001
LANES = ("live", "normal", "backfill", "low")


class Bucket:
    """One bucket on an engine whose clock stands where the test puts it."""

    def __init__(self, engine: Engine, name: str = "user:x") -> None:
        self.engine = engine
        self.name = name
        self.grants: list[tuple[float, int]] = []

    def now(self) -> float:
        """Return the engine's time."""
        return float(self.engine.value("select extract(epoch from private.engine_now())"))

    def take(
        self,
        want: int,
        lane: str = "live",
        seen: dict[str, int] | None = None,
        endpoint: str = "",
    ) -> Any:
        """Take calls and remember when they were granted, at the latest."""
        row = self.engine.rows(
            "select public.take_calls(%s, %s, %s, %s::jsonb, %s) as reply",
            self.name,
            want,
            lane,
            None if seen is None else json.dumps(seen),
            endpoint,
        )[0]["reply"]
        if row["granted"]:
            self.grants.append((self.now(), row["granted"]))
        return row

    def block(self, seconds: int, endpoint: str, seen: dict[str, int]) -> None:
        """Note a 429 and what its headers said."""
        self.engine.rows(
            "select public.block_bucket(%s, %s, %s, %s::jsonb)",
            self.name,
            seconds,
            endpoint,
            json.dumps(seen),
        )

    def worst_window(self) -> int:
        """Return the most calls in any window, each used at once or as late as it is valid."""
        worst = 0
        for began, _ in self.grants:
            # A permit counts if its earliest or latest use may fall into a window that a
            # late use of an earlier permit opens.
            opened = began + VALID
            inside = [
                calls for at, calls in self.grants if began <= at < opened + WINDOW - CLOCK_READ
            ]
            worst = max(worst, sum(inside))
        return worst


@pytest.fixture
def bucket(engine: Engine) -> Bucket:
    return Bucket(engine)


@pytest.mark.property
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(
            st.floats(0, 40), st.integers(1, 80), st.sampled_from(LANES), st.integers(0, 100)
        ),
        min_size=1,
        max_size=25,
    )
)
def test_no_window_ever_holds_more_calls_than_the_limit(
    engine: Engine, steps: list[tuple[float, int, str, int]]
) -> None:
    bucket = Bucket(engine)

    with engine.owner.transaction():
        for seconds, want, lane, left in steps:
            engine.move_clock(seconds=seconds)
            seen = {"limit": 100, "remaining": left} if left < 20 else None
            bucket.take(want, lane, seen)
        raise Rollback

    assert bucket.worst_window() <= 100


def test_eight_workers_on_a_moving_clock_never_exceed_the_limit(engine: Engine) -> None:
    workers = [engine.another() for _ in range(8)]

    def hammer(worker: Any, start: Barrier) -> int:
        start.wait()
        return sum(
            worker.call("take_calls", "user:x", want, lane)["granted"]
            for want in (3, 7, 1, 11)
            for lane in LANES
        )

    granted: list[int] = []
    for _ in range(8):
        start = Barrier(8)
        granted.append(
            sum(future.result(WAIT) for future in [w.run(hammer, w, start) for w in workers])
        )
        engine.move_clock(seconds=16)

    windows = [sum(granted[place : place + 4]) for place in range(5)]
    assert max(windows) <= 100
    assert granted[0] == 100


def test_a_backfill_alone_uses_nine_tenths_of_the_limit(bucket: Bucket) -> None:
    granted = 0
    for _ in range(4 * 200):
        granted += bucket.take(10, "backfill")["granted"]
        bucket.engine.move_clock(seconds=0.25)

    # Windows begin at 0, 63, 126 and 189 seconds.
    assert 4 * (WINDOW + VALID + 1) > 200 > 3 * (WINDOW + VALID + 1)
    assert granted >= 4 * 0.9 * 100
    assert bucket.worst_window() <= 100


def test_each_lane_leaves_room_for_the_ones_above_it(bucket: Bucket) -> None:
    taken = {lane: bucket.take(1000, lane)["granted"] for lane in reversed(LANES)}

    assert taken == {"low": 80, "backfill": 16, "normal": 2, "live": 2}


def test_an_empty_budget_says_when_to_come_back(bucket: Bucket) -> None:
    bucket.take(100)
    reply = bucket.take(1)
    assert (reply["granted"], reply["limit"]) == (0, 100)
    assert WINDOW < reply["wait_ms"] / 1000 <= WINDOW + VALID + 1

    bucket.engine.move_clock(seconds=reply["wait_ms"] / 1000)

    assert bucket.take(1)["granted"] == 1


def test_what_fanvue_says_is_left_is_the_truth(bucket: Bucket) -> None:
    bucket.take(10)

    assert bucket.take(100, "live", {"limit": 100, "remaining": 5})["granted"] == 5
    assert bucket.take(1)["granted"] == 0


def test_a_remainder_that_lags_behind_our_own_calls_gives_nothing_back(bucket: Bucket) -> None:
    bucket.take(90)

    assert bucket.take(100, "live", {"limit": 100, "remaining": 95})["granted"] == 10


def test_a_larger_limit_is_learnt_and_a_smaller_one_obeyed_at_once(bucket: Bucket) -> None:
    assert bucket.take(150, "live", {"limit": 200, "remaining": 200})["granted"] == 150

    reply = bucket.take(10, "live", {"limit": 100, "remaining": 40})

    assert (reply["granted"], reply["limit"]) == (0, 100)


def test_a_429_stops_every_lane_until_it_is_over(bucket: Bucket) -> None:
    bucket.engine.call("block_bucket", bucket.name, 30)
    reply = bucket.take(1)
    assert reply["granted"] == 0
    # The clock of these tests is a sequence: it stands while a machine is busy.
    assert 29_000 < reply["wait_ms"] <= 30_000

    bucket.engine.call("block_bucket", bucket.name, 5)
    bucket.engine.move_clock(seconds=10)
    assert bucket.take(1)["granted"] == 0

    bucket.engine.move_clock(seconds=21)
    assert bucket.take(1)["granted"] == 1


def test_a_429_never_stops_a_bucket_for_more_than_an_hour(bucket: Bucket) -> None:
    bucket.engine.call("block_bucket", bucket.name, 1_000_000)
    bucket.engine.move_clock(hours=1)

    assert bucket.take(1)["granted"] == 1


def test_a_clock_that_steps_back_does_not_refill_the_budget(bucket: Bucket) -> None:
    bucket.take(100)

    bucket.engine.move_clock(seconds=-30)

    assert bucket.take(1)["granted"] == 0


@pytest.mark.parametrize(("name", "want"), [("", 1), ("user:x", -1), ("user:x", 1001)])
def test_a_nonsensical_wish_is_refused(engine: Engine, name: str, want: int) -> None:
    with pytest.raises(Exception, match="take_calls wants"):
        engine.call("take_calls", name, want)


def told(limit: int, remaining: int) -> dict[str, int]:
    return {"limit": limit, "remaining": remaining}


def test_an_endpoint_with_a_smaller_limit_has_a_count_of_its_own(bucket: Bucket) -> None:
    bucket.take(5, seen=told(5, 5), endpoint="/chats")
    bucket.take(1, seen=told(100, 95), endpoint="/insights/earnings")

    assert bucket.take(1, endpoint="/chats")["granted"] == 0
    # six of the hundred are gone: what the small limit let through counts in the large one too
    assert bucket.take(100, endpoint="/insights/earnings")["granted"] == 94
    assert bucket.take(1, endpoint="/insights/earnings")["granted"] == 0


def test_endpoints_that_are_told_one_limit_share_one_count(bucket: Bucket) -> None:
    for endpoint in ("/chats", "/posts"):
        bucket.take(1, seen=told(40, 40), endpoint=endpoint)

    assert bucket.take(100, endpoint="/chats")["granted"] == 38
    assert bucket.take(1, endpoint="/posts")["granted"] == 0


def test_a_limit_that_grows_is_moved_to_by_each_endpoint_and_forgotten(bucket: Bucket) -> None:
    for limit in (100, 200):
        for endpoint in ("/chats", "/posts"):
            bucket.take(10, seen=told(limit, limit), endpoint=endpoint)

    rows = bucket.engine.rows("select max_calls from private.api_budgets")

    assert [row["max_calls"] for row in rows] == [200]
    assert bucket.take(1000, endpoint="/chats")["granted"] == 160


def test_an_endpoint_that_nothing_is_known_of_is_not_held_to_the_small_limit_of_another(
    bucket: Bucket,
) -> None:
    bucket.take(5, seen=told(5, 0), endpoint="/chats")

    first = bucket.take(1, endpoint="/insights/earnings")["granted"]
    second = bucket.take(1, endpoint="/insights/earnings")["granted"]
    learnt = bucket.take(10, seen=told(100, 99), endpoint="/insights/earnings")["granted"]

    assert (first, second, learnt) == (1, 0, 10)


def test_a_limit_of_a_hundred_or_more_is_never_tried_beyond(bucket: Bucket) -> None:
    bucket.take(100, seen=told(100, 99), endpoint="/chats")

    assert bucket.take(1, endpoint="/insights/earnings")["granted"] == 0


@pytest.mark.parametrize("lane", LANES)
def test_the_smallest_limits_leave_every_lane_a_call(bucket: Bucket, lane: str) -> None:
    assert bucket.take(10, lane, told(1, 1), endpoint="/chats")["granted"] == 1


def test_a_429_stops_its_endpoint_alone(bucket: Bucket) -> None:
    bucket.engine.call("block_bucket", bucket.name, 30, "/chats")

    refused = bucket.take(1, endpoint="/chats")

    assert refused["granted"] == 0
    assert 29_000 <= refused["wait_ms"] <= 30_001
    assert bucket.take(1, endpoint="/insights/earnings")["granted"] == 1
    bucket.engine.move_clock(seconds=31)
    assert bucket.take(1, endpoint="/chats")["granted"] == 1


def test_what_a_429_says_holds_at_once_for_all_that_share_its_count(bucket: Bucket) -> None:
    """Another tool used the same grant up: the siblings need no refusals of their own."""
    for endpoint in ("/insights/earnings", "/chats"):
        bucket.take(1, seen=told(100, 99), endpoint=endpoint)

    bucket.block(30, "/insights/earnings", {**told(100, 0), "reset_in_s": 30})

    assert bucket.take(1, endpoint="/chats")["granted"] == 0
    bucket.engine.move_clock(seconds=WINDOW + VALID + 1)
    assert bucket.take(1, endpoint="/chats")["granted"] == 1


def test_what_a_429_says_of_a_smaller_limit_stops_its_endpoint_alone(bucket: Bucket) -> None:
    for endpoint, limit in (("/insights/earnings", 100), ("/chats", 5)):
        bucket.take(1, seen=told(limit, limit - 1), endpoint=endpoint)

    bucket.block(30, "/chats", told(5, 0))

    assert bucket.take(1, endpoint="/chats")["granted"] == 0
    assert bucket.take(50, endpoint="/insights/earnings")["granted"] == 50


def test_a_limit_is_learnt_from_a_429_too_and_takes_no_calls(bucket: Bucket) -> None:
    bucket.take(1, seen=told(100, 100), endpoint="/insights/earnings")

    bucket.block(30, "/chats", told(5, 0))

    bucket.engine.move_clock(seconds=31)
    assert bucket.take(1, endpoint="/chats") | {"wait_ms": 0} == {
        "granted": 0,
        "wait_ms": 0,
        "limit": 5,
        "valid_ms": 2000,
    }
    assert bucket.take(100, endpoint="/insights/earnings")["granted"] == 99


def test_an_endpoint_that_was_refused_before_its_first_call_is_counted_later(
    bucket: Bucket,
) -> None:
    bucket.engine.call("block_bucket", bucket.name, 30, "/chats")
    bucket.engine.move_clock(seconds=31)

    assert bucket.take(1, endpoint="/chats")["granted"] == 1


def test_a_lane_that_nobody_named_is_refused(bucket: Bucket) -> None:
    with pytest.raises(psycopg.Error, match="no lane"):
        bucket.take(1, "express")


def test_streams_are_held_back_by_the_endpoints_that_they_begin_with(engine: Engine) -> None:
    for stream in STREAMS.values():
        paths: list[str]
        match stream:
            case MoneyStream():
                paths = [stream.rows]
            case ChatStream():
                lists = [] if stream.chats is None else [stream.chats.paths[0]]
                paths = [*lists, stream.path(str(uuid.uuid4()))]
            case ListStream():
                paths = [stream.paths[0]]
        for path in paths:
            stopped = engine.value("select private.streams_without(%s)", endpoint_of(path))
            assert stream.sync_type in stopped
    everything = engine.value("select private.streams_without('')")
    assert set(STREAMS) < set(everything)
    assert engine.value("select private.streams_without('/insights/earnings/summary')") == []
