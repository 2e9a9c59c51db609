"""Nobody waits for somebody else's work: not for a huge backfill, not for a greedy agency.

Everything is counted from Fanvue's request log and from the runs, in simulated time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.day import Shape, new_day
from tests.support.day_grants import attach, connect, connect_agency
from tests.support.fairness import (
    HUGE,
    LIMIT,
    backfill_beside_live_work,
    calls_of_this_window,
    use_of_windows,
)


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.day import Day


pytestmark = [pytest.mark.system, pytest.mark.usefixtures("silent_cron")]

SMALL: dict[str, Any] = {
    "transactions": 5,
    "fans": 3,
    "messages": 5,
    "posts": 2,
    "subscribers": 1,
    "followers": 1,
}
MESSAGES = 6_000
GREEDY = 30
STREAMS = 7


@pytest.fixture
def agency(stack: dict[str, str]) -> Iterator[Day]:
    """Return a day of one agency whose administrator's grant serves everybody."""
    with new_day(stack, Shape(agencies=1, connected=1, creators=1, **SMALL)) as day:
        yield day


async def test_live_streams_keep_their_rhythm_beside_a_huge_backfill(
    stack: dict[str, str],
) -> None:
    result = await backfill_beside_live_work(stack, MESSAGES, creators=8, minutes=32)

    assert result.stored >= MESSAGES
    assert result.refused == 0
    assert not result.late
    assert result.busiest_window <= LIMIT


async def test_agency_with_hundreds_of_due_jobs_keeps_nobody_waiting(
    stack: dict[str, str],
) -> None:
    with new_day(stack, Shape(agencies=2, connected=2, creators=0)) as day:
        async with day.engine() as engine:
            owners = {a["name"]: a["owner_uuid"] for a in day.control.world()["agencies"]}
            for name, count in (("Agency 1", GREEDY), ("Agency 2", 2)):
                made = day.control.add_creators(count, agency=name, **SMALL)
                creators = [one["uuid"] for one in made]
                await connect_agency(day, engine, name, owners[name], creators)
            await day.work(engine)
        ended = day.database.execute(
            """select a.name from public.sync_runs r join public.agencies a on a.id = r.agency_id
               where r.sync_type <> 'message_history' order by r.id"""
        ).fetchall()

    order = [name for (name,) in ended]
    last_of_the_modest = max(n for n, name in enumerate(order) if name == "Agency 2")
    assert order.count("Agency 1") == GREEDY * STREAMS
    assert order.count("Agency 2") == 2 * STREAMS
    # in turn with the greedy one's, plus what was under way
    assert last_of_the_modest < 4 * 2 * STREAMS


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
