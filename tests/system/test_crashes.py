"""Workers that are killed without warning: what they leave behind is exact and soon taken up."""

from __future__ import annotations

import random
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

KILLS = 50
# More than 50 workers read before they die, also where the killer is slow.
PAGES = 150


def test_backfill_survives_50_kills_and_reads_fewer_than_two_pages_per_kill_twice(
    engine: Engine,
) -> None:
    engine.fanvue.turn(rate_limit=100_000)
    creator = engine.creator(50 * PAGES)
    # slower pages, so that a worker does not outrun its killer
    engine.fanvue.add_fault("slow", path="/insights/earnings$", ms=15)
    chance = random.Random(20261123)  # noqa: S311 - moments, not secrets
    kills = 0

    while kills < KILLS:
        # the call in flight when the worker died may be counted late, so the goal is a later one
        goal = _calls(engine) + chance.choice((1, 1, 2))
        assert not _settled(engine), f"the backfill ended after {kills} kills"
        with engine.worker(WORKER_SLICE_PAGES="10000", FANVUE_TIMEOUT_SECONDS="5"):
            _wait_for(partial(_reached, engine, goal))
            # any instant of a page's life: reading, committing, between the two
            time.sleep(chance.uniform(0, 0.03))
        kills += 1
        _take_back(engine)
    engine.drain()

    engine.assert_exact(creator)
    assert _settled(engine) == ["succeeded"]
    read_twice = len(engine.calls(creator)) - (PAGES + 2)
    assert read_twice < 2 * kills


def test_worker_killed_between_rotation_and_storing_loses_no_grant(engine: Engine) -> None:
    creator = engine.creator(30)
    engine.drain()
    engine.pass_time(3590)
    engine.fanvue.add_fault("timeout", path="/oauth2/token", moment="after", next_n=1)
    engine.database.execute("update public.sync_state set next_sync_at = now()")

    with engine.worker(WORKER_LEASE_SECONDS="10"):
        _wait_for(lambda: engine.fanvue.stats()["creators"][creator]["refreshes"] == 1)
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


def _take_back(engine: Engine) -> None:
    """Make the dead worker's job due at once, however often in a row it died before a commit."""
    engine.end_leases()
    engine.database.execute(
        "update public.sync_jobs set run_at = private.engine_now(), max_attempts = 1000"
    )


def _settled(engine: Engine) -> list[str]:
    rows = engine.database.execute(
        "select distinct state from public.sync_runs where state <> 'cancelled'"
    ).fetchall()
    return [row[0] for row in rows]


def _reached(engine: Engine, goal: int) -> bool:
    return _calls(engine) >= goal


def _calls(engine: Engine) -> int:
    return int(engine.fanvue.stats()["total"]["calls"])


def _wait_for(condition: object, seconds: float = 60) -> None:
    """Look until it is so; a condition that never comes fails the test."""
    assert callable(condition)
    ends = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        pause.wait(0.002)
