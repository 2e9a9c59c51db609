"""The loop claims within its bounds, settles what ended, and loses nothing when it stops."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from benchmarks.memory import held_after
from tests.unit.jobs.queue_book import LEASE
from tests.unit.jobs.runner_bench import BEAT, SHUTDOWN, STEP, Bench
from worker.errors import LeaseLost
from worker.jobs.outcomes import Cancelled, Done, Yielded


async def test_no_more_jobs_run_at_once_than_allowed_and_all_get_their_turn() -> None:
    b = Bench(concurrency=3)
    b.queue.add(8)

    async with b.running():
        for _ in range(6):
            b.work.end()
            await b.pass_time(timedelta(seconds=1))

    assert b.work.most_at_once == 3
    assert sorted(b.queue.settled) == list(range(1, 9))
    assert max(asked["p_limit"] for asked in b.queue.stub.named("claim_sync_jobs")) == 3


async def test_a_full_worker_claims_nothing() -> None:
    b = Bench(concurrency=2)
    b.queue.add(5)

    async with b.running():
        claims = len(b.queue.stub.named("claim_sync_jobs"))
        await b.pass_time(timedelta(seconds=10))

        assert len(b.queue.stub.named("claim_sync_jobs")) == claims
        assert b.runner.busy == 2
        b.work.end()


async def test_a_claim_that_found_less_than_it_asked_for_is_the_only_one() -> None:
    b = Bench(concurrency=4)
    b.queue.add(3)

    async with b.running():
        b.work.end()
        await b.clock.settle()

        assert list(b.queue.settled) == [1, 2, 3]
        assert len(b.queue.stub.named("claim_sync_jobs")) == 1


async def test_a_job_that_goes_back_to_the_queue_is_looked_for_at_once() -> None:
    b = Bench()
    b.queue.add()

    async with b.running():
        b.work.end(result=Yielded())
        await b.clock.settle()

        assert list(b.work.running) == [1]
        assert len(b.queue.stub.named("claim_sync_jobs")) == 2
        b.work.end()


async def test_due_work_that_was_not_to_be_had_is_looked_for_when_a_job_ends() -> None:
    b = Bench()
    b.queue.add()
    claim = b.queue.claim
    b.queue.stub.functions["claim_sync_jobs"] = lambda asked: claim(asked) | {"next_due_in": 0}

    async with b.running():
        b.queue.add()
        b.work.end(1)
        await b.pass_time(STEP)

        assert list(b.work.running) == [2]
        b.work.end()


async def test_jobs_that_end_together_are_settled_in_one_call() -> None:
    b = Bench(concurrency=10)
    b.queue.add(10)

    async with b.running():
        b.work.end()
        await b.pass_time(STEP)

        (call,) = b.queue.stub.named("settle_sync_jobs")
        assert len(call["p_items"]) == 10


async def test_what_ends_alone_is_settled_without_waiting_for_others() -> None:
    b = Bench()
    b.queue.add()

    async with b.running():
        b.work.end()
        await b.clock.settle()

        assert list(b.queue.settled) == [1]


async def test_a_settlement_carries_the_lease_and_what_the_job_cost() -> None:
    b = Bench()
    b.queue.add()

    async with b.running():
        lease = b.queue.jobs[1].lease_id
        b.work.end()

    (item,) = b.queue.settled[1]
    assert item["lease_id"] == lease
    assert (item["outcome"], item["state"], item["stats"]["requests"]) == ("done", "succeeded", 2)


async def test_a_job_that_its_last_page_settled_is_settled_by_no_other_call() -> None:
    b = Bench()
    b.queue.add()

    async with b.running():
        del b.queue.jobs[1]
        b.work.end(result=Done(settled=True))

    assert b.queue.stub.named("settle_sync_jobs") == []
    assert b.runner.tally.outcomes == {"succeeded": 1}
    assert b.runner.tally.lost == 0


async def test_a_lease_that_ends_while_a_last_page_is_committed_is_not_lost() -> None:
    b = Bench()
    b.queue.add(2)

    async with b.running():
        b.work.meters[1].ending = True
        b.queue.lose(1)
        b.queue.lose(2)
        await b.pass_time(BEAT)

        assert b.work.cancelled == [2]
        b.work.end(1, result=Done(settled=True))

    assert (b.runner.tally.outcomes, b.runner.tally.lost) == ({"succeeded": 1}, 1)


async def test_heartbeats_extend_every_lease_in_one_call() -> None:
    b = Bench()
    b.queue.add(3)

    async with b.running():
        await b.pass_time(BEAT * 2)

        beats = b.queue.stub.named("heartbeat_sync_jobs")
        assert [len(beat["p_jobs"]) for beat in beats] == [3, 3]
        b.work.end()


async def test_without_jobs_there_are_no_heartbeats() -> None:
    b = Bench()

    async with b.running():
        await b.pass_time(LEASE)

    assert b.queue.stub.named("heartbeat_sync_jobs") == []


async def test_a_lost_lease_stops_the_job_and_writes_nothing() -> None:
    b = Bench()
    b.queue.add(2)

    async with b.running():
        b.queue.lose(1)
        await b.pass_time(BEAT)

        assert b.work.cancelled == [1]
        assert list(b.work.running) == [2]
        b.work.end()

    settled = [
        item["id"] for call in b.queue.stub.named("settle_sync_jobs") for item in call["p_items"]
    ]
    assert settled == [2]
    assert b.runner.tally.lost == 1


async def test_a_job_that_finds_its_lease_lost_writes_nothing() -> None:
    b = Bench()
    b.work.instead = LeaseLost("gone")
    b.queue.add()

    async with b.running():
        pass

    assert b.queue.stub.named("settle_sync_jobs") == []
    assert b.runner.tally.lost == 1


async def test_a_settlement_under_a_lease_that_just_ended_counts_as_lost() -> None:
    b = Bench()
    b.queue.add()

    async with b.running():
        b.queue.lose(1)
        b.work.end()

    assert b.queue.settled == {}
    assert (b.runner.tally.lost, sum(b.runner.tally.outcomes.values())) == (1, 0)


async def test_a_job_leased_here_anew_ends_its_first_run() -> None:
    b = Bench()
    b.queue.add()

    async with b.running():
        b.queue.jobs[1].lease_id = None
        b.runner.wake()
        await b.pass_time(timedelta(seconds=3))

        assert b.work.cancelled == [1]
        assert b.runner.busy == 1


async def test_a_cancelled_job_is_told_to_stop_at_its_next_page() -> None:
    b = Bench()
    b.work.heeds_stopping = True
    b.queue.add(2)

    async with b.running():
        b.queue.jobs[2].cancel = True
        await b.pass_time(BEAT)

        assert list(b.work.running) == [1]
        assert b.queue.outcome_of(2) == "yield"
        assert b.work.cancelled == []
        b.work.end(1, result=Cancelled())

    assert b.queue.outcome_of(1) == "cancelled"


async def test_stopping_lets_jobs_reach_the_end_of_their_page() -> None:
    b = Bench()
    b.work.heeds_stopping = True
    b.queue.add(3)

    async with b.running() as loop:
        b.runner.stop()
        took = await b.until(loop)

    assert took < timedelta(seconds=1)
    assert [b.queue.outcome_of(job) for job in (1, 2, 3)] == ["yield"] * 3
    assert all(item["leaving"] for job in (1, 2, 3) for item in b.queue.settled[job])
    assert b.work.cancelled == []


async def test_a_job_that_does_not_stop_in_time_is_handed_back_at_no_cost() -> None:
    b = Bench()
    b.queue.add()

    async with b.running() as loop:
        b.runner.stop()
        took = await b.until(loop)

    (item,) = b.queue.settled[1]
    assert SHUTDOWN <= took < SHUTDOWN + timedelta(seconds=2)
    assert b.work.cancelled == [1]
    assert (item["outcome"], item["retry_in_s"]) == ("snooze", 0)
    assert item["leaving"] is True


async def test_a_stopped_worker_claims_nothing_more() -> None:
    b = Bench(concurrency=1)
    b.work.heeds_stopping = True
    b.queue.add(3)

    async with b.running() as loop:
        b.runner.stop()
        await b.until(loop)

    assert len(b.queue.stub.named("claim_sync_jobs")) == 1


async def test_a_loop_that_is_cancelled_hands_its_jobs_back() -> None:
    b = Bench()
    b.work.heeds_stopping = True
    b.queue.add()
    loop = asyncio.create_task(b.runner.run())
    await b.pass_time(STEP)

    loop.cancel()
    await b.pass_time(STEP * 4)

    assert loop.cancelled()
    assert b.queue.outcome_of(1) == "yield"


async def test_nothing_of_a_run_is_left_behind() -> None:
    b = Bench()
    b.queue.add()

    async with b.running():
        b.work.end()

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_idle_worker_looks_for_work_when_it_is_woken() -> None:
    b = Bench()
    b.work.at_once = True

    async with b.running():
        b.queue.add()
        b.runner.wake()
        await b.clock.settle()

        assert b.queue.outcome_of(1) == "done"


async def test_an_idle_worker_is_back_when_the_next_job_is_due() -> None:
    b = Bench()
    b.work.at_once = True
    b.queue.add(after=timedelta(seconds=1))

    async with b.running():
        await b.pass_time(timedelta(seconds=1.25))

        assert b.queue.outcome_of(1) == "done"


async def test_one_job_can_be_run_alone() -> None:
    b = Bench()
    b.work.at_once = True
    b.queue.add(2)
    claim = await b.queue.claimed()

    running = asyncio.create_task(b.runner.run_one(claim.jobs[0]))
    while not running.done():
        await b.clock.advance(STEP)

    assert list(b.queue.settled) == [1]
    assert b.queue.stub.named("claim_sync_jobs")[1:] == []


async def test_what_a_worker_keeps_does_not_grow_with_the_jobs_it_ran() -> None:
    before, after = await held_after(2_000, 12_000)

    # a timedelta and its place in a list are 48 bytes: ten thousand of them half a megabyte
    assert after - before < 100_000
