"""Who gets what of a window of calls: live work always, a proof four fifths, nobody too much.

Fanvue's windows and the engine's stand still while the work is done, and move when a test says so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.day import Shape, new_day
from tests.support.day_grants import attach, connect
from tests.support.fairness import HUGE, LIMIT, SMALL, calls_of_this_window, use_of_windows


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.day import Day


pytestmark = [pytest.mark.system, pytest.mark.usefixtures("silent_cron")]


@pytest.fixture
def agency(stack: dict[str, str]) -> Iterator[Day]:
    """Return a day of one agency whose administrator's grant serves everybody."""
    with new_day(stack, Shape(agencies=1, connected=1, creators=1, **SMALL)) as day:
        yield day


async def test_live_call_gets_through_in_a_window_that_a_backfill_has_used_up(agency: Day) -> None:
    async with agency.engine() as engine:
        await connect(agency, engine)
        await agency.catch_up(engine)
        (creator,) = agency.control.add_creators(1, agency="Agency 1", **{**SMALL, **HUGE})
        uuid = creator["uuid"]
        await attach(agency, engine, "Agency 1", [uuid])
        await agency.work(engine)
        # the backfill is queued by the tick after the first look at the chats
        await agency.work(engine)
        used = calls_of_this_window(agency, uuid)
        (bucket,) = agency.database.execute(
            "select distinct bucket from public.sync_jobs where model_id = %s",
            (agency.models[uuid],),
        ).fetchall()[0]
        # What a slow machine let lapse is spent all the same: the database counts what it gave.
        left = await engine.books.database.call(
            "take_calls", {"p_bucket": bucket, "p_want": 1, "p_lane": "backfill"}
        )
        agency.control.add_sales(uuid, rows=[{"source": "tip"}])
        await engine.books.jobs.enqueue(agency.models[uuid], "earnings", full=False)

        await agency.work(engine)

    assert left["granted"] == 0
    assert used < calls_of_this_window(agency, uuid) <= LIMIT
    assert agency.ledger_count(uuid) == SMALL["transactions"] + 1


async def test_nightly_proof_leaves_a_fifth_of_a_window_to_all_others(agency: Day) -> None:
    async with agency.engine() as engine:
        (creator,) = agency.control.add_creators(
            1, agency="Agency 1", **{**SMALL, "transactions": 4500, "days": 30}
        )
        uuid = creator["uuid"]
        await connect(agency, engine)
        await attach(agency, engine, "Agency 1", [uuid])
        await agency.catch_up(engine)
        agency.clock.pass_seconds(120)
        await agency.work(engine)
        agency.clock.pass_seconds(120)
        agency.control.clear_stats()
        await engine.books.database.call(
            "enqueue_reconcile",
            {"p_model_id": agency.models[uuid], "p_days": 35, "p_priority": 200},
        )

        await agency.work(engine)

        proof = calls_of_this_window(agency, uuid)
        await engine.books.jobs.enqueue(agency.models[uuid], "posts", full=False)
        await agency.work(engine)
        after = calls_of_this_window(agency, uuid)

    # Four and a half thousand rows are more calls than it may make in one window.
    assert proof <= 0.8 * LIMIT
    assert after > proof


async def test_restarted_worker_does_not_use_a_window_twice(agency: Day) -> None:
    async with agency.engine() as first:
        await connect(agency, first)
        (creator,) = agency.control.add_creators(
            1, agency="Agency 1", **{**SMALL, "transactions": 8000}
        )
        await attach(agency, first, "Agency 1", [creator["uuid"]])
        for _ in range(4):
            # the second one is new each time, and again within the same window
            for _ in range(2):
                async with agency.engine() as second:
                    await asyncio.gather(agency.work(first), agency.work(second))
            agency.clock.pass_seconds(45)
        await agency.catch_up(first)

    windows = use_of_windows(agency, creator["uuid"])
    assert agency.control.stats()["total"]["throttled"] == 0
    assert max(windows) <= LIMIT
    assert len(windows) > 2
    assert agency.ledger_count(creator["uuid"]) == 8000
