"""Workers that are killed without warning: what they leave behind is exact and soon taken up."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.ambush import Moment, ambush
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

# What a worker calls for a page, in this order.
CALLS = ("claim_sync_jobs", "begin_sync_walk", "take_calls", "earnings", "commit_sync_page")
MOMENTS = [
    *(Moment(call, after=after) for call in CALLS for after in (False, True)),
    # With a page of its own behind it, and at the end of a slice.
    *(
        Moment(call, 2, after)
        for call in ("earnings", "commit_sync_page")
        for after in (False, True)
    ),
    *(Moment("settle_sync_jobs", after=after) for after in (False, True)),
    *(Moment("claim_sync_jobs", 2, after) for after in (False, True)),
]
# A worker that has room left looks again while it reads, so that a kill at the second claim would
# hit the page at whatever moment the machine's speed favours.
ONE_AT_A_TIME = {"WORKER_CONCURRENCY": "1", "WORKER_SLICE_PAGES": "2"}
# More than these workers read before they die.
PAGES = 24


def test_backfill_survives_a_kill_at_each_call_and_reads_no_page_but_open_ones_twice(
    engine: Engine,
) -> None:
    engine.fanvue.turn(rate_limit=100_000)
    # Of each page but the last one row is read twice.
    creator = engine.creator(49 * PAGES)

    with ambush(engine.environment) as road:
        for moment in MOMENTS:
            worker = engine.worker(drain=True, **ONE_AT_A_TIME, **road.settings())
            assert road.kill(moment, worker), f"the backfill ended before {moment}"
            engine.take_back()
    assert engine.run_states(creator) == []
    engine.drain()

    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["succeeded"]
    # Only a page that was not yet committed is read again, and the one asked for meanwhile: the
    # first is certain where it was read and its commit never came, the second nowhere.
    wasted = {
        Moment("earnings", after=True): (1, 1),
        Moment("commit_sync_page"): (1, 2),
        Moment("commit_sync_page", after=True): (0, 1),
        Moment("earnings", 2): (0, 1),
        Moment("earnings", 2, after=True): (1, 2),
        # The last page of a slice.
        Moment("commit_sync_page", 2): (1, 1),
    }
    assert wasted.keys() <= set(MOMENTS)
    summary = 1
    least, most = map(sum, zip(*wasted.values(), strict=True))
    assert least <= len(engine.calls(creator)) - PAGES - summary <= most


def test_a_claim_on_its_way_at_a_kill_takes_effect_before_the_next_step(engine: Engine) -> None:
    engine.creator(50)
    claiming, died, claimed = threading.Event(), threading.Event(), threading.Event()

    def claim() -> None:
        claiming.set()
        died.wait(PATIENCE_SECONDS)

    @contextmanager
    def mortal() -> Iterator[BaseProcess]:
        with engine.worker(drain=True, **road.settings()) as process:
            yield process
        died.set()

    with ambush(engine.environment) as road:
        road.rest.at("claim_sync_jobs", 2, claim)
        # The worker has room left and looks for more while it reads.
        road.fanvue.at("earnings", 1, lambda: claiming.wait(PATIENCE_SECONDS))
        road.rest.strand("claim_sync_jobs", claimed.set, 2, after=True)

        assert road.kill(Moment("earnings", after=True), mortal())

        assert claimed.is_set()


def test_worker_killed_between_rotation_and_storing_loses_no_grant(engine: Engine) -> None:
    creator = engine.creator(30)
    engine.drain()
    engine.fanvue.freeze()
    engine.pass_time(3590)
    engine.fanvue.add_fault("timeout", path="/oauth2/token", moment="after", next_n=1)
    engine.database.execute("update public.sync_state set next_sync_at = now()")

    with engine.worker(WORKER_LEASE_SECONDS="10"):
        wait_until(
            lambda: engine.fanvue.stats()["creators"][creator]["refreshes"] == 1, "a refresh"
        )
    # The dead worker held the refresh for 12 s; the net it left catches within the grace.
    engine.pass_time(14)
    engine.drain()

    stats = engine.fanvue.stats()["creators"][creator]
    assert stats["grace_hits"] == 1
    assert stats["chain_kills"] == 0
    status = engine.database.execute("select status, token_version from public.models").fetchone()
    assert status == ("active", 2)
    engine.end_leases()
    engine.sync(creator)
    engine.assert_exact(creator)
