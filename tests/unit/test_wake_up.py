"""A worker is woken by what it hears, tells of a loss once, and never suffers from it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import structlog

from tests.support.clock import ManualClock
from tests.unit.jobs.grant_bench import until
from tests.unit.jobs.runner_bench import Bench as RunnerBench
from worker.runner import IDLE_WAIT, TOLD_WAIT
from worker.settings import SupabaseSettings
from worker.subscription import HELD, LONGEST_WAIT, Subscription
from worker.wake_up import GATHERING, WakeUp


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.subscription import Listener


# The discard port: refused without asking anyone.
SOON = timedelta(milliseconds=10)
SECOND = timedelta(seconds=1)
NOWHERE = SupabaseSettings.model_validate(
    {"SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_SECRET_KEY": "sb_secret_made_up"}
)


class Script(Subscription):
    """A subscription that does what a test says."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(NOWHERE, ["workers"], clock, Random(1))  # noqa: S311 - jitter
        self.fault: Exception | None = None
        self.listener: Listener | None = None

    async def run(self, listener: Listener) -> None:
        if self.fault is not None:
            raise self.fault
        self.listener = listener
        await asyncio.Event().wait()

    def say(self, event: str = "due") -> None:
        assert self.listener is not None
        self.listener.heard("workers", event, {"jobs": 1})

    def join(self) -> None:
        assert self.listener is not None
        self.listener.connected()

    def lose(self) -> None:
        assert self.listener is not None
        self.listener.lost("made up")


@dataclass
class Bench:
    clock: ManualClock = field(default_factory=ManualClock)
    woken: int = 0
    hears: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.script = Script(self.clock)
        self.wake_up = WakeUp(self.script, self, self.clock)

    def wake(self) -> None:
        self.woken += 1

    def told(self, *, told: bool) -> None:
        self.hears.append(told)


async def test_the_runner_is_told_whether_it_will_be_woken() -> None:
    b = Bench()
    async with b.wake_up.listening():
        await b.clock.settle()
        b.script.join()
        assert b.hears == [True]
        b.script.lose()
        assert b.hears == [True, False]
        b.script.join()

    # nobody listens any more
    assert b.hears == [True, False, True, False]


async def test_an_idle_runner_looks_seldom_while_it_is_told_and_at_once_when_it_is_not() -> None:
    r = RunnerBench()
    script = Script(r.clock)
    claims = r.queue.stub.named

    async def looks(span: timedelta) -> int:
        before = len(claims("claim_sync_jobs"))
        for _ in range(round(span / SECOND)):
            await r.clock.advance(SECOND)
        return len(claims("claim_sync_jobs")) - before

    async with WakeUp(script, r.runner, r.clock).listening(), r.running():
        assert await looks(TOLD_WAIT) == TOLD_WAIT / IDLE_WAIT
        script.join()
        # what became due before hints were heard
        assert await looks(SECOND) == 1
        assert await looks(2 * TOLD_WAIT) == 2
        script.lose()
        assert await looks(SECOND) == 1
        assert await looks(TOLD_WAIT) == TOLD_WAIT / IDLE_WAIT


async def test_a_flood_of_events_is_one_wake_up_now_and_one_after_a_moment() -> None:
    b = Bench()
    async with b.wake_up.listening():
        await b.clock.settle()
        for _ in range(100):
            b.script.say()
            await b.clock.settle()

        assert b.woken == 1
        await b.clock.advance(GATHERING)
        assert b.woken == 2
        await b.clock.advance(GATHERING * 10)
        assert b.woken == 2


async def test_other_events_wake_nobody() -> None:
    b = Bench()
    async with b.wake_up.listening():
        await b.clock.settle()
        b.script.say("hello")
        await b.clock.settle()

    assert b.woken == 0


async def test_work_that_became_due_is_claimed_before_the_next_poll() -> None:
    r = RunnerBench()
    script = Script(r.clock)
    wake_up = WakeUp(script, r.runner, r.clock)
    async with wake_up.listening(), r.running():
        polls = len(r.queue.stub.named("claim_sync_jobs"))
        r.queue.add()
        script.say()
        await r.clock.settle()

        # The claim that finds it also tells that there is no more.
        assert len(r.queue.stub.named("claim_sync_jobs")) == polls + 1
        assert r.runner.busy == 1
        r.work.end()


async def test_a_fault_in_the_subscription_is_logged_and_goes_no_further() -> None:
    b = Bench()
    b.script.fault = ZeroDivisionError("made up")
    with structlog.testing.capture_logs() as logs:
        async with b.wake_up.listening():
            await b.clock.settle()

    assert [entry["event"] for entry in logs] == ["wake_up_crashed"]


class Ear:
    """Writes down what a subscription tells."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.again = asyncio.Event()

    def connected(self) -> None:
        self.told.append("connected")

    def lost(self, reason: str) -> None:
        self.told.append(reason)

    def heard(self, _topic: str, event: str, _payload: dict[str, Any]) -> None:
        self.told.append(event)


async def test_a_server_that_is_away_is_told_of_once_and_asked_ever_more_rarely() -> None:
    clock = ManualClock(skips=True)
    ear = Ear()
    subscription = Subscription(NOWHERE, ["workers"], clock, _Highest())
    run = asyncio.create_task(subscription.run(ear))
    await until(lambda: len(clock.slept) >= 8)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)

    assert len(ear.told) == 1
    assert "refused" in ear.told[0] or "nobody listens" in ear.told[0]
    assert [wait.total_seconds() for wait in clock.slept[:8]] == [1, 2, 4, 8, 16, 30, 30, 30]


async def test_waits_are_spread_over_their_whole_range() -> None:
    clock = ManualClock(skips=True)
    subscription = Subscription(NOWHERE, ["workers"], clock, Random(7))  # noqa: S311 - jitter
    run = asyncio.create_task(subscription.run(Ear()))
    await until(lambda: len(clock.slept) >= 24)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)

    late = clock.slept[6:]
    assert min(late) < LONGEST_WAIT / 4
    assert LONGEST_WAIT * 3 / 4 < max(late) <= LONGEST_WAIT


class Flapping(Subscription):
    """Is joined for as long as the test says, one time after the other."""

    def __init__(self, clock: ManualClock, *held: timedelta) -> None:
        super().__init__(NOWHERE, ["workers"], clock, _Highest())
        self.held = list(held)

    @asynccontextmanager
    async def _joined(self, _: Listener) -> AsyncIterator[asyncio.Future[str]]:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        holding = asyncio.create_task(self._hold(ended))
        yield ended
        await holding

    async def _hold(self, ended: asyncio.Future[str]) -> None:
        await self._clock.sleep(self.held.pop(0))
        ended.set_result("closed")


async def test_a_subscription_that_does_not_hold_is_tried_ever_more_rarely_until_one_does() -> None:
    clock = ManualClock(skips=True)
    ear = Ear()
    run = asyncio.create_task(Flapping(clock, SOON, SOON, SOON, HELD, SOON).run(ear))
    await until(lambda: len(ear.told) >= 10)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)

    assert ear.told[:10] == ["connected", "closed"] * 5
    waits = [wait.total_seconds() for wait in clock.slept if wait not in {SOON, HELD}]
    assert waits[:4] == [1, 2, 4, 1]


class _Highest(Random):
    """Chooses the longest wait there is."""

    def random(self) -> float:
        return 1.0
