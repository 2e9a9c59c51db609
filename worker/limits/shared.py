"""The budget that all workers share: blocks of permits taken from Postgres, spent from memory.

The database counts; this module only holds what it was granted, for as long as that is valid.
Without the database nothing is granted: Fanvue's limit is never guessed at.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from worker.errors import Throttled, Transient
from worker.limits.budget import Lane, Permit, RateSeen


if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.clock import Clock


# What a caller gets at most that says how many calls it expects to make.
LARGEST_BLOCK = 10
BLOCK_SIZES: Mapping[Lane, int] = {
    # Of a full window only a few calls are left for live work: a poll takes the one it makes.
    Lane.LIVE: 1,
    Lane.NORMAL: 4,
    Lane.BACKFILL: 10,
    Lane.LOW: 5,
}
MAX_WAIT = timedelta(seconds=2)
# An answer without grant and without wait would otherwise be asked for again at once.
SHORTEST_WAIT = timedelta(milliseconds=50)
# Fanvue refills every minute; a header that promises later is not believed beyond this.
LONGEST_CLOSURE_BY_HEADER = timedelta(minutes=2)
# A block that lapsed longer ago says nothing of the calls that come now.
FORGOTTEN_AFTER = timedelta(seconds=60)
IDLE_ENDPOINTS_KEPT = 8192

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SeenRate:
    """What headers said, as the database wants it: relative to now, free of any clock."""

    limit: int
    remaining: int
    reset_in: timedelta | None


@dataclass(frozen=True, slots=True)
class TakenCalls:
    """The database's answer: a block of calls, or how long to wait for one."""

    granted: int
    wait: timedelta
    limit: int
    valid_for: timedelta


class BudgetSource(Protocol):
    """Where blocks come from; raises `Transient` when it cannot answer."""

    async def take_calls(
        self, bucket: str, endpoint: str, want: int, lane: Lane, seen: SeenRate | None
    ) -> TakenCalls:
        """Take up to `want` calls of a bucket's endpoint for a lane."""
        ...

    async def block_bucket(
        self, bucket: str, endpoint: str, seconds: float, seen: SeenRate | None
    ) -> None:
        """Close an endpoint of a bucket for everyone, and count what its headers said."""
        ...


@dataclass(frozen=True, slots=True)
class CallOrder:
    """A call that is asked for along with something else; what comes of it is delivered."""

    bucket: str
    endpoint: str
    lane: Lane
    asked_at: float
    heard: RateSeen | None
    seen: SeenRate | None
    want: int = 1


@dataclass(slots=True)
class _Endpoint:
    bucket: str
    name: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    permits: list[Permit] = field(default_factory=list)
    latest: dict[Lane, Permit] = field(default_factory=dict)
    seen: RateSeen | None = None
    closed_until: datetime | None = None
    # Until when the database said there is nothing for a lane; holds for less urgent ones too.
    empty_until: dict[Lane, datetime] = field(default_factory=dict)
    users: int = 0


class SharedBudget:
    """A `Budget` backed by the database, one per worker process."""

    def __init__(
        self,
        source: BudgetSource,
        clock: Clock,
        *,
        block_sizes: Mapping[Lane, int] = BLOCK_SIZES,
        max_wait: timedelta = MAX_WAIT,
    ) -> None:
        self._source = source
        self._clock = clock
        self._block_sizes = block_sizes
        self._max_wait = max_wait
        self._endpoints: dict[tuple[str, str], _Endpoint] = {}

    async def acquire(
        self, bucket: str, lane: Lane, *, endpoint: str = "", hint: int | None = None
    ) -> None:
        """Take one permit; short waits are slept through, long ones raise `Throttled`."""
        state = self._endpoint(bucket, endpoint)
        # Of waits for calls alone: an answer that came late says nothing of what is left.
        patience = self._max_wait
        state.users += 1
        try:
            while True:
                free_at = await self._try(state, lane, hint)
                if free_at is None:
                    return
                wait = free_at - self._clock.now()
                if wait > patience:
                    raise Throttled("the call budget of this account is spent", until=free_at)
                patience -= wait
                # Slept through without the lock, so that more urgent work can pass.
                await self._clock.sleep(wait)
        finally:
            state.users -= 1

    def order(self, bucket: str, lane: Lane, *, endpoint: str) -> CallOrder | None:
        """Say what the next call needs of the database; None while it needs or gets nothing."""
        state = self._endpoint(bucket, endpoint)
        if self._holds(state, lane) or self._busy_until(state, lane) is not None:
            return None
        asked_at, heard = self._clock.monotonic(), state.seen
        return CallOrder(bucket, endpoint, lane, asked_at, heard, self._relative(heard))

    def deliver(self, order: CallOrder, taken: TakenCalls) -> None:
        """Hold what an order brought."""
        state = self._endpoint(order.bucket, order.endpoint)
        if state.seen is order.heard:
            state.seen = None
        self._hold(state, order.lane, taken, order.asked_at)

    def observe(self, bucket: str, seen: RateSeen, *, endpoint: str = "") -> None:
        """Keep what the headers said for the next take, and give up what they deny us."""
        state = self._endpoint(bucket, endpoint)
        state.seen = seen
        surplus = sum(permit.count for permit in state.permits) - seen.remaining
        for permit in state.permits:
            given_up = min(max(surplus, 0), permit.count)
            permit.count -= given_up
            # taken away, not used: the next block grows by what was used
            permit.granted -= given_up
            surplus -= given_up
        now = self._clock.now()
        if seen.remaining == 0 and seen.reset_at is not None and seen.reset_at > now:
            self._close(state, min(seen.reset_at, now + LONGEST_CLOSURE_BY_HEADER))

    async def penalize(self, bucket: str, until: datetime, *, endpoint: str = "") -> None:
        """Close an endpoint for this worker at once, and for all others through the database.

        What the refusal said goes along: at the next take its window would be over, and the
        endpoints that share the count would have met refusals of their own.
        """
        state = self._endpoint(bucket, endpoint)
        state.permits.clear()
        self._close(state, until)
        seconds = max((until - self._clock.now()).total_seconds(), 0.0)
        seen, state.seen = state.seen, None
        try:
            await self._source.block_bucket(bucket, endpoint, seconds, self._relative(seen))
        except Transient as error:
            self._put_back(state, seen)
            # This worker stays closed; the others will meet their own 429.
            log.warning("endpoint_not_blocked", bucket=bucket, endpoint=endpoint, error=error.code)

    async def _try(self, state: _Endpoint, lane: Lane, hint: int | None) -> datetime | None:
        """Take a permit and return None, or return when it is worth trying again."""
        async with state.lock:
            busy_until = self._busy_until(state, lane)
            if busy_until is not None:
                return busy_until
            if self._spend(state, lane):
                return None
            await self._take(state, lane, hint)
            # A 429 may have closed the endpoint while the database was asked.
            busy_until = self._busy_until(state, lane)
            if busy_until is None and self._spend(state, lane):
                return None
            return busy_until or self._clock.now() + SHORTEST_WAIT

    async def _take(self, state: _Endpoint, lane: Lane, hint: int | None) -> None:
        want = self._want(state, lane, hint)
        # Validity counts from before the question: the permit may have been granted that early.
        asked_at = self._clock.monotonic()
        seen, state.seen = state.seen, None
        try:
            taken = await self._source.take_calls(
                state.bucket, state.name, want, lane, self._relative(seen)
            )
        except BaseException:
            self._put_back(state, seen)
            raise
        self._hold(state, lane, taken, asked_at)

    def _hold(self, state: _Endpoint, lane: Lane, taken: TakenCalls, asked_at: float) -> None:
        if taken.granted > 0:
            lapses = asked_at + taken.valid_for.total_seconds()
            permit = Permit(lane, taken.granted, lapses, taken.granted)
            state.permits.append(permit)
            state.latest[lane] = permit
        else:
            state.empty_until[lane] = self._clock.now() + max(taken.wait, SHORTEST_WAIT)

    def _want(self, state: _Endpoint, lane: Lane, hint: int | None) -> int:
        """Return what is likely to be used in its time: a permit that lapses was taken in vain."""
        largest = self._block_sizes[lane] if hint is None else min(LARGEST_BLOCK, hint)
        latest = state.latest.get(lane)
        now = self._clock.monotonic()
        if latest is None or now > latest.valid_until + FORGOTTEN_AFTER.total_seconds():
            return 1
        used = latest.granted - latest.count
        grows = now < latest.valid_until
        return max(1, min(used + 1 if grows else used, largest))

    @staticmethod
    def _put_back(state: _Endpoint, seen: RateSeen | None) -> None:
        # A newer response may have been observed while the database was asked.
        if state.seen is None:
            state.seen = seen

    def _busy_until(self, state: _Endpoint, lane: Lane) -> datetime | None:
        now = self._clock.now()
        if state.closed_until is not None and state.closed_until > now:
            return state.closed_until
        if self._holds(state, lane):
            return None
        waits = [
            until
            for other, until in state.empty_until.items()
            if other.rank <= lane.rank and until > now
        ]
        return max(waits, default=None)

    def _holds(self, state: _Endpoint, lane: Lane) -> bool:
        moment = self._clock.monotonic()
        return any(permit.serves(lane, moment) for permit in state.permits)

    def _spend(self, state: _Endpoint, lane: Lane) -> bool:
        moment = self._clock.monotonic()
        state.permits = [
            permit for permit in state.permits if permit.count > 0 and moment < permit.valid_until
        ]
        usable = [permit for permit in state.permits if permit.serves(lane, moment)]
        if not usable:
            return False
        min(usable, key=lambda permit: permit.valid_until).count -= 1
        return True

    @staticmethod
    def _close(state: _Endpoint, until: datetime) -> None:
        if state.closed_until is None or until > state.closed_until:
            state.closed_until = until

    def _relative(self, seen: RateSeen | None) -> SeenRate | None:
        if seen is None:
            return None
        reset_in = None
        if seen.reset_at is not None:
            reset_in = max(seen.reset_at - self._clock.now(), timedelta(0))
        return SeenRate(seen.limit, seen.remaining, reset_in)

    def _endpoint(self, bucket: str, name: str) -> _Endpoint:
        state = self._endpoints.get((bucket, name))
        if state is None:
            if len(self._endpoints) >= IDLE_ENDPOINTS_KEPT:
                self._forget_idle()
            state = self._endpoints[bucket, name] = _Endpoint(bucket, name)
        return state

    def _forget_idle(self) -> None:
        now = self._clock.now()
        for key, state in list(self._endpoints.items()):
            is_closed = state.closed_until is not None and state.closed_until > now
            if not state.users and not is_closed:
                del self._endpoints[key]
