"""Who starts the work: the worker's own tick, pg_cron, both at once; and how a worker ends.

The functions that pg_cron calls are run here as its jobs spell them, so no test waits a minute.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.support.engine import silence_cron, wake_cron
from tests.support.flaky_rest import flaky
from tests.support.waiting import LOOK_SECONDS, PATIENCE_SECONDS
from worker.app import open_books, open_engine
from worker.commands.database_checks import SCHEDULES


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.engine import Engine


pytestmark = pytest.mark.system


@pytest.fixture
def cron(engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    """Wake pg_cron's jobs, and be pg_cron beside it."""
    with psycopg.connect(engine.environment["SUPABASE_DB_URL"], autocommit=True) as database:
        wake_cron(database)
        yield database
        silence_cron(database)


def test_running_worker_picks_up_a_due_stream_without_any_other_trigger(engine: Engine) -> None:
    creator = engine.creator(20)
    engine.drain()
    engine.pass_time(1800)
    engine.fanvue.add_sales(creator, 3)

    _work_until(engine, creator, runs=2)

    engine.assert_exact(creator)
    assert _ticks(engine, "worker") >= 1
    assert _ticks(engine, "pg_cron") == 0


def test_pg_cron_and_many_workers_enqueue_nothing_twice(
    engine: Engine, cron: psycopg.Connection[Any]
) -> None:
    creators = [engine.creator(5) for _ in range(4)]
    engine.drain()
    engine.pass_time(1800)
    command = cron.execute(
        "select command from cron.job where jobname = 'fanvue-enqueue-due'"
    ).fetchone()
    assert command is not None
    barrier = threading.Barrier(4)

    def tick() -> None:
        with psycopg.connect(engine.environment["SUPABASE_DB_URL"], autocommit=True) as database:
            barrier.wait()
            for _ in range(10):
                database.execute(command[0])

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    queued = engine.database.execute(
        "select count(*), count(distinct model_id) from public.sync_jobs"
    ).fetchone()
    assert queued == (4, 4)
    engine.drain()
    assert all(engine.run_states(creator) == ["succeeded"] * 2 for creator in creators)
    for creator in creators:
        engine.assert_exact(creator)


def test_schedule_survives_the_death_of_every_worker(engine: Engine) -> None:
    creator = engine.creator(20)
    engine.drain()
    engine.pass_time(1800)
    _work_until(engine, creator, runs=2)

    engine.pass_time(1800)
    engine.fanvue.add_sales(creator, 2)
    _work_until(engine, creator, runs=3)

    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["succeeded"] * 3


def test_three_days_pass_well_without_pg_cron(engine: Engine) -> None:
    database = engine.database
    engine.fanvue.turn(rate_limit=100_000)
    creators = [engine.creator(10) for _ in range(2)]
    assert database.execute("select from cron.job where active").fetchone() is None

    # A night begins when the last one is more than thirty hours ago: after 35 and after 70 hours.
    for _ in range(11):
        engine.pass_time(7 * 3600)
        for creator in creators:
            engine.fanvue.add_sales(creator, 1)
        asyncio.run(_tick(engine))
        engine.drain()

    for creator in creators:
        engine.assert_exact(creator)
    # A poll finds nothing new where the night's proof had found the sale before.
    runs = database.execute(
        "select sync_type, state, sum(runs) from (select sync_type, state, 1 as runs"
        " from public.sync_runs union all select sync_type, 'succeeded', runs"
        " from private.quiet_runs) r group by 1, 2 order by 1"
    ).fetchall()
    assert runs == [("earnings", "succeeded", 22), ("reconcile", "succeeded", 4)]
    assert database.execute("select state from public.sync_jobs").fetchall() == []
    assert (_ticks(engine, "worker"), _ticks(engine, "pg_cron")) == (11, 0)


async def _tick(engine: Engine) -> None:
    """Do what each worker does every minute, over REST as it does."""
    async with open_books(engine.settings()) as books:
        await books.jobs.enqueue_due("worker")


def test_terminated_worker_hands_its_leases_back_at_once_and_succeeds(engine: Engine) -> None:
    engine.fanvue.turn(rate_limit=100_000)
    creator = engine.creator(1_000)
    reached, release = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        release.wait(PATIENCE_SECONDS)

    with flaky(engine.environment["SUPABASE_URL"]) as rest:
        rest.at("commit_sync_page", 3, hold)
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", "run"],
            env={**engine.environment, "SUPABASE_URL": rest.url, "PATH": "/usr/bin:/bin"},
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            assert reached.wait(PATIENCE_SECONDS)
            process.send_signal(signal.SIGTERM)
            release.set()
            code = process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
            process.wait()

    assert code == 0
    job = engine.database.execute(
        "select state, attempt, lease_id, claimed_by from public.sync_jobs"
    ).fetchone()
    assert job == ("queued", 0, None, None)
    assert 100 <= engine.ledger(creator).count < 1_000
    engine.drain()
    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["succeeded"]


def test_worker_that_hangs_in_a_call_is_gone_when_its_grace_ends(engine: Engine) -> None:
    engine.fanvue.turn(rate_limit=100_000)
    creator = engine.creator(200)
    reached, release = threading.Event(), threading.Event()

    def hang() -> None:
        reached.set()
        release.wait(PATIENCE_SECONDS)

    with flaky(engine.environment["FANVUE_API_URL"]) as fanvue:
        fanvue.at("earnings", 3, hang)
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", "run"],
            env={
                **engine.environment,
                "FANVUE_API_URL": fanvue.url,
                "WORKER_SHUTDOWN_SECONDS": "0.5",
                "PATH": "/usr/bin:/bin",
            },
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            assert reached.wait(PATIENCE_SECONDS)
            process.send_signal(signal.SIGTERM)
            # Long before the call it hangs in comes back.
            code = process.wait(PATIENCE_SECONDS / 2)
        finally:
            release.set()
            process.kill()
            process.wait()

    assert code == 0
    job = engine.database.execute("select state, attempt from public.sync_jobs").fetchone()
    assert job == ("queued", 0)
    engine.drain()
    engine.assert_exact(creator)


def _work_until(engine: Engine, creator: str, *, runs: int) -> None:
    """Run a whole worker, its own schedule included, until so many runs of a creator ended."""
    asyncio.run(_work(engine, creator, runs))


async def _work(engine: Engine, creator: str, runs: int) -> None:
    settings = engine.settings(WORKER_TICK_SECONDS="1")
    async with open_engine(settings) as opened:

        async def watch() -> None:
            while len(engine.run_states(creator)) < runs:  # noqa: ASYNC110 - it sends no event
                await asyncio.sleep(LOOK_SECONDS)
            opened.runner.stop()

        opened.schedule.start()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.gather(opened.runner.run(), watch())
        finally:
            opened.schedule.stop()


def _ticks(engine: Engine, source: str) -> int:
    row = engine.database.execute(
        "select ticks from private.scheduler_ticks where source = %s", (source,)
    ).fetchone()
    return 0 if row is None else int(row[0])


@pytest.mark.parametrize("job", SCHEDULES)
def test_a_job_that_somebody_took_from_pg_cron_comes_back(engine: Engine, job: str) -> None:
    database = engine.database
    with database.transaction(force_rollback=True):
        database.execute("select cron.alter_job(jobid, active := true) from cron.job")
        database.execute("select cron.unschedule(%s)", (job,))
        database.execute("select ops.wake_schedule()")
        names = database.execute("select jobname from cron.job order by 1").fetchall()

    assert names == [(name,) for name in SCHEDULES]


def test_a_failure_of_the_night_is_still_seen_in_the_evening(engine: Engine) -> None:
    database = engine.database
    first = database.execute(
        "select coalesce(max(runid), 0) + 1 from cron.job_run_details"
    ).fetchone()
    assert first is not None
    try:
        # pg_cron's own minute steps, and half a minute's, fill its log meanwhile.
        database.execute(
            "insert into cron.job_run_details (jobid, runid, status, start_time)"
            " select case n when 0 then j.jobid else -1 end, %s + n,"
            " case n when 0 then 'failed' else 'succeeded' end, now() - interval '15 hours'"
            " from cron.job j, generate_series(0, 2000) n where j.jobname = 'fanvue-prune'",
            first,
        )

        row = database.execute(
            "select failures, last_status from private.cron_runs() where job = 'fanvue-prune'"
        ).fetchone()
    finally:
        database.execute("delete from cron.job_run_details where runid >= %s", first)

    assert row == (1, "failed")
