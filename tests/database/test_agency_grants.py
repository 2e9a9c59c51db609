"""An agency's grant is refreshed once for all its models, and lives and dies once."""

from __future__ import annotations

import uuid
from collections import Counter
from threading import Barrier
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.agency import Agency
from tests.database.engine import WAIT


if TYPE_CHECKING:
    from tests.database.engine import Engine, Worker


@pytest.fixture
def agency(engine: Engine) -> Agency:
    return Agency(engine)


def refused(engine: Engine, function: str, *arguments: Any) -> str | None:
    with pytest.raises(psycopg.Error) as error:
        engine.call(function, *arguments)
    return error.value.sqlstate


def test_of_twelve_models_at_once_exactly_one_begins_the_refresh(engine: Engine) -> None:
    agency = Agency(engine, 12)
    agency.expire()
    workers = [engine.another() for _ in range(12)]
    start = Barrier(12)

    def begin(worker: Worker, model_id: str) -> str:
        start.wait()
        return str(agency.begin(model_id, worker.name, worker)["state"])

    begun = [w.run(begin, w, model) for w, model in zip(workers, agency.models, strict=True)]

    assert Counter(one.result(WAIT) for one in begun) == {"refresh": 1, "wait": 11}


def test_a_pair_refreshed_for_one_model_is_ready_for_all(agency: Agency) -> None:
    agency.expire()
    assert agency.finish(agency.begin()) == {"state": "stored", "version": 2}

    ready = [agency.begin(model_id, "w1") for model_id in agency.models]

    assert {one["state"] for one in ready} == {"ready"}
    assert {one["access_token"] for one in ready} == {"access-2"}
    assert {one["sealed_for"] for one in ready} == {agency.connection_id}
    assert agency.engine.value("select count(*) from private.token_refreshes") == 1


def test_the_loser_of_a_race_between_models_keeps_the_grant(agency: Agency) -> None:
    agency.expire()
    early = agency.begin(agency.models[0], "w0")
    agency.engine.move_clock(seconds=13)
    late = agency.begin(agency.models[1], "w1")
    agency.finish(late, "late")

    assert agency.fail(early)["state"] == "moved"
    assert agency.finish(early, "early") == {"state": "moved", "version": 2}

    assert agency.row()["refresh_token"] == "refresh-late"
    assert set(agency.statuses()) == {"active"}


def test_a_pair_never_lands_in_a_model_that_left_the_connection_meanwhile(agency: Agency) -> None:
    agency.expire()
    begun = agency.begin()
    agency.engine.call("store_grant", agency.models[0], 0, "access-own", "refresh-own", 3600)

    agency.finish(begun)

    assert agency.row()["refresh_token"] == "refresh-2"
    own = agency.begin()
    assert (own["sealed_for"], own["access_token"]) == (agency.models[0], "access-own")


def test_a_refresher_that_dies_leaves_one_job_that_finishes_its_work(agency: Agency) -> None:
    agency.engine.rows("delete from public.sync_jobs")
    agency.expire()
    agency.begin()
    agency.engine.move_clock(seconds=14)

    watch = [job for job in agency.engine.claim() if job["sync_type"] == "token_refresh"]

    assert [job["model_id"] for job in watch] == [agency.models[0]]
    assert agency.begin(holder="w1")["state"] == "refresh"


def test_a_refresh_that_ends_takes_its_dead_mans_switch_along(agency: Agency) -> None:
    agency.expire()
    agency.finish(agency.begin())

    jobs = "select count(*) from public.sync_jobs where sync_type = 'token_refresh'"
    assert agency.engine.value(jobs) == 0


def test_a_dead_grant_is_kept_and_stops_every_active_model_behind_it(agency: Agency) -> None:
    stranger = agency.engine.model(agency.engine.agency(), due=False)
    paused = agency.models[2]
    agency.engine.rows("update public.models set status = 'paused' where id = %s", paused)

    agency.die()

    assert sorted(agency.statuses()) == ["paused", "reauth_required", "reauth_required"]
    row = agency.row()
    assert (row["status"], row["refresh_token"]) == ("reauth_required", "refresh-1")
    assert {agency.begin(one)["state"] for one in agency.models} == {"reauth_required"}
    status = "select status from public.models where id = %s"
    assert agency.engine.value(status, stranger) == "active"


def test_a_reconnect_mends_what_waited_for_it_and_nothing_else(agency: Agency) -> None:
    agency.engine.rows("update public.models set status = 'paused' where id = %s", agency.models[2])
    agency.die()

    assert agency.store(1, "new") == agency.store(1, "new") | {"mended": 2}

    assert sorted(agency.statuses()) == ["active", "active", "paused"]
    assert agency.begin()["access_token"] == "access-new"
    due = (
        "select bool_and(next_sync_at <= private.engine_now()) from public.sync_state s"
        " join public.models m on m.id = s.model_id where m.status = 'active'"
        " and s.sync_type = 'earnings'"
    )
    assert agency.engine.value(due) is True


def test_a_model_resumed_behind_a_dead_grant_waits_again(agency: Agency) -> None:
    agency.die()
    agency.engine.rows("update public.models set status = 'active'")

    assert agency.begin()["state"] == "reauth_required"

    assert set(agency.statuses()) == {"reauth_required"}


def test_a_reconnect_during_a_refresh_wins_and_the_refresher_is_told(agency: Agency) -> None:
    agency.expire()
    begun = agency.begin()
    agency.store(1, "new")

    assert agency.finish(begun)["state"] == "moved"
    assert agency.fail(begun)["state"] == "moved"
    assert agency.row()["refresh_token"] == "refresh-new"


def test_a_grant_that_changed_meanwhile_is_not_overwritten(agency: Agency) -> None:
    stored = (agency.connection_id, 0, "access-9", "refresh-9", 3600, "consent-9")

    assert refused(agency.engine, "store_connection", *stored) == "PT409"

    assert agency.row()["refresh_token"] == "refresh-1"


def test_the_same_consent_is_known_again_after_its_token_rotated(agency: Agency) -> None:
    agency.expire()
    agency.finish(agency.begin())

    def repeated(fingerprint: str | None) -> bool:
        place = agency.engine.call("connect_agency", "Atlas", agency.account, fingerprint)
        return bool(place["repeated"])

    assert [repeated("consent-1"), repeated(None), repeated("consent-2")] == [True, True, False]


def test_sealing_replaces_exactly_the_tokens_it_read(agency: Agency) -> None:
    def seal(access_from: str) -> bool:
        tokens = (access_from, "sealed-a", "refresh-1", "sealed-r")
        return bool(agency.engine.call("seal_tokens", agency.connection_id, *tokens))

    assert [seal("access-other"), seal("access-1"), seal("access-1")] == [False, True, False]
    assert (agency.row()["access_token"], agency.row()["token_version"]) == ("sealed-a", 1)


def test_a_verdict_and_a_commit_of_one_of_its_models_let_each_other_through(
    agency: Agency,
) -> None:
    engine, model_id = agency.engine, agency.models[1]
    engine.rows("delete from public.sync_jobs")
    job = engine.running_job(uuid.UUID(model_id))
    walk = engine.begin(job)
    agency.expire()
    agency.fail(agency.begin())
    engine.move_clock(seconds=11)
    begun = agency.begin()
    worker, judge, blocker = engine.another(), engine.another(), engine.another()

    with blocker.connection.transaction():
        blocker.connection.execute(
            "select from public.sync_state where model_id = %s for update", [model_id]
        )
        page = engine.page(walk, "p1")
        commit = worker.start("commit_sync_page", job["id"], job["lease_id"], 0, page)
        engine.wait_until_blocked(worker)
        grant = (begun["sealed_for"], begun["fence"], begun["version"])
        verdict = judge.start("fail_token_refresh", *grant, "invalid_grant", "the words of Fanvue")
        engine.wait_until_blocked(judge)

    assert commit.result(WAIT)["inserted"] == 0
    assert verdict.result(WAIT)["state"] == "reauth_required"


def test_a_verdict_and_a_settlement_of_all_its_jobs_let_each_other_through(
    engine: Engine,
) -> None:
    agency = Agency(engine, 12)
    engine.rows("delete from public.sync_jobs")
    jobs = [engine.running_job(uuid.UUID(model_id)) for model_id in agency.models]
    agency.expire()
    agency.fail(agency.begin())
    engine.move_clock(seconds=11)
    begun = agency.begin()
    settler, judge, blocker = engine.another(), engine.another(), engine.another()
    items = [{"id": job["id"], "lease_id": job["lease_id"], "outcome": "retry"} for job in jobs]

    with blocker.connection.transaction():
        blocker.connection.execute(
            "select from public.sync_jobs where model_id = %s and state = 'running' for update",
            [sorted(agency.models)[6]],
        )
        settled = settler.start("settle_sync_jobs", settler.name, items)
        engine.wait_until_blocked(settler)
        grant = (begun["sealed_for"], begun["fence"], begun["version"])
        verdict = judge.start("fail_token_refresh", *grant, "invalid_grant", "the words of Fanvue")
        engine.wait_until_blocked(judge)

    assert len(settled.result(WAIT)) == 12
    assert verdict.result(WAIT)["state"] == "reauth_required"
    jobs_left = "select count(*) from public.sync_jobs where sync_type = 'earnings'"
    assert engine.value(jobs_left) == 0
