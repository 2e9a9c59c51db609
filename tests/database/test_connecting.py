"""Connecting creators: agencies and models are made once, grants replaced only on purpose."""

from __future__ import annotations

import uuid
from threading import Barrier
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.engine import WAIT


if TYPE_CHECKING:
    from tests.database.engine import Engine


def store(
    engine: Engine, model_id: Any, version: int = 0, refresh: str | None = "refresh-1"
) -> Any:
    return engine.call("store_grant", model_id, version, "access-1", refresh, 3600)


def refused(engine: Engine, *arguments: Any, **named: Any) -> str | None:
    with pytest.raises(psycopg.Error) as error:
        engine.call("connect_model", *arguments, **named)
    return error.value.sqlstate


def test_a_first_connection_makes_agency_and_model_and_queues_the_first_sync(
    engine: Engine,
) -> None:
    creator = uuid.uuid4()
    made = engine.call("connect_model", "Atlas", creator, "ana")
    assert made["created"] is True
    assert engine.value("select status from public.models") == "paused"

    stored = store(engine, made["model_id"])

    (model,) = engine.rows("select * from public.models")
    assert (model["status"], model["handle"], model["token_version"]) == ("active", "ana", 1)
    assert model["connected_at"] is not None
    assert [job["id"] for job in engine.claim()] == [stored["job_id"]]


def test_a_connection_sent_again_makes_nothing_twice(engine: Engine) -> None:
    creator = uuid.uuid4()
    first = engine.call("connect_model", "Atlas", creator)

    again = engine.call("connect_model", "Atlas", creator)

    assert again == first | {"created": False}


def test_a_grant_sent_again_changes_nothing(engine: Engine) -> None:
    model_id = engine.call("connect_model", "Atlas", uuid.uuid4())["model_id"]

    assert store(engine, model_id) == store(engine, model_id)

    assert engine.value("select token_version from public.models") == 1
    assert engine.value("select count(*) from public.sync_jobs") == 1


def test_a_grant_that_changed_meanwhile_is_not_overwritten(engine: Engine) -> None:
    model_id = engine.call("connect_model", "Atlas", uuid.uuid4())["model_id"]
    store(engine, model_id)

    with pytest.raises(psycopg.Error) as error:
        store(engine, model_id, refresh="refresh-2")

    assert error.value.sqlstate == "PT409"
    assert engine.value("select fanvue_refresh_token from public.models") == "refresh-1"


@pytest.mark.parametrize("refresh", ["", None])
def test_a_grant_without_a_refresh_token_is_refused(engine: Engine, refresh: str | None) -> None:
    model_id = engine.call("connect_model", "Atlas", uuid.uuid4())["model_id"]

    with pytest.raises(psycopg.Error) as error:
        store(engine, model_id, refresh=refresh)

    assert error.value.sqlstate == "PT422"


def test_a_grant_for_nobody_is_refused(engine: Engine) -> None:
    with pytest.raises(psycopg.Error) as error:
        store(engine, uuid.uuid4())

    assert error.value.sqlstate == "PT404"


def test_a_connected_creator_is_replaced_only_on_purpose(engine: Engine) -> None:
    creator = uuid.uuid4()
    model_id = engine.call("connect_model", "Atlas", creator)["model_id"]
    store(engine, model_id)

    assert refused(engine, "Atlas", creator) == "PT409"

    replaced = engine.call("connect_model", "Atlas", creator, p_replace=True)
    assert replaced["model_id"] == model_id
    assert store(engine, model_id, replaced["token_version"], "refresh-2")["version"] == 2


def test_a_creator_who_must_reconnect_may(engine: Engine) -> None:
    creator = uuid.uuid4()
    model_id = engine.call("connect_model", "Atlas", creator)["model_id"]
    store(engine, model_id)
    engine.rows("update public.models set status = 'reauth_required'")

    version = engine.call("connect_model", "Atlas", creator)["token_version"]
    store(engine, model_id, version, "refresh-2")

    assert engine.value("select status from public.models") == "active"


def test_a_creator_of_another_agency_is_refused_even_on_purpose(engine: Engine) -> None:
    creator = uuid.uuid4()
    engine.call("connect_model", "Atlas", creator)

    assert refused(engine, "Borealis", creator, p_replace=True) == "PT409"

    assert engine.value("select count(*) from public.agencies") == 1


def test_an_agency_is_found_by_its_id_and_an_ambiguous_name_is_refused(engine: Engine) -> None:
    first, _ = engine.agency("Twin"), engine.agency("Twin")

    assert refused(engine, "Twin", uuid.uuid4()) == "PT409"
    assert engine.call("connect_model", str(first), uuid.uuid4())["agency_id"] == str(first)


def test_an_agency_without_a_name_is_refused(engine: Engine) -> None:
    assert refused(engine, "  ", uuid.uuid4()) == "PT422"


def test_eight_first_connections_at_once_make_one_agency(engine: Engine) -> None:
    workers = [engine.another() for _ in range(8)]
    start = Barrier(8)

    def connect(worker: Any) -> str:
        start.wait()
        return str(worker.call("connect_model", "Atlas", uuid.uuid4())["agency_id"])

    agencies = {future.result(WAIT) for future in [w.run(connect, w) for w in workers]}

    assert len(agencies) == 1
    assert engine.value("select count(*) from public.models") == 8


def test_an_id_means_the_agency_that_has_it_whatever_another_one_is_called(engine: Engine) -> None:
    meant = engine.agency("Atlas")
    maker, caller = engine.another(), engine.another()

    # somebody gives an agency the other one's id for a name, at this very moment
    with engine.owner.transaction():
        engine.agency(str(meant))
        beside = caller.start("connect_model", str(meant), uuid.uuid4())
        first = beside.result(WAIT)
    after = maker.call("connect_model", str(meant), uuid.uuid4())
    shouted = maker.call("connect_model", str(meant).upper(), uuid.uuid4())

    assert {one["agency_id"] for one in (first, after, shouted)} == {str(meant)}


def test_an_id_that_nobody_has_makes_no_agency_called_so(engine: Engine) -> None:
    unknown = str(uuid.uuid4())

    assert refused(engine, unknown, uuid.uuid4()) == "PT404"
    assert engine.value("select count(*) from public.agencies") == 0
