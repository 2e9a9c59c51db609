"""Whatever is wrong with the details of a record, its essentials are read as they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.jobs.house import fan, post, uuid_of
from worker.fanvue.wire import Account, EarningRow, Wire, parse, parse_rows
from worker.fanvue.wire_lists import Chat, ChatMessage, Fan, Post, Spender
from worker.sync.rows import to_ledger


AT = "2026-11-22T10:00:00.123Z"
GARBAGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=250),
    st.just("x" * 250),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["uuid", "count", "x"]), st.none() | st.text(max_size=5)),
)
SALE: dict[str, Any] = {
    "date": AT,
    "gross": 2500,
    "net": 2000,
    "total": 2500,
    "currency": "GBP",
    "source": "message",
    "messageUuid": uuid_of("message", 1),
    "postUuid": None,
    "transactionOrderId": "FV-ORDER-1",
    "transactionOrderStatus": "pendingBalance",
    "reversedTransactionOrderId": None,
    "user": fan(1),
}
REFUND = SALE | {
    "gross": -2500,
    "source": "refund",
    "reversedTransactionOrderId": "FV-ORDER-0",
}
SHAPES: list[tuple[type[Wire], dict[str, Any], set[str]]] = [
    (Fan, fan(1, subscription={"status": "active"}, registeredAt=AT), {"uuid"}),
    (Spender, {"gross": 9, "net": 7, "messages": 1, "user": fan(1)}, {"user"}),
    (
        Chat,
        {"user": fan(1), "lastMessageAt": AT, "lastMessage": {"uuid": None}, "isMuted": True},
        {"user"},
    ),
    (
        ChatMessage,
        {"uuid": uuid_of("message", 1), "sentAt": AT, "type": "TEXT", "pricing": {"USD": {}}},
        {"uuid", "sentAt"},
    ),
    (Post, post(1, tips={"count": 1, "totalGross": 7, "totalNet": 5}), {"uuid", "createdAt"}),
    (Account, {"uuid": uuid_of("creator", 1), "handle": "nova", "account": {}}, {"uuid"}),
]


def spoilt(raw: dict[str, Any], essentials: set[str], data: st.DataObject) -> dict[str, Any]:
    """Return a record with some of its details replaced or left out."""
    details = st.lists(st.sampled_from(sorted(raw.keys() - essentials)), unique=True)
    spoilt = dict(raw)
    for name in data.draw(details):
        if data.draw(st.booleans()):
            del spoilt[name]
        else:
            spoilt[name] = data.draw(GARBAGE)
    return spoilt


@pytest.mark.parametrize(
    ("whole", "more"),
    [(SALE, set()), (REFUND, {"reversedTransactionOrderId"})],
    ids=["sale", "refund"],
)
@given(data=st.data())
def test_money_with_spoilt_details_is_booked_under_its_name(
    whole: dict[str, Any], more: set[str], data: st.DataObject
) -> None:
    raw = spoilt(whole, {"date", "gross", "transactionOrderId", *more}, data)

    (read,), complaints = parse_rows(EarningRow, [raw])

    booked, expected = to_ledger(read), to_ledger(parse(EarningRow, whole))
    assert (booked.fanvue_id, booked.at, booked.amount) == (
        expected.fanvue_id,
        expected.at,
        expected.amount,
    )
    assert booked.source
    assert booked.category
    assert complaints.records == []


@given(data=st.data())
def test_money_of_which_only_time_and_amount_are_left_is_booked(data: st.DataObject) -> None:
    (read,), complaints = parse_rows(EarningRow, [spoilt(SALE, {"date", "gross"}, data)])

    booked, expected = to_ledger(read), to_ledger(parse(EarningRow, SALE))
    assert (booked.at, booked.amount) == (expected.at, expected.amount)
    assert complaints.records == []


@pytest.mark.parametrize(("shape", "whole", "essentials"), SHAPES)
@given(data=st.data())
def test_a_row_with_spoilt_details_is_on_its_list(
    shape: type[Wire], whole: dict[str, Any], essentials: set[str], data: st.DataObject
) -> None:
    (read,), complaints = parse_rows(shape, [spoilt(whole, essentials, data)])

    shown = read.model_dump(mode="json", by_alias=True)
    sent = parse(shape, whole).model_dump(mode="json", by_alias=True)
    assert {name: shown[name] for name in essentials} == {name: sent[name] for name in essentials}
    assert complaints.records == []
