"""Several workers on the same creators: nothing twice, no limit broken, no share wasted.

Fanvue's clock and the engine's stand still while the workers work, and are moved when there is
nothing left to do: what a window holds is told by the clock, and the clock by the test.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.day_clock import DayClock, stopped_database
from tests.support.waiting import wait_until
from worker.app import open_books


if TYPE_CHECKING:
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

LIMIT = 40
WINDOW_SECONDS = 20
# The last twenty-fifth of a window is not for backfills.
SHARE = LIMIT - ceil(LIMIT * 0.04)
# More pages than one window has calls.
LARGE = 2200
TOKEN_SECONDS = 30
# Past the window, and the little while for which a call that was granted may still be made.
STEP_SECONDS = WINDOW_SECONDS + 4
PERMIT = timedelta(seconds=2)
ROUNDS = 10
WORK = """
select count(*) from public.sync_jobs
where state = 'running' or (state = 'queued' and run_at <= private.engine_now())
"""
USED = """
select (select sum(calls) from unnest(slots) calls) from private.api_budgets
where bucket = (select bucket from public.sync_jobs where model_id = %s)
"""


def test_three_workers_share_twelve_creators_within_the_rate_limit(engine: Engine) -> None:
    engine.fanvue.freeze()
    clock = DayClock(engine.fanvue, engine.database, datetime.now(UTC))
    with stopped_database(engine.database):
        clock.move_to(clock.instant)
        _share(engine, clock)


def _share(engine: Engine, clock: DayClock) -> None:
    engine.fanvue.turn(
        rate_limit=LIMIT, rate_window_seconds=WINDOW_SECONDS, access_token_seconds=TOKEN_SECONDS
    )
    large = engine.creator(LARGE)
    creators = [large, *(engine.creator(30) for _ in range(11))]
    engine.database.execute(
        "insert into private.api_budgets (bucket, window_seconds)"
        " select distinct bucket, %s from public.sync_jobs",
        (WINDOW_SECONDS,),
    )
    engine.fanvue.clear_stats()
    used = []

    with ExitStack() as workers:
        for _ in range(3):
            workers.enter_context(engine.worker(WORKER_SLICE_PAGES="10"))
        for _ in range(ROUNDS):
            wait_until(lambda: not _number(engine, WORK), "the work that is due")
            if "succeeded" in engine.run_states(large):
                break
            used.append(_number(engine, USED, engine.models[large]))
            # What a worker was granted and did not use lapses by its own clock.
            time.sleep(PERMIT.total_seconds())
            clock.pass_seconds(STEP_SECONDS)
            for creator in creators[1:]:
                engine.fanvue.add_sales(creator, 1)
            asyncio.run(_enqueue_all(engine, creators[1:]))
    clock.pass_seconds(STEP_SECONDS)
    engine.end_leases()
    for creator in creators:
        engine.sync(creator)

    for creator in creators:
        engine.assert_exact(creator)
    stats = engine.fanvue.stats()
    assert stats["total"]["throttled"] == 0
    assert stats["total"]["chain_kills"] == 0
    assert stats["total"]["grace_hits"] == 0
    # Each window was given out to its end before anybody waited for the next.
    assert used
    assert used == [SHARE] * len(used)
    for creator in creators:
        refreshes = stats["creators"][creator]["refreshes"]
        # Half of a token's life is shorter than a step of the clock, so each step may cost one.
        assert 1 <= refreshes <= len(used) + 2
        assert _token_version(engine, creator) == refreshes + 1


async def _enqueue_all(engine: Engine, creators: list[str]) -> None:
    async with open_books(engine.settings()) as books:
        for creator in creators:
            await books.jobs.enqueue(engine.models[creator], "earnings", full=False)


def _number(engine: Engine, query: str, *values: Any) -> int:
    row = engine.database.execute(query.encode(), values).fetchone()
    assert row is not None
    return int(row[0])


def _token_version(engine: Engine, creator: str) -> int:
    query = "select token_version from public.models where id = %s"
    return _number(engine, query, engine.models[creator])
