"""What our own side does wrong: the database restarts, REST refuses, answers are lost on the way.

Whatever happens between the worker and the books, they stay exact and no job is lost.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.flaky_rest import FlakyRest, flaky
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from worker.app import open_engine
from worker.clock import SystemClock
from worker.store.database import ATTEMPTS


if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from tests.support.engine import Engine


pytestmark = pytest.mark.system


@pytest.fixture
def rest(engine: Engine) -> Iterator[FlakyRest]:
    """Stand between the worker and the stack."""
    engine.fanvue.turn(rate_limit=100_000)
    with flaky(engine.environment["SUPABASE_URL"]) as proxy:
        engine.environment["SUPABASE_URL"] = proxy.url
        yield proxy


def test_database_restart_in_the_middle_of_a_backfill_costs_no_row(
    engine: Engine, rest: FlakyRest, local_stack: Stack
) -> None:
    creator = engine.creator(500)
    rest.at("commit_sync_page", 4, local_stack.stop_postgres)
    back = rest.at("commit_sync_page", 5, local_stack.start_postgres)

    engine.drain()

    engine.reconnect()
    assert back.hits == 1
    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["succeeded"]


def test_outage_longer_than_every_retry_only_delays_the_work(
    engine: Engine, rest: FlakyRest, local_stack: Stack
) -> None:
    creator = engine.creator(300)

    def come_back() -> None:
        local_stack.start_postgres()
        engine.reconnect()
        # The settlement was given up, so the lease has to end first.
        engine.pass_time(61)

    rest.at("commit_sync_page", 3, local_stack.stop_postgres)
    # With the last try of the settlement; then a drain looks again.
    tried = rest.at("settle_sync_jobs", ATTEMPTS, lambda: rest.at("claim_sync_jobs", 1, come_back))

    engine.drain()

    assert tried.hits == 1
    engine.assert_exact(creator)
    assert "succeeded" in engine.run_states(creator)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("claim_sync_jobs", 500),
        ("take_calls", 502),
        ("begin_token_refresh", 503),
        ("begin_sync_walk", 504),
        ("commit_sync_page", 520),
        ("commit_sync_page", 429),
        ("settle_sync_jobs", 500),
    ],
)
def test_refusal_by_what_stands_before_the_database_is_survived(
    engine: Engine, rest: FlakyRest, name: str, status: int
) -> None:
    creator = engine.creator(200)
    refusals = rest.refuse(name, status=status, body=b"<html>Bad gateway</html>", times=2)

    engine.drain(WORKER_SLICE_PAGES="3")

    assert refusals.hits == 2
    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["succeeded"]


@pytest.mark.parametrize(
    "name",
    [
        "claim_sync_jobs",
        "take_calls",
        "begin_token_refresh",
        "begin_sync_walk",
        "commit_sync_page",
        "settle_sync_jobs",
    ],
)
def test_every_call_may_lose_its_answer_after_the_commit(
    engine: Engine, rest: FlakyRest, name: str
) -> None:
    creator = engine.creator(300)
    losses = [rest.lose_answer(name, nth) for nth in (1, 3, 5)]

    engine.drain(WORKER_SLICE_PAGES="3")

    assert losses[0].hits == 1
    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["succeeded"]
    assert _jobs(engine) == []


def test_answer_that_was_cut_off_is_asked_for_again(engine: Engine, rest: FlakyRest) -> None:
    creator = engine.creator(200)
    cut = rest.spoil_answer("commit_sync_page", b'{"version": 1, "inser', nth=2)

    engine.drain()

    assert cut.hits == 1
    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["succeeded"]


@pytest.mark.parametrize("name", ["begin_token_refresh", "finish_token_refresh"])
def test_answer_lost_around_a_refresh_kills_no_chain(
    engine: Engine, rest: FlakyRest, name: str
) -> None:
    creator = engine.creator(60)
    engine.drain()
    engine.pass_time(3500)
    loss = rest.lose_answer(name)

    engine.sync(creator)

    stats = engine.fanvue.stats()["creators"][creator]
    assert loss.hits == 1
    assert (stats["refreshes"], stats["grace_hits"], stats["chain_kills"]) == (1, 0, 0)
    engine.assert_exact(creator)


def test_answers_lost_while_connecting_and_queueing_change_nothing(
    engine: Engine, rest: FlakyRest
) -> None:
    rules = [rest.lose_answer(name) for name in ("connect_model", "store_grant", "enqueue_sync")]
    creator = engine.creator(30)
    engine.drain()

    engine.sync(creator)

    assert [rule.hits for rule in rules] == [1, 1, 1]
    assert engine.run_states(creator) == ["succeeded", "succeeded"]
    engine.assert_exact(creator)


def test_settlement_refused_for_good_does_not_stop_the_worker(
    engine: Engine, rest: FlakyRest
) -> None:
    creator = engine.creator(100)
    broken = b'{"code": "XX000", "message": "internal error"}'
    refused = rest.refuse("settle_sync_jobs", status=500, body=broken)
    # The job looks as if it ran on until its lease ends.
    lease_ends = partial(rest.at, "claim_sync_jobs", 2, partial(engine.pass_time, 61))
    rest.at("settle_sync_jobs", 1, lease_ends)

    engine.drain(WORKER_SLICE_PAGES="1")

    assert refused.hits == 1
    engine.assert_exact(creator)
    assert _jobs(engine) == []


def test_worker_that_was_held_up_past_its_lease_writes_nothing(
    engine: Engine, rest: FlakyRest
) -> None:
    creator = engine.creator(400)
    others: list[Any] = []
    # Whoever is held up does not beat either, or would hear too early and take the job again.
    rest.refuse("heartbeat_sync_jobs", times=1_000)

    def let_another_take_over() -> None:
        engine.pass_time(61)
        engine.database.execute("select public.reap_expired_leases()")
        others.append(engine.drain(SUPABASE_URL=rest.target))

    rest.at("commit_sync_page", 3, let_another_take_over)

    late = engine.drain()

    assert others[0].outcomes == {"succeeded": 1}
    assert (late.outcomes, late.lost) == ({}, 1)
    assert engine.run_states(creator) == ["succeeded"]
    engine.assert_exact(creator)


def test_two_workers_at_once_on_the_same_lease_end_with_one_walk(
    engine: Engine, rest: FlakyRest
) -> None:
    creator = engine.creator(400)
    rest.refuse("heartbeat_sync_jobs", times=1_000)

    def let_another_begin() -> None:
        engine.pass_time(61)
        engine.database.execute("select public.reap_expired_leases()")
        engine.drain(wait_seconds=0, SUPABASE_URL=rest.target, WORKER_SLICE_PAGES="2")

    # The late one returns when the other one's slice ended and the job waits again.
    rest.at("commit_sync_page", 2, let_another_begin)

    engine.drain()

    assert engine.run_states(creator) == ["succeeded"]
    engine.assert_exact(creator)


def test_job_that_comes_back_to_the_same_worker_runs_there_once(
    engine: Engine, rest: FlakyRest
) -> None:
    creator = engine.creator(400)
    taken_again = threading.Event()
    rest.at("begin_sync_walk", 2, taken_again.set)

    pages = "select walk_pages from public.sync_state where sync_type = 'earnings'"

    def lose_the_lease() -> None:
        # It is asked for while the first page is committed, which extends the lease.
        wait_until(lambda: engine.database.execute(pages).fetchone() == (1,), "one page")
        engine.pass_time(61)
        engine.database.execute("select public.reap_expired_leases()")
        assert taken_again.wait(PATIENCE_SECONDS)

    with flaky(engine.environment["FANVUE_API_URL"]) as fanvue:
        fanvue.at("earnings", 3, lose_the_lease)
        tally = engine.drain(FANVUE_API_URL=fanvue.url)

    assert (tally.claimed, tally.lost, tally.outcomes) == (2, 1, {"succeeded": 1})
    assert engine.run_states(creator) == ["succeeded"]
    engine.assert_exact(creator)


def test_long_backfill_survives_more_losses_than_a_job_has_attempts(
    engine: Engine, rest: FlakyRest
) -> None:
    creator = engine.creator(600)

    def lose_the_lease() -> None:
        engine.pass_time(61)
        engine.database.execute("select public.reap_expired_leases()")
        engine.database.execute("update public.sync_jobs set run_at = private.engine_now()")

    losses = [rest.at("begin_sync_walk", nth, lose_the_lease) for nth in range(2, 22, 2)]

    engine.drain(WORKER_SLICE_PAGES="1")

    assert sum(loss.hits for loss in losses) == 10
    assert engine.run_states(creator) == ["succeeded"]
    engine.assert_exact(creator)


def test_new_pair_outlives_an_outage_longer_than_fanvue_s_grace(
    engine: Engine, rest: FlakyRest
) -> None:
    creator = engine.creator(30)
    engine.drain()
    engine.pass_time(3500)
    engine.database.execute("select public.enqueue_due('test')")
    names = ("heartbeat_sync_jobs", "claim_sync_jobs", "settle_sync_jobs")
    outage = rest.refuse("finish_token_refresh", times=40)

    def darken() -> None:
        for name in names:
            rest.refuse(name, times=1_000)

    def brighten() -> None:
        engine.pass_time(45)
        rest.forget(names)

    rest.at("finish_token_refresh", 1, darken)
    rest.at("finish_token_refresh", 41, brighten)

    asyncio.run(_drain_hastily(engine))

    stats = engine.fanvue.stats()["creators"][creator]
    assert outage.hits == 40
    assert (stats["refreshes"], stats["chain_kills"]) == (1, 0)
    engine.assert_exact(creator)


class HastyClock(SystemClock):
    """A clock whose waits last a hundredth."""

    async def sleep(self, delay: timedelta) -> None:
        await super().sleep(delay / 100)


async def _drain_hastily(engine: Engine) -> None:
    async with open_engine(engine.settings(), HastyClock()) as opened:
        await opened.runner.run(drain=True, horizon=timedelta(0))


def _jobs(engine: Engine) -> list[tuple[Any, ...]]:
    return engine.database.execute("select sync_type, state from public.sync_jobs").fetchall()
