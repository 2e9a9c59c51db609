"""A sale is one row, one amount and in the rollup once, in whatever order and number it is told.

Webhooks and pages of the API are played against each other on two connections at once, for each
way in which Fanvue may number its payments.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.database.engine import WAIT


if TYPE_CHECKING:
    from concurrent.futures import Future

    from tests.database.engine import Engine, Worker


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CREATOR = "7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01"
ID_MODES = ("matching", "other", "none")
_APPLY = "select private.apply_transactions(%s, %s, %s, '{}', private.engine_now())"


@dataclass(frozen=True)
class Sale:
    """A sale as it happened; equal sales differ in their number only."""

    number: int
    offset: int
    cents: int
    fan: str
    message: str | None

    def row(self, mode: str) -> dict[str, Any]:
        """Return what the API lists."""
        return {
            "fanvue_id": None if mode == "none" else f"FV-{self.number}",
            "at": (NOON + timedelta(milliseconds=self.offset)).isoformat(),
            "source": "message" if self.message else "tip",
            "category": "message" if self.message else "tip",
            "amount": str(Decimal(self.cents) / 100),
            "net": str(Decimal(self.cents) * 8 / 1000),
            "currency": "USD",
            "status": "pending",
            "fan_uuid": self.fan,
            "fan_handle": self.fan,
            "message_uuid": self.message,
            "post_uuid": None,
            "reverses_fanvue_id": None,
        }

    def event(self, mode: str, skew: int, creator: str = CREATOR) -> dict[str, Any]:
        """Return what the webhook tells, a little later or earlier than the API's instant."""
        paid = NOON + timedelta(milliseconds=self.offset + skew)
        data: dict[str, Any] = {
            "object": "payment",
            "source": "message" if self.message else "tip",
            "gross": self.cents,
            "net": self.cents * 8 // 10,
            "currency": "USD",
            "paid_at": paid.isoformat(),
            "message_uuid": self.message,
            "creator": {"uuid": creator},
            "purchaser": {"uuid": self.fan, "handle": self.fan},
        }
        if mode != "none":
            data["id"] = f"FV-{self.number}" if mode == "matching" else f"INV-{self.number}"
        return {
            "id": f"event-{creator}-{self.number}",
            "type": "creator.payment.succeeded",
            "timestamp": (paid + timedelta(seconds=1)).isoformat(),
            "data": data,
        }


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Sale], list[tuple[str, Any]], list[int]]:
    """Draw sales, some of them equal, and the telling of them in any order."""
    count = draw(st.integers(1, 4))
    sales = [
        Sale(
            number=number,
            offset=draw(st.sampled_from([0, 0, 0, 400, 90_000])),
            cents=draw(st.sampled_from([500, 500, 1200])),
            fan=draw(st.sampled_from(["fan-1", "fan-1", "fan-2"])),
            message=draw(st.sampled_from([None, None, "m-1"])),
        )
        for number in range(count)
    ]
    told: list[tuple[str, Any]] = [("event", number) for number in range(count)]
    told += [("event", draw(st.integers(0, count - 1))) for _ in range(draw(st.integers(0, 2)))]
    told += [
        # a page before the API lists everything, or the same page once more
        ("page", tuple(sorted(draw(st.sets(st.integers(0, count - 1))))))
        for _ in range(draw(st.integers(0, 3)))
    ]
    skews = [draw(st.sampled_from([0, 0, 250, -1500, 20_000])) for _ in range(count)]
    return sales, draw(st.permutations(told)), skews


class Books:
    """One creator, told on two connections at once."""

    def __init__(self, engine: Engine, other: Worker, creator: str = CREATOR) -> None:
        self.engine = engine
        self.other = other
        self.creator = creator
        self.agency_id = engine.agency()
        self.model_id = engine.model(self.agency_id, due=False, fanvue_user_uuid=creator)

    def tell(self, worker: Worker, event: dict[str, Any]) -> Future[Any]:
        return worker.start("receive_webhook_event", event)

    def page(self, worker: Worker, rows: list[dict[str, Any]]) -> Future[Any]:
        return worker.run(
            worker.connection.execute, _APPLY, [self.agency_id, self.model_id, Jsonb(rows)]
        )

    def assert_each_once(self, sales: list[Sale]) -> None:
        (held,) = self.engine.owner.execute(
            """
            select count(*) as rows, coalesce(sum(t.amount), 0) as gross,
                   count(*) filter (where t.origin = 'webhook') as provisional,
                   (select sum(e.transactions) from public.earnings_daily e
                    where e.model_id = %(model)s) as rolled_up,
                   (select sum(e.gross) from public.earnings_daily e
                    where e.model_id = %(model)s) as rolled_gross,
                   (select m.revenue_total from public.models m where m.id = %(model)s) as total
            from public.fanvue_transactions t where t.model_id = %(model)s
            """,
            {"model": self.model_id},
        ).fetchall()
        gross = Decimal(sum(sale.cents for sale in sales)) / 100
        assert held == {
            "rows": len(sales),
            "gross": gross,
            "provisional": 0,
            "rolled_up": len(sales),
            "rolled_gross": gross,
            "total": gross,
        }


@pytest.mark.parametrize("late", [0, 1, 2])
def test_a_page_with_equal_tips_leaves_the_message_sale_to_its_own_row(
    engine: Engine, late: int
) -> None:
    # Which announcement comes first is the order of their random ids: eight creators try it.
    for _ in range(8):
        sales = [Sale(n, 0, 500, "fan-1", "m-1" if n == 1 else None) for n in range(3)]
        books = Books(engine, engine, str(uuid.uuid4()))
        tell = [sale.event("none", 0, books.creator) for sale in sales]

        for number in {0, 1, 2} - {late}:
            books.tell(engine, tell[number]).result(WAIT)
        books.page(engine, [sales[number].row("none") for number in (0, 2)]).result(WAIT)
        books.tell(engine, tell[late]).result(WAIT)

        for _ in range(2):
            books.page(engine, [sale.row("none") for sale in sales]).result(WAIT)
            books.assert_each_once(sales)


@pytest.mark.parametrize("mode", ID_MODES)
def test_more_announced_rows_than_are_compared_at_a_time_are_each_booked_once(
    engine: Engine, mode: str
) -> None:
    """Ten equal ones of one instant among them, where fifty end."""
    books = Books(engine, engine)
    places = [45 if 45 <= n < 55 else n for n in range(70)]
    sales = [Sale(n, -600_000 * place, 500, "fan-1", None) for n, place in enumerate(places)]
    for sale in sales:
        books.tell(engine, sale.event(mode, 0)).result(WAIT)

    for _ in range(2):
        books.page(engine, [sale.row(mode) for sale in sales]).result(WAIT)
        books.assert_each_once(sales)


@pytest.mark.property
@pytest.mark.parametrize("mode", ID_MODES)
def test_any_order_of_webhooks_and_pages_books_each_sale_once(engine: Engine, mode: str) -> None:
    other = engine.another()

    @settings(
        max_examples=50,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(story=stories())
    def play(story: tuple[list[Sale], list[tuple[str, Any]], list[int]]) -> None:
        sales, told, skews = story
        books = Books(engine, other, str(uuid.uuid4()))
        listed: set[int] = set()
        for step in range(0, len(told), 2):
            underway = []
            for worker, (what, which) in zip((engine, other), told[step : step + 2], strict=False):
                if what == "event":
                    event = sales[which].event(mode, skews[which], books.creator)
                    underway.append(books.tell(worker, event))
                else:
                    listed |= set(which)
                    rows = [sales[number].row(mode) for number in sorted(listed)]
                    underway.append(books.page(worker, rows))
            for one in underway:
                one.result(WAIT)
        rows = [sale.row(mode) for sale in sales]
        books.page(engine, rows).result(WAIT)
        books.assert_each_once(sales)
        books.page(other, rows).result(WAIT)
        books.assert_each_once(sales)

    play()


def test_a_sale_in_another_currency_counts_nothing_until_the_api_brings_dollars(
    engine: Engine,
) -> None:
    books = Books(engine, engine.another())
    sale = Sale(1, 0, 2500, "fan-1", "m-1")
    event = sale.event("other", 0)
    event["data"] |= {"currency": "GBP", "gross": 1900, "net": 1520}

    assert engine.call("receive_webhook_event", event) == {"status": "applied"}

    (row,) = engine.rows(
        "select amount, sent_minor_units, sent_currency, origin from public.fanvue_transactions"
    )
    assert row == {
        "amount": Decimal("0.00"),
        "sent_minor_units": 1900,
        "sent_currency": "GBP",
        "origin": "webhook",
    }
    books.page(engine, [sale.row("other") | {"currency": "GBP"}]).result()
    books.assert_each_once([sale])


def test_a_refund_is_a_row_of_its_own_that_names_its_sale(engine: Engine) -> None:
    Books(engine, engine.another())
    engine.call("receive_webhook_event", Sale(1, 0, 2500, "fan-1", None).event("other", 0))

    refund = {
        "id": "event-refund",
        "type": "creator.refund.created",
        "timestamp": NOON.isoformat(),
        "data": {
            "object": "refund",
            "id": "FVC-1",
            "payment_id": "INV-1",
            "amount": 2500,
            "currency": "USD",
            "created_at": NOON.isoformat(),
            "creator": {"uuid": CREATOR},
            "purchaser": {"uuid": "fan-1"},
        },
    }
    assert engine.call("receive_webhook_event", refund) == {"status": "applied"}

    rows = engine.rows(
        "select amount, category, reverses_fanvue_id from public.fanvue_transactions"
        " order by amount"
    )
    assert rows == [
        {"amount": Decimal("-25.00"), "category": "refund", "reverses_fanvue_id": "INV-1"},
        {"amount": Decimal("25.00"), "category": "tip", "reverses_fanvue_id": None},
    ]


def test_one_sale_told_by_two_families_under_one_number_is_one_row(engine: Engine) -> None:
    Books(engine, engine.another())
    event = Sale(1, 0, 9999, "fan-1", None).event("other", 0)
    checkout = event | {"id": "event-checkout", "type": "checkout_link.payment.succeeded"}

    first = engine.call("receive_webhook_event", event)
    second = engine.call("receive_webhook_event", checkout)

    assert (first, second) == ({"status": "applied"}, {"status": "duplicate"})
    assert engine.value("select count(*) from public.fanvue_transactions") == 1


def test_a_burst_of_events_pulls_one_poll_forward_per_minute(engine: Engine) -> None:
    books = Books(engine, engine.another())
    engine.rows("update public.sync_state set last_sync_at = private.engine_now()")

    for number in range(40):
        event = Sale(number, number * 1000, 500, "fan-1", None).event("other", 0)
        engine.call("receive_webhook_event", event)

    (job,) = engine.rows(
        """
        select round(extract(epoch from j.run_at - s.last_sync_at)) as wait
        from public.sync_jobs j join public.sync_state s using (model_id, sync_type)
        """
    )
    assert job["wait"] == 60
    assert engine.value("select count(*) from public.fanvue_transactions") == 40
    assert books.engine.value("select count(*) from public.sync_jobs") == 1


def test_an_event_of_an_unknown_creator_waits_and_is_applied_when_they_connect(
    engine: Engine,
) -> None:
    stranger = str(uuid.uuid4())
    event = Sale(1, 0, 700, "fan-1", None).event("other", 0)
    event["data"]["creator"] = {"uuid": stranger.upper()}
    assert engine.call("receive_webhook_event", event) == {"status": "parked"}

    made = engine.call("connect_model", "Agency N", uuid.UUID(stranger))
    engine.call("store_grant", uuid.UUID(made["model_id"]), 0, "fse1.k.a", "fse1.k.r", 3600)

    assert engine.value("select status from public.webhook_events") == "applied"
    assert engine.value("select revenue_total from public.models") == Decimal("7.00")


def test_a_poison_event_is_kept_with_its_reason_and_blocks_nobody(engine: Engine) -> None:
    Books(engine, engine.another())
    poison = Sale(1, 0, 700, "fan-1", None).event("other", 0)
    poison["data"]["gross"] = 10**20
    good = Sale(2, 0, 700, "fan-1", None).event("other", 0)

    assert engine.call("receive_webhook_event", poison) == {"status": "parked"}
    assert engine.call("receive_webhook_event", good) == {"status": "applied"}

    rows = engine.rows("select status, error is null as fine from public.webhook_events order by 1")
    assert rows == [{"status": "applied", "fine": True}, {"status": "failed", "fine": False}]


@pytest.mark.parametrize(
    "payload",
    [{"type": "creator.unknown", "data": {}}, {"type": 7}, {"type": "x", "data": []}, {"data": {}}],
    ids=str,
)
def test_what_has_no_meaning_is_kept_and_ignored(engine: Engine, payload: dict[str, Any]) -> None:
    assert engine.call("receive_webhook_event", payload)["status"] == "ignored"
    assert engine.value("select payload from public.webhook_events") == payload
    assert engine.call("receive_webhook_event", payload)["status"] == "duplicate"


@pytest.mark.parametrize("payload", [{}, {"hello": "world"}, {"data": []}, {"type": None}], ids=str)
def test_what_is_no_event_is_refused_and_not_stored(
    engine: Engine, payload: dict[str, Any]
) -> None:
    with pytest.raises(psycopg.Error, match="no event") as refused:
        engine.call("receive_webhook_event", payload)

    assert refused.value.sqlstate == "PT422"
    assert engine.value("select count(*) from public.webhook_events") == 0
