"""What a long backfill owes the others: it stays behind live work, and ends when it is unwanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.streams import Creator
from worker.limits.shared import BLOCK_SIZES
from worker.traffic import Lane


if TYPE_CHECKING:
    from tests.database.engine import Engine


STEP = 0.25
BUCKET = "user:x"


@pytest.fixture
def creator(engine: Engine) -> Creator:
    return Creator(engine, "earnings")


def queued(engine: Engine) -> list[dict[str, Any]]:
    engine.call("enqueue_due")
    return engine.claim()


def take(engine: Engine, lane: Lane) -> dict[str, Any]:
    return dict(engine.call("take_calls", BUCKET, BLOCK_SIZES[lane], lane.value))


def test_a_poll_every_twenty_seconds_never_waits_for_a_backfill_that_takes_all_it_gets(
    engine: Engine,
) -> None:
    pause, refused, backfilled = 0.0, [], 0

    for tick in range(round(130 / STEP)):
        moment = tick * STEP
        if moment >= pause:
            reply = take(engine, Lane.BACKFILL)
            backfilled += reply["granted"]
            pause = moment + reply["wait_ms"] / 1000
        if moment % 20 == 0 and not take(engine, Lane.LIVE)["granted"]:
            refused.append(moment)
        engine.move_clock(seconds=STEP)

    assert backfilled >= 0.9 * 100 * 130 / 63
    assert refused == []


def test_a_first_walk_that_died_comes_back_behind_live_work(
    engine: Engine, creator: Creator
) -> None:
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    (job,) = queued(engine)
    assert job["priority"] == 100
    engine.settle(job, "dead", error={"kind": "transient"})
    engine.move_clock(hours=7)

    (job,) = queued(engine)

    assert (job["model_id"], job["priority"]) == (str(creator.model_id), 100)


def test_an_event_does_not_make_live_work_of_a_walk_through_history(
    engine: Engine, creator: Creator
) -> None:
    reading = creator.begin("earnings")
    reading.commit(cursor="c1", position=creator.at(days=1), mode="cursor")
    reading.settle("yield")
    engine.move_clock(minutes=2)

    payment: dict[str, Any] = {"id": "p1", "amount": 500, "currency": "USD", "source": "tip"}
    creator.told("payment.succeeded", purchaser={"uuid": "f1"}, **payment)

    (job,) = engine.claim()
    assert (job["sync_type"], job["priority"]) == ("earnings", 100)


@pytest.mark.parametrize("outcome", ["yield", "snooze", "retry"])
def test_a_walk_whose_stream_was_switched_off_ends_with_its_slice(
    engine: Engine, creator: Creator, outcome: str
) -> None:
    reading = creator.begin("earnings", full=True)
    reading.commit(cursor="c1", position=creator.at(days=1), mode="cursor")
    creator.override("earnings", enabled=False)

    reading.settle(outcome)

    assert engine.value("select count(*) from public.sync_jobs") == 0
    (run,) = engine.rows("select state, error ->> 'kind' as why from public.sync_runs")
    assert run == {"state": "cancelled", "why": "stream_off"}


def test_the_walk_goes_on_where_it_was_once_the_stream_is_on_again(
    engine: Engine, creator: Creator
) -> None:
    reading = creator.begin("earnings", full=True)
    reading.commit(cursor="c1", position=creator.at(days=1), mode="cursor")
    creator.override("earnings", enabled=False)
    reading.settle("yield")

    engine.rows("delete from private.sync_overrides")
    engine.move_clock(hours=1)
    (job,) = queued(engine)

    walk = engine.begin(job)
    assert (walk["walk_id"], walk["cursor"]) == (reading.state["walk_id"], "c1")


def test_a_stream_that_is_off_for_a_model_is_not_queued_for_it_by_hand_either(
    engine: Engine, creator: Creator
) -> None:
    creator.override("earnings", enabled=False)

    with pytest.raises(psycopg.Error, match="switched off") as refusal:
        engine.call("enqueue_sync", creator.model_id, "earnings")

    assert refusal.value.sqlstate == "PT422"
