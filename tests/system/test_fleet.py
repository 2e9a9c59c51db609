"""Several workers on the same creators: nothing twice, no limit broken, no share wasted."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from worker.app import open_books


if TYPE_CHECKING:
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

# A third of Fanvue's window, so that waiting for the second one takes a third of the time.
LIMIT = 40
WINDOW_SECONDS = 20
# More pages than one window has calls.
LARGE = 3000
TOKEN_SECONDS = 30


@pytest.mark.timeout(240)
def test_three_workers_share_twelve_creators_within_the_rate_limit(engine: Engine) -> None:
    engine.fanvue.turn(
        rate_limit=LIMIT, rate_window_seconds=WINDOW_SECONDS, access_token_seconds=TOKEN_SECONDS
    )
    large = engine.creator(LARGE)
    creators = [large, *(engine.creator(80) for _ in range(11))]
    engine.database.execute(
        "insert into private.api_budgets (bucket, window_seconds)"
        " select distinct bucket, %s from public.sync_jobs",
        (WINDOW_SECONDS,),
    )
    engine.fanvue.clear_stats()
    began = time.monotonic()

    with ExitStack() as workers:
        for _ in range(3):
            workers.enter_context(engine.worker(WORKER_SLICE_PAGES="10"))
        while "succeeded" not in engine.run_states(large):
            assert time.monotonic() - began < 6 * WINDOW_SECONDS, "the backfill takes too long"
            for creator in creators[1:]:
                engine.fanvue.add_sales(creator, 1)
            asyncio.run(_enqueue_all(engine, creators[1:]))
            threading.Event().wait(1)
    elapsed = time.monotonic() - began
    engine.end_leases()
    for creator in creators:
        engine.sync(creator)

    for creator in creators:
        engine.assert_exact(creator)
    stats = engine.fanvue.stats()
    assert stats["total"]["throttled"] == 0
    assert stats["total"]["chain_kills"] == 0
    assert stats["total"]["grace_hits"] == 0
    backfill = next(use for name, use in stats["buckets"].items() if large in name)
    # How much of a window may be used exactly is proven at the database, with a clock that a test
    # moves; here a slow machine lets permits lapse before it comes to use them.
    assert backfill["windows"][0]["used"] >= 0.75 * LIMIT
    # margins of half a lifetime: at most one refresh for each of those, by whichever worker
    most = elapsed / (TOKEN_SECONDS / 2) + 2
    for creator in creators:
        refreshes = stats["creators"][creator]["refreshes"]
        assert 1 <= refreshes <= most
        assert _token_version(engine, creator) == refreshes + 1


async def _enqueue_all(engine: Engine, creators: list[str]) -> None:
    async with open_books(engine.settings()) as books:
        for creator in creators:
            await books.jobs.enqueue(engine.models[creator], "earnings", full=False)


def _token_version(engine: Engine, creator: str) -> int:
    row = engine.database.execute(
        "select token_version from public.models where id = %s", (engine.models[creator],)
    ).fetchone()
    assert row is not None
    return int(row[0])
