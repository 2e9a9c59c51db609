"""Grants under time, rotation and trouble: never lost, never used twice, never in the clear."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.reconciling import now_at_fanvue


if TYPE_CHECKING:
    from tests.support.engine import Engine


pytestmark = pytest.mark.system


def test_token_is_refreshed_once_per_expiry_and_stored_sealed(engine: Engine) -> None:
    creator = engine.creator(20)
    engine.drain()

    for _ in range(3):
        engine.pass_time(3500)
        engine.sync(creator)

    stats = engine.fanvue.stats()["creators"][creator]
    assert stats["refreshes"] == 3
    assert stats["chain_kills"] == 0
    assert stats["errors"] == 0
    stored = engine.database.execute(
        "select fanvue_access_token, fanvue_refresh_token, token_version from public.models"
    ).fetchone()
    assert stored is not None
    assert stored[0].startswith("fse1.")
    assert stored[1].startswith("fse1.")
    assert stored[2] == 4
    engine.assert_exact(creator)


def test_token_of_plenty_of_life_is_not_refreshed(engine: Engine) -> None:
    creator = engine.creator(5)
    engine.drain()

    engine.pass_time(3000)
    engine.sync(creator)

    assert engine.fanvue.stats()["creators"][creator]["refreshes"] == 0


def test_access_token_that_dies_in_the_middle_of_a_walk_is_replaced(engine: Engine) -> None:
    engine.fanvue.turn(rate_limit=100_000)
    creator = engine.creator(400)
    engine.fanvue.add_fault("status", path="/insights/earnings$", status=401, nth=4, times=1)

    engine.drain()

    assert engine.fanvue.stats()["creators"][creator]["refreshes"] == 1
    assert engine.run_states(creator) == ["succeeded"]
    engine.assert_exact(creator)


def test_answer_lost_after_rotation_is_recovered_within_the_grace(engine: Engine) -> None:
    creator = engine.creator(20)
    engine.drain()
    engine.pass_time(3500)
    # The grace lasts as long as the worker needs.
    engine.fanvue.freeze()
    engine.fanvue.add_fault("reset", path="/oauth2/token", moment="after", next_n=1)

    engine.sync(creator)

    stats = engine.fanvue.stats()["creators"][creator]
    assert stats["grace_hits"] == 1
    assert stats["chain_kills"] == 0
    assert _status(engine) == "active"
    engine.assert_exact(creator)


def test_dead_grant_is_kept_and_the_creator_is_asked_to_reconnect(engine: Engine) -> None:
    creator = engine.creator(20)
    engine.drain()
    before = _grant(engine)
    engine.fanvue.kill_chain(creator)
    engine.pass_time(3700)

    engine.sync(creator)
    assert _status(engine) == "active"
    engine.pass_time(30)
    engine.drain()

    assert _status(engine) == "reauth_required"
    assert _grant(engine) == before
    engine.fanvue.clear_requests()
    engine.pass_time(7200)
    engine.drain()
    assert engine.fanvue.requests() == []


def test_reconnecting_mends_the_model_in_place(engine: Engine) -> None:
    creator = engine.creator(20)
    engine.drain()
    engine.fanvue.kill_chain(creator)
    engine.pass_time(3700)
    engine.sync(creator)
    engine.pass_time(30)
    engine.drain()
    model = engine.models[creator]
    engine.fanvue.add_sales(creator, 3)

    assert engine.connect(creator) == model
    engine.drain()

    assert _status(engine) == "active"
    engine.assert_exact(creator)


def test_wrong_client_secret_condemns_no_grant(engine: Engine) -> None:
    creator = engine.creator(20)
    engine.drain()
    engine.pass_time(3700)

    engine.sync(creator, FANVUE_CLIENT_SECRET="not-the-secret")

    assert _status(engine) == "active"
    error = engine.database.execute("select last_error from public.sync_jobs").fetchone()
    assert error is not None
    assert "FANVUE_CLIENT_SECRET" in error[0]["remedy"]
    engine.pass_time(600)
    engine.drain()
    engine.assert_exact(creator)


def test_grants_of_a_few_minutes_are_not_refreshed_at_every_call(engine: Engine) -> None:
    engine.fanvue.turn(access_token_seconds=240)
    creator = engine.creator(5, handle="brief")
    began = now_at_fanvue(engine)
    engine.drain()

    for _ in range(6):
        engine.pass_time(60)
        engine.sync(creator)

    # One refresh per half a lifetime at the most, however long all this took.
    halves = (now_at_fanvue(engine) - began) / timedelta(seconds=120)
    assert engine.fanvue.stats()["creators"][creator]["refreshes"] <= halves


def _status(engine: Engine) -> str:
    row = engine.database.execute("select status from public.models").fetchone()
    assert row is not None
    return str(row[0])


def _grant(engine: Engine) -> tuple[str, ...]:
    row = engine.database.execute(
        "select fanvue_access_token, fanvue_refresh_token from public.models"
    ).fetchone()
    assert row is not None
    return tuple(row)
