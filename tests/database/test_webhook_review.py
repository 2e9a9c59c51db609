"""Oddities of the webhooks: shared numbers, mixed families, many waiting, two hands at once.

Each test is one way in which money, or a grant, could be lost or counted twice.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from tests.database.engine import WAIT
from tests.database.test_cost import reading
from tests.database.test_webhook_money import CREATOR, NOON, Books, Sale


if TYPE_CHECKING:
    from tests.database.engine import Engine


_LATER = (NOON + timedelta(hours=3)).isoformat()


def _refund(number: str, payment: str, **data: Any) -> dict[str, Any]:
    return {
        "id": f"event-refund-{number}",
        "type": "creator.refund.created",
        "timestamp": NOON.isoformat(),
        "data": {
            "object": "refund",
            "id": number,
            "payment_id": payment,
            "amount": 2500,
            "currency": "USD",
            "created_at": NOON.isoformat(),
            "creator": {"uuid": CREATOR},
            "purchaser": {"uuid": "fan-1", "handle": "fan-1"},
            **data,
        },
    }


def _reversal_row(number: str | None, **more: Any) -> dict[str, Any]:
    return Sale(1, 0, 2500, "fan-1", None).row("none") | {
        "fanvue_id": number,
        "source": "refund",
        "category": "refund",
        "amount": "-25.00",
        "net": "-20.00",
        **more,
    }


def _legacy_tip(**more: Any) -> dict[str, Any]:
    return {
        "recipientUuid": CREATOR,
        "sender": {"uuid": "fan-1", "handle": "fan-1"},
        "price": 2500,
        "context": "profile",
        "timestamp": NOON.isoformat(),
        **more,
    }


def _total(engine: Engine) -> dict[str, Any]:
    (row,) = engine.rows(
        "select (select count(*) from public.fanvue_transactions) as rows,"
        " (select revenue_total from public.models) as total,"
        " (select count(*) from public.fanvue_transactions where origin = 'webhook') as provisional"
    )
    return row


def test_a_refund_told_before_its_sale_under_one_number_doubles_neither(engine: Engine) -> None:
    books = Books(engine, engine.another())
    sale = Sale(1, 0, 2500, "fan-1", None)

    engine.call("receive_webhook_event", _refund("FV-1", "FV-1"))
    engine.call("receive_webhook_event", sale.event("matching", 0))
    rows = [sale.row("matching"), _reversal_row("FV-1:refund", reverses_fanvue_id="FV-1")]
    books.page(engine, rows).result()

    assert _total(engine) == {"rows": 2, "total": Decimal("0.00"), "provisional": 0}
    books.page(engine, rows).result()

    assert _total(engine) == {"rows": 2, "total": Decimal("0.00"), "provisional": 0}


def test_a_sale_in_pounds_that_the_old_family_tells_in_dollars_is_one_row(engine: Engine) -> None:
    books = Books(engine, engine.another())
    sale = Sale(1, 0, 2500, "fan-1", None)
    event = sale.event("other", 0)
    event["data"] |= {"currency": "GBP", "gross": 1900, "net": 1520}

    engine.call("receive_webhook_event", event)
    engine.call("receive_webhook_event", _legacy_tip())
    books.page(engine, [sale.row("other") | {"currency": "GBP"}]).result()

    assert _total(engine) == {"rows": 1, "total": Decimal("25.00"), "provisional": 0}


def test_two_flat_bodies_of_two_orders_are_two_sales(engine: Engine) -> None:
    Books(engine, engine.another())

    first = engine.call("receive_webhook_event", _legacy_tip(transactionOrderId="FV-1"))
    second = engine.call("receive_webhook_event", _legacy_tip(transactionOrderId="FV-2"))

    assert (first["status"], second["status"]) == ("applied", "applied")
    assert _total(engine)["rows"] == 2


def test_a_refund_names_its_sale_after_the_api_renamed_it(engine: Engine) -> None:
    books = Books(engine, engine.another())
    sale = Sale(1, 0, 2500, "fan-1", None)

    engine.call("receive_webhook_event", sale.event("other", 0))
    engine.call("receive_webhook_event", _refund("FVC-1", "INV-1"))
    books.page(engine, [sale.row("other")]).result()

    (refund,) = engine.rows(
        "select reverses_fanvue_id from public.fanvue_transactions where amount < 0"
    )
    assert refund == {"reverses_fanvue_id": "FV-1"}


def test_a_model_written_in_capitals_gets_its_events(engine: Engine) -> None:
    books = Books(engine, engine.another(), CREATOR.upper())

    told = engine.call("receive_webhook_event", Sale(1, 0, 500, "fan-1", None).event("other", 0))

    assert told == {"status": "applied"}
    assert books.engine.value("select revenue_total from public.models") == Decimal("5.00")


def test_a_replay_and_a_grant_at_once_end_both(engine: Engine) -> None:
    other, third = engine.another(), engine.another()
    events = [Sale(number, 0, 700, "fan-1", None).event("other", 0) for number in (1, 2)]
    for event in events:
        engine.call("receive_webhook_event", event)
    made = engine.call("connect_model", "Agency N", uuid.UUID(CREATOR))
    model_id = uuid.UUID(made["model_id"])
    waiting = engine.value("select id from public.webhook_events order by received_at limit 1")

    # The order of both is forced: the grant holds the model while the replay holds the event.
    with third.connection.transaction():
        third.connection.execute(
            "select from public.models where id = %s for no key update", [model_id]
        )
        grant = engine.start("store_grant", model_id, 0, "fse1.k.a", "fse1.k.r", 3600)
        engine.wait_until_blocked(engine)
        replay = other.run(other.connection.execute, "select ops.replay_webhook(%s)", [waiting])
        engine.wait_until_blocked(other)

    grant.result(WAIT)
    replay.result(WAIT)
    assert _total(engine) == {"rows": 2, "total": Decimal("14.00"), "provisional": 2}


def test_a_grant_applies_two_hundred_events_however_many_were_parked(engine: Engine) -> None:
    for number in range(210):
        event = Sale(number, number * 1000, 700, "fan-1", None).event("none", 0)
        engine.call("receive_webhook_event", event)
    made = engine.call("connect_model", "Agency N", uuid.UUID(CREATOR))

    engine.call("store_grant", uuid.UUID(made["model_id"]), 0, "fse1.k.a", "fse1.k.r", 3600)

    # what the grant did not wait for comes with the pages
    assert _total(engine)["rows"] == 200
    job = engine.claim()[0]
    walk = engine.begin(job)
    pages = 0
    while engine.value("select count(*) from public.webhook_events where status = 'parked'"):
        page = engine.page(walk, f"page-{pages}")
        walk |= engine.call("commit_sync_page", job["id"], job["lease_id"], walk["version"], page)
        pages += 1
    assert pages == 1
    assert _total(engine) == {"rows": 210, "total": Decimal("1470.00"), "provisional": 210}


def test_a_sale_that_the_old_family_tells_in_pounds_is_one_row(engine: Engine) -> None:
    books = Books(engine, engine.another())
    sale = Sale(1, 0, 2500, "fan-1", None)
    event = sale.event("other", 0)
    event["data"] |= {"currency": "GBP", "gross": 1900, "net": 1520}

    engine.call("receive_webhook_event", _legacy_tip(price=1900))
    engine.call("receive_webhook_event", event)
    assert _total(engine) == {"rows": 1, "total": Decimal("0.00"), "provisional": 1}
    books.page(engine, [sale.row("other") | {"currency": "GBP"}]).result()

    assert _total(engine) == {"rows": 1, "total": Decimal("25.00"), "provisional": 0}


@pytest.mark.parametrize("page_first", [False, True])
def test_a_flat_body_without_currency_is_the_apis_sale_in_pounds(
    engine: Engine, *, page_first: bool
) -> None:
    books = Books(engine, engine.another())
    row = Sale(1, 0, 2500, "fan-1", None).row("other") | {"currency": "GBP"}

    if page_first:
        books.page(engine, [row]).result()
    engine.call("receive_webhook_event", _legacy_tip(price=1900))
    books.page(engine, [row]).result()

    assert _total(engine) == {"rows": 1, "total": Decimal("25.00"), "provisional": 0}


def test_an_old_rows_id_is_known_without_its_kind(engine: Engine) -> None:
    books = Books(engine, engine.another())
    engine.rows(
        "insert into public.fanvue_transactions"
        " (agency_id, model_id, fanvue_id, amount, fanvue_created_at)"
        " values (%s, %s, 'FV-1', 25, %s)",
        books.agency_id,
        books.model_id,
        "2026-11-20T11:00:00Z",
    )
    engine.call("receive_webhook_event", Sale(1, 0, 2500, "fan-1", None).event("matching", 0))
    assert _total(engine)["rows"] == 1


@pytest.mark.parametrize("newer", [0, 48, 49])
def test_a_refund_above_its_sale_on_a_long_page_is_confirmed_with_it(
    engine: Engine, newer: int
) -> None:
    books = Books(engine, engine.another())
    sale, days = Sale(1, -3 * 86_400_000, 2500, "fan-1", None), timedelta(days=1)
    told = sale.event("other", 0)
    engine.call("receive_webhook_event", told)
    refund = _refund("FVC-1", told["data"]["id"], created_at=(NOON - days).isoformat())
    assert engine.call("receive_webhook_event", refund) == {"status": "applied"}

    rows = [Sale(100 + n, -1000 * n, 700 + n, "fan-9", None).row("other") for n in range(newer)]
    refunded = (NOON - 2 * days).isoformat()
    rows.append(_reversal_row("FV-1:refund", reverses_fanvue_id="FV-1", at=refunded))
    rows.append(Sale(300, -216_000_000, 900, "fan-8", None).row("other"))
    books.page(engine, [*rows, sale.row("other")]).result()

    both = engine.rows("select amount from public.fanvue_transactions where fan_uuid = 'fan-1'")
    assert sorted(row["amount"] for row in both) == [Decimal(-25), Decimal(25)]


def test_a_refund_that_comes_months_later_finds_its_sale_by_the_number_announced(
    engine: Engine,
) -> None:
    books = Books(engine, engine.another())
    sale = Sale(1, 0, 2500, "fan-1", None)
    told = sale.event("other", 0)
    engine.call("receive_webhook_event", told)
    books.page(engine, [sale.row("other")]).result()
    engine.move_clock(hours=24 * 89)
    engine.call("prune_history")

    engine.call("receive_webhook_event", _refund("FVC-1", told["data"]["id"]))
    rows = [sale.row("other"), _reversal_row("FV-9", reverses_fanvue_id="FV-1", at=_LATER)]
    books.page(engine, rows).result()

    assert _total(engine) == {"rows": 2, "total": Decimal("0.00"), "provisional": 0}


@pytest.mark.parametrize("mode", ["matching", "other"])
@pytest.mark.parametrize("page_first", [False, True])
def test_a_reversal_is_known_by_its_sale_whenever_the_api_dates_it(
    engine: Engine, mode: str, *, page_first: bool
) -> None:
    books = Books(engine, engine.another())
    sale = Sale(1, 0, 2500, "fan-1", None)
    rows = [sale.row(mode), _reversal_row("FV-9", reverses_fanvue_id="FV-1", at=_LATER)]
    told = sale.event(mode, 0)

    engine.call("receive_webhook_event", told)
    if page_first:
        books.page(engine, rows).result()
    engine.call("receive_webhook_event", _refund("FVC-1", told["data"]["id"]))
    books.page(engine, rows).result()

    assert _total(engine) == {"rows": 2, "total": Decimal("0.00"), "provisional": 0}


@pytest.mark.usefixtures("fresh_sessions")
@pytest.mark.parametrize("analyzed", ["never", "while short", "empty"])
def test_an_event_reads_its_own_rows_of_a_large_ledger(engine: Engine, analyzed: str) -> None:
    if analyzed == "empty":
        engine.rows("vacuum analyze public.fanvue_transactions, public.webhook_events")
    # A pooled connection made its plans while the ledger was empty, and keeps them.
    books = Books(engine, engine.another())
    receive = "select public.receive_webhook_event(%s)"
    for number in range(8):
        engine.rows(receive, Jsonb(Sale(number, 0, 700, "fan-1", None).event("other", 0)))
    if analyzed == "while short":
        engine.rows("vacuum analyze public.fanvue_transactions, public.webhook_events")
    engine.rows(
        "insert into public.fanvue_transactions"
        " (agency_id, model_id, fanvue_id, amount, category, fanvue_created_at)"
        " select %s, %s, 'OLD-' || n, 5, 'tip', timestamptz '2020-01-01Z' + n * interval '1 minute'"
        " from generate_series(1, 5000) n",
        books.agency_id,
        books.model_id,
    )
    engine.rows(
        "insert into public.webhook_events (event_id, topic, agency_id, model_id, creator_uuid,"
        " payment_id, transaction_id, payload, status)"
        " select 'old-' || t.id, 'creator.payment.succeeded', %s, %s, %s, t.fanvue_id, t.id, '{}',"
        " 'applied' from public.fanvue_transactions t where t.fanvue_id like 'OLD-%%'",
        books.agency_id,
        books.model_id,
        books.creator,
    )

    with reading(engine, "fanvue_transactions", "webhook_events") as meter:
        engine.rows(receive, Jsonb(Sale(9, 0, 900, "fan-1", None).event("other", 0)))
        engine.rows(receive, Jsonb(_refund("FVC-9", "INV-9", amount=900)))

    assert meter.rows < 100


def test_a_sale_calls_no_function_that_is_planned_at_each_call(
    engine: Engine, supabase: Engine
) -> None:
    Books(engine, engine.another())
    with supabase.owner.transaction():
        supabase.rows("set local track_functions = 'all'")
        sale = Jsonb(Sale(1, 0, 700, "fan-1", None).event("other", 0))
        answer = supabase.value("select public.receive_webhook_event(%s)", sale)
        # what is told at the commit
        supabase.rows("set constraints all immediate")
        called = supabase.rows(
            "select f.funcname, l.lanname from pg_stat_xact_user_functions f"
            " join pg_proc p on p.oid = f.funcid join pg_language l on l.oid = p.prolang"
            " where f.schemaname = 'private' and f.calls > 0"
        )

    assert answer["status"] == "applied"
    assert {"apply_money", "send_push"} <= {call["funcname"] for call in called}
    # a function in SQL begins a query, and plans it, each time: the tests' own clock is one
    assert {call["funcname"] for call in called if call["lanname"] == "sql"} <= {"engine_now"}
