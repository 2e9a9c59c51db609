"""A worker is alive while its loops go round, and ready while the database answers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from tests.support.clock import ManualClock
from tests.unit.jobs.runner_bench import STEP, Bench
from worker.errors import DatabaseUnavailable, Misconfigured
from worker.metrics import Metrics
from worker.observe.gauges import FRESH, FRESH_FOR_READINESS, EngineGauges
from worker.observe.health import PATIENCE, Health


if TYPE_CHECKING:
    from worker.errors import SyncError


FIGURES: dict[str, Any] = {
    "models": {"active": 2},
    "jobs": {"queued": 3, "due": 1, "running": 2, "dead": 0},
    "oldest_due_s": {"live": 4.5},
    "late": 0,
    "webhooks": {"parked": 1, "failed": 0},
    "refused": {"wrong_signature": 2, "too_old": 0, "not_configured": 0, "unsigned": 0},
    "announcement_age_s": 30.0,
    "announcements_silent": False,
    "drift": 0,
    "budget_used": 0.25,
    "buckets_blocked": 0,
    "earnings_age_s": 61.5,
    "silent": False,
    "tick_age_s": {"worker": 12},
    "alerts": 0,
}


class Source:
    """A database that answers, fails or hangs as a test says."""

    def __init__(self) -> None:
        self.asked = 0
        self.instead: SyncError | None = None
        self.figures = FIGURES

    async def gauges(self) -> dict[str, Any]:
        self.asked += 1
        if self.instead is not None:
            raise self.instead
        return self.figures


class Look:
    """A worker and what looks at it."""

    def __init__(self) -> None:
        self.worker = Bench()
        self.source = Source()
        self.metrics = Metrics()
        self.gauges = EngineGauges(self.source, self.metrics, self.worker.clock)
        self.health = Health(self.worker.runner, self.gauges)

    def text(self) -> str:
        return self.metrics.text().decode()


async def test_a_worker_that_idles_is_alive() -> None:
    look = Look()

    async with look.worker.running():
        await look.worker.pass_time(PATIENCE * 2)

        assert look.health.alive().good


async def test_a_worker_whose_database_is_away_is_alive_but_not_ready() -> None:
    look = Look()
    look.worker.queue.down = {"claim_sync_jobs", "heartbeat_sync_jobs"}
    look.source.instead = DatabaseUnavailable("the database did not answer")

    async with look.worker.running():
        await look.worker.pass_time(PATIENCE * 2)

        assert look.health.alive().good
        ready = await look.health.ready()
        assert not ready.good
        assert ready.said == {"status": "waiting", "problem": "the database did not answer"}


async def test_a_loop_that_stands_still_is_named() -> None:
    look = Look()

    async with look.worker.running():
        # Nobody runs while the clock jumps, as if one call blocked them all.
        look.worker.clock.jump(PATIENCE + timedelta(minutes=1))

        alive = look.health.alive()
        assert not alive.good
        assert "claims stand still" in alive.said["problem"]
        await look.worker.pass_time(STEP)
        assert look.health.alive().good


async def test_a_loop_that_ended_is_named() -> None:
    look = Look()

    async with look.worker.running():
        (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "heartbeats")
        task.cancel()
        await look.worker.pass_time(STEP)

        assert look.health.alive().said["problem"] == "heartbeats ended"


async def test_long_leases_make_rare_heartbeats_and_no_alarm() -> None:
    look = Look()
    look.worker.runner._lease = timedelta(hours=1)

    async with look.worker.running():
        await look.worker.pass_time(timedelta(minutes=14))

        assert look.health.alive().good


async def test_a_worker_on_its_way_out_is_alive_and_takes_nothing() -> None:
    look = Look()
    look.worker.queue.add()

    async with look.worker.running() as loop:
        look.worker.runner.stop()
        await look.worker.pass_time(STEP)

        assert look.health.alive().good
        assert (await look.health.ready()).said == {"status": "stopping"}
        look.worker.work.end()
        await look.worker.until(loop)


async def test_figures_are_shown_and_what_never_was_is_absent() -> None:
    look = Look()

    assert await look.gauges.refresh() is None

    text = look.text()
    assert "fanvue_sync_database_up 1.0" in text
    assert 'fanvue_sync_queue_jobs{state="due"} 1.0' in text
    assert 'fanvue_sync_models{status="paused"} 0.0' in text
    assert 'fanvue_sync_oldest_due_seconds{lane="backfill"} 0.0' in text
    assert 'fanvue_sync_tick_age_seconds{source="worker"} 12.0' in text
    assert 'source="pg_cron"' not in text


async def test_without_active_creators_earnings_have_no_age() -> None:
    look = Look()
    look.source.figures = FIGURES | {"earnings_age_s": None, "oldest_due_s": None}

    await look.gauges.refresh()

    assert "fanvue_sync_earnings_age_seconds" not in look.text()
    assert 'fanvue_sync_oldest_due_seconds{lane="live"} 0.0' in look.text()


async def test_however_many_look_the_database_is_asked_once_in_a_while() -> None:
    look = Look()

    await asyncio.gather(*(look.gauges.refresh() for _ in range(20)))
    look.worker.clock.jump(FRESH - timedelta(seconds=1))
    await look.gauges.refresh()
    assert look.source.asked == 1

    look.worker.clock.jump(timedelta(seconds=1))
    await look.gauges.refresh()
    assert look.source.asked == 2


async def test_whoever_asks_whether_it_is_ready_hears_nothing_old() -> None:
    look = Look()
    assert (await look.health.ready()).good
    look.source.instead = DatabaseUnavailable("away")

    look.worker.clock.jump(FRESH_FOR_READINESS)
    assert not (await look.health.ready()).good

    look.source.instead = None
    look.worker.clock.jump(FRESH_FOR_READINESS)
    assert await look.gauges.refresh() is None


async def test_old_figures_are_not_shown_for_new_and_the_trouble_is_logged_once() -> None:
    look = Look()
    await look.gauges.refresh()
    look.source.instead = Misconfigured("the database has no engine_gauges")

    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            look.worker.clock.jump(FRESH)
            assert await look.gauges.refresh() == "the database has no engine_gauges"

    assert [event["event"] for event in logged] == ["gauges_unavailable"]
    assert "fanvue_sync_database_up 0.0" in look.text()
    assert "fanvue_sync_queue_jobs" not in look.text()


async def test_a_database_that_hangs_does_not_keep_anybody_waiting() -> None:
    class Hanging:
        async def gauges(self) -> dict[str, Any]:
            never: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
            return await never

    gauges = EngineGauges(Hanging(), Metrics(), ManualClock(), patience_seconds=0.01)

    assert await gauges.refresh() == "the database does not answer"
