"""Figures through the cache: what SQL says at some moment of the reading, for much less work.

The function runs in Deno, the database decides over REST, Redis answers as Upstash does. Most tests
ask processes of the function for whom no time limit is near; what its limits do is for its own
tests, with a clock of theirs.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import jwt
import psycopg
import pytest
from upstash_redis import Redis

from tests.support.engine import forget
from tests.support.flaky_rest import FlakyRest, flaky
from tests.support.stats_stage import (
    Reader,
    Reading,
    StatsStage,
    difference,
    isolates,
    value_key,
)
from tests.support.waiting import wait_until


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.stack import Stack


pytestmark = pytest.mark.system

READS, CLIENTS, COMMITS, READS_PER_COMMIT = 400, 16, 6, 60
MOST_COMPUTATIONS = 10
# So many creators that their figures are longer than a megabyte.
HUGE = 4_500
FILL = {"get": 1, "set": 2, "zadd": 1, "zremrangebyscore": 1, "expire": 1, "del": 1}
REFILL = {"get": 1, "set": 2, "del": 1}


@pytest.fixture(scope="module")
def rest(stack: dict[str, str]) -> Iterator[FlakyRest]:
    """Return the proxy through which the function reaches the database."""
    with flaky(stack["SUPABASE_URL"]) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def addresses(stack: dict[str, str], rest: FlakyRest) -> Iterator[list[str]]:
    """Return where three processes of the function listen."""
    with isolates({**stack, "SUPABASE_URL": rest.url}, 3) as found:
        yield found


@pytest.fixture
def stage(
    stack: dict[str, str], silent_cron: None, rest: FlakyRest, addresses: list[str]
) -> Iterator[StatsStage]:
    """Return empty books and an empty cache."""
    redis = Redis(stack["UPSTASH_REDIS_REST_URL"], stack["UPSTASH_REDIS_REST_TOKEN"])
    redis.flushdb()
    with psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True) as database:
        forget(database)
        rest.calls.clear()
        stage = StatsStage(stack, database, redis, rest, addresses)
        yield stage
        stage.close()
        forget(database)
    redis.close()  # type: ignore[no-untyped-call]  # of the client library


def at_once(asks: list[Callable[[], Reading]]) -> list[Reading]:
    """Ask all at the same moment."""
    barrier = threading.Barrier(len(asks))

    def wait_and_ask(ask: Callable[[], Reading]) -> Reading:
        barrier.wait()
        return ask()

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(wait_and_ask, asks))


@dataclass(slots=True)
class Rush:
    """Readers at work while sales are committed in between; remembers when everything was."""

    stage: StatsStage
    agency_id: str
    commits: list[tuple[float, float]] = field(default_factory=list)
    readings: list[tuple[float, float, Reading]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, READS + 1)))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, reader: Reader) -> None:
        """Read as long as there are readings left; now and then commit a sale."""
        while (number := self._next()) is not None:
            if number % READS_PER_COMMIT == 0 and number <= COMMITS * READS_PER_COMMIT:
                self._commit()
            began = time.monotonic()
            reading = reader.ask(self.agency_id)
            self.readings.append((began, time.monotonic(), reading))

    def _next(self) -> int | None:
        with self._lock:
            return next(self._numbers, None)

    def _commit(self) -> None:
        with self._lock:
            began = time.monotonic()
            self.stage.sell(self.agency_id)
            self.commits.append((began, time.monotonic()))

    def totals_between(self, began: float, ended: float) -> set[Decimal]:
        """Return the totals that were current at some moment of a reading."""
        # A commit under way may count or not; total n holds from commit n to commit n + 1.
        begins = [0.0, *(begin for begin, _ in self.commits)]
        ends = [*(end for _, end in self.commits), float("inf")]
        return {
            Decimal(100 + number)
            for number, (begin, end) in enumerate(zip(begins, ends, strict=True))
            if begin <= ended and end >= began
        }


def test_hundreds_of_readings_cost_ten_computations_and_none_is_stale(stage: StatsStage) -> None:
    agency_id = stage.new_agency("Atlas")
    readers = [stage.new_reader(agency_id) for _ in range(CLIENTS)]
    rush = Rush(stage, agency_id)
    before = stage.commands()

    with stage.keeping(agency_id) as kept, ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(rush.read, readers))

    assert (len(rush.readings), len(rush.commits)) == (READS, COMMITS)
    for began, ended, reading in rush.readings:
        assert reading.status == 200
        assert Decimal(reading.gross) in rush.totals_between(began, ended)
    words = [reading.cache for _, _, reading in rush.readings]
    commands = difference(stage.commands(), before)
    print(f"{words.count('hit')} hits, {stage.computations} computed; Redis: {commands}")  # noqa: T201 - figures for whoever runs this with -s
    # Every computation is a miss that was kept; every other miss waited for one of them. The range
    # is noted where nothing was kept yet: the others replace what is there.
    assert set(words) == {"hit", "miss"}
    assert 1 <= commands["zadd"] <= stage.computations
    assert len(kept) == stage.computations <= words.count("miss")
    assert stage.computations <= MOST_COMPUTATIONS
    assert stage.rest.calls.count("stats_head") >= READS
    assert readers[0].ask(agency_id).figures == stage.sql(agency_id)


def test_a_cold_key_that_fifty_ask_for_is_computed_once(stage: StatsStage) -> None:
    agency_id = stage.new_agency("Atlas")
    readers = [stage.new_reader(agency_id) for _ in range(50)]

    readings = at_once([partial(reader.ask, agency_id) for reader in readers])

    assert stage.computations <= 2
    expected = stage.sql(agency_id)
    assert all(reading.figures == expected for reading in readings)


def test_several_processes_leave_a_cold_key_to_one_of_them(stage: StatsStage) -> None:
    agency_id = stage.new_agency("Atlas")
    turn = itertools.cycle(stage.addresses)
    readers = [stage.new_reader(agency_id, next(turn)) for _ in range(30)]
    lock = value_key(agency_id).replace(":v1:", ":v1:fill:")
    # The lock runs out in Redis's own time, however slow its owner is.
    stage.rest.at("dashboard_stats", 1, partial(stage.redis.persist, lock))

    readings = at_once([partial(reader.ask, agency_id) for reader in readers])

    assert stage.computations <= 2
    assert {reading.gross for reading in readings} == {"100.00"}
    assert {reading.cache for reading in readings} <= {"miss", "hit"}


def test_what_each_reading_costs_is_counted(stage: StatsStage) -> None:
    agency_id = stage.new_agency("Atlas")
    reader = stage.new_reader(agency_id)
    counts = [stage.commands()]
    words = []
    for change in (False, False, True, False):
        if change:
            stage.sell(agency_id)
        words.append(reader.ask(agency_id).cache)
        counts.append(stage.commands())
    stamp = stage.kept(agency_id)["stamp"]
    counts[-1] = stage.commands()
    known = reader.ask(agency_id, known=stamp)
    counts.append(stage.commands())

    miss, hit, changed, again, unchanged = (
        difference(after, before) for before, after in itertools.pairwise(counts)
    )
    print(f"Redis: a hit {hit}, a miss {miss}, after a change {changed}")  # noqa: T201 - figures for whoever runs this with -s
    assert [*words, known.cache] == ["miss", "hit", "miss", "hit", "unchanged"]
    assert (miss, changed) == (FILL, REFILL)
    assert hit == {"get": 1}
    # and the one by which this test looked
    assert again == {"get": 2}
    assert unchanged == {}
    assert set(known.stats) == {"unchanged", "stamp", "as_of", "freshness"}


def test_a_value_lives_ten_to_fifteen_minutes_and_its_range_is_noted(stage: StatsStage) -> None:
    agency_id = stage.new_agency("Atlas")
    ranges = f"fanvue:stats:v1:ranges:{agency_id}"
    began = time.time()

    stage.new_reader(agency_id).ask(agency_id)

    kept_for, noted_for = stage.redis.ttl(value_key(agency_id)), stage.redis.ttl(ranges)
    # Some of it may have passed since.
    passed = time.time() - began + 1
    assert 600 - passed <= kept_for <= 900
    assert 86_400 - passed <= noted_for <= 86_400
    assert stage.kept(agency_id)["stats"] == stage.sql(agency_id)
    assert stage.redis.zrange(ranges, 0, -1) == ["2026-11-01:2026-11-30"]
    assert stage.redis.keys("fanvue:stats:v1:fill:*") == []


def test_ranges_are_forgotten_when_no_value_of_theirs_can_be_left(stage: StatsStage) -> None:
    agency_id = stage.new_agency("Atlas")
    ranges = f"fanvue:stats:v1:ranges:{agency_id}"
    reader = stage.new_reader(agency_id)
    reader.ask(agency_id)
    now = stage.redis.zscore(ranges, "2026-11-01:2026-11-30")
    assert now is not None
    stage.redis.zadd(
        ranges, {"2026-09-01:2026-09-30": now - 960, "2026-10-01:2026-10-31": now - 60}
    )

    reader.ask(agency_id, ("2026-11-01", "2026-11-29"))

    assert set(stage.redis.zrange(ranges, 0, -1)) == {
        "2026-10-01:2026-10-31",
        "2026-11-01:2026-11-29",
        "2026-11-01:2026-11-30",
    }


def test_a_huge_agency_is_answered_though_nothing_of_it_can_be_kept(stage: StatsStage) -> None:
    agency_id = stage.new_agency("Atlas")
    stage.add_creators(agency_id, HUGE)
    readers = [stage.new_reader(agency_id, address) for address in stage.addresses]
    asks: list[Callable[[], Reading]] = [partial(one.ask, agency_id) for one in readers]

    first = at_once(asks)
    before = stage.commands()
    second = at_once(asks)

    expected = stage.sql(agency_id)
    assert len(json.dumps(expected, separators=(",", ":"))) > 1024 * 1024
    assert [(reading.status, reading.cache) for reading in first + second] == [(200, "miss")] * 6
    assert all(reading.figures == expected for reading in first + second)
    # Nobody locks nor waits once it is known.
    assert difference(stage.commands(), before) == {"get": 3}
    assert stage.redis.keys(f"fanvue:stats:v1*{agency_id}*") == []


def test_without_redis_answers_stay_the_same_and_the_cache_comes_back_by_itself(
    stage: StatsStage, local_stack: Stack
) -> None:
    agency_id = stage.new_agency("Atlas")
    reader = stage.new_reader(agency_id, stage.public_address)
    reader.ask(agency_id)

    local_stack.stop_redis()
    try:
        stage.sell(agency_id)
        readings = [reader.ask(agency_id) for _ in range(3)]
        expected = stage.sql(agency_id)
    finally:
        local_stack.start_redis()

    assert [reading.cache for reading in readings] == ["bypass"] * 3
    assert all(reading.figures == expected for reading in readings)
    wait_until(lambda: reader.ask(agency_id).cache == "hit")
    assert reader.ask(agency_id).figures == expected


def poisons(own: dict[str, Any], other: dict[str, Any]) -> dict[str, str]:
    """Return what may stand under our key that is no answer to our question."""
    stamp = own["stamp"]
    forged = {"stamp": stamp, "stats": {**other["stats"], "stamp": stamp}}
    return {
        "no JSON": "{",
        "another shape": json.dumps([own]),
        "figures alone": json.dumps(own["stats"]),
        "another stamp": json.dumps({**own, "stamp": "0" * 32}),
        "another tenant's object": json.dumps(other),
        "another tenant's object under our stamp": json.dumps(forged),
    }


def test_a_poisoned_value_reaches_no_reader(stage: StatsStage) -> None:
    ours, theirs = stage.new_agency("Atlas"), stage.new_agency("Borea")
    stage.sell(theirs, "5000.00")
    reader = stage.new_reader(ours)
    reader.ask(ours)
    stage.new_reader(theirs).ask(theirs)
    expected = stage.sql(ours)

    for name, poison in poisons(stage.kept(ours), stage.kept(theirs)).items():
        stage.redis.set(value_key(ours), poison)
        reading = reader.ask(ours)

        assert (reading.cache, reading.figures) == ("miss", expected), name
        assert reader.ask(ours).cache == "hit", name


def test_a_key_of_another_kind_is_replaced(stage: StatsStage) -> None:
    agency_id = stage.new_agency("Atlas")
    reader = stage.new_reader(agency_id)
    stage.redis.rpush(value_key(agency_id), "a list")

    readings = [reader.ask(agency_id) for _ in range(2)]

    assert [reading.cache for reading in readings] == ["miss", "hit"]


def test_agencies_are_closed_to_each_other_kept_or_not(stage: StatsStage) -> None:
    ours, theirs = stage.new_agency("Atlas"), stage.new_agency("Borea")
    stranger = stage.new_reader(theirs)

    cold = stranger.ask(ours)
    stage.new_reader(ours).ask(ours)
    warm = stranger.ask(ours)

    assert (cold.status, cold.cache) == (403, None)
    assert warm == cold
    nowhere = stranger.ask("a9e00000-0000-4000-8000-00000000dead")
    assert nowhere == cold


def test_a_removed_member_is_out_at_his_next_reading(stage: StatsStage) -> None:
    agency_id = stage.new_agency("Atlas")
    reader, colleague = stage.new_reader(agency_id), stage.new_reader(agency_id)
    assert [reader.ask(agency_id).status, colleague.ask(agency_id).status] == [200, 200]

    stage.database.execute("delete from public.agency_members")

    assert reader.ask(agency_id).status == 403


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_a_member_reads_whichever_key_signed_the_token(
    stage: StatsStage, local_stack: Stack, algorithm: str
) -> None:
    agency_id = stage.new_agency("Atlas")
    reader = stage.new_reader(agency_id, stage.public_address, algorithm=algorithm)

    assert reader.ask(agency_id).status == 200


def test_a_caller_without_a_good_token_is_refused_by_the_function_itself(
    stage: StatsStage,
) -> None:
    agency_id = stage.new_agency("Atlas")
    reader = stage.new_reader(agency_id, stage.public_address)
    good = reader.token
    head, body, signature = good.split(".")
    ended = stage.new_reader(agency_id, exp=int(time.time()) - 60).token
    foreign = jwt.encode(jwt.decode(good, options={"verify_signature": False}), "x" * 40)

    assert reader.ask(agency_id).status == 200
    for token in (
        "",
        "malformed",
        "mal.for.med",
        f"{head}.{body}.",
        f"{head}.{body[::-1]}.{signature}",
        ended,
        foreign,
        stage.environment["SUPABASE_PUBLISHABLE_KEY"],
    ):
        reader.token = token
        reading = reader.ask(agency_id)

        assert (reading.status, reading.cache) == (401, None), token
        assert sorted(reading.stats) == ["error", "hint"], token


def test_a_database_that_is_away_is_said_so(stage: StatsStage) -> None:
    agency_id = stage.new_agency("Atlas")
    reader = stage.new_reader(agency_id)
    reader.ask(agency_id)
    stage.rest.refuse("stats_head")

    assert reader.ask(agency_id).status == 503
    assert reader.ask(agency_id).cache == "hit"


def test_bad_questions_reach_nobody(stage: StatsStage) -> None:
    agency_id = stage.new_agency("Atlas")
    reader = stage.new_reader(agency_id)

    for days in [("2026-11-30", "2026-11-01"), ("2020-01-01", "2026-01-01"), ("", "2026-01-01")]:
        reading = reader.ask(agency_id, days)
        assert reading.status == 400
        assert set(reading.stats) == {"error", "hint"}
    assert stage.rest.calls == []
