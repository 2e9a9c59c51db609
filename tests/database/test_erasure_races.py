"""Gone is gone: what is being stored while a fan is erased, and what waits, names nobody later.

An erasure holds up nobody whom it is not about.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.engine import WAIT
from tests.database.streams import Creator, fans
from tests.database.test_operator_erasure import FAN, HANDLE, NAME, OTHER, SECRET, STREAMS, Court


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.database.engine import Engine


_PAYER = {"uuid": FAN, "handle": HANDLE, "displayName": NAME}
# A creator who never connected.
STRANGER = "5b1f0b52-9a44-4d0e-8a53-2f6f1f0f7a05"
_ERASE = "select ops.erase_fan(%s, %s)"


@pytest.fixture
def court(engine: Engine) -> Court:
    engine.rows("truncate private.erased_fans")
    return Court(engine)


@contextmanager
def erasure_under_way(court: Court, agency: Any = None) -> Iterator[None]:
    """Let a fan's erasure have done everything but commit."""
    eraser = court.engine.another()
    with eraser.connection.transaction():
        eraser.connection.execute(_ERASE, [FAN, agency])
        yield


def wrote(court: Court, creator: str, number: str = "m-99") -> dict[str, Any]:
    data: dict[str, Any] = {"uuid": number, "sender": "fan", "text": SECRET, "fan": _PAYER}
    event = court.creator.event("message.received", **data)
    event["data"]["creator"] = {"uuid": creator}
    return event


def receive(court: Court, event: dict[str, Any]) -> str:
    return str(court.engine.call("receive_webhook_event", event)["status"])


# At the same time -------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["a creator's", "nobody's yet"])
def test_an_event_that_is_not_committed_yet_does_not_escape(court: Court, whose: str) -> None:
    teller, eraser = court.engine.another(), court.engine.another()
    event = wrote(court, court.creator.uuid if whose == "a creator's" else STRANGER)

    with teller.connection.transaction():
        teller.call("receive_webhook_event", event)
        done = eraser.run(eraser.connection.execute, _ERASE, [FAN, None])
        court.engine.wait_until_blocked(eraser)
    done.result(WAIT)

    assert court.traces() == []


def test_a_page_that_is_not_committed_yet_does_not_escape(court: Court) -> None:
    # who has no row of the fan yet is found by no look at the rows
    other = Creator(court.engine, *STREAMS, agency_id=court.creator.agency_id)
    reading = other.begin("subscribers")
    page = reading.page(*fans(FAN, handle=HANDLE, display_name=NAME), complete=True)
    writer, eraser = court.engine.another(), court.engine.another()

    with writer.connection.transaction():
        reading.send(page, reading.version, by=writer)
        done = eraser.run(eraser.connection.execute, _ERASE, [FAN, court.creator.agency_id])
        court.engine.wait_until_blocked(eraser)
    done.result(WAIT)

    assert court.traces() == []


def test_a_page_that_comes_during_an_erasure_finds_the_fan_on_the_list(court: Court) -> None:
    other = Creator(court.engine, *STREAMS, agency_id=court.creator.agency_id)
    reading = other.begin("subscribers")
    page = reading.page(*fans(FAN, handle=HANDLE), complete=True)
    writer = court.engine.another()

    with erasure_under_way(court):
        sent = writer.run(reading.send, page, reading.version, writer)
        court.engine.wait_until_blocked(writer)
    assert sent.result(WAIT)["inserted"] == 1

    assert court.traces() == []


def test_an_event_that_names_the_fan_meanwhile_is_stored_without_names_and_applied_later(
    court: Court,
) -> None:
    event = court.creator.event(
        "payment.succeeded", id="FV-20", gross=1000, net=800, source="tip", purchaser=_PAYER
    )

    teller = court.engine.another()

    with erasure_under_way(court):
        told = teller.start("receive_webhook_event", event).result(WAIT)
    assert told["status"] == "parked"
    (kept,) = court.engine.rows(
        "select status, error, payload::text from public.webhook_events where retry_at is not null"
    )
    assert kept["status"] == "failed"
    assert "being erased" in kept["error"]
    assert not any(word in kept["payload"] for word in (HANDLE, NAME))
    assert court.engine.call("retry_webhook_events")["applied"] == 1

    assert court.traces() == []
    assert len(court.creator.names("fanvue_id in ('FV-20', 'FV-9')", "fanvue_transactions")) == 1


@pytest.mark.parametrize("erased_for", ["all", "one agency"])
def test_an_erasure_holds_up_no_event_of_anybody_else(court: Court, erased_for: str) -> None:
    elsewhere = Creator(court.engine, *STREAMS)
    beside = Creator(court.engine, *STREAMS, agency_id=court.creator.agency_id)

    payer = {"uuid": OTHER, "handle": "galahad"}
    paid: dict[str, Any] = {"id": "FV-30", "gross": 500, "source": "tip", "purchaser": payer}
    events = [who.event("payment.succeeded", **paid) for who in (elsewhere, beside)]
    teller = court.engine.another()

    with erasure_under_way(court, None if erased_for == "all" else court.creator.agency_id):
        told = [
            teller.start("receive_webhook_event", event).result(WAIT)["status"] for event in events
        ]

    assert told == ["applied", "applied"]


def test_an_operator_who_replays_an_event_of_the_fan_and_an_erasure_do_not_dead_lock(
    court: Court,
) -> None:
    engine = court.engine
    # not understood: in no table is a row of it
    assert court.creator.told("payment.succeeded", id="FV-50", gross=-5, purchaser=_PAYER)
    event = engine.value("select id from public.webhook_events where status = 'failed'")
    operator, eraser = engine.another(), engine.another()

    with operator.connection.transaction():
        # what a replay takes first
        operator.connection.execute("select private.lock_model(%s)", [court.creator.model_id])
        done = eraser.run(eraser.connection.execute, _ERASE, [FAN, None])
        engine.wait_until_blocked(eraser)
        replay = operator.connection.execute("select ops.replay_webhook(%s) as done", [event])
        assert [row["done"]["status"] for row in replay] == ["failed"]
    done.result(WAIT)

    assert court.traces() == []


@pytest.mark.parametrize("erased_for", ["all", "one agency"])
def test_a_page_that_applies_what_was_parked_and_an_erasure_do_not_dead_lock(
    court: Court, erased_for: str
) -> None:
    engine, agency = court.engine, court.creator.agency_id
    assert receive(court, wrote(court, STRANGER)) == "parked"
    job = engine.running_job(engine.model(agency, due=False, fanvue_user_uuid=STRANGER))
    page = engine.page(engine.begin(job), "p1", complete=True)
    writer, eraser = engine.another(), engine.another()

    with writer.connection.transaction():
        # what a page takes first
        writer.connection.execute("select private.lock_page(%s)", [job["id"]])
        whose = None if erased_for == "all" else agency
        done = eraser.run(eraser.connection.execute, _ERASE, [FAN, whose])
        engine.wait_until_blocked(eraser)
        assert writer.call("commit_sync_page", job["id"], job["lease_id"], 0, page)["complete"]
    done.result(WAIT)

    assert court.traces() == []


def test_a_page_whose_creator_moves_meanwhile_waits_for_no_gate_while_it_holds_the_model(
    court: Court,
) -> None:
    engine, creator = court.engine, court.creator
    elsewhere = engine.agency()
    reading = creator.begin("subscribers")
    page = reading.page(*court.fans, complete=True)
    writer, mover, eraser = engine.another(), engine.another(), engine.another()

    with eraser.connection.transaction():
        # what an erasure at the new agency holds while it waits for the model
        eraser.connection.execute("select private.close_gates(%s)", [elsewhere])
        with mover.connection.transaction():
            mover.connection.execute(
                "update public.models set agency_id = %s where id = %s",
                [elsewhere, creator.model_id],
            )
            sent = writer.run(reading.send, page, reading.version, writer)
            engine.wait_until_blocked(writer)
        refused = sent.exception(WAIT)
        eraser.connection.execute("select private.lock_model(%s)", [creator.model_id])
    assert isinstance(refused, psycopg.errors.LockNotAvailable)

    assert reading.send(page, reading.version)["complete"] is True


_SHAPES: dict[str, Any] = {
    "many objects": [[{"k": "v" * 10} for _ in range(100)] for _ in range(300)],
    "many of the fan": [_PAYER] * 6_000,
    "deep": json.loads('{"a": ' * 600 + json.dumps(_PAYER) + "}" * 600),
}


@pytest.mark.parametrize("shape", _SHAPES)
@pytest.mark.parametrize("at_once", [True, False])
def test_an_event_too_large_to_look_through_is_stored_as_what_is_read_of_it(
    court: Court, shape: str, at_once: bool
) -> None:
    court.erase()
    event = court.creator.event(
        "payment.succeeded", id="FV-50", gross=1000, net=800, source="tip", purchaser=_PAYER
    )
    event["data"]["more"] = _SHAPES[shape]

    court.engine.call("receive_webhook_event", event, p_apply=at_once)
    court.engine.rows(
        court.engine.value("select command from cron.job where jobname = 'fanvue-retry-webhooks'")
        if court.engine.value("select to_regclass('cron.job') is not null")
        else "select public.retry_webhook_events(500)"
    )

    kept = court.engine.value(
        "select payload from public.webhook_events where payment_id = 'FV-50'"
    )
    assert "more" not in kept["data"]
    assert len(court.creator.names("fanvue_id = 'FV-50'", "fanvue_transactions")) == 1
    assert court.traces() == []


def test_an_event_that_was_stored_whole_before_any_was_too_large_is_no_hindrance(
    court: Court,
) -> None:
    event = court.creator.event(
        "payment.succeeded", id="FV-50", gross=1000, net=800, source="tip", purchaser=_PAYER
    )
    court.engine.call("receive_webhook_event", event)
    court.engine.rows(
        "update public.webhook_events set payload = jsonb_set(payload, '{data,more}', %s::jsonb)"
        " where payment_id = 'FV-50'",
        json.dumps(_SHAPES["deep"]),
    )

    court.erase()

    assert court.traces() == []


def test_names_go_wherever_they_stand_and_nothing_else(engine: Engine) -> None:
    said: dict[str, Any] = {
        "name": 'a "quoted": "name" \\',
        "Handle": "x",
        "fanDisplayName": "\u00e9",
        "display_name": "",
        "source_name": "stays",
        "nickname": 7,
        "note": '"handle": "stays"',
        "list": [{"username": "y", "kept": '\\"name": "z"'}],
    }

    kept = engine.value("select private.without_names(%s::jsonb)", json.dumps(said))

    assert kept == said | {
        "name": None,
        "Handle": None,
        "fanDisplayName": None,
        "display_name": None,
        "list": [{"username": None, "kept": '\\"name": "z"'}],
    }


# Before and after -------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("erased_for", ["all", "one agency"])
def test_what_waits_for_its_creator_keeps_no_name_of_whom_somebody_erased(
    court: Court, order: str, erased_for: str
) -> None:
    agency = None if erased_for == "all" else court.creator.agency_id
    event = wrote(court, STRANGER)

    if order == "before":
        assert receive(court, event) == "parked"
    court.erase(agency=agency)
    if order == "after":
        assert receive(court, event) == "parked"

    # whose the creator will be nobody knows: another agency may have to book the fan's money
    assert court.traces() == ([] if erased_for == "all" else [FAN])


def test_an_agency_that_erased_nobody_books_what_waited_under_the_fan(court: Court) -> None:
    court.erase(agency=court.creator.agency_id)
    event = court.creator.event(
        "payment.succeeded", id="FV-40", gross=1000, net=800, source="tip", purchaser=_PAYER
    )
    event["data"]["creator"] = {"uuid": STRANGER}
    assert receive(court, event) == "parked"
    engine = court.engine
    ours, theirs = court.creator.agency_id, engine.agency()

    for agency_id, fan in ((theirs, {FAN}), (ours, None)):
        with engine.owner.transaction(force_rollback=True):
            model_id = engine.model(agency_id, due=False, fanvue_user_uuid=STRANGER)
            engine.rows("select private.apply_parked(%s, private.engine_now())", STRANGER)
            held = {
                row["fan_uuid"]
                for row in engine.rows(
                    "select fan_uuid from public.fanvue_transactions where model_id = %s", model_id
                )
            }
        assert len(held) == 1
        assert FAN not in held if fan is None else held == fan


def test_the_number_of_an_erased_subscription_does_not_come_back(court: Court) -> None:
    engine, creator = court.engine, court.creator
    activated: dict[str, Any] = {"id": "SUB-4711", "status": "active", "purchaser": _PAYER}
    creator.told("subscription.activated", **activated)
    assert creator.names("subscription_id = 'SUB-4711'") == {FAN}

    court.erase()
    for topic in ("activated", "renewed", "cancel_at_period_end_changed", "deactivated"):
        assert creator.told(f"subscription.{topic}", **activated) == "applied"

    assert creator.names("subscription_id is not null") == set()
    payloads = engine.value("select string_agg(payload::text, ' ') from public.webhook_events")
    assert "SUB-4711" not in payloads
    assert court.traces() == []
