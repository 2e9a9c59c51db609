"""Blocks from the database are spent once, in time, by the right lane, and never guessed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import NOON, ManualClock
from worker.errors import DatabaseUnavailable, Throttled
from worker.limits.shared import SeenRate, SharedBudget, TakenCalls
from worker.traffic import Lane, RateSeen


A, B = "app:creator-a", "app:creator-b"


def grant(count: int, seconds: float = 10) -> TakenCalls:
    return TakenCalls(count, timedelta(0), 100, timedelta(seconds=seconds))


def nothing(seconds: float) -> TakenCalls:
    return TakenCalls(0, timedelta(seconds=seconds), 100, timedelta(0))


@dataclass
class Source:
    """The database's side: plays answers, or grants what is asked."""

    answers: list[TakenCalls | Exception] = field(default_factory=list)
    takes: list[tuple[str, int, Lane, SeenRate | None]] = field(default_factory=list)
    endpoints: list[str] = field(default_factory=list)
    blocks: list[tuple[str, float]] = field(default_factory=list)
    told: list[SeenRate | None] = field(default_factory=list)
    failing_block: bool = False
    gate: asyncio.Event | None = None
    valid_for: float = 10

    async def take_calls(
        self, bucket: str, endpoint: str, want: int, lane: Lane, seen: SeenRate | None
    ) -> TakenCalls:
        self.takes.append((bucket, want, lane, seen))
        self.endpoints.append(endpoint)
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else grant(want, self.valid_for)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def block_bucket(
        self, bucket: str, endpoint: str, seconds: float, seen: SeenRate | None
    ) -> None:
        if self.failing_block:
            raise DatabaseUnavailable("no answer")
        self.blocks.append((bucket + endpoint, seconds))
        self.told.append(seen)


def budget(*answers: TakenCalls | Exception) -> tuple[SharedBudget, Source, ManualClock]:
    source, clock = Source(list(answers)), ManualClock()
    return SharedBudget(source, clock), source, clock


async def test_a_block_serves_several_calls_with_one_question() -> None:
    limits, source, _ = budget(grant(3))

    for _ in range(3):
        await limits.acquire(A, Lane.LIVE)
    assert len(source.takes) == 1
    await limits.acquire(A, Lane.LIVE)

    assert len(source.takes) == 2


async def test_buckets_do_not_share() -> None:
    limits, source, _ = budget()

    await limits.acquire(A, Lane.LIVE)
    await limits.acquire(B, Lane.LIVE)

    assert [take[0] for take in source.takes] == [A, B]


async def test_no_more_is_asked_than_the_caller_expects_to_use() -> None:
    limits, source, _ = budget()

    for _ in range(10):
        await limits.acquire(A, Lane.BACKFILL, hint=3)

    assert [take[1] for take in source.takes] == [1, 2, 3, 3, 3]


@pytest.mark.parametrize("lane", list(Lane))
async def test_a_walk_takes_one_call_more_with_each_block_that_it_used_in_time(lane: Lane) -> None:
    limits, source, _ = budget()

    for _ in range(75):
        await limits.acquire(A, lane, hint=500)

    assert [take[1] for take in source.takes] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]


async def test_after_a_long_pause_one_is_taken_at_first() -> None:
    limits, source, clock = budget()

    for pause in (0, 30, 3600):
        clock.jump(timedelta(seconds=pause))
        for _ in range(6):
            await limits.acquire(A, Lane.BACKFILL, hint=500)

    # Lapsed a moment ago, the last block still tells how many were used in its time.
    assert [take[1] for take in source.takes] == [1, 2, 3, 3, 4, 1, 2, 3]


async def test_what_the_headers_deny_is_not_used() -> None:
    limits, source, _ = budget(grant(1), grant(10))
    for _ in range(2):
        await limits.acquire(A, Lane.BACKFILL, hint=500)

    limits.observe(A, RateSeen(100, 2, None))
    for _ in range(3):
        await limits.acquire(A, Lane.BACKFILL, hint=500)

    assert [take[1] for take in source.takes] == [1, 2, 4]


async def test_polls_take_the_call_that_they_make() -> None:
    limits, source, clock = budget()

    for pause in (0, 0, 900):
        await limits.acquire(A, Lane.LIVE)
        clock.jump(timedelta(seconds=pause))
        await limits.acquire(A, Lane.LIVE, hint=1)

    assert [take[1] for take in source.takes] == [1] * 6


async def test_of_what_a_slow_walk_takes_hardly_a_call_lapses() -> None:
    source, clock = Source(valid_for=2), ManualClock()
    limits = SharedBudget(source, clock)

    for _ in range(60):
        await limits.acquire(A, Lane.BACKFILL, hint=10)
        clock.jump(timedelta(milliseconds=300))

    # Blocks of ten, of which seven can be used, would have been 90 calls.
    assert sum(take[1] for take in source.takes) <= 66


async def test_permits_lapse() -> None:
    limits, source, clock = budget(grant(5, seconds=10))
    await limits.acquire(A, Lane.LIVE)

    clock.jump(timedelta(seconds=10))
    await limits.acquire(A, Lane.LIVE)

    assert len(source.takes) == 2


async def test_validity_counts_from_before_the_question() -> None:
    limits, source, clock = budget(grant(5, seconds=10))
    source.gate = asyncio.Event()
    waiting = asyncio.create_task(limits.acquire(A, Lane.LIVE))
    await clock.settle()

    clock.jump(timedelta(seconds=4))
    source.gate.set()
    await waiting
    clock.jump(timedelta(seconds=6))
    await limits.acquire(A, Lane.LIVE)

    assert len(source.takes) == 2


async def test_an_answer_that_comes_too_late_is_asked_for_again_and_is_no_spent_budget() -> None:
    limits, source, clock = budget(grant(1, seconds=2), grant(1, seconds=2))
    source.gate = asyncio.Event()
    waiting = asyncio.create_task(limits.acquire(A, Lane.LIVE))
    await clock.settle()

    clock.jump(timedelta(seconds=3))
    source.gate.set()
    await clock.advance(timedelta(seconds=1))

    await waiting
    assert len(source.takes) == 2


async def test_many_callers_ask_once() -> None:
    limits, source, _ = budget(grant(20))

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(limits.acquire(A, Lane.NORMAL))

    assert len(source.takes) == 1


async def test_urgent_work_may_use_a_backfills_block_but_not_the_other_way_round() -> None:
    limits, source, _ = budget(grant(5), grant(5))

    await limits.acquire(A, Lane.BACKFILL)
    await limits.acquire(A, Lane.LIVE)
    assert len(source.takes) == 1
    await limits.acquire(B, Lane.LIVE)
    await limits.acquire(B, Lane.BACKFILL)

    assert [take[2] for take in source.takes] == [Lane.BACKFILL, Lane.LIVE, Lane.BACKFILL]


async def test_a_short_wait_is_slept_through() -> None:
    limits, source, clock = budget(nothing(1.5), grant(1))
    waiting = asyncio.create_task(limits.acquire(A, Lane.NORMAL))

    await clock.advance(timedelta(seconds=1))
    assert not waiting.done()
    await clock.advance(timedelta(seconds=1))

    assert waiting.done()
    assert len(source.takes) == 2


async def test_a_long_wait_is_the_callers_to_snooze() -> None:
    limits, _, _ = budget(nothing(30))

    with pytest.raises(Throttled) as caught:
        await limits.acquire(A, Lane.NORMAL)

    assert caught.value.until == NOON + timedelta(seconds=30)


async def test_an_empty_answer_is_remembered_for_lanes_that_would_get_no_more() -> None:
    limits, source, _ = budget(nothing(30))
    for lane in (Lane.NORMAL, Lane.NORMAL, Lane.BACKFILL):
        with pytest.raises(Throttled):
            await limits.acquire(A, lane)
    assert len(source.takes) == 1

    await limits.acquire(A, Lane.LIVE)

    assert len(source.takes) == 2


async def test_patience_is_spent_once_however_often_the_answer_is_empty() -> None:
    limits, _, clock = budget(*(nothing(0.9) for _ in range(9)))
    waiting = asyncio.create_task(limits.acquire(A, Lane.NORMAL))

    for _ in range(4):
        await clock.advance(timedelta(seconds=1))

    assert waiting.done()
    assert isinstance(waiting.exception(), Throttled)


async def test_urgent_work_does_not_queue_behind_a_sleeping_backfill() -> None:
    limits, _, clock = budget(nothing(1.5), grant(1))
    backfill = asyncio.create_task(limits.acquire(A, Lane.BACKFILL))
    await clock.settle()

    await limits.acquire(A, Lane.LIVE)

    assert not backfill.done()
    await clock.advance(timedelta(seconds=2))
    await backfill


async def test_headers_travel_with_the_next_question_once_relative_to_now() -> None:
    limits, source, clock = budget()
    limits.observe(A, RateSeen(200, 150, NOON + timedelta(seconds=40)))
    clock.jump(timedelta(seconds=10))

    await limits.acquire(A, Lane.LIVE, hint=1)
    await limits.acquire(A, Lane.LIVE, hint=1)

    assert [take[3] for take in source.takes] == [
        SeenRate(200, 150, timedelta(seconds=30)),
        None,
    ]


async def test_headers_are_kept_when_the_question_failed() -> None:
    limits, source, _ = budget(DatabaseUnavailable("no answer"))
    limits.observe(A, RateSeen(200, 150, None))

    with pytest.raises(DatabaseUnavailable):
        await limits.acquire(A, Lane.LIVE)
    await limits.acquire(A, Lane.LIVE)

    assert source.takes[1][3] == SeenRate(200, 150, None)


async def test_permits_that_the_headers_deny_are_given_up() -> None:
    limits, source, _ = budget(grant(4))
    await limits.acquire(A, Lane.LIVE)

    limits.observe(A, RateSeen(100, 1, None))
    await limits.acquire(A, Lane.LIVE)
    assert len(source.takes) == 1
    await limits.acquire(A, Lane.LIVE)

    assert len(source.takes) == 2


async def test_nothing_remaining_closes_the_bucket_until_its_reset() -> None:
    limits, source, clock = budget(grant(4))
    await limits.acquire(A, Lane.LIVE)

    limits.observe(A, RateSeen(100, 0, NOON + timedelta(seconds=20)))
    with pytest.raises(Throttled) as caught:
        await limits.acquire(A, Lane.LIVE)
    clock.jump(timedelta(seconds=20))
    await limits.acquire(A, Lane.LIVE)

    assert caught.value.until == NOON + timedelta(seconds=20)
    assert len(source.takes) == 2


async def test_a_429_closes_the_bucket_here_and_for_all() -> None:
    limits, source, _ = budget(grant(4))
    await limits.acquire(A, Lane.LIVE)

    await limits.penalize(A, NOON + timedelta(seconds=23))

    assert source.blocks == [(A, 23.0)]
    with pytest.raises(Throttled) as caught:
        await limits.acquire(A, Lane.LIVE)
    assert caught.value.until == NOON + timedelta(seconds=23)


async def test_what_a_429_said_goes_along_with_its_block_once() -> None:
    limits, source, clock = budget()
    limits.observe(A, RateSeen(100, 0, NOON + timedelta(seconds=20)))

    await limits.penalize(A, NOON + timedelta(seconds=20))
    clock.jump(timedelta(seconds=20))
    await limits.acquire(A, Lane.LIVE)

    assert source.told == [SeenRate(100, 0, timedelta(seconds=20))]
    assert [take[3] for take in source.takes] == [None]


async def test_a_429_during_the_question_wins_over_its_answer() -> None:
    limits, source, clock = budget(grant(4))
    source.gate = asyncio.Event()
    waiting = asyncio.create_task(limits.acquire(A, Lane.LIVE))
    await clock.settle()

    await limits.penalize(A, NOON + timedelta(seconds=23))
    source.gate.set()

    with pytest.raises(Throttled):
        await waiting


async def test_without_the_database_nothing_is_granted() -> None:
    limits, _, _ = budget(DatabaseUnavailable("no answer"))

    with pytest.raises(DatabaseUnavailable):
        await limits.acquire(A, Lane.LIVE)


async def test_a_429_closes_this_worker_even_when_the_database_is_away() -> None:
    limits, source, clock = budget()
    source.failing_block = True
    limits.observe(A, RateSeen(100, 0, None))

    await limits.penalize(A, NOON + timedelta(seconds=23))

    with pytest.raises(Throttled):
        await limits.acquire(A, Lane.LIVE)
    # what it said is not lost: it is told with the next take
    clock.jump(timedelta(seconds=23))
    await limits.acquire(A, Lane.LIVE)
    assert [take[3] for take in source.takes] == [SeenRate(100, 0, None)]


async def test_a_cancelled_caller_leaves_the_bucket_usable() -> None:
    limits, source, clock = budget()
    source.gate = asyncio.Event()
    waiting = asyncio.create_task(limits.acquire(A, Lane.LIVE))
    await clock.settle()

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    source.gate.set()

    await limits.acquire(A, Lane.LIVE)


async def test_idle_buckets_are_forgotten_and_closed_ones_are_not() -> None:
    limits, _, _ = budget()
    await limits.penalize(A, NOON + timedelta(seconds=50))

    for number in range(9000):
        await limits.acquire(f"bucket-{number}", Lane.LIVE)

    assert len(limits._endpoints) <= 8193
    with pytest.raises(Throttled):
        await limits.acquire(A, Lane.LIVE)


@pytest.mark.property
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(list(Lane)), st.integers(0, 4), st.integers(0, 7)), max_size=30
    )
)
def test_never_more_is_spent_than_was_granted_and_still_valid(
    steps: list[tuple[Lane, int, int]],
) -> None:
    async def play() -> None:
        source, clock = Source([grant(count, seconds=5) for _, count, _ in steps]), ManualClock()
        limits = SharedBudget(source, clock, max_wait=timedelta(0))
        valid: list[tuple[int, float]] = []
        for lane, _, seconds in steps:
            asked, answers = len(source.takes), list(source.answers)
            try:
                await limits.acquire(A, lane)
            except Throttled:
                spent = 0
            else:
                spent = 1
            for answer in answers[: len(source.takes) - asked]:
                assert isinstance(answer, TakenCalls)
                valid.append((answer.granted, clock.monotonic() + 5))
            valid = [(count, until) for count, until in valid if clock.monotonic() < until]
            assert spent <= sum(count for count, _ in valid)
            if spent:
                oldest = next(i for i, (count, _) in enumerate(valid) if count)
                valid[oldest] = (valid[oldest][0] - 1, valid[oldest][1])
            clock.jump(timedelta(seconds=seconds))

    asyncio.run(play())


async def test_a_call_that_is_ordered_is_spent_without_asking_again() -> None:
    source, clock = Source(), ManualClock()
    budget = SharedBudget(source, clock)
    budget.observe(A, RateSeen(200, 150, clock.now() + timedelta(seconds=30)), endpoint="/x")

    order = budget.order(A, Lane.LIVE, endpoint="/x")
    assert order is not None
    budget.deliver(order, grant(order.want))
    await budget.acquire(A, Lane.LIVE, endpoint="/x")
    await budget.acquire(A, Lane.LIVE, endpoint="/x")

    assert order.seen == SeenRate(200, 150, timedelta(seconds=30))
    # what the headers said went with the order
    assert source.takes == [(A, 1, Lane.LIVE, None)]


async def test_headers_that_came_after_an_order_are_told_with_the_next_one() -> None:
    source, clock = Source(), ManualClock()
    budget = SharedBudget(source, clock)

    order = budget.order(A, Lane.LIVE, endpoint="/x")
    assert order is not None
    budget.observe(A, RateSeen(200, 150, None), endpoint="/x")
    budget.deliver(order, grant(1))

    await budget.acquire(A, Lane.LIVE, endpoint="/x")
    later = budget.order(A, Lane.LIVE, endpoint="/x")
    assert later is not None
    assert later.seen == SeenRate(200, 150, None)


async def test_nothing_is_ordered_that_is_held_or_refused() -> None:
    clock = ManualClock()
    budget = SharedBudget(Source(), clock)

    order = budget.order(A, Lane.NORMAL, endpoint="/x")
    assert order is not None
    budget.deliver(order, nothing(30))
    assert budget.order(A, Lane.NORMAL, endpoint="/x") is None
    with pytest.raises(Throttled):
        await budget.acquire(A, Lane.NORMAL, endpoint="/x")

    urgent = budget.order(A, Lane.LIVE, endpoint="/x")
    assert urgent is not None
    budget.deliver(urgent, grant(1))
    assert budget.order(A, Lane.LIVE, endpoint="/x") is None
