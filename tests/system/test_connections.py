"""Models and their grants over time: adopted, paused, deleted, sealed with keys that come and go.

A model that may not sync costs nothing; one whose key is missing waits for the key, not for them.
"""

from __future__ import annotations

import base64
import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.flaky_rest import flaky
from worker.jobs.walk import PAGES_AT_ONCE


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

NEW_KEY = "new:" + base64.b64encode(bytes(range(32))).decode()


def test_paused_model_costs_no_call_and_catches_up_when_resumed(engine: Engine) -> None:
    creator = engine.creator(30)
    engine.drain()
    _set_status(engine, creator, "paused")
    engine.fanvue.clear_requests()
    engine.pass_time(3000)
    engine.fanvue.add_sales(creator, 5)

    tick = _tick(engine)
    engine.drain()

    assert tick == {"enqueued": 0, "revived": 0}
    assert engine.fanvue.requests(creator=creator) == []

    _set_status(engine, creator, "active")
    assert _tick(engine)["enqueued"] == 1
    engine.drain()
    engine.assert_exact(creator)


def test_model_paused_in_the_middle_of_its_backfill_stops_at_the_next_page(engine: Engine) -> None:
    engine.fanvue.turn(rate_limit=100_000)
    creator = engine.creator(1_000)
    before = []

    def pause() -> None:
        before.append(engine.ledger(creator).count)
        _set_status(engine, creator, "paused")

    _drain_with(engine, "commit_sync_page", 3, pause)

    assert engine.run_states(creator) == ["cancelled"]
    # One more commit, of several pages at most. The oldest instant of a page is read with the next.
    more, rest = divmod(engine.ledger(creator).count - before[0], 49)
    assert (1 <= more <= PAGES_AT_ONCE, rest) == (True, 0)
    assert _jobs(engine) == []

    _set_status(engine, creator, "active")
    _tick(engine)
    engine.drain()
    engine.assert_exact(creator)


def test_cancelled_job_stops_at_its_next_page_and_what_it_committed_stays(engine: Engine) -> None:
    engine.fanvue.turn(rate_limit=100_000)
    creator = engine.creator(1_000)
    before = []

    def cancel() -> None:
        before.append(engine.ledger(creator).count)
        engine.database.execute("select ops.cancel_job(id) from public.sync_jobs")

    _drain_with(engine, "commit_sync_page", 4, cancel)

    assert engine.run_states(creator) == ["cancelled"]
    committed, asked = engine.ledger(creator).count, len(engine.calls(creator))
    more, rest = divmod(committed - before[0], 49)
    assert (1 <= more <= PAGES_AT_ONCE, rest) == (True, 0)

    engine.sync(creator)
    engine.assert_exact(creator)
    # It goes on below what was committed.
    assert len(engine.calls(creator)) - asked <= (1_000 - committed) / 49 + 3


def test_deletion_in_the_middle_of_a_backfill_ends_it_quietly(engine: Engine) -> None:
    moments = "begin_token_refresh", "begin_sync_walk", "commit_sync_page", "settle_sync_jobs"
    for moment, what in itertools.product(moments, ("models", "agencies")):
        creator = engine.creator(120)
        delete = partial(engine.database.execute, f"delete from public.{what}")  # noqa: S608 - one of two constants

        # The end of a slice is settled by itself, that of a walk with its last page.
        tally = _drain_with(engine, moment, 1, delete, WORKER_SLICE_PAGES="1")

        assert (tally.outcomes, tally.lost) == ({}, 1), (moment, what)
        for left in ("models", "sync_jobs", "sync_state", "sync_runs", "fanvue_transactions"):
            count = engine.database.execute(f"select count(*) from public.{left}")  # noqa: S608 - constants
            assert count.fetchone() == (0,), (moment, what, left)
        assert all(call["status"] == 200 for call in engine.fanvue.requests(creator=creator))


def test_missing_key_waits_for_the_key_and_blames_no_creator(engine: Engine) -> None:
    creator = engine.creator(30)
    old_id = engine.environment["TOKEN_ENCRYPTION_KEYS"].partition(":")[0]

    engine.drain(TOKEN_ENCRYPTION_KEYS=NEW_KEY)

    state, attempt, error = _earnings_job(engine)
    assert (state, attempt) == ("queued", 0)
    assert error["kind"] == "misconfigured"
    assert f"'{old_id}'" in error["message"]
    assert "TOKEN_ENCRYPTION_KEYS" in error["remedy"]
    assert _status(engine, creator) == "active"
    assert engine.fanvue.requests(creator=creator) == []

    engine.pass_time(301)
    engine.drain()
    engine.assert_exact(creator)


def test_missing_key_at_the_time_of_a_refresh_spends_no_refresh_token(engine: Engine) -> None:
    creator = engine.creator(30)
    engine.drain()
    engine.pass_time(3500)
    _tick(engine)

    engine.drain(TOKEN_ENCRYPTION_KEYS=NEW_KEY)
    engine.pass_time(330)
    engine.drain()

    stats = engine.fanvue.stats()["creators"][creator]
    assert (stats["refreshes"], stats["chain_kills"]) == (1, 0)
    assert _status(engine, creator) == "active"
    engine.assert_exact(creator)


def test_rotated_key_seals_anew_at_first_use_and_the_old_one_can_go(engine: Engine) -> None:
    creator = engine.creator(30)
    engine.drain()
    both = NEW_KEY + "," + engine.environment["TOKEN_ENCRYPTION_KEYS"]

    engine.sync(creator, TOKEN_ENCRYPTION_KEYS=both)

    assert [token.split(".")[:2] for token in _tokens(engine, creator)] == [["fse1", "new"]] * 2
    engine.pass_time(3600)
    engine.sync(creator, TOKEN_ENCRYPTION_KEYS=NEW_KEY)
    assert engine.run_states(creator) == ["succeeded"] * 3
    engine.assert_exact(creator)


def test_plain_tokens_of_an_older_application_are_sealed_at_first_use(engine: Engine) -> None:
    creator = _adopt(engine)

    _tick(engine)
    engine.drain()

    assert all(token.startswith("fse1.") for token in _tokens(engine, creator))
    engine.assert_exact(creator)


@pytest.mark.parametrize("plain", ["access", "refresh"])
def test_single_plain_token_beside_a_sealed_one_is_sealed_too(engine: Engine, plain: str) -> None:
    creator = engine.creator(20)
    engine.drain()
    grant = engine.fanvue.grant(creator)
    token = grant.access_token if plain == "access" else grant.refresh_token
    engine.database.execute(
        f"update public.models set fanvue_{plain}_token = %s",  # noqa: S608 - one of two constants
        (token,),
    )

    engine.sync(creator)

    assert all(token.startswith("fse1.") for token in _tokens(engine, creator))
    engine.assert_exact(creator)


def test_lone_access_token_works_until_it_ends_and_is_kept_then(engine: Engine) -> None:
    creator = _adopt(engine, with_refresh=False)
    _tick(engine)
    engine.drain()
    engine.assert_exact(creator)

    engine.pass_time(3700)
    _tick(engine)
    engine.drain()

    assert _status(engine, creator) == "reauth_required"
    access, refresh = _tokens(engine, creator)
    assert access.startswith("fse1.")
    assert refresh is None
    assert engine.run_states(creator)[-1] == "failed"


def test_creator_who_connects_again_goes_on_where_they_stopped(engine: Engine) -> None:
    creator = _adopt(engine, with_refresh=False)
    engine.pass_time(3700)
    _tick(engine)
    engine.drain()
    assert _status(engine, creator) == "reauth_required"

    engine.fanvue.add_sales(creator, 4)
    engine.connect(creator, "Adopted")
    engine.drain()

    assert _status(engine, creator) == "active"
    engine.assert_exact(creator)


def _drain_with(
    engine: Engine, name: str, nth: int, act: Callable[[], object], **changes: Any
) -> Any:
    """Drain while something happens before the nth call of an RPC."""
    with flaky(engine.environment["SUPABASE_URL"]) as rest:
        rule = rest.at(name, nth, act)
        tally = engine.drain(SUPABASE_URL=rest.url, **changes)
    assert rule.hits == 1
    return tally


def _adopt(engine: Engine, *, with_refresh: bool = True) -> str:
    """Write a model as an older application does: tokens in plain text, nothing else."""
    creator = engine.fanvue.add_creators(transactions=30)[0]["uuid"]
    grant = engine.fanvue.grant(creator)
    row = engine.database.execute(
        """
        with agency as (insert into public.agencies (name) values ('Adopted') returning id)
        insert into public.models (agency_id, fanvue_user_uuid,
                                   fanvue_access_token, fanvue_refresh_token)
        select id, %s, %s, %s from agency
        returning id::text
        """,
        (creator, grant.access_token, grant.refresh_token if with_refresh else None),
    ).fetchone()
    assert row is not None
    engine.models[creator] = row[0]
    return creator


def _tick(engine: Engine) -> dict[str, int]:
    row = engine.database.execute("select public.enqueue_due('test')").fetchone()
    assert row is not None
    return dict(row[0])


def _set_status(engine: Engine, creator: str, status: str) -> None:
    engine.database.execute(
        "update public.models set status = %s where id = %s", (status, engine.models[creator])
    )


def _status(engine: Engine, creator: str) -> str:
    row = engine.database.execute(
        "select status from public.models where id = %s", (engine.models[creator],)
    ).fetchone()
    assert row is not None
    return str(row[0])


def _tokens(engine: Engine, creator: str) -> list[Any]:
    row = engine.database.execute(
        "select fanvue_access_token, fanvue_refresh_token from public.models where id = %s",
        (engine.models[creator],),
    ).fetchone()
    assert row is not None
    return list(row)


def _jobs(engine: Engine) -> list[tuple[Any, ...]]:
    return engine.database.execute("select sync_type, state from public.sync_jobs").fetchall()


def _earnings_job(engine: Engine) -> tuple[Any, ...]:
    row = engine.database.execute(
        "select state, attempt, last_error from public.sync_jobs where sync_type = 'earnings'"
    ).fetchone()
    assert row is not None
    return tuple(row)
