"""Nobody waits for somebody else's work: not for a huge backfill, not for a greedy agency.

Everything is counted from Fanvue's request log and from the runs, in simulated time.
"""

from __future__ import annotations

import pytest

from tests.support.day import Shape, new_day
from tests.support.day_grants import connect_agency
from tests.support.fairness import LIMIT, SMALL, backfill_beside_live_work


pytestmark = [pytest.mark.system, pytest.mark.usefixtures("silent_cron")]

MESSAGES = 6_000
GREEDY = 30
STREAMS = 7


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
        left = day.database.execute(
            "select last_error from public.sync_jobs where sync_type <> 'message_history'"
        ).fetchall()

    # no job was sent back to wait, whatever for
    assert left == []
    order = [name for (name,) in ended]
    last_of_the_modest = max(n for n, name in enumerate(order) if name == "Agency 2")
    assert order.count("Agency 1") == GREEDY * STREAMS
    assert order.count("Agency 2") == 2 * STREAMS
    # in turn with the greedy one's, plus what was under way
    assert last_of_the_modest < 4 * 2 * STREAMS
