"""A drain knows when it is done; outages and crashing jobs take nothing else with them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from tests.unit.jobs.runner_bench import BEAT, STEP, Bench
from tests.unit.store.rpc_stub import Refusal
from worker.errors import DatabaseUnavailable, GrantInvalid, SchemaMissing, Transient
from worker.jobs.outcomes import Yielded
from worker.runner import DATABASE_PAUSE, IDLE_WAIT
from worker.tally import Tally


if TYPE_CHECKING:
    from worker.store.jobs import Claim


async def test_a_drain_of_an_empty_queue_ends_at_once() -> None:
    tally, took = await Bench().drain()

    assert tally == Tally()
    assert took <= STEP


async def test_a_drain_ends_when_everything_is_settled() -> None:
    b = Bench(concurrency=2)
    b.work.at_once = True
    b.queue.add(7)

    tally, took = await b.drain()

    assert tally.outcomes == {"succeeded": 7}
    assert (tally.claimed, tally.requests, tally.dead) == (7, 14, 0)
    assert b.queue.jobs == {}
    assert took < timedelta(seconds=10)


async def test_a_drain_waits_for_what_is_due_soon_but_not_for_what_is_far() -> None:
    b = Bench()
    b.work.at_once = True
    b.queue.add(after=timedelta(minutes=2))
    b.queue.add(after=timedelta(hours=1))

    _, took = await b.drain()

    assert timedelta(minutes=2) <= took < timedelta(minutes=2, seconds=5)
    assert list(b.queue.jobs) == [2]


async def test_a_drain_waits_for_other_workers_and_takes_back_what_they_dropped() -> None:
    b = Bench()
    b.queue.running_elsewhere = 2

    await b.drain()

    assert b.queue.reaped == 1


async def test_a_drain_goes_on_when_a_job_yields_while_a_claim_finds_nothing() -> None:
    b = Bench()
    b.queue.add()
    claim = b.queue.claim

    def claim_as_the_job_yields(asked: dict[str, Any]) -> dict[str, Any]:
        reply = claim(asked)
        if b.work.running:
            b.work.end(result=Yielded())
            b.work.at_once = True
        return reply

    b.queue.stub.functions["claim_sync_jobs"] = claim_as_the_job_yields
    await b.drain()

    assert [item["outcome"] for item in b.queue.settled[1]] == ["yield", "done"]
    assert b.queue.jobs == {}


async def test_a_drain_survives_a_database_that_goes_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    b = Bench()
    b.work.at_once = True
    b.queue.add(2)
    outages = [DatabaseUnavailable("away"), SchemaMissing("the database has no claim_sync_jobs")]
    claim = b.queue.store.claim

    async def claim_or_fail(limit: int, *, drain: bool = False) -> Claim:
        if outages:
            raise outages.pop()
        return await claim(limit, drain=drain)

    monkeypatch.setattr(b.queue.store, "claim", claim_or_fail)
    tally, _ = await b.drain()

    assert outages == []
    assert tally.outcomes == {"succeeded": 2}


async def test_a_database_that_is_away_at_the_claim_is_asked_again() -> None:
    b = Bench()
    b.work.at_once = True
    b.queue.add()
    b.queue.down = {"claim_sync_jobs"}

    async with b.running():
        await b.pass_time(DATABASE_PAUSE * 3)
        before = dict(b.queue.settled)
        b.queue.down.clear()
        await b.pass_time(DATABASE_PAUSE * 2)

        assert before == {}
        assert b.queue.outcome_of(1) == "done"


async def test_heartbeats_that_fail_stop_no_job() -> None:
    b = Bench()
    b.queue.add()
    b.queue.down = {"heartbeat_sync_jobs"}

    async with b.running():
        await b.pass_time(BEAT * 3)
        b.queue.down.clear()
        beats = len(b.queue.stub.named("heartbeat_sync_jobs"))
        await b.pass_time(BEAT)

        assert len(b.queue.stub.named("heartbeat_sync_jobs")) == beats + 1
        assert b.work.cancelled == []
        b.work.end()

    assert b.queue.outcome_of(1) == "done"


@pytest.mark.parametrize("code", ["PGRST000", "XX000", "42501", "PT422"])
async def test_settling_that_fails_neither_hangs_nor_ends_the_loop(code: str) -> None:
    b = Bench()
    b.queue.add()
    broken = b.queue.stub.functions["settle_sync_jobs"]

    def refuse(_: object) -> None:
        raise Refusal(503 if code == "PGRST000" else 400, code)

    async with b.running():
        b.queue.stub.functions["settle_sync_jobs"] = refuse
        b.work.end()
        await b.pass_time(timedelta(seconds=1))
        b.queue.stub.functions["settle_sync_jobs"] = broken
        b.queue.add()
        await b.pass_time(IDLE_WAIT)
        b.work.end()

    assert list(b.queue.settled) == [2]


@pytest.mark.parametrize("secret", ["Bearer abcdef.123456", "fse1.k1.AAAABBBB", "ory_rt_secret"])
async def test_a_job_that_crashes_is_dead_with_a_trace_and_no_secret(secret: str) -> None:
    b = Bench()
    b.work.instead = RuntimeError(f"cannot use {secret}")
    b.queue.add()

    with structlog.testing.capture_logs() as logged:
        tally, _ = await b.drain()

    (item,) = b.queue.settled[1]
    assert (item["outcome"], item["error"]["kind"], tally.dead) == ("dead", "bug", 1)
    assert "RuntimeError" in item["error"]["trace"]
    assert secret not in json.dumps(item)
    assert [event["event"] for event in logged] == ["job_crashed", "job_settled"]


async def test_a_crash_takes_no_other_job_with_it() -> None:
    b = Bench()
    b.queue.add()

    async with b.running():
        b.work.instead = RuntimeError("boom")
        b.queue.add()
        await b.pass_time(IDLE_WAIT)

        assert b.queue.outcome_of(2) == "dead"
        assert list(b.work.running) == [1]
        b.work.end()


async def test_the_last_attempt_that_fails_counts_as_dead() -> None:
    b = Bench()
    b.work.instead = Transient("503", retry_after=timedelta(hours=2))
    b.queue.add(attempt=3)
    b.queue.add(attempt=2)

    tally, _ = await b.drain()

    assert tally.outcomes == {"dead": 1, "retry": 1}


async def test_a_dead_grant_fails_the_job_and_kills_nothing() -> None:
    b = Bench()
    b.work.instead = GrantInvalid("reconnect")
    b.queue.add()

    tally, _ = await b.drain()

    assert tally.outcomes == {"fail": 1}
    assert tally.dead == 0
