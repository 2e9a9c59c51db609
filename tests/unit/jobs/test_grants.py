"""A grant is refreshed once, stored before it is used, and never lost, whoever is cancelled."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest

from tests.unit.jobs.grant_bench import HOUR, MODEL, Bench, due, stuck_refresh, until, while_open
from tests.unit.jobs.test_outcomes import JOB
from tests.unit.jobs.token_desk import INVALID_GRANT
from worker.errors import GrantMoved
from worker.jobs.grants import GRANTS_KEPT, Token
from worker.jobs.outcomes import Done
from worker.jobs.refresh_token import refresh_token


STEPS_TO_CANCEL_AT = 40


async def test_a_good_token_is_handed_out_and_remembered_as_long_as_the_database_said() -> None:
    b = Bench()
    b.connect()

    first = await b.keeper.token(MODEL)
    await b.keeper.token(MODEL)
    asked_within = len(b.stub.named("begin_token_refresh"))
    b.clock.jump(HOUR - b.grant.margin)
    await b.keeper.token(MODEL)

    assert first == Token("access-0", 1)
    assert asked_within == 1
    assert len(b.stub.named("begin_token_refresh")) > 1


async def test_a_token_that_is_due_is_refreshed_and_stored_before_it_is_used() -> None:
    b = due()

    token = await b.keeper.token(MODEL)

    assert token == Token("access-1", 2)
    assert b.stored() == ("access-1", b.desk.current)
    assert [name for name, _ in b.stub.calls] == [
        "begin_token_refresh",
        "finish_token_refresh",
        "begin_token_refresh",
    ]


async def test_many_jobs_of_one_worker_cause_one_refresh() -> None:
    b = due()

    tokens = await asyncio.gather(*(b.keeper.token(MODEL) for _ in range(50)))

    assert set(tokens) == {Token("access-1", 2)}
    assert b.desk.asked == ["refresh-0"]
    assert len(b.stub.calls) == 3


async def test_many_workers_cause_one_refresh() -> None:
    b = due()
    workers = [b.worker(f"worker {n}", b.book.stub()) for n in range(8)]
    b.desk.open.clear()

    waiting = [asyncio.create_task(worker.token(MODEL)) for worker in workers]
    await until(lambda: bool(b.desk.asked))
    b.desk.open.set()
    tokens = await asyncio.gather(*waiting)

    assert set(tokens) == {Token("access-1", 2)}
    assert b.desk.asked == ["refresh-0"]


async def test_other_models_do_not_wait_for_a_refresh() -> None:
    b = due()
    b.connect(model="another")
    b.desk.open.clear()
    stuck = asyncio.create_task(b.keeper.token(MODEL))
    await until(lambda: bool(b.desk.asked))

    assert (await b.keeper.token("another")).version == 1

    b.desk.open.set()
    await stuck


async def test_a_worker_that_lost_the_race_uses_the_winners_token() -> None:
    b = due()
    late = await stuck_refresh(b)
    b.clock.jump(timedelta(seconds=13))
    winner = await while_open(b, b.other.token(MODEL))

    b.desk.open.set()

    assert (await late) == winner
    assert b.stored()[0] == winner.value
    assert not b.desk.dead


async def test_a_losers_invalid_grant_is_no_verdict() -> None:
    b = due()
    b.desk.instead.append(INVALID_GRANT)
    late = await stuck_refresh(b)
    b.clock.jump(timedelta(seconds=13))
    winner = await while_open(b, b.other.token(MODEL))

    b.desk.open.set()

    assert (await late) == winner
    assert b.grant.status == "active"
    assert b.grant.suspect_at is None


async def test_a_loser_whose_token_was_rejected_waits_for_the_winner() -> None:
    b = Bench()
    b.connect()
    b.desk.instead.append(INVALID_GRANT)
    late = await stuck_refresh(b, rejected=1)
    b.clock.jump(timedelta(seconds=13))
    view = b.book.begin({"p_model_id": MODEL, "p_holder": "other", "p_rejected_version": 1})
    assert view["state"] == "refresh"

    b.desk.open.set()

    with pytest.raises(GrantMoved):
        await late


@pytest.mark.parametrize("step", range(STEPS_TO_CANCEL_AT))
async def test_a_job_cancelled_anywhere_leaves_the_pair_stored_or_never_asked_for(
    step: int,
) -> None:
    b = due()
    job = asyncio.create_task(b.keeper.token(MODEL))
    for _ in range(step):
        await asyncio.sleep(0)

    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    await b.keeper.finish()

    assert not b.desk.asked or b.stored() == ("access-1", b.desk.current)
    b.clock.jump(timedelta(seconds=13))
    await b.other.token(MODEL)
    assert b.stored()[1] == b.desk.current
    assert b.desk.asked == ["refresh-0"]


async def test_cancelling_is_tried_at_every_step_of_a_refresh() -> None:
    b = due()
    job = asyncio.create_task(b.keeper.token(MODEL))
    steps = 0
    while not job.done():
        await asyncio.sleep(0)
        steps += 1

    assert 10 < steps < STEPS_TO_CANCEL_AT


async def test_a_refresh_outlives_the_job_that_began_it() -> None:
    b = due()
    job = await stuck_refresh(b)

    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    finishing = asyncio.create_task(b.keeper.finish())
    await asyncio.sleep(0)
    waited_for = not finishing.done()
    b.desk.open.set()
    await finishing

    assert waited_for
    assert b.stored() == ("access-1", "refresh-1")


async def test_a_pair_is_stored_even_if_the_database_is_away_for_a_while() -> None:
    b = due()
    job = await stuck_refresh(b)
    b.stub.instead += [httpx.ConnectError("refused")] * 12

    b.desk.open.set()

    assert (await job).value == "access-1"
    assert b.stored() == ("access-1", "refresh-1")


async def test_a_lost_reply_to_storing_is_answered_by_storing_again() -> None:
    b = due()
    finish = b.stub.functions["finish_token_refresh"]

    def stored_but_unheard(asked: dict[str, object]) -> object:
        b.stub.functions["finish_token_refresh"] = finish
        finish(asked)
        raise httpx.ReadError("connection reset")

    b.stub.functions["finish_token_refresh"] = stored_but_unheard

    assert await b.keeper.token(MODEL) == Token("access-1", 2)
    assert len(b.desk.asked) == 1


async def test_remembering_models_is_bounded() -> None:
    b = Bench()
    for number in range(GRANTS_KEPT + 5):
        b.keeper._held(f"model {number}")

    assert len(b.keeper._grants) == GRANTS_KEPT


async def test_the_refresh_job_obtains_a_token_and_is_done() -> None:
    b = due()

    assert await refresh_token(JOB, b.keeper) == Done()
    assert b.stored() == ("access-1", "refresh-1")
