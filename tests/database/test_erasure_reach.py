"""Erasure reaches every name of whom it is about, and nothing else.

Events that nobody understood, jobs and the trail forget; other people's words and money stay.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.database.engine import Engine  # noqa: TC001 - pytest reads the annotation
from tests.database.test_operator_erasure import FAN, HANDLE, NAME, OTHER, Court


_PAYER = {"uuid": FAN, "handle": HANDLE, "displayName": NAME}


@pytest.fixture
def court(engine: Engine) -> Court:
    engine.rows("truncate private.erased_fans")
    return Court(engine)


def receive(court: Court, **data: Any) -> str:
    event = court.creator.event("gift.wrapped", **data)
    return str(court.engine.call("receive_webhook_event", event)["status"])


def test_one_agency_s_erasure_reaches_what_was_ignored(court: Court) -> None:
    assert receive(court, giver=_PAYER) == "ignored"

    court.erase(agency=court.creator.agency_id)

    assert court.traces() == []


def test_one_agency_s_erasure_reaches_what_names_the_creator_in_no_known_place(
    court: Court,
) -> None:
    event = {"id": "E-1", "type": "gift", "data": {"to": court.creator.uuid, "giver": _PAYER}}
    court.engine.call("receive_webhook_event", event)

    court.erase(agency=court.creator.agency_id)

    assert court.traces() == []


def test_an_event_that_nobody_understands_is_stored_without_an_erased_fan(court: Court) -> None:
    court.erase(agency=court.creator.agency_id)

    told = receive(court, giver=_PAYER, box={"from": FAN.upper(), "handle": HANDLE})

    assert (told, court.traces()) == ("ignored", [])


def test_jobs_do_not_remember_an_erased_fan(court: Court) -> None:
    court.creator.begin("messages")
    court.engine.rows(
        "update public.sync_jobs set progress = %s::jsonb, last_error = %s::jsonb",
        f'{{"chat": "{FAN}"}}',
        f'{{"message": "chat {FAN.upper()}: 404"}}',
    )

    court.erase()

    assert court.traces() == []


def adopted_twin(court: Court) -> None:
    """Note a row as an adoption does that takes it out."""
    court.engine.rows(
        "insert into private.adoption_findings (table_name, row_id, finding, before)"
        " select 'fanvue_transactions', gen_random_uuid(), 'twice', to_jsonb(t)"
        " from public.fanvue_transactions t where t.fan_uuid = %s limit 1",
        FAN,
    )


@pytest.mark.parametrize("agency", [True, False])
def test_a_row_that_an_adoption_took_out_names_an_erased_fan_no_more(
    court: Court, agency: bool
) -> None:
    adopted_twin(court)

    court.erase(agency=court.creator.agency_id if agency else None)

    assert court.traces() == []


def test_of_an_erased_creator_no_row_that_an_adoption_took_out_remains(court: Court) -> None:
    adopted_twin(court)
    model, uuid = court.creator.model_id, court.creator.uuid

    with court.engine.owner.transaction():
        court.engine.rows("set local role service_role")
        court.engine.rows("select ops.erase_model(%s, %s)", model, uuid)

    assert court.engine.value("select count(*) from private.adoption_findings") == 0


@pytest.mark.parametrize(("handle", "name"), [("tip", "EUR"), ("eur", "tip")])
def test_a_fan_who_is_called_as_money_is_leaves_the_money_alone(
    court: Court, handle: str, name: str
) -> None:
    payer = {"uuid": FAN, "handle": handle, "displayName": name}
    court.creator.told("follow.created", follower=payer)
    court.erase()

    told = court.creator.told(
        "payment.succeeded", id="FV-11", gross=1000, currency="EUR", source="tip", purchaser=payer
    )

    assert told == "applied"
    (row,) = court.engine.rows(
        "select amount, currency, sent_currency, source from public.fanvue_transactions"
        " where fanvue_id = 'FV-11'"
    )
    assert tuple(row.values()) == (0, "EUR", "EUR", "tip")


def test_money_that_was_told_before_keeps_its_currency_and_source(court: Court) -> None:
    payer = {"uuid": FAN, "handle": "tip", "displayName": "EUR"}
    court.creator.told("follow.created", follower=payer)
    court.creator.told(
        "payment.succeeded", id="FV-11", gross=1000, currency="EUR", source="tip", purchaser=payer
    )

    court.erase()

    (row,) = court.engine.rows(
        "select payload #>> '{data,currency}' as currency, payload #>> '{data,source}' as source"
        " from public.webhook_events where payment_id = 'FV-11'"
    )
    assert row == {"currency": "EUR", "source": "tip"}


def nameless(court: Court, handle: str, agency: Any, model: Any) -> str:
    return str(
        court.engine.value(
            "insert into public.fanvue_transactions"
            " (agency_id, model_id, fanvue_id, amount, fan_handle, fanvue_created_at)"
            " values (%s, %s, gen_random_uuid()::text, 1, %s, now()) returning id",
            agency,
            model,
            handle,
        )
    )


def test_rows_without_a_uuid_are_known_by_the_handle_within_the_agency(court: Court) -> None:
    elsewhere = Court(court.engine)
    here = court.creator.agency_id, court.creator.model_id
    there = elsewhere.creator.agency_id, elsewhere.creator.model_id
    court.engine.rows(
        "update public.fanvue_fans set handle = 'lance' where agency_id = %s and fan_uuid = %s",
        there[0],
        FAN,
    )
    own = nameless(court, HANDLE.upper(), *here)
    kept = [nameless(court, NAME, *here), nameless(court, "lance", *here)]

    court.erase()

    named = court.creator.names("fan_handle is not null", "fanvue_transactions", "id::text")
    assert set(kept) <= named
    assert own not in named


def test_an_event_of_a_creator_who_was_erased_as_a_fan_still_names_them(court: Court) -> None:
    court.engine.rows(
        "update public.models set fanvue_user_uuid = %s where id = %s", FAN, court.creator.model_id
    )
    court.creator.uuid = FAN
    court.erase()

    assert court.creator.told("follow.created", follower={"uuid": OTHER}) == "applied"
    payload = court.engine.value(
        "select payload #>> '{data,creator,uuid}' from public.webhook_events"
        " where creator_uuid = %s order by received_at desc limit 1",
        FAN,
    )
    assert payload == FAN


def test_the_trail_forgets_an_erased_creator(court: Court) -> None:
    engine, model = court.engine, court.creator.model_id
    engine.rows("update public.models set handle = 'guinevere' where id = %s", model)
    engine.rows("select ops.pause_model(%s, 'Guinevere asked, not guinevere2')", model)
    engine.rows("select ops.resume_model(%s)", model)

    engine.rows("select ops.erase_model(%s, 'guinevere')", model)

    (row,) = engine.rows("select target, arguments from ops.actions where action = 'pause_model'")
    assert row["target"] == f"model {model}"
    assert row["arguments"]["reason"] == f"{model} asked, not guinevere2"
    text = engine.value("select string_agg(a::text, ' ') from ops.actions a")
    assert "guinevere" not in text.lower().replace("guinevere2", "")
