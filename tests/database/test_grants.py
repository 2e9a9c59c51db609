"""A grant is never lost: one refresh at a time, fenced, and no verdict from the loser of a race."""

from __future__ import annotations

import uuid
from collections import Counter
from threading import Barrier
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.engine import WAIT


if TYPE_CHECKING:
    from tests.database.engine import Engine


class Grant:
    """One creator's grant, as refreshers meet it."""

    def __init__(self, engine: Engine, **columns: Any) -> None:
        self.engine = engine
        self.model_id = engine.model(engine.agency(), due=False, **columns)

    def expire(self, in_seconds: float = -1, lifetime: float = 3600) -> None:
        """Set when the access token ends and how long it lived."""
        self.engine.rows(
            "update public.models set fanvue_token_expires_at ="
            " private.engine_now() + make_interval(secs => %s), fanvue_token_issued_at ="
            " private.engine_now() + make_interval(secs => %s) where id = %s",
            in_seconds,
            in_seconds - lifetime,
            self.model_id,
        )

    def begin(self, holder: str = "w0", rejected: int | None = None) -> dict[str, Any]:
        """Ask what to call Fanvue with."""
        return dict(self.engine.call("begin_token_refresh", self.model_id, holder, rejected))

    def finish(self, begun: dict[str, Any], pair: str = "1") -> dict[str, Any]:
        """Store the new pair of a begun refresh."""
        return dict(
            self.engine.call(
                "finish_token_refresh",
                self.model_id,
                begun["fence"],
                begun["version"],
                f"access-{pair}",
                f"refresh-{pair}",
                3600,
            )
        )

    def fail(
        self, begun: dict[str, Any], kind: str, retry_after: float | None = None
    ) -> dict[str, Any]:
        """Report a failed refresh."""
        return dict(
            self.engine.call(
                "fail_token_refresh",
                self.model_id,
                begun["fence"],
                begun["version"],
                kind,
                "the words of Fanvue",
                retry_after,
            )
        )

    def model(self) -> dict[str, Any]:
        """Return the stored row."""
        (row,) = self.engine.rows("select * from public.models where id = %s", self.model_id)
        return row


@pytest.fixture
def grant(engine: Engine) -> Grant:
    due = Grant(engine)
    due.expire()
    return due


def test_of_eight_workers_at_once_exactly_one_refreshes(grant: Grant) -> None:
    workers = [grant.engine.another() for _ in range(8)]
    start = Barrier(8)

    def begin(worker: Any) -> str:
        start.wait()
        return str(worker.call("begin_token_refresh", grant.model_id, worker.name)["state"])

    states = Counter(
        future.result(WAIT) for future in [worker.run(begin, worker) for worker in workers]
    )

    assert states == {"refresh": 1, "wait": 7}


def test_the_new_pair_is_stored_and_used_by_everyone(grant: Grant) -> None:
    assert grant.finish(grant.begin()) == {"state": "stored", "version": 1}

    ready = grant.begin("w1")
    assert (ready["state"], ready["version"]) == ("ready", 1)
    assert (ready["access_token"], ready["refresh_token"]) == ("access-1", "refresh-1")


def test_a_stored_pair_whose_reply_was_lost_is_stored_again_as_the_same(grant: Grant) -> None:
    begun = grant.begin()

    assert grant.finish(begun) == grant.finish(begun) == {"state": "stored", "version": 1}


def test_a_begin_whose_reply_was_lost_gets_the_refresh_again(grant: Grant) -> None:
    first, again = grant.begin(), grant.begin()

    assert first["state"] == again["state"] == "refresh"
    assert grant.begin("w1")["state"] == "wait"


def test_a_silent_refresher_is_taken_over_within_the_grace(grant: Grant) -> None:
    grant.begin("w0")
    grant.engine.move_clock(seconds=13)

    taken = grant.begin("w1")

    assert taken["state"] == "refresh"
    assert taken["refresh_token"] == "refresh-0"


def test_the_refresher_that_was_taken_over_does_not_overwrite_the_newer_pair(grant: Grant) -> None:
    early = grant.begin("w0")
    grant.engine.move_clock(seconds=13)
    late = grant.begin("w1")

    grant.finish(late, "late")

    assert grant.finish(early, "early") == {"state": "moved", "version": 1}
    assert grant.model()["fanvue_refresh_token"] == "refresh-late"


def test_late_loser_of_refresh_race_keeps_the_grant(grant: Grant) -> None:
    early = grant.begin("w0")
    grant.engine.move_clock(seconds=13)
    late = grant.begin("w1")
    grant.finish(late, "late")

    assert grant.fail(early, "invalid_grant")["state"] == "moved"

    assert (grant.model()["status"], grant.begin("w0")["state"]) == ("active", "ready")


def test_one_unexplained_refusal_is_a_suspicion_and_the_second_a_verdict(grant: Grant) -> None:
    first = grant.fail(grant.begin(), "invalid_grant")
    assert (first["state"], grant.begin()["state"]) == ("suspect", "wait")
    assert grant.model()["status"] == "active"
    grant.engine.move_clock(seconds=11)

    assert grant.fail(grant.begin(), "invalid_grant")["state"] == "reauth_required"

    model = grant.model()
    assert model["status"] == "reauth_required"
    assert model["fanvue_refresh_token"] == "refresh-0"
    assert grant.begin()["state"] == "reauth_required"


def test_a_success_clears_the_suspicion(grant: Grant) -> None:
    grant.fail(grant.begin(), "invalid_grant")
    grant.engine.move_clock(seconds=11)
    grant.finish(grant.begin())
    grant.expire()

    assert grant.fail(grant.begin(), "invalid_grant")["state"] == "suspect"


def test_passing_trouble_is_retried_ever_later(grant: Grant) -> None:
    waits = []
    for _ in range(10):
        reply = grant.fail(grant.begin(), "transient")
        assert reply["state"] == "retry"
        waits.append(reply["retry_in_s"])
        assert grant.begin("w1")["state"] == "wait"
        grant.engine.move_clock(seconds=reply["retry_in_s"] + 0.1)

    assert waits[0] == 2
    assert waits == sorted(waits)
    assert waits[-1] == 300
    assert grant.model()["status"] == "active"


def test_our_own_misconfiguration_never_costs_a_creator_their_grant(grant: Grant) -> None:
    for _ in range(3):
        assert grant.fail(grant.begin(), "config") == {"state": "retry", "retry_in_s": 300}
        grant.engine.move_clock(seconds=301)

    assert grant.model()["status"] == "active"


def test_while_a_refresh_runs_a_token_that_still_works_is_used(grant: Grant) -> None:
    grant.expire(in_seconds=60)
    assert grant.begin("w0")["state"] == "refresh"

    other = grant.begin("w1")

    assert (other["state"], other["use_for_s"]) == ("ready", 5)


def test_a_token_that_fanvue_refused_is_refreshed_whatever_its_expiry_says(grant: Grant) -> None:
    grant.expire(in_seconds=3000)
    assert grant.begin()["state"] == "ready"

    assert grant.begin(rejected=0)["state"] == "refresh"


def test_a_refusal_of_an_older_token_does_not_refresh_the_newer_one(grant: Grant) -> None:
    grant.finish(grant.begin())

    assert grant.begin(rejected=0)["state"] == "ready"


@pytest.mark.parametrize(
    ("lifetime", "refreshed_before"),
    [(300, 150), (3600, 360), (86_400, 8640), (30 * 86_400, 86_400)],
)
def test_the_margin_follows_the_lifetime(
    engine: Engine, lifetime: int, refreshed_before: int
) -> None:
    grant = Grant(engine)
    # a tenth of jitter on top of the margin
    grant.expire(in_seconds=refreshed_before * 1.11, lifetime=lifetime)
    assert grant.begin()["state"] == "ready"

    grant.expire(in_seconds=refreshed_before * 0.99, lifetime=lifetime)

    assert grant.begin()["state"] == "refresh"


def test_a_refresher_that_dies_leaves_a_job_that_finishes_its_work(grant: Grant) -> None:
    grant.begin("w0")
    assert grant.engine.claim() == []
    grant.engine.move_clock(seconds=14)

    (job,) = grant.engine.claim()

    assert (job["sync_type"], job["priority"]) == ("token_refresh", 0)


def test_a_refresh_that_ends_takes_its_dead_mans_switch_along(grant: Grant) -> None:
    grant.finish(grant.begin())

    assert grant.engine.value("select count(*) from public.sync_jobs") == 0


def test_a_reconnect_during_a_refresh_wins_and_the_refresher_is_told(grant: Grant) -> None:
    begun = grant.begin()
    grant.engine.call("store_grant", grant.model_id, 0, "access-new", "refresh-new", 3600)

    assert grant.finish(begun)["state"] == "moved"
    assert grant.fail(begun, "invalid_grant")["state"] == "moved"

    model = grant.model()
    assert (model["status"], model["fanvue_refresh_token"]) == ("active", "refresh-new")


def test_a_worker_that_asks_during_a_reconnect_gets_the_new_grant(grant: Grant) -> None:
    grant.fail(grant.begin(), "transient")
    asking, connecting = grant.engine.another(), grant.engine.another()

    with connecting.connection.transaction():
        connecting.call("store_grant", grant.model_id, 0, "access-new", "refresh-new", 3600)
        reply = asking.start("begin_token_refresh", grant.model_id, "w9")
        grant.engine.wait_until_blocked(asking)

    assert reply.result(WAIT)["access_token"] == "access-new"


def test_a_grant_without_a_refresh_token_is_used_until_it_ends(engine: Engine) -> None:
    grant = Grant(engine, fanvue_refresh_token=None)
    grant.expire(in_seconds=60)
    assert grant.begin()["state"] == "ready"

    grant.expire()

    assert grant.begin()["state"] == "reauth_required"
    assert grant.model()["fanvue_access_token"] == "access-0"


def test_demanding_a_reconnect_keeps_the_grant(grant: Grant) -> None:
    grant.engine.rows("select private.demand_reauth(%s, 'access_refused', 'why')", grant.model_id)

    model = grant.model()
    assert (model["status"], model["status_reason"]) == ("reauth_required", "why")
    assert model["fanvue_refresh_token"] == "refresh-0"


def test_an_unknown_model_is_an_error_and_a_missing_grant_is_not(engine: Engine) -> None:
    with pytest.raises(psycopg.Error) as unknown:
        engine.call("begin_token_refresh", uuid.uuid4(), "w0")
    empty = Grant(engine, fanvue_access_token=None, fanvue_refresh_token=None)

    assert unknown.value.sqlstate == "PT404"
    assert empty.begin() == {"state": "missing"}


def test_sealing_replaces_exactly_the_tokens_it_read(grant: Grant) -> None:
    def seal(access_from: str) -> bool:
        return bool(
            grant.engine.call(
                "seal_tokens", grant.model_id, access_from, "sealed-a", "refresh-0", "sealed-r"
            )
        )

    assert seal("access-other") is False
    assert grant.model()["fanvue_access_token"] == "access-0"
    assert seal("access-0") is True
    assert seal("access-0") is False
    model = grant.model()
    assert (model["fanvue_refresh_token"], model["token_version"]) == ("sealed-r", 0)


def test_a_silent_holder_gets_ten_seconds_to_store_once_the_grace_is_over(engine: Engine) -> None:
    model = engine.model(engine.agency(), fanvue_access_token=None)
    held = engine.call("begin_token_refresh", model, "first")
    engine.move_clock(seconds=90)

    assert engine.call("begin_token_refresh", model, "second")["state"] == "wait"
    stored = engine.call(
        "finish_token_refresh", model, held["fence"], held["version"], "access-1", "refresh-1", 3600
    )

    assert stored["state"] == "stored"
    assert engine.call("begin_token_refresh", model, "second")["access_token"] == "access-1"


def test_a_silent_holder_is_replaced_after_its_ten_seconds(engine: Engine) -> None:
    model = engine.model(engine.agency(), fanvue_access_token=None)
    engine.call("begin_token_refresh", model, "first")
    engine.move_clock(seconds=90)
    assert engine.call("begin_token_refresh", model, "second")["state"] == "wait"

    engine.move_clock(seconds=11)

    assert engine.call("begin_token_refresh", model, "second")["state"] == "refresh"


def test_a_rate_limit_of_refreshes_pauses_and_is_no_failure(grant: Grant) -> None:
    for _ in range(3):
        begun = grant.begin()
        verdict = grant.fail(begun, "throttled", 30)

        assert verdict["state"] == "throttled"
        assert 29 <= verdict["retry_in_s"] < 31
        waiting = grant.begin()
        assert (waiting["state"], waiting["throttled"]) == ("wait", True)
        grant.engine.move_clock(seconds=31)

    (row,) = grant.engine.rows("select failures, suspect_at from private.token_refreshes")
    assert (row["failures"], row["suspect_at"]) == (0, None)
    assert grant.begin()["state"] == "refresh"
    assert grant.model()["status"] == "active"


def test_under_a_rate_limit_a_token_that_still_works_is_handed_out(engine: Engine) -> None:
    grant = Grant(engine)
    grant.expire(in_seconds=120)

    begun = grant.begin()
    grant.fail(begun, "throttled", None)

    assert grant.begin()["state"] == "ready"
    assert grant.begin(rejected=begun["version"])["state"] == "wait"


def test_a_rate_limit_of_refreshes_shows_where_people_look(grant: Grant) -> None:
    engine = grant.engine
    grant.fail(grant.begin(), "throttled", 600)

    (health,) = engine.rows("select * from ops.health where where_to_look = 'ops.budgets'")
    (budget,) = engine.rows("select * from ops.budgets")

    assert health["state"] == "attention"
    assert "Fanvue refuses /oauth2/token, the last until" in health["answer"]
    assert budget["blocked"] == "/oauth2/token"
    assert engine.value("select public.engine_gauges() ->> 'buckets_blocked'") == "1"
    engine.rows(budget["remedy"])
    assert grant.begin()["state"] == "refresh"
