"""An erased fan's money is counted once, whichever agency the creator is in.

One alias stands for a fan for ever, and what was erased follows the model.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.database.engine import WAIT, Engine
from tests.database.streams import Creator, fans


FAN = "0f8fad5b-d9cb-469f-a165-70867728950e"
STREAMS = ("earnings", "subscribers")


class Payer:
    """A fan who paid a creator once; only a webhook told it yet."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.creator = Creator(engine, *STREAMS)
        self.moment = self.creator.at(minutes=3)
        who = {"uuid": FAN, "handle": "sir.lancelot", "displayName": "Lancelot"}
        self.creator.told(
            "payment.succeeded",
            self.moment,
            id="FV-1",
            gross=900,
            net=720,
            source="tip",
            purchaser=who,
        )

    def listed(self) -> dict[str, Any]:
        """Return the payment as the API lists it: without a number."""
        return {
            "fanvue_id": None,
            "source": "tip",
            "category": "tip",
            "amount": "9.00",
            "net": "7.20",
            "currency": "USD",
            "status": "pending",
            "fan_uuid": FAN,
            "fan_handle": "sir.lancelot",
            "message_uuid": None,
            "post_uuid": None,
            "at": self.moment,
        }

    def erase(self, agency: Any = None) -> str:
        return str(self.engine.value("select ops.erase_fan(%s, %s) ->> 'alias'", FAN, agency))

    def move(self, agency: Any) -> None:
        self.engine.rows(
            "update public.models set agency_id = %s where id = %s", agency, self.creator.model_id
        )

    def is_listed(self) -> tuple[int, int]:
        reply = self.creator.read("earnings", [self.listed()], full=True)
        return reply["inserted"], reply["updated"]

    def payers(self) -> list[tuple[Any, ...]]:
        return self.creator.rows("fanvue_transactions", "fan_uuid, fan_handle, amount::text", "id")


@pytest.fixture
def payer(engine: Engine) -> Payer:
    engine.rows("truncate private.erased_fans")
    return Payer(engine)


def test_a_payment_is_counted_once_when_its_creator_moves_after_the_erasure(payer: Payer) -> None:
    alias = payer.erase(payer.creator.agency_id)
    payer.move(payer.engine.agency())

    assert payer.is_listed() == (0, 1)
    assert payer.payers() == [(alias, None, "9.00")]


def test_a_payment_is_counted_once_when_its_creator_moves_to_who_erased_the_fan(
    payer: Payer,
) -> None:
    elsewhere = Creator(payer.engine, *STREAMS)
    elsewhere.read("subscribers", fans(FAN))
    alias = payer.erase(elsewhere.agency_id)
    payer.move(elsewhere.agency_id)

    assert payer.payers() == [(alias, None, "9.00")]
    assert payer.is_listed() == (0, 1)
    assert payer.payers() == [(alias, None, "9.00")]


def test_a_fan_whom_both_agencies_know_is_forgotten_by_both_once_the_creator_moves(
    payer: Payer,
) -> None:
    elsewhere = Payer(payer.engine)
    alias = payer.erase(payer.creator.agency_id)
    assert elsewhere.payers() == [(FAN, "sir.lancelot", "9.00")]

    payer.move(elsewhere.creator.agency_id)

    for one in (payer, elsewhere):
        assert one.is_listed() == (0, 1)
        assert one.payers() == [(alias, None, "9.00")]


def test_a_fan_of_others_is_kept_when_a_creator_without_that_fan_comes(payer: Payer) -> None:
    elsewhere = Creator(payer.engine, *STREAMS)
    beside = Creator(payer.engine, *STREAMS, agency_id=payer.creator.agency_id)
    elsewhere.read("subscribers", fans(FAN))
    payer.erase(payer.creator.agency_id)

    payer.engine.rows(
        "update public.models set agency_id = %s where id = %s",
        elsewhere.agency_id,
        beside.model_id,
    )

    assert elsewhere.names("handle is not null") == {FAN}


@pytest.mark.parametrize("what", ["event", "page"])
@pytest.mark.parametrize("others_erased", [0, 201])
def test_what_the_new_agency_is_storing_names_no_fan_whom_the_creator_brings_as_erased(
    payer: Payer, what: str, others_erased: int
) -> None:
    engine, elsewhere = payer.engine, Creator(payer.engine, *STREAMS)
    alias = payer.erase(payer.creator.agency_id)
    engine.rows(
        "insert into private.erased_fans (fan_hash, agency_id, erased_at)"
        " select private.fan_hash(gen_random_uuid()::text), %s, now() from generate_series(1, %s)",
        payer.creator.agency_id,
        others_erased,
    )
    moment, row = payer.moment, payer.listed()
    event = elsewhere.event(
        "payment.succeeded",
        moment,
        id="FV-2",
        gross=900,
        net=720,
        source="tip",
        purchaser={"uuid": FAN, "handle": "sir.lancelot"},
    )
    reading = elsewhere.begin("earnings", full=True)
    page = reading.page(row, complete=True)
    writer, mover = engine.another(), engine.another()

    with writer.connection.transaction():
        if what == "event":
            assert writer.call("receive_webhook_event", event)["status"] == "applied"
        else:
            assert reading.send(page, reading.version, by=writer)["inserted"] == 1
        moved = mover.run(
            mover.connection.execute,
            "update public.models set agency_id = %s where id = %s",
            [elsewhere.agency_id, payer.creator.model_id],
        )
        while not (moved.done() or engine.is_blocked(mover)):
            pass
    moved.result(WAIT)
    if what == "event":
        assert reading.send(page, reading.version)["updated"] == 1

    held = elsewhere.rows("fanvue_transactions", "fan_uuid, fan_handle, amount::text", "id")
    assert held == [(alias, None, "9.00")]
    named = "select count(*) from public.webhook_events where payload::text ~ %s"
    assert engine.value(named, f"{FAN}|lancelot") == 0


def test_an_event_that_could_not_be_booked_loses_whom_the_creator_brings_as_erased(
    payer: Payer,
) -> None:
    engine, elsewhere = payer.engine, Creator(payer.engine, *STREAMS)
    payer.erase(payer.creator.agency_id)
    who = {"uuid": FAN, "handle": "sir.lancelot"}
    elsewhere.told("payment.succeeded", id="FV-2", gross=-5, source="tip", purchaser=who)

    payer.move(elsewhere.agency_id)

    (kept,) = engine.rows("select payload::text from public.webhook_events where status = 'failed'")
    assert not any(word in kept["payload"] for word in (FAN, "lancelot"))


def test_a_fan_whom_the_new_agency_is_getting_to_know_is_kept_when_the_creator_is_a_stranger(
    payer: Payer,
) -> None:
    engine, elsewhere = payer.engine, Creator(payer.engine, *STREAMS)
    beside = Creator(engine, *STREAMS, agency_id=payer.creator.agency_id)
    payer.erase(payer.creator.agency_id)
    event = elsewhere.event("follow.created", follower={"uuid": FAN, "handle": "sir.lancelot"})
    teller, mover = engine.another(), engine.another()

    with teller.connection.transaction():
        assert teller.call("receive_webhook_event", event)["status"] == "applied"
        moved = mover.run(
            mover.connection.execute,
            "update public.models set agency_id = %s where id = %s",
            [elsewhere.agency_id, beside.model_id],
        )
        while not (moved.done() or engine.is_blocked(mover)):
            pass
    moved.result(WAIT)

    assert elsewhere.names("handle is not null") == {FAN}
    listed = "select count(*) from private.erased_fans where agency_id = %s"
    assert engine.value(listed, elsewhere.agency_id) == 0


def test_a_fan_erased_by_all_and_then_by_one_agency_keeps_the_alias(payer: Payer) -> None:
    alias = payer.erase()
    payer.engine.rows(
        "insert into private.erased_fans (fan_hash, agency_id, erased_at)"
        " values (private.fan_hash(%s), %s, now())",
        FAN,
        payer.creator.agency_id,
    )

    assert payer.is_listed() == (0, 1)
    assert payer.payers() == [(alias, None, "9.00")]


def test_two_agencies_erase_a_fan_under_one_alias(payer: Payer) -> None:
    elsewhere = Payer(payer.engine)

    assert payer.erase(payer.creator.agency_id) == payer.erase(elsewhere.creator.agency_id)
