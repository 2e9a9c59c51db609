"""The worker's own clockwork makes the same calls as the database's, and survives their failure."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from tests.support.clock import ManualClock
from tests.unit.jobs.queue_book import QueueBook
from worker.schedule import MOST_BATCHES, REAP_EVERY, Schedule


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


MINUTE = timedelta(minutes=1)


class Bench:
    """A schedule whose ticks a test makes itself."""

    def __init__(self, tick: timedelta = MINUTE) -> None:
        self.queue = QueueBook(ManualClock())
        self.woken = 0
        self.schedule = Schedule(self.queue.store, self._wake, tick=tick)

    def _wake(self) -> None:
        self.woken += 1

    @property
    def ticks(self) -> list[Any]:
        return sorted(
            self.schedule._scheduler.get_jobs(), key=lambda job: job.trigger.interval, reverse=True
        )

    async def tick(self, name: str) -> None:
        calls: dict[str, Callable[[], Awaitable[None]]] = {
            job.func.__name__: job.func for job in self.ticks
        }
        await calls[name]()


def test_it_enqueues_retries_webhooks_and_prunes_every_tick_and_reaps_more_often() -> None:
    jobs = Bench().ticks

    assert {job.func.__name__: job.trigger.interval for job in jobs} == {
        "_enqueue": MINUTE,
        "_retry_webhooks": MINUTE,
        "_prune": MINUTE,
        "_reap": REAP_EVERY,
    }
    assert all(job.trigger.jitter >= 1 for job in jobs)


def test_reaping_is_never_rarer_than_the_tick() -> None:
    assert [job.trigger.interval for job in Bench(timedelta(seconds=5)).ticks] == [
        timedelta(seconds=5)
    ] * 4


@pytest.mark.parametrize("tick", [timedelta(0), timedelta(milliseconds=10)])
def test_a_tiny_tick_is_a_second(tick: timedelta) -> None:
    assert {job.trigger.interval for job in Bench(tick).ticks} == {timedelta(seconds=1)}


async def test_a_tick_that_is_late_runs_once_and_never_twice_at_a_time() -> None:
    b = Bench()
    b.schedule.start()

    for job in b.ticks:
        assert job.coalesce
        assert job.max_instances == 1

    b.schedule.stop()


async def test_a_tick_is_the_databases_own_scheduling_call_and_wakes_the_loop() -> None:
    b = Bench()

    await b.tick("_enqueue")

    assert b.queue.stub.calls == [("enqueue_due", {"p_by": "worker"})]
    assert b.woken == 1


async def test_a_tick_that_finds_nothing_wakes_nobody() -> None:
    b = Bench()
    b.queue.stub.functions["enqueue_due"] = lambda _: {"enqueued": 0, "revived": 0}

    await b.tick("_enqueue")
    await b.tick("_reap")

    assert b.woken == 0


@pytest.mark.parametrize("reply", [{"enqueued": 0, "revived": 1}, {"enqueued": 3, "revived": 0}])
async def test_new_or_revived_work_wakes_the_loop(reply: dict[str, int]) -> None:
    b = Bench()
    b.queue.stub.functions["enqueue_due"] = lambda _: reply

    await b.tick("_enqueue")

    assert b.woken == 1


async def test_jobs_taken_back_from_vanished_workers_wake_the_loop() -> None:
    b = Bench()
    b.queue.running_elsewhere = 2

    await b.tick("_reap")

    assert b.woken == 1


@pytest.mark.parametrize("waiting", [0, 2])
async def test_webhooks_that_were_applied_after_all_wake_the_loop(waiting: int) -> None:
    b = Bench()
    b.queue.waiting_webhooks = waiting

    await b.tick("_retry_webhooks")

    # until nothing more is to be had
    assert b.queue.stub.calls == [("retry_webhook_events", {})] * (2 if waiting else 1)
    assert b.woken == min(waiting, 1)


async def test_a_database_that_is_away_costs_a_tick_and_no_more() -> None:
    b = Bench()
    b.queue.down = {
        "enqueue_due",
        "reap_expired_leases",
        "retry_webhook_events",
        "prune_history",
    }

    with structlog.testing.capture_logs() as logged:
        for name in ("_enqueue", "_reap", "_retry_webhooks", "_prune"):
            await b.tick(name)
    b.queue.down.clear()
    await b.tick("_enqueue")

    assert [event["event"] for event in logged] == [
        "tick_failed",
        "reap_failed",
        "webhook_retry_failed",
        "prune_failed",
    ]
    assert b.woken == 1


async def test_old_rows_are_pruned_batch_by_batch_until_none_is_left() -> None:
    b = Bench()
    batches = [{"public.sync_runs": 2000}, {"public.sync_runs": 2000, "ops.actions": 1}, {}]
    b.queue.stub.functions["prune_history"] = lambda _: {
        "deleted": (deleted := batches.pop(0)),
        "refused": {"cron.job_run_details": "permission denied"},
        "more": bool(deleted),
    }

    with structlog.testing.capture_logs() as logged:
        await b.tick("_prune")

    assert [name for name, _ in b.queue.stub.calls] == ["prune_history"] * 3
    assert [event["event"] for event in logged] == ["history_pruned", "prune_refused"]
    assert logged[0]["rows"] == {"public.sync_runs": 4000, "ops.actions": 1}


async def test_a_table_that_never_ends_waits_for_the_next_tick() -> None:
    b = Bench()
    endless = {"deleted": {"public.sync_runs": 2000}, "refused": {}, "more": True}
    b.queue.stub.functions["prune_history"] = lambda _: endless

    await b.tick("_prune")

    assert len(b.queue.stub.calls) == MOST_BATCHES


async def test_a_stopped_schedule_does_not_tick() -> None:
    b = Bench()
    b.schedule.start()

    b.schedule.stop()
    await asyncio.sleep(0)

    assert not b.schedule._scheduler.running
    assert b.queue.stub.calls == []
