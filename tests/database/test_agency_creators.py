"""Who is read through an agency's grant, on which path, from which budget, and who may see it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.agency import Agency


if TYPE_CHECKING:
    from tests.database.engine import Engine


@pytest.fixture
def agency(engine: Engine) -> Agency:
    return Agency(engine)


def refused(engine: Engine, function: str, *arguments: Any) -> str | None:
    with pytest.raises(psycopg.Error) as error:
        engine.call(function, *arguments)
    return error.value.sqlstate


def outcomes(attached: list[dict[str, Any]]) -> list[str]:
    return [one["outcome"] for one in attached]


def test_an_account_belongs_to_one_agency(agency: Agency) -> None:
    engine = agency.engine

    assert refused(engine, "connect_agency", "Borealis", agency.account, "c") == "PT409"
    assert refused(engine, "connect_agency", "Borealis", uuid.uuid4(), None) == "PT404"

    assert engine.value("select count(*) from public.agencies") == 1


def test_attached_creators_are_due_at_once_and_attached_again_nothing_happens(
    agency: Agency,
) -> None:
    (newcomer,) = agency.attach(uuid.uuid4())
    again = agency.attach(*agency.creators)

    queued = "select sync_type from public.sync_jobs where id = %s"
    assert newcomer["outcome"] == "created"
    assert agency.engine.value(queued, newcomer["job_id"]) == "earnings"
    assert outcomes(again) == ["unchanged"] * 3
    assert agency.row()["listed_at"] is not None


def test_a_creator_who_is_managed_again_is_read_at_once_once_they_are_listed(
    agency: Agency,
) -> None:
    engine = agency.engine
    gone = agency.models[0]
    engine.rows("delete from public.sync_jobs")
    engine.rows(
        "update public.sync_state set next_sync_at = private.engine_now() + interval '5 hours',"
        ' last_error = case when model_id = %s then \'{"kind": "not_found"}\'::jsonb end',
        gone,
    )

    assert {one["outcome"] for one in agency.attach(*agency.creators)} == {"unchanged"}

    engine.call("enqueue_due")
    assert [job["model_id"] for job in engine.claim()] == [str(gone)]


def test_a_working_grant_of_their_own_is_kept_unless_replaced_on_purpose(agency: Agency) -> None:
    creator = uuid.uuid4()
    model_id = agency.engine.model(uuid.UUID(agency.agency_id), fanvue_user_uuid=str(creator))
    agency.engine.call("enqueue_sync", model_id, "earnings")

    assert outcomes(agency.attach(creator)) == ["kept"]
    assert outcomes(agency.attach(creator, replace=True)) == ["attached"]

    bucket = "select distinct bucket from public.sync_jobs where model_id = %s"
    assert agency.engine.value(bucket, model_id) == f"user:{agency.account}:{creator}"
    own = "select fanvue_refresh_token from public.models where id = %s"
    assert agency.engine.value(own, model_id) == "refresh-0"


def test_a_dead_grant_of_their_own_gives_way_to_the_agencys(agency: Agency) -> None:
    creator = uuid.uuid4()
    agency.engine.model(
        uuid.UUID(agency.agency_id), fanvue_user_uuid=str(creator), status="reauth_required"
    )

    (attached,) = agency.attach(creator)

    assert (attached["outcome"], attached["status"]) == ("attached", "active")


def test_a_creator_of_another_agency_is_refused_and_the_others_are_not(agency: Agency) -> None:
    theirs, ours = uuid.uuid4(), uuid.uuid4()
    agency.engine.model(agency.engine.agency(), fanvue_user_uuid=str(theirs))

    attached = {one["creator_uuid"]: one for one in agency.attach(theirs, ours, replace=True)}

    assert attached[str(theirs)]["outcome"] == "refused"
    assert "another agency" in attached[str(theirs)]["message"]
    assert attached[str(ours)]["outcome"] == "created"


def test_a_claimed_job_names_grant_path_and_bucket(agency: Agency) -> None:
    agency.attach(agency.account)
    own = agency.engine.model(agency.engine.agency())
    agency.engine.call("enqueue_due")

    jobs = {one["model_id"]: one for one in agency.engine.claim(100)}

    creator, model_id = str(agency.creators[0]), agency.models[0]
    assert jobs[model_id]["model"]["path_prefix"] == f"/creators/{creator}"
    assert jobs[model_id]["model"]["grant_id"] == agency.connection_id
    assert jobs[model_id]["bucket"] == f"user:{agency.account}:{creator}"
    (account,) = [
        job for job in jobs.values() if job["model"]["fanvue_user_uuid"] == str(agency.account)
    ]
    assert (account["model"]["path_prefix"], account["bucket"]) == ("", f"user:{agency.account}")
    assert jobs[str(own)]["model"]["path_prefix"] == ""
    assert jobs[str(own)]["model"]["grant_id"] == str(own)


def test_a_model_given_to_another_agency_leaves_the_grant_behind(agency: Agency) -> None:
    elsewhere = agency.engine.agency()

    agency.engine.rows(
        "update public.models set agency_id = %s where id = %s", elsewhere, agency.models[0]
    )

    (left,) = agency.engine.rows(
        "select status, connection_id from public.models where id = %s", agency.models[0]
    )
    assert left == {"status": "reauth_required", "connection_id": None}
    assert agency.begin()["state"] == "reauth_required"


def test_a_model_cannot_use_another_agencys_grant(agency: Agency) -> None:
    model_id = agency.engine.model(agency.engine.agency())

    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        agency.engine.rows(
            "update public.models set connection_id = %s where id = %s",
            agency.connection_id,
            model_id,
        )


def test_a_model_without_a_creator_cannot_be_read_through_a_connection(agency: Agency) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        agency.engine.model(
            uuid.UUID(agency.agency_id), fanvue_user_uuid=None, connection_id=agency.connection_id
        )


@pytest.mark.parametrize(
    ("what", "left"), [("agency_connections", {"reauth_required": 3}), ("agencies", {})]
)
def test_a_removed_connection_leaves_its_models_and_a_removed_agency_nothing(
    agency: Agency, what: str, left: dict[str, int]
) -> None:
    agency.expire()
    agency.begin()

    agency.engine.rows(f"delete from public.{what}")  # noqa: S608 - one of two constants

    assert agency.engine.value("select count(*) from private.token_refreshes") == 0
    rows = agency.engine.rows("select status, count(*) as n from public.models group by status")
    assert {row["status"]: row["n"] for row in rows} == left


def test_a_removed_connection_gives_a_creator_their_own_grant_back(agency: Agency) -> None:
    creator = uuid.uuid4()
    model_id = agency.engine.model(uuid.UUID(agency.agency_id), fanvue_user_uuid=str(creator))
    agency.attach(creator, replace=True)

    agency.engine.rows("delete from public.agency_connections")

    own = agency.begin(model_id)
    assert (own["state"], own["access_token"]) == ("ready", "access-0")


def test_all_grants_are_listed_and_say_whom_they_serve(agency: Agency) -> None:
    own = agency.engine.model(uuid.UUID(agency.agency_id))
    idle = uuid.uuid4()
    agency.engine.model(uuid.UUID(agency.agency_id), fanvue_user_uuid=str(idle))
    agency.attach(idle, replace=True)

    pages = [agency.engine.call("list_grants", None, 2)]
    pages.append(agency.engine.call("list_grants", pages[0][-1]["grant_id"], 2))
    listed = {one["grant_id"]: one for page in pages for one in page}

    assert len(listed) == 3
    assert (listed[agency.connection_id]["creators"], listed[str(own)]["creators"]) == (4, 1)
    assert [one["creators"] for one in listed.values() if not one["in_use"]] == [0]


def test_members_see_their_connection_without_tokens_and_others_see_nothing(
    engine: Engine,
) -> None:
    agency, other = Agency(engine), Agency(engine, name="Borealis")
    member = uuid.uuid4()
    engine.rows(
        "insert into public.agency_members (agency_id, user_id) values (%s, %s)",
        agency.agency_id,
        member,
    )

    def read(columns: str) -> Any:
        with engine.owner.transaction():
            engine.rows(
                "select set_config('request.jwt.claims', %s, true)", f'{{"sub": "{member}"}}'
            )
            engine.rows("set local role authenticated")
            return engine.rows(f"select {columns} from public.agency_connections")  # noqa: S608 - the test's own columns

    assert [row["id"] for row in read("id")] == [uuid.UUID(agency.connection_id)]
    assert other.connection_id != agency.connection_id
    for column in ("access_token", "refresh_token", "consent_fingerprint", "*"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            read(column)


def test_tick_and_claim_say_of_each_kind_of_creator_what_the_rules_say(agency: Agency) -> None:
    engine = agency.engine
    engine.rows("update private.sync_streams set enabled = true")
    agency.attach(agency.account)
    alone = engine.agency()
    engine.model(alone)
    engine.model(alone, fanvue_refresh_token=None)
    engine.model(alone, fanvue_access_token=None, fanvue_refresh_token=None, status="paused")
    engine.model(alone, fanvue_user_uuid=None)
    # polls, readings of history, and a reading whose rest waits
    engine.rows("update public.sync_state set high_water = now() where sync_type < 'f'")
    engine.rows(
        "update public.sync_state set high_water = now(), walk_id = gen_random_uuid(),"
        " walk_kind = 'full' where sync_type = 'posts'"
    )
    engine.rows(
        "update public.sync_state set whole_after = now() + interval '1 day'"
        " where sync_type = 'messages'"
    )
    engine.rows("update public.sync_state set next_sync_at = now() - interval '1 second'")
    engine.rows("delete from public.sync_jobs")
    engine.call("enqueue_due")

    (told,) = engine.rows(
        "select count(*) as jobs, count(distinct j.priority) as priorities,"
        " count(*) filter (where j.bucket is distinct from private.bucket_of(m)) as buckets,"
        " count(*) filter (where j.priority is distinct from private.priority_now(s,"
        " (private.stream_settings(m.agency_id, m.id, j.sync_type)).priority, now())) as wrong,"
        " count(*) filter (where not private.has_grant(m)) as ungranted"
        " from public.sync_jobs j join public.models m on m.id = j.model_id"
        " join public.sync_state s on s.model_id = j.model_id and s.sync_type = j.sync_type"
    )
    assert told["jobs"] > 30
    assert told["priorities"] > 2
    assert (told["buckets"], told["wrong"], told["ungranted"]) == (0, 0, 0)

    claimed = engine.claim(500)
    assert len(claimed) == told["jobs"]
    rules = {
        row["id"]: (row["bucket"], row["path"], row["cause"])
        for row in engine.rows(
            "select j.id, private.bucket_of(m) as bucket, private.path_prefix(m) as path,"
            " private.cause_of(j.cause, j.created_at) as cause"
            " from public.sync_jobs j join public.models m on m.id = j.model_id"
        )
    }
    assert {
        job["id"]: (job["bucket"], job["model"]["path_prefix"], job["cause"]) for job in claimed
    } == rules
    # through another's grant, through one's own of an agency, and alone
    assert {job["bucket"].count(":") for job in claimed} == {1, 2}
    assert {job["model"]["path_prefix"][:10] for job in claimed} == {"", "/creators/"}
