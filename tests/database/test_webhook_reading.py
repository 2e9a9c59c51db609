"""What an event says is read once: null is missing, ids are folded, what is faulty is no money.

An event that is `applied` is in the books; one that cannot be is `failed`, with the reason.
"""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.engine import WAIT
from tests.database.streams import Creator, fans
from tests.database.test_webhook_money import CREATOR, NOON, Books, Sale


if TYPE_CHECKING:
    from tests.database.engine import Engine


FAN = "b2d90c11-3f58-4b57-9d0e-0c2a5a6e1101"
MESSAGE = "0d7e5b1c-77aa-4f0b-8c1e-5a5d2f3b2201"
SALE = Sale(1, 0, 2000, "fan-1", None)


def _refund(**data: Any) -> dict[str, Any]:
    return {
        "id": "event-refund",
        "type": "creator.refund.created",
        "timestamp": NOON.isoformat(),
        "data": {
            "id": "FVC-1",
            "payment_id": "FV-1",
            "currency": "USD",
            "created_at": NOON.isoformat(),
            "creator": {"uuid": CREATOR},
            "purchaser": {"uuid": "fan-1", "handle": "fan-1"},
            **data,
        },
    }


def _sale(**data: Any) -> dict[str, Any]:
    event = SALE.event("matching", 0)
    event["data"] |= data
    return event


def _flat(**more: Any) -> dict[str, Any]:
    return {
        "recipientUuid": CREATOR,
        "sender": {"uuid": FAN, "handle": "mara"},
        "timestamp": NOON.isoformat(),
        **more,
    }


def _amounts(engine: Engine) -> list[Decimal]:
    rows = engine.rows("select amount from public.fanvue_transactions order by amount")
    return [row["amount"] for row in rows]


def _failure(engine: Engine) -> str:
    (event,) = engine.rows(
        "select status, error from public.webhook_events order by received_at desc limit 1"
    )
    assert event["status"] == "failed"
    return str(event["error"])


def test_a_gross_of_null_is_not_the_whole_sale(engine: Engine) -> None:
    books = Books(engine, engine.another())
    refund = SALE.row("matching") | {
        "fanvue_id": "FVC-1",
        "source": "refund",
        "category": "refund",
        "amount": "-5.00",
        "net": "-4.00",
        "reverses_fanvue_id": "FV-1",
    }

    engine.call("receive_webhook_event", SALE.event("matching", 0))
    engine.call("receive_webhook_event", _refund(gross=None, amount=500))

    assert _amounts(engine) == [Decimal("-5.00"), Decimal("20.00")]
    books.page(engine, [SALE.row("matching"), refund]).result()
    assert engine.value("select revenue_total from public.models") == Decimal("15.00")


def test_a_refunds_net_is_taken_off_too(engine: Engine) -> None:
    Books(engine, engine.another())

    engine.call("receive_webhook_event", _refund(amount=500, net=400))

    net = engine.value("select net_amount from public.fanvue_transactions")
    assert net == Decimal("-4.00")


@pytest.mark.parametrize(
    "data",
    [
        {"purchaser": None, "fan": {"uuid": "fan-1"}},
        {"purchaser": {"uuid": None}, "fan": {"uuid": "fan-1"}},
        {"purchaser": {}, "payment": {"purchaser": {"uuid": "fan-1"}}},
        {"purchaser": {"uuid": "fan-1"}, "fan": None},
    ],
    ids=str,
)
def test_a_fan_is_found_where_one_is_named(engine: Engine, data: dict[str, Any]) -> None:
    Books(engine, engine.another())

    told = engine.call("receive_webhook_event", _sale(**data))

    assert told == {"status": "applied"}
    assert engine.value("select fan_uuid from public.fanvue_transactions") == "fan-1"


def test_a_follow_may_name_its_fan_as_a_fan(engine: Engine) -> None:
    creator = Creator(engine, "followers")

    assert creator.told("follow.created", follower=None, fan={"uuid": "f"}) == "applied"

    assert creator.names("is_follower") == {"f"}


def test_a_flat_body_whose_sender_is_empty_names_the_fan_beside_it(engine: Engine) -> None:
    Books(engine, engine.another())
    body = _flat(sender={"uuid": None}, senderUuid=FAN, context="profile", price=700)

    assert engine.call("receive_webhook_event", body)["status"] == "applied"
    assert engine.value("select fan_uuid from public.fanvue_transactions") == FAN


def test_what_is_read_without_nulls_is_stored_as_it_was_sent(engine: Engine) -> None:
    Books(engine, engine.another())
    event = _sale(post_uuid=None, subscription=None)

    engine.call("receive_webhook_event", event)

    assert engine.value("select payload from public.webhook_events") == event


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (None, "the amount is missing"),
        ("much", 'the amount "much" is no number of minor units'),
        ("", 'the amount "" is no number of minor units'),
        ("20.00", 'the amount "20.00" is no number of minor units'),
        ([2000], "the amount [2000] is no number of minor units"),
        (True, "the amount true is no number of minor units"),
        (3.5, "the amount 3.5 is no whole number of minor units"),
        (-300, "the amount -300 is negative"),
        (10**11, "the amount 100000000000 is too large"),
    ],
)
@pytest.mark.parametrize("kind", ["payment", "refund", "dispute", "flat"])
def test_an_amount_that_is_none_is_failed_with_its_reason(
    engine: Engine, kind: str, amount: Any, reason: str
) -> None:
    Books(engine, engine.another())
    event = {
        "payment": _sale(gross=amount),
        "refund": _refund(amount=amount),
        "dispute": _refund(amount=amount) | {"type": "creator.dispute.created"},
        "flat": _flat(context="profile", price=amount),
    }[kind]

    assert engine.call("receive_webhook_event", event)["status"] == "parked"

    assert _failure(engine).startswith(reason)
    assert _amounts(engine) == []


def test_the_largest_amount_is_booked_and_holds_nothing_up(engine: Engine) -> None:
    Books(engine, engine.another())
    largest = _sale(gross=10**11 - 1, net=None)

    for number in range(3):
        another = largest | {
            "id": f"large-{number}",
            "data": {**largest["data"], "id": f"L-{number}"},
        }
        assert engine.call("receive_webhook_event", another) == {"status": "applied"}
    engine.call("receive_webhook_event", _sale(gross=100))

    assert _amounts(engine) == [Decimal(1), *[Decimal("999999999.99")] * 3]
    assert engine.value("select revenue_total from public.models") == Decimal("3000000000.97")


def test_a_sale_is_booked_without_a_net_that_is_none(engine: Engine) -> None:
    Books(engine, engine.another())

    assert engine.call("receive_webhook_event", _sale(net="little")) == {"status": "applied"}

    assert _amounts(engine) == [Decimal("20.00")]
    assert engine.value("select net_amount from public.fanvue_transactions") is None
    assert engine.value("select error from public.webhook_events") == (
        'booked without its net: the amount "little" is no number of minor units'
    )


def test_money_that_could_not_be_booked_is_looked_for_in_the_list(engine: Engine) -> None:
    Books(engine, engine.another())

    engine.call("receive_webhook_event", _sale(gross="a lot"))

    assert [row["sync_type"] for row in engine.rows("select sync_type from public.sync_jobs")] == [
        "earnings"
    ]


def test_digits_in_a_text_are_an_amount(engine: Engine) -> None:
    Books(engine, engine.another())

    assert engine.call("receive_webhook_event", _sale(gross="2000")) == {"status": "applied"}

    assert _amounts(engine) == [Decimal("20.00")]


def test_a_refund_without_an_amount_is_of_its_whole_sale_once_that_is_known(
    engine: Engine,
) -> None:
    Books(engine, engine.another())
    engine.call("receive_webhook_event", _refund())
    assert _failure(engine) == "the amount is missing, and the sale it reverses is not known"
    refund = engine.value("select id from public.webhook_events")

    engine.call("receive_webhook_event", SALE.event("matching", 0))
    replayed = engine.value("select ops.replay_webhook(%s)", refund)

    assert replayed["status"] == "applied"
    assert _amounts(engine) == [Decimal("-20.00"), Decimal("20.00")]


def test_a_refund_without_an_amount_of_a_sale_in_pounds_is_in_pounds(engine: Engine) -> None:
    Books(engine, engine.another())

    engine.call("receive_webhook_event", _sale(currency="GBP", gross=1900, net=1520))
    engine.call("receive_webhook_event", _refund(currency=None))

    rows = engine.rows(
        "select amount, sent_minor_units, sent_currency from public.fanvue_transactions"
    )
    pounds = {"amount": Decimal("0.00"), "sent_minor_units": 1900, "sent_currency": "GBP"}
    assert rows == [pounds, pounds]


@pytest.mark.parametrize("shape", [{}, {"postUuid": "p"}, {"purchaseType": "media"}], ids=str)
def test_a_flat_price_of_null_is_no_follow(engine: Engine, shape: dict[str, Any]) -> None:
    Books(engine, engine.another())

    engine.call("receive_webhook_event", _flat(price=None, **shape))

    assert _failure(engine) == "the amount is missing"
    assert engine.rows("select from public.fanvue_fans") == []


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("2019-12-31T23:59:59Z", "the event's time 2019-12-31T23:59:59Z is before Fanvue began"),
        ("9999-01-01T00:00:00Z", "the event's time 9999-01-01T00:00:00Z lies in the future"),
    ],
)
def test_a_time_that_cannot_be_is_failed_with_its_reason(
    engine: Engine, at: str, reason: str
) -> None:
    creator = Creator(engine, "earnings")
    tip: dict[str, Any] = {"source": "tip", "gross": 700, "purchaser": {"uuid": "f"}}

    assert creator.told("payment.succeeded", paid_at=at, **tip) == "parked"
    assert _failure(engine) == reason
    assert creator.told("message.received", at, uuid="m", fan={"uuid": "f"}) == "parked"
    assert _failure(engine) == reason

    assert _amounts(engine) == []
    assert engine.rows("select from public.fanvue_messages") == []


def test_a_clock_that_runs_a_little_fast_is_believed(engine: Engine) -> None:
    creator = Creator(engine, "earnings")
    soon = (creator.now() + timedelta(hours=23)).isoformat()

    told = creator.told("payment.succeeded", paid_at=soon, source="tip", gross=700)

    assert told == "applied"


def test_a_currency_is_one_however_it_is_written(engine: Engine) -> None:
    books = Books(engine, engine.another())
    row = SALE.row("other") | {"currency": "eur"}

    engine.call("receive_webhook_event", _sale(currency="eur", gross=1900, net=1520))
    books.page(engine, [row]).result()
    books.page(engine, [row | {"currency": "EUR"}]).result()

    assert _amounts(engine) == [Decimal("20.00")]


@pytest.mark.parametrize("page_first", [False, True])
def test_a_sale_whose_ids_are_in_capitals_is_the_same_sale(
    engine: Engine, *, page_first: bool
) -> None:
    books = Books(engine, engine.another())
    number = "ab000000-0000-4000-8000-00000000000f"
    sale = Sale(1, 0, 2000, FAN, MESSAGE)
    row = sale.row("none") | {"fanvue_id": number}
    event = sale.event("none", 0)
    event["data"]["id"] = number
    loud = json.loads(json.dumps(event).replace(FAN, FAN.upper()).replace(MESSAGE, MESSAGE.upper()))
    loud["data"]["id"] = number.upper()

    if page_first:
        books.page(engine, [row]).result()
    engine.call("receive_webhook_event", loud)
    engine.call("receive_webhook_event", event | {"id": "told again"})
    books.page(engine, [row]).result()
    books.page(
        engine,
        [
            row
            | {
                "fanvue_id": number.upper(),
                "fan_uuid": FAN.upper(),
                "message_uuid": MESSAGE.upper(),
            }
        ],
    ).result()

    rows = engine.rows("select fanvue_id, fan_uuid, message_uuid from public.fanvue_transactions")
    assert rows == [{"fanvue_id": number, "fan_uuid": FAN, "message_uuid": MESSAGE}]


def test_a_fan_is_one_row_in_capitals_or_not_and_can_be_erased(engine: Engine) -> None:
    creator = Creator(engine, "subscribers")

    creator.followed(FAN.upper())
    creator.subscribed(FAN)
    creator.read("subscribers", fans(FAN.upper()), full=True)

    assert creator.names("true") == {FAN}
    assert engine.value("select ops.erase_fan(%s)", FAN.upper())["changed"] is True


def test_a_deletion_in_capitals_hits_its_message(engine: Engine) -> None:
    creator = Creator(engine, "messages")

    creator.wrote(MESSAGE, fan=FAN)
    creator.told("message.deleted", uuid=MESSAGE.upper(), fan={"uuid": FAN.upper()})

    rows = creator.rows("fanvue_messages", "message_uuid, fan_uuid, body", "1")
    assert rows == [(MESSAGE, FAN, None)]


def _renewal(creator: Creator, *, cancelled: Any, **more: Any) -> Any:
    data = {"status": "active", "purchaser": {"uuid": "f"}, "cancel_at_period_end": cancelled}
    expires = (creator.now() + timedelta(days=20)).isoformat()
    return creator.told(
        "subscription.cancel_at_period_end_changed", **data | {"expires_at": expires} | more
    )


def test_a_subscription_that_is_cancelled_runs_on_and_does_not_renew(engine: Engine) -> None:
    creator = Creator(engine, "subscribers")
    columns = "is_subscriber, auto_renews, ended_at"
    creator.subscribed("f")

    assert _renewal(creator, cancelled=True) == "applied"
    assert creator.rows("fanvue_fans", columns, "1") == [(True, False, None)]
    assert _renewal(creator, cancelled=False) == "applied"
    assert creator.rows("fanvue_fans", columns, "1") == [(True, True, None)]
    assert creator.counters()[0] == 1


def test_a_cancellation_heard_before_its_subscription_keeps_the_subscriber(
    engine: Engine,
) -> None:
    creator = Creator(engine, "subscribers")
    began = creator.at(minutes=1)

    _renewal(creator, cancelled=True)
    creator.subscribed("f", began)

    assert creator.rows("fanvue_fans", "is_subscriber, auto_renews", "1") == [(True, False)]


def test_a_late_change_of_renewal_does_not_revive_what_ended(engine: Engine) -> None:
    creator = Creator(engine, "subscribers")
    creator.subscribed("f")
    before = creator.at()
    engine.move_clock(minutes=1)
    creator.unsubscribed("f")

    creator.told(
        "subscription.cancel_at_period_end_changed",
        before,
        status="active",
        cancel_at_period_end=False,
        purchaser={"uuid": "f"},
    )

    assert creator.names("not is_subscriber and ended_at is not null") == {"f"}


@pytest.mark.parametrize("creator", [None, {}, {"uuid": None}, {"uuid": "nova"}], ids=str)
def test_money_of_nobody_is_failed_and_not_ignored(engine: Engine, creator: Any) -> None:
    Books(engine, engine.another())

    engine.call("receive_webhook_event", _sale(creator=creator))

    assert _failure(engine) == "the event names no creator"
    (waiting,) = engine.rows("select remedy, dismissal from ops.webhooks_waiting")
    engine.rows(waiting["remedy"])
    assert _failure(engine) == "the event names no creator"
    engine.rows(waiting["dismissal"])
    assert engine.value("select status from public.webhook_events") == "ignored"


def test_a_sale_of_the_app_itself_is_no_creators(engine: Engine) -> None:
    event = _sale() | {"type": "app.payment.succeeded"}
    event["data"]["creator"] = None

    assert engine.call("receive_webhook_event", event) == {"status": "ignored"}


@pytest.mark.parametrize("topic", ["message.reaction", "fan.presence_changed", "never.heard.of"])
def test_what_has_no_meaning_yet_is_ignored_and_can_be_replayed(engine: Engine, topic: str) -> None:
    creator = Creator(engine, "messages")

    assert creator.told(topic, message_uuid=str(uuid.uuid4()), emoji="x") == "ignored"

    event = engine.value("select id from public.webhook_events")
    assert engine.value("select ops.replay_webhook(%s)", event)["status"] == "ignored"


@pytest.mark.parametrize("garbage", [{}, [], True, " "])
def test_two_sales_whose_ids_are_garbage_are_two_sales(engine: Engine, garbage: Any) -> None:
    Books(engine, engine.another())
    other = _sale(id=garbage, gross=700, purchaser={"uuid": "fan-2"}) | {"id": "event-2"}

    for event in (_sale(id=garbage), other):
        assert engine.call("receive_webhook_event", event) == {"status": "applied"}

    assert _amounts(engine) == [Decimal("7.00"), Decimal("20.00")]


@pytest.mark.parametrize("garbage", [{}, [], True, " "])
def test_a_fan_whose_uuid_is_garbage_is_nobody(engine: Engine, garbage: Any) -> None:
    Books(engine, engine.another())
    follow = _sale(purchaser=None, fan={"uuid": garbage}) | {"type": "creator.follow.created"}

    engine.call("receive_webhook_event", follow)

    assert _failure(engine) == "the event names no fan"


def _subscription(kind: str, event_id: str, **data: Any) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": f"creator.subscription.{kind}",
        "timestamp": NOON.isoformat(),
        "data": {
            "creator": {"uuid": CREATOR},
            "purchaser": {"uuid": FAN},
            "created_at": NOON.isoformat(),
            **data,
        },
    }


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "events",
    [
        [
            _subscription("activated", "a", status="active"),
            _subscription("deactivated", "b", status="expired", deactivation_reason="not_renewed"),
        ],
        [
            _subscription("cancel_at_period_end_changed", "a", cancel_at_period_end=True),
            _subscription("cancel_at_period_end_changed", "b", cancel_at_period_end=False),
        ],
    ],
    ids=["began and ended", "cancelled and kept"],
)
def test_two_contrary_events_of_one_instant_end_the_same_way_in_either_order(
    engine: Engine, events: list[dict[str, Any]], turned: bool
) -> None:
    Books(engine, engine.another())

    for event in reversed(events) if turned else events:
        engine.call("receive_webhook_event", event)

    (fan,) = engine.rows(
        "select is_subscriber, auto_renews, ended_at, end_reason, changed_by"
        " from public.fanvue_fans"
    )
    winner = max(events, key=lambda event: (event["type"].endswith("activated"), event["id"]))
    if winner["type"].endswith("changed"):
        assert fan["auto_renews"] is True
        assert fan["changed_by"].endswith(" b")
    else:
        assert (fan["is_subscriber"], fan["ended_at"], fan["end_reason"]) == (True, None, None)


def test_a_second_equal_partial_refund_is_a_second_refund(engine: Engine) -> None:
    Books(engine, engine.another())
    engine.call("receive_webhook_event", SALE.event("matching", 0))

    for number in ("1", "2", "2"):
        refund = _refund(id=f"R-{number}", amount=500) | {"id": f"event-refund-{number}"}
        engine.call("receive_webhook_event", refund)
    for number in ("3", "4", "4"):
        refund = _refund(id=None, amount=100) | {"id": f"event-refund-{number}"}
        engine.call("receive_webhook_event", refund)

    assert _amounts(engine) == sorted([Decimal(20), *[Decimal(-5)] * 2, *[Decimal(-1)] * 2])


def test_a_second_equal_refund_is_no_duplicate_of_the_first_one_in_the_list(engine: Engine) -> None:
    books = Books(engine, engine.another())
    engine.call("receive_webhook_event", SALE.event("matching", 0))
    first = _refund(id="R-1", amount=500)
    engine.call("receive_webhook_event", first)
    listed = SALE.row("matching") | {
        "fanvue_id": "R-1",
        "amount": "-5.00",
        "net": "-4.00",
        "source": "refund",
        "category": "refund",
        "reverses_fanvue_id": "FV-1",
        "fan_uuid": "fan-1",
    }
    books.page(engine, [SALE.row("matching"), listed]).result(WAIT)

    engine.call("receive_webhook_event", _refund(id="R-2", amount=500) | {"id": "event-refund-2"})

    assert _amounts(engine) == [Decimal(-5), Decimal(-5), Decimal(20)]


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Pacific/Kiritimati"])
def test_a_stamp_without_a_zone_is_utc_whatever_the_session_says(engine: Engine, zone: str) -> None:
    Books(engine, engine.another())
    engine.connection.execute(f"set timezone = '{zone}'".encode())

    engine.call("receive_webhook_event", _sale(paid_at="2026-11-20T12:00:00"))

    assert engine.value("select fanvue_created_at from public.fanvue_transactions") == NOON
    engine.connection.execute("reset timezone")
