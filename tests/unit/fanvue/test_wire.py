"""Rows of every generation are read; what breaks the contract is named without its values."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic.alias_generators import to_snake

from worker.errors import ProviderContract
from worker.fanvue.verdicts import parse_json
from worker.fanvue.wire import Account, Complaints, EarningRow, Me, parse, parse_rows
from worker.fanvue.wire_lists import Chat


FAN = {
    "uuid": "b2d90c11-3f58-4b57-9d0e-0c2a5a6e1101",
    "handle": "private-handle",
    "displayName": "Private Name",
    "nickname": None,
    "isTopSpender": True,
}
BEFORE_IDS: dict[str, Any] = {
    "date": "2026-11-20T21:14:05.331Z",
    "gross": 2500,
    "net": 2000,
    "currency": "GBP",
    "source": "message",
    "messageUuid": "0d7e5b1c-77aa-4f0b-8c1e-5a5d2f3b2201",
    "user": FAN,
}
UNVERSIONED = BEFORE_IDS | {
    "transactionOrderId": "FV-ORDER-90012",
    "transactionOrderStatus": "pendingBalance",
}
V1_REFUND = UNVERSIONED | {
    "total": -2980,
    "gross": -2500,
    "net": -2000,
    "source": "refund",
    "transactionOrderId": "FV-ORDER-90031",
    "reversedTransactionOrderId": "FV-ORDER-90012",
}
SPENDING = {
    "date": "2026-11-10T03:12:00.000Z",
    "gross": -999,
    "net": -799,
    "currency": None,
    "source": "chargeback",
    "user": None,
}


@pytest.mark.parametrize("raw", [BEFORE_IDS, UNVERSIONED, V1_REFUND, SPENDING])
def test_every_generation_of_rows_is_read(raw: dict[str, Any]) -> None:
    row = parse(EarningRow, raw)

    assert row.gross == raw["gross"]
    assert row.net == raw["net"]
    assert row.source == raw["source"]
    assert row.transaction_order_id == raw.get("transactionOrderId")
    assert row.date.tzinfo is UTC


def test_fields_keep_their_meaning() -> None:
    row = parse(EarningRow, V1_REFUND)

    assert row.date == datetime(2026, 11, 20, 21, 14, 5, 331000, tzinfo=UTC)
    assert row.reversed_transaction_order_id == "FV-ORDER-90012"
    assert row.message_uuid == UUID("0d7e5b1c-77aa-4f0b-8c1e-5a5d2f3b2201")
    assert row.post_uuid is None
    assert row.user is not None
    assert row.user.is_top_spender is True


def test_unknown_fields_and_sources_are_data() -> None:
    row = parse(EarningRow, UNVERSIONED | {"source": "hologram", "surprise": {"a": 1}})

    assert row.source == "hologram"
    assert row.model_extra == {"surprise": {"a": 1}}


def test_moments_become_utc_and_lose_what_is_below_a_millisecond() -> None:
    row = parse(EarningRow, UNVERSIONED | {"date": "2026-11-20T23:14:05.331999+02:00"})

    assert row.date == datetime(2026, 11, 20, 21, 14, 5, 331000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"caf\xe9", "caf\ufffd"),
        (b"x\xed\xa0\xbdy", "x\ufffd\ufffd\ufffdy"),
        (b"x\\ud83dy \\ud83d\\ude00", "x\ufffdy \U0001f600"),
        (b"a\\u0000b\x01c\\u009fd\\be", "a\ufffdb\ufffdc\ufffdd\ufffde"),
        (b"one\\r\\ntwo\tthree\nfour", "one\ntwo\tthree\nfour"),
        ("é \N{HEAVY BLACK HEART}\ufe0f".encode(), "é \N{HEAVY BLACK HEART}\ufe0f"),
    ],
)
def test_a_text_is_cleaned_once_and_its_page_goes_on(sent: bytes, kept: str) -> None:
    assert parse_json(b'{"data": ["' + sent + b'"]}') == {"data": [kept]}


def test_an_absurd_number_is_its_own_row_s_trouble() -> None:
    sent = b'[{"gross": ' + b"9" * 5000 + b"}, 7]"

    absurd, seven = parse_json(sent)

    assert seven == 7
    good, bad = parse_rows(EarningRow, [UNVERSIONED | absurd, UNVERSIONED])
    assert len(good) == 1
    assert [error.json_path for error in bad.records] == ["data[0].gross"]


@pytest.mark.parametrize("text", ["2500.0", "25e2", "2.5E3"])
def test_a_whole_amount_in_another_spelling_is_exact(text: str) -> None:
    raw = parse_json(f'{{"gross": {text}}}'.encode())

    row = parse(EarningRow, UNVERSIONED | raw)

    assert row.gross == 2500
    assert isinstance(row.gross, int)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gross", Decimal("2500.5")),
        ("gross", Decimal("1E+999999")),
        ("gross", 10**11),
        ("gross", "2500"),
        ("gross", True),
        ("gross", None),
        ("date", "2026-11-20T21:14:05"),
        ("date", "2026-11-20"),
        ("date", "0001-01-01T00:00:00+14:00"),
        ("date", 1_795_298_460),
        ("date", None),
    ],
)
def test_what_breaks_the_contract_is_named_by_path_alone(field: str, value: object) -> None:
    with pytest.raises(ProviderContract) as caught:
        parse(EarningRow, UNVERSIONED | {field: value}, at="data[7]")

    assert caught.value.json_path == f"data[7].{field}"
    assert field in caught.value.message
    for private in ("private-handle", "Private Name", "2500", "not-a-uuid"):
        assert private not in caught.value.message


@pytest.mark.parametrize("field", ["date", "gross"])
def test_a_missing_required_field_breaks_the_contract(field: str) -> None:
    raw = {name: value for name, value in UNVERSIONED.items() if name != field}

    with pytest.raises(ProviderContract) as caught:
        parse(EarningRow, raw)

    assert caught.value.json_path == f"$.{field}"


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("net", None, None),
        ("net", "2000", None),
        ("currency", 7, None),
        ("currency", "eur", "EUR"),
        ("source", "", None),
        ("source", " ", None),
        ("source", "x" * 250, "x" * 200),
        ("messageUuid", "", None),
        ("messageUuid", "0D7E5B1C-77AA-4F0B-8C1E-5A5D2F3B2201", UUID(BEFORE_IDS["messageUuid"])),
        ("postUuid", 5, None),
        ("transactionOrderId", 5, "5"),
        ("transactionOrderId", {}, None),
        (
            "transactionOrderId",
            "ABCDEF00-77AA-4F0B-8C1E-5A5D2F3B2201",
            "abcdef00-77aa-4f0b-8c1e-5a5d2f3b2201",
        ),
        ("transactionOrderStatus", "", None),
        ("user", "private-handle", None),
        ("user", {"uuid": None}, None),
    ],
)
def test_a_record_is_read_without_a_detail(field: str, value: object, read: object) -> None:
    (row,), complaints = parse_rows(EarningRow, [UNVERSIONED | {field: value}], first=7)

    assert getattr(row, to_snake(field)) == read
    assert (row.gross, row.date.day) == (2500, 20)
    assert complaints.records == []
    # What was read in another form is no complaint.
    named = [path for path in complaints.details if path.startswith(f"data[7].{field}")]
    assert (len(complaints.details), len(named)) == ((1, 1) if read is None else (0, 0))


def test_null_is_missing_and_no_complaint_where_a_row_may_do_without() -> None:
    without = {"messageUuid": None, "postUuid": None, "user": None, "currency": None}

    _, complaints = parse_rows(EarningRow, [UNVERSIONED | without])

    assert complaints == Complaints()


def test_the_path_reaches_into_nested_objects() -> None:
    spoilt = FAN | {"uuid": "x", "handle": 5}

    _, complaints = parse_rows(EarningRow, [UNVERSIONED | {"user": spoilt}])
    _, of_a_chat = parse_rows(Chat, [{"user": FAN | {"handle": 5}}])

    # The fan is lost as a whole, and counts once.
    assert complaints.details == ["data[0].user.uuid"]
    assert of_a_chat.details == ["data[0].user.handle"]


@pytest.mark.parametrize(
    "raw",
    [
        V1_REFUND | {"reversedTransactionOrderId": {}},
        V1_REFUND | {"reversedTransactionOrderId": "FV-ORDER-90031", "source": None},
        V1_REFUND | {"reversedTransactionOrderId": None, "source": 5},
        SPENDING | {"source": None},
    ],
)
def test_a_reversal_that_does_not_say_what_it_reverses_is_not_read(raw: dict[str, Any]) -> None:
    good, complaints = parse_rows(EarningRow, [raw])

    assert good == []
    assert [error.json_path for error in complaints.records] == ["data[0]"]


def test_good_rows_survive_their_bad_neighbours() -> None:
    good, bad = parse_rows(EarningRow, [UNVERSIONED, None, SPENDING | {"gross": 0.5}, SPENDING])

    assert [row.gross for row in good] == [2500, -999]
    assert [error.json_path for error in bad.records] == ["data[1]", "data[2].gross"]


def test_the_account_is_read() -> None:
    profile = {
        "uuid": "7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01",
        "handle": "demo",
        "displayName": "Demo",
        "isCreator": True,
        "email": "someone@example.test",
    }
    account = {
        "status": "active",
        "earnings": {"total": 1834500, "availableBalance": 152300, "lastPayoutAt": None},
        "fans": {"followers": 1498, "subscribers": 203},
    }

    assert parse(Me, profile).handle == "demo"
    read = parse(Account, profile | {"account": account})
    state = read.account
    assert state is not None
    assert state.earnings is not None
    assert state.fans is not None
    assert (state.earnings.total, state.fans.followers) == (1834500, 1498)
