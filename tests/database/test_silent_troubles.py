"""What goes wrong without an error is told as well: unproved money, half lists, switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.database.engine import WAIT
from tests.database.streams import Creator


if TYPE_CHECKING:
    from tests.database.engine import Engine


@pytest.fixture
def creator(engine: Engine) -> Creator:
    engine.rows("update private.reconcile_settings set last_night_at = private.engine_now()")
    engine.call("enqueue_due", "worker")
    return Creator(engine, "earnings")


def health(engine: Engine, question: str) -> dict[str, Any]:
    (row,) = engine.rows("select * from ops.health where question = %s", question)
    return row


def told(engine: Engine) -> set[str]:
    return {alert["kind"] for alert in engine.call("claim_alerts", "w0")}


def die(engine: Engine, creator: Creator) -> int:
    job = engine.running_job(creator.model_id)
    engine.settle(job, "dead", error={"kind": "bug", "message": "broken"})
    return int(job["id"])


def nights_pass(engine: Engine, hours: float = 51) -> None:
    engine.move_clock(hours=hours)
    engine.rows("update private.reconcile_settings set last_night_at = private.engine_now()")
    engine.rows(
        "update public.sync_state set last_success_at = private.engine_now(),"
        " next_sync_at = private.engine_now() + interval '1 hour'"
    )
    engine.rows("delete from public.sync_jobs")


def prove(engine: Engine, creator: Creator, *, reply: str = "{}", proved: bool) -> None:
    engine.rows(
        "insert into private.reconciliations as r (model_id, last_proved_at, last_page_reply)"
        " values (%s, case when %s then private.engine_now() end, %s::jsonb)"
        " on conflict (model_id) do update set last_page_reply = excluded.last_page_reply,"
        " last_proved_at = coalesce(excluded.last_proved_at, r.last_proved_at)",
        creator.model_id,
        proved,
        reply,
    )


def test_money_that_no_proof_believes_is_told_with_the_reason(
    engine: Engine, creator: Creator
) -> None:
    nights_pass(engine)
    prove(engine, creator, reply='{"partial": "Fanvue left out 500 of 500 rows"}', proved=False)

    row = health(engine, "Does the money agree with Fanvue?")
    (unproved,) = engine.rows("select * from ops.unproved")
    attention = {one["where_to_look"]: one for one in engine.call("engine_attention")}

    assert (row["state"], row["where_to_look"]) == ("attention", "ops.unproved")
    assert "the books of 1 creator were not proved for two nights" in row["answer"]
    assert unproved["why"] == "Fanvue left out 500 of 500 rows"
    assert unproved["remedy"] == f"select ops.sync_now('{creator.model_id}', 'reconcile')"
    assert attention["ops.unproved"]["remedy"] == unproved["remedy"]
    assert "unproved" in told(engine)
    assert engine.value(unproved["remedy"])["changed"] is True
    prove(engine, creator, proved=True)
    assert engine.rows("select * from ops.unproved") == []
    assert health(engine, "Does the money agree with Fanvue?")["state"] == "ok"


@pytest.mark.parametrize(
    "change",
    [
        "update public.models set status = 'paused'",
        "update private.queue_lanes set paused = true",
        "update public.models set fanvue_access_token = null, fanvue_refresh_token = null",
    ],
)
def test_whose_money_cannot_be_proved_now_is_not_told_of(
    engine: Engine, creator: Creator, change: str
) -> None:
    nights_pass(engine)
    assert len(engine.rows("select * from ops.unproved")) == 1

    engine.rows(change)

    assert engine.rows("select * from ops.unproved") == []


def test_two_nights_pass_before_money_counts_as_unproved(engine: Engine, creator: Creator) -> None:
    nights_pass(engine, hours=49)

    assert engine.rows("select * from ops.unproved") == []


def test_a_stream_that_is_never_whole_is_told_after_hours(engine: Engine, creator: Creator) -> None:
    engine.rows(
        "update public.sync_state set consecutive_failures = 9, last_error = %s::jsonb,"
        " last_success_at = private.engine_now(),"
        " next_sync_at = private.engine_now() + interval '1 day' where sync_type = 'earnings'",
        '{"kind": "partial", "message": "a row could not be read"}',
    )
    engine.move_clock(hours=5)
    assert "not_whole" not in told(engine)

    engine.move_clock(hours=2)

    assert "not_whole" in told(engine)


def test_one_stream_that_is_switched_off_keeps_no_other_from_being_retried(
    engine: Engine, creator: Creator
) -> None:
    other = Creator(engine, "earnings")
    kept, retried = die(engine, creator), die(engine, other)
    creator.override("earnings", enabled=False)

    done = engine.value("select ops.retry_dead_jobs()")

    assert done["message"].startswith("1 job runs again; 1 stays dead")
    rows = engine.rows("select id, state from public.sync_jobs where state = 'dead'")
    assert [row["id"] for row in rows] == [kept]
    assert retried != kept
    (dead,) = engine.rows("select * from ops.dead_jobs")
    assert dead["remedy"] == f"its stream is switched off: select ops.cancel_job({kept})"
    assert health(engine, "Did any job give up?")["state"] == "ok"
    assert "dead_job" not in told(engine)


def test_two_operators_who_retry_at_once_both_succeed(engine: Engine, creator: Creator) -> None:
    other = Creator(engine, "earnings")
    die(engine, creator)
    die(engine, other)
    first, second = engine.another(), engine.another()
    first.connection.execute("begin")
    first.connection.execute("select ops.retry_dead_jobs(%s)", (creator.agency_id,))
    both = second.run(second.connection.execute, "select ops.retry_dead_jobs()")
    engine.wait_until_blocked(second)

    first.connection.execute("commit")

    assert both.result(WAIT).fetchone()["retry_dead_jobs"]["message"].startswith("1 job runs again")
    assert engine.rows("select * from ops.dead_jobs") == []


def test_a_stream_that_is_off_for_everybody_is_named(engine: Engine, creator: Creator) -> None:
    question = "Is anything stopped on purpose?"
    engine.rows("update private.sync_streams set enabled = sync_type <> 'posts'")
    off = "off for everybody in private.sync_streams: "
    row = health(engine, question)
    assert (row["state"], row["answer"]) == ("ok", off + "posts")

    engine.rows("update private.sync_streams set enabled = false where sync_type = 'earnings'")

    row = health(engine, question)
    assert (row["state"], row["answer"]) == (
        "attention",
        f"{off}earnings posts, nobody's money is read",
    )


def test_a_key_that_seals_a_connection_is_counted(engine: Engine, creator: Creator) -> None:
    engine.rows(
        "insert into public.agency_connections (agency_id, fanvue_user_uuid, refresh_token)"
        " values (%s, %s, 'fse1.oldkey.nonce.text')",
        creator.agency_id,
        str(uuid4()),
    )

    assert engine.call("engine_doctor")["key_ids"]["oldkey"] == 1


def test_jobs_that_nobody_takes_back_want_attention(engine: Engine, creator: Creator) -> None:
    engine.running_job(creator.model_id)
    engine.move_clock(minutes=12)

    row = health(engine, "Do workers work?")

    assert row["state"] == "attention"
    assert "1 job with workers that went silent" in row["answer"]


def test_an_event_that_was_not_understood_goes_with_the_creator_it_names(
    engine: Engine, creator: Creator
) -> None:
    body = {"type": "something.unknown", "data": {"creatorUuid": creator.uuid, "text": "secret"}}
    assert engine.call("receive_webhook_event", body)["status"] == "ignored"
    kept = engine.value("select payload from public.webhook_events")
    assert kept["data"] == {"creatorUuid": creator.uuid}

    engine.rows("select ops.erase_model(%s, %s)", creator.model_id, creator.uuid)

    assert engine.rows("select * from public.webhook_events") == []


def test_the_trail_forgets_a_creator_wherever_it_names_them(
    engine: Engine, creator: Creator
) -> None:
    engine.rows("update public.models set handle = 'bella'")
    job = die(engine, creator)
    engine.rows("select ops.retry_job(%s)", job)
    named = engine.rows(
        "select * from ops.actions where target = %s", f"job {job} (earnings of bella)"
    )
    assert len(named) == 1

    engine.rows("select ops.erase_model(%s, 'bella')", creator.model_id)

    trail = engine.rows("select concat(target, arguments, changed) as text from ops.actions")
    assert not [row for row in trail if "bella" in row["text"]]
