"""A row's money stays exact, and its name depends on nothing but the row."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.fanvue.wire import LARGEST_CENTS, EarningRow, parse
from worker.sync.rows import category_of, dollars, out_of_place, to_ledger


if TYPE_CHECKING:
    from worker.sync.rows import LedgerRow


AT = "2026-11-20T10:00:00.123Z"
FAN = "0b8f6f1c-0d8a-4f0e-9b51-6c1a6a3f7a11"
MESSAGE = "5c3f2d10-7a51-4c33-8d0e-2f6f1f0f7a02"
CENTS = st.integers(-LARGEST_CENTS, LARGEST_CENTS)


def row(**fields: Any) -> LedgerRow:
    raw = {"date": AT, "gross": 1000, "net": 800, "currency": "USD", "source": "tip", **fields}
    return to_ledger(parse(EarningRow, raw))


@given(CENTS)
@example(0)
@example(-1)
@example(LARGEST_CENTS)
@example(-LARGEST_CENTS)
def test_cents_become_exact_dollars_and_back(cents: int) -> None:
    amount = dollars(cents)

    assert isinstance(amount, Decimal)
    assert amount * 100 == cents
    assert re.fullmatch(r"-?\d+\.\d\d", str(amount))


@given(CENTS, CENTS)
def test_a_sum_of_dollars_is_the_dollars_of_the_sum(one: int, other: int) -> None:
    assert dollars(one) + dollars(other) == dollars(one + other)


@given(CENTS, CENTS)
def test_no_float_leaves_with_a_row(gross: int, net: int) -> None:
    shown = row(gross=gross, net=net).as_json()

    assert Decimal(shown["amount"]) * 100 == gross
    assert Decimal(shown["net"]) * 100 == net
    assert not [value for value in shown.values() if isinstance(value, float)]
    assert json.loads(json.dumps(shown)) == shown


@given(st.text(max_size=40))
@example("subscriptionRenewal")
@example("Media-Unlock")
@example("  tip ")
@example("pay per view")
@example("HTTPSale2Go")
def test_category_of_a_category_is_itself(source: str) -> None:
    category = category_of(source)

    assert category_of(category) == category


@pytest.mark.parametrize(
    ("source", "category"),
    [
        ("tip", "tip"),
        ("mediaUnlock", "media_unlock"),
        ("pay-per-view", "pay_per_view"),
        ("Voice Call", "voice_call"),
        ("hologramShow", "hologram_show"),
    ],
)
def test_categories_are_snake_case(source: str, category: str) -> None:
    assert row(source=source).category == category
    assert row(source=source).source == source


ORDER_IDS = st.none() | st.sampled_from(["order-1", "order-2"])


@given(
    st.sampled_from(["tip", "mediaUnlock", "refund", "chargeback", "Refund"]), ORDER_IDS, ORDER_IDS
)
def test_the_name_depends_on_kind_and_ids_alone(
    source: str, order_id: str | None, reversed_id: str | None
) -> None:
    ids = {"transactionOrderId": order_id, "reversedTransactionOrderId": reversed_id}
    on_one_page = row(source=source, gross=-500, transactionOrderStatus=None, **ids)
    on_another = row(
        source=source, gross=-700, transactionOrderStatus="availableForPayout", user=None, **ids
    )

    assert on_one_page.fanvue_id == on_another.fanvue_id
    assert (on_one_page.fanvue_id is None) == (order_id is None)


def test_a_sale_is_named_by_its_order() -> None:
    assert row(transactionOrderId="order-1").fanvue_id == "order-1"


@pytest.mark.parametrize("kind", ["refund", "chargeback"])
def test_a_reversal_never_takes_the_name_of_its_sale(kind: str) -> None:
    sharing = row(source=kind, transactionOrderId="order-1", reversedTransactionOrderId="order-1")
    unsaid = row(source=kind, transactionOrderId="order-1")
    own = row(source=kind, transactionOrderId="order-9", reversedTransactionOrderId="order-1")

    assert sharing.fanvue_id == unsaid.fanvue_id == f"order-1:{kind}"
    assert own.fanvue_id == "order-9"
    assert own.reverses_fanvue_id == "order-1"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("pendingBalance", "pending"),
        ("availableForPayout", "available"),
        ("heldByModeration", "heldByModeration"),
        (None, None),
    ],
)
def test_known_statuses_are_translated_and_unknown_ones_kept(
    said: str | None, kept: str | None
) -> None:
    assert row(transactionOrderStatus=said).status == kept


def test_instants_are_in_utc_to_the_millisecond() -> None:
    kept = row(date="2026-11-20T12:00:00.123987+02:00")

    assert kept.at == datetime(2026, 11, 20, 10, 0, 0, 123_000, tzinfo=UTC)
    assert kept.as_json()["at"] == "2026-11-20T10:00:00.123+00:00"


def test_fan_and_content_are_named_when_fanvue_names_them() -> None:
    full = row(user={"uuid": FAN, "handle": "ann"}, messageUuid=MESSAGE)
    bare = row()

    assert (full.fan_uuid, full.fan_handle, full.message_uuid) == (FAN, "ann", MESSAGE)
    assert (bare.fan_uuid, bare.fan_handle, bare.message_uuid, bare.post_uuid) == (None,) * 4


@given(st.lists(st.integers(0, 5), max_size=8))
def test_a_page_is_in_order_with_equal_instants_and_nothing_rising(minutes: list[int]) -> None:
    start = datetime(2026, 11, 20, tzinfo=timezone(timedelta(hours=2)))
    rows = [row(date=(start + timedelta(minutes=minute)).isoformat()) for minute in minutes]

    assert (out_of_place(rows) == 0) == (minutes == sorted(minutes, reverse=True))
    assert out_of_place(rows) < max(1, len(rows))


def test_a_row_is_out_of_place_by_the_places_it_is_late() -> None:
    rows = [row(date=f"2026-11-20T10:{minute}:00Z") for minute in (50, 30, 20, 10, 40)]

    assert out_of_place(rows) == 3
