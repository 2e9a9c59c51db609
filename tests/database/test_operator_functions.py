"""The functions that mend: safe on the wrong row, safe to repeat, written down with who did it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import Rollback
from psycopg.types.json import Jsonb

from tests.database.streams import Creator


if TYPE_CHECKING:
    from tests.database.engine import Engine


NOBODY = "'00000000-0000-4000-8000-000000000000'"
UNKNOWN = {
    "retry_job": "-1",
    "cancel_job": "-1",
    "release_job": "-1",
    "pause_model": NOBODY,
    "resume_model": NOBODY,
    "sync_now": f"{NOBODY}, 'earnings'",
    "reset_cursor": f"{NOBODY}, 'earnings'",
    "pause_agency": NOBODY,
    "resume_agency": NOBODY,
    "retry_dead_jobs": NOBODY,
    "unblock_bucket": "'user:nobody'",
    "replay_webhook": NOBODY,
    "ignore_webhook": f"{NOBODY}, 'why'",
    "expect_no_announcements": f"{NOBODY}, 'why'",
    "keep_access": "'policy nobody on public.models', 'why'",
    "accept_drift": "-1, 'why'",
    "accept_shrink": f"{NOBODY}, 'followers'",
    "erase_message_texts": NOBODY,
    "erase_model": f"{NOBODY}, 'nobody'",
    "erase_fan": NOBODY,
}
# These take no row.
NO_ROW = {"wake_schedule", "replay_webhooks"}
_ACTIONS = "select action, who, user_id, arguments, changed from ops.actions order by id"


class Desk:
    """An operator with one creator."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.creator = Creator(engine, "earnings")
        self.model_id = self.creator.model_id
        self.agency_id = self.creator.agency_id

    def call(self, function: str, *values: Any) -> dict[str, Any]:
        slots = ", ".join(["%s"] * len(values))
        return dict(self.engine.value(f"select ops.{function}({slots})", *values))

    def actions(self) -> list[dict[str, Any]]:
        return self.engine.rows(_ACTIONS)

    def names(self) -> list[str]:
        return [action["action"] for action in self.actions()]

    def dead_job(self) -> int:
        job = self.engine.running_job(self.model_id)
        self.engine.settle(job, "dead", error={"kind": "bug", "message": "broken"})
        return int(job["id"])


@pytest.fixture
def desk(engine: Engine) -> Desk:
    return Desk(engine)


@pytest.mark.parametrize("function", UNKNOWN)
def test_an_unknown_row_is_told_with_what_to_do(desk: Desk, function: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        desk.engine.rows(f"select ops.{function}({UNKNOWN[function]})")

    assert refused.value.sqlstate == "PT404"
    assert refused.value.diag.message_hint
    assert desk.actions() == []


def test_every_function_was_tried_on_an_unknown_row(desk: Desk) -> None:
    rows = desk.engine.rows(
        "select distinct proname::text as name from pg_proc"
        " where pronamespace = 'ops'::regnamespace"
    )

    assert {row["name"] for row in rows} == UNKNOWN.keys() | NO_ROW


def test_a_pause_is_done_once_and_undone_once(desk: Desk) -> None:
    changed = [
        desk.call("pause_model", desk.model_id)["changed"],
        desk.call("pause_model", desk.model_id)["changed"],
        desk.call("resume_model", desk.model_id)["changed"],
        desk.call("resume_model", desk.model_id)["changed"],
        desk.call("pause_agency", desk.agency_id)["changed"],
        desk.call("pause_agency", desk.agency_id)["changed"],
        desk.call("resume_agency", desk.agency_id)["changed"],
        desk.call("resume_agency", desk.agency_id)["changed"],
    ]

    assert changed == [True, False] * 4
    assert desk.names() == ["pause_model", "resume_model", "pause_agency", "resume_agency"]


@pytest.mark.parametrize("columns", ["fanvue_refresh_token = null", "status = 'reauth_required'"])
def test_a_model_without_a_usable_grant_is_not_resumed(desk: Desk, columns: str) -> None:
    desk.engine.rows("update public.models set status = 'paused'")
    desk.engine.rows(f"update public.models set fanvue_access_token = null, {columns}")  # noqa: S608 - the test's own text

    with pytest.raises(psycopg.Error) as refused:
        desk.call("resume_model", desk.model_id)

    assert refused.value.sqlstate == "PT409"
    assert "connect the account again" in str(refused.value.diag.message_hint)


WAITING = {
    "must_connect": "status = 'reauth_required', status_reason = 'gone'",
    "connecting": "status = 'paused', reason_code = 'connecting', fanvue_refresh_token = null,"
    " fanvue_access_token = null",
    "disconnected": "status = 'paused', reason_code = 'disconnected', fanvue_refresh_token = null,"
    " fanvue_access_token = null",
}


@pytest.mark.parametrize("why", WAITING)
def test_a_pause_holds_whoever_waits_for_a_consent_and_no_consent_ends_it(
    desk: Desk, why: str
) -> None:
    desk.engine.rows(f"update public.models set {WAITING[why]}")  # noqa: S608 - the test's own text

    assert desk.call("pause_model", desk.model_id, "legal hold")["changed"] is True
    assert desk.call("pause_model", desk.model_id)["changed"] is False
    stored = desk.engine.call("store_grant", desk.model_id, 0, "access-1", "refresh-1", 3600)

    assert (stored["status"], stored["job_id"]) == ("paused", None)
    assert desk.engine.rows("select status, reason_code, status_reason from public.models") == [
        {"status": "paused", "reason_code": "paused", "status_reason": "legal hold"}
    ]
    assert desk.names() == ["pause_model"]
    assert desk.call("resume_model", desk.model_id)["changed"] is True


def test_a_pause_whose_code_was_taken_away_is_a_pause(desk: Desk) -> None:
    desk.call("pause_model", desk.model_id)
    desk.engine.rows("update public.models set reason_code = null")

    stored = desk.engine.call("store_grant", desk.model_id, 0, "access-1", "refresh-1", 3600)

    assert stored["status"] == "paused"


def test_a_released_job_goes_to_another_worker_and_the_first_one_writes_nothing(desk: Desk) -> None:
    reading = desk.creator.begin("earnings")

    desk.call("release_job", reading.job["id"])

    with pytest.raises(psycopg.Error) as refused:
        reading.commit()
    (again,) = desk.engine.another().claim()
    assert refused.value.sqlstate == "PT410"
    assert (again["id"], again["attempt"]) == (reading.job["id"], 1)
    assert desk.call("retry_job", again["id"])["message"].startswith("nothing to do")


def test_a_job_that_nobody_holds_is_not_released(desk: Desk) -> None:
    job = desk.dead_job()

    assert desk.call("release_job", job)["changed"] is False
    assert desk.actions() == []


def test_a_reset_forgets_the_place_and_keeps_the_money_and_its_mark(desk: Desk) -> None:
    sale = {"fanvue_id": "A", "at": desk.creator.at(days=1), "amount": "5.00", "net": "4.00"}
    row = {**sale, "source": "tip", "category": "tip", "currency": "USD", "fan_uuid": "f"}
    desk.creator.read("earnings", [row])
    mark = desk.creator.state("earnings")["high_water"]
    reading = desk.creator.begin("earnings")
    reading.commit(row, cursor="c-1")

    assert desk.call("reset_cursor", desk.model_id, "earnings")["changed"] is True

    with pytest.raises(psycopg.Error) as refused:
        reading.commit(row, cursor="c-2")
    state = desk.creator.state("earnings")
    assert refused.value.sqlstate == "PT410"
    assert (state["last_cursor"], state["walk_id"], state["validator"]) == (None, None, None)
    assert (state["full_requested"], state["high_water"]) == (True, mark)
    assert desk.call("reset_cursor", desk.model_id, "earnings")["changed"] is False
    again = desk.creator.begin("earnings")
    assert again.state["kind"] == "full"
    assert again.commit(row, complete=True)["unchanged"] == 1
    assert desk.engine.value("select revenue_total::text from public.models") == "5.00"


def test_a_proof_that_has_not_begun_is_reset_once(desk: Desk) -> None:
    desk.engine.rows(
        "update private.reconciliations set run_id = %s, days = 2 where model_id = %s",
        uuid.uuid4(),
        desk.model_id,
    )

    changed = [desk.call("reset_cursor", desk.model_id, "reconcile")["changed"] for _ in range(2)]

    assert changed == [True, False]
    assert desk.names() == ["reset_cursor"]


def test_dead_jobs_of_an_agency_are_revived_and_those_of_stopped_models_stay(desk: Desk) -> None:
    desk.dead_job()
    other = Creator(desk.engine, "earnings", agency_id=desk.agency_id)
    job = desk.engine.running_job(other.model_id)
    desk.engine.settle(job, "dead")
    desk.call("pause_model", other.model_id)

    done = desk.call("retry_dead_jobs", desk.agency_id)

    assert done["message"].startswith("1 job runs again; 1 stays dead")
    assert desk.call("retry_dead_jobs", desk.agency_id)["changed"] is False


def test_a_repetition_of_what_was_answered_and_not_heard_says_so(desk: Desk) -> None:
    job = desk.dead_job()
    retried = desk.call("retry_job", job)
    again = desk.call("retry_job", job)
    desk.call("cancel_job", retried["id"])
    cancelled = desk.call("cancel_job", retried["id"])
    desk.call("erase_model", desk.model_id, desk.creator.uuid)
    erased = desk.call("erase_model", desk.model_id, desk.creator.uuid)

    assert again["id"] == retried["id"]
    assert again["message"] == (
        f"nothing to do: job {job} was retried already, as job {retried['id']}"
    )
    assert (cancelled["state"], "already" in cancelled["message"]) == ("cancelled", True)
    assert (erased["changed"], "already" in erased["message"]) == (False, True)
    assert desk.names() == ["retry_job", "cancel_job", "erase_model"]


def test_a_job_of_a_stream_that_is_switched_off_is_not_retried(desk: Desk) -> None:
    job = desk.dead_job()
    desk.creator.override("earnings", enabled=False)

    with pytest.raises(psycopg.Error) as refused:
        desk.call("retry_job", job)

    assert refused.value.sqlstate == "PT409"
    late = desk.engine.rows("select cause, deliberate from ops.late")
    assert [tuple(row.values()) for row in late] == [("switched_off", True)]


def test_many_failed_events_are_replayed_and_what_waits_for_its_creator_stays(desk: Desk) -> None:
    for number in range(3):
        event = desk.creator.event("follow.created", follower={"uuid": f"f{number}"})
        desk.engine.call("receive_webhook_event", event)
    desk.engine.rows("update public.webhook_events set status = 'failed'")
    stranger = desk.creator.event("follow.created", follower={"uuid": "f"})
    stranger["data"]["creator"]["uuid"] = str(uuid.uuid4())
    desk.engine.call("receive_webhook_event", stranger)

    done = desk.call("replay_webhooks")
    parked = desk.call("replay_webhooks", None, "parked")

    assert (done["became"], parked["changed"]) == ({"applied": 3}, False)
    assert desk.engine.value("select count(*) from ops.webhooks_waiting") == 1


def test_a_failed_event_is_ignored_once_and_may_still_be_replayed(desk: Desk) -> None:
    desk.creator.told("payment.succeeded", gross="much", purchaser={"uuid": "f"})
    (waiting,) = desk.engine.rows("select id, remedy, dismissal, reason from ops.webhooks_waiting")

    replayed = desk.call("replay_webhook", waiting["id"])
    desk.engine.rows(waiting["dismissal"])
    again = desk.call("ignore_webhook", waiting["id"], "why")
    (event,) = desk.engine.rows("select status, error from public.webhook_events")

    assert (replayed["status"], waiting["reason"] in replayed["message"]) == ("failed", True)
    assert waiting["remedy"] == f"select ops.replay_webhook('{waiting['id']}')"
    assert event == {"status": "ignored", "error": "an operator ignored it: why"}
    assert (again["changed"], "(an operator ignored it: why)" in again["message"]) == (False, True)
    (action,) = desk.actions()
    assert action["action"] == "ignore_webhook"
    assert action["arguments"] == {"id": str(waiting["id"]), "reason": "why"}
    assert action["changed"] == {"status": ["failed", "ignored"], "error": waiting["reason"]}
    assert desk.engine.rows("select from ops.webhooks_waiting") == []
    assert desk.call("replay_webhook", waiting["id"])["status"] == "failed"


def test_an_applied_event_is_not_ignored_and_none_without_a_reason(desk: Desk) -> None:
    desk.creator.told("follow.created", follower={"uuid": "f"})
    applied = desk.engine.value("select id from public.webhook_events")
    desk.creator.told("follow.created", follower={"handle": "nobody"})
    failed = desk.engine.value("select id from public.webhook_events where status = 'failed'")

    assert desk.call("ignore_webhook", applied, "why")["changed"] is False
    with pytest.raises(psycopg.Error) as refused:
        desk.call("ignore_webhook", failed, " ")

    assert refused.value.sqlstate == "PT422"
    assert desk.actions() == []


def test_a_block_is_lifted_once(desk: Desk) -> None:
    desk.engine.call("block_bucket", "user:x", 600)

    changed = [desk.call("unblock_bucket", "user:x")["changed"] for _ in range(2)]

    assert changed == [True, False]


def test_a_tick_by_hand_is_written_down_when_it_did_something(desk: Desk) -> None:
    desk.engine.rows("update public.sync_state set next_sync_at = private.engine_now()")

    changed = [desk.call("wake_schedule")["changed"] for _ in range(2)]

    assert changed == [True, False]
    assert desk.names() == ["wake_schedule"]


def test_the_trail_says_who_did_it_and_goes_with_the_transaction(desk: Desk) -> None:
    worker = desk.engine.another()
    claims = Jsonb({"sub": "user-7", "role": "service_role"})
    with worker.connection.transaction():
        worker.connection.execute(
            "select set_config('request.jwt.claims', %s::jsonb::text, true)", (claims,)
        )
        worker.connection.execute("select ops.pause_model(%s, 'why')", (desk.model_id,))
    with desk.engine.owner.transaction():
        desk.call("resume_model", desk.model_id)
        raise Rollback

    (action,) = desk.actions()
    assert action["who"] == "postgres as service_role"
    assert action["user_id"] == "user-7"
    assert action["arguments"] == {"model_id": str(desk.model_id), "reason": "why"}
    assert action["changed"] == {"status": ["active", "paused"]}
