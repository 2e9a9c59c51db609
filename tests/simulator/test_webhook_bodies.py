"""What events say: the shapes of creator.*, checkout and legacy bodies, and their knobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from tests.simulator.press import Press


PAYMENT = "creator.payment.succeeded"
AT = "2026-11-22T11:59:00.123Z"
PERSON = ["uuid", "handle", "display_name", "avatar_url"]
SAMPLES = {
    PAYMENT: [
        *("object", "id", "status", "source", "gross", "net", "currency", "created_at"),
        *("paid_at", "post_uuid", "message_uuid", "subscription", "creator", "purchaser"),
    ],
    "creator.refund.created": [
        *("object", "id", "payment_id", "amount", "currency", "created_at"),
        *("creator", "purchaser"),
    ],
    "creator.dispute.created": [
        *("object", "id", "amount", "currency", "created_at", "creator", "payment"),
    ],
    "creator.subscription.activated": [
        *("object", "id", "status", "cancel_at_period_end", "current_period_start"),
        *("created_at", "expires_at", "creator", "purchaser"),
    ],
    "creator.subscription.deactivated": [
        *("object", "id", "status", "cancel_at_period_end", "current_period_start"),
        *("created_at", "expires_at", "creator", "purchaser", "deactivation_reason"),
    ],
    "creator.follow.created": ["object", "created_at", "follower", "creator"],
    "creator.message.received": [
        *("object", "uuid", "sender", "created_at", "deleted_at", "text", "is_automated"),
        *("is_muted", "unread_messages_count", "creator", "fan"),
    ],
    "creator.message.read": ["object", "unread_messages_count", "creator", "fan"],
    "checkout_link.payment.succeeded": [
        *("object", "id", "status", "billing_reason", "gross", "net", "fees", "currency"),
        *("paid_in_full", "installment", "subscription", "client_reference_id"),
        *("transaction_id", "created_at", "paid_at", "checkout_link", "purchaser"),
        *("creator", "metadata"),
    ],
    "checkout_link.refund.created": [
        *("object", "id", "payment_id", "amount", "currency", "reason", "full_amount"),
        *("created_at", "client_reference_id", "checkout_link", "purchaser", "creator"),
        "metadata",
    ],
}
SAMPLES |= dict.fromkeys(
    ("creator.subscription.renewed", "creator.subscription.cancel_at_period_end_changed"),
    SAMPLES["creator.subscription.activated"],
)
SAMPLES |= dict.fromkeys(
    ("creator.message.sent", "creator.message.deleted"), SAMPLES["creator.message.received"]
)


def live_a_little(press: Press) -> None:
    """Let everything happen that is announced."""
    name, control = press.creator.handle, press.control
    sold = press.sell("checkoutLink", copies=2)["rows"]
    control.add_reversals(name, order_ids=[sold[0]["order_id"]])
    control.add_reversals(name, order_ids=[sold[1]["order_id"]], kind="chargeback")
    control.add_fans(name, followers=1, subscribers=1)
    for change in ("renew", "stop_renewal", "end"):
        control.change_subscriptions(name, change)
    (message,) = control.add_messages(name)["messages"]
    control.add_messages(name, fan_uuid=message["fan_uuid"], sent=True)
    control.read_messages(name, message["fan_uuid"])
    control.delete_messages(name, message["fan_uuid"], message["uuid"])


def test_every_envelope_and_object_has_the_keys_of_the_examples(press: Press) -> None:
    press.turn(webhook_optionals="null", webhook_family="checkout")
    live_a_little(press)

    seen = {}
    for body in press.bodies():
        assert list(body) == ["id", "type", "timestamp", "data"]
        assert body["data"]["creator"] == {"uuid": press.creator.uuid}
        seen[body["type"]] = list(body["data"])
    assert seen == SAMPLES
    assert len({body["id"] for body in press.receiver.bodies()}) == len(press.receiver.bodies())


def test_empty_optional_keys_are_left_out_by_default(press: Press) -> None:
    live_a_little(press)

    for body in press.bodies():
        assert None not in body["data"].values()
        assert list(body["data"]) == [k for k in SAMPLES[body["type"]] if k in body["data"]]


def test_minimal_bodies_keep_only_what_is_never_optional(press: Press) -> None:
    press.turn(webhook_optionals="minimal")
    press.sell()

    data = press.only(PAYMENT)["data"]

    required = {"object", "id", "status", "source", "gross", "currency", "creator", "purchaser"}
    assert set(data) - {"post_uuid", "message_uuid"} == required
    assert list(data["purchaser"]) == ["uuid"]


def test_payment_tells_the_sale_as_the_api_does(press: Press) -> None:
    press.sell("message", 2500, at=AT)

    data = press.only()["data"]

    (row,) = press.rows()
    assert (data["id"], data["paid_at"]) == (row["transactionOrderId"], row["date"])
    assert (data["gross"], data["net"], data["currency"]) == (2500, 2000, "USD")
    assert (data["source"], data["message_uuid"]) == ("message", row["messageUuid"])
    assert data["purchaser"]["uuid"] == row["user"]["uuid"]
    assert (data["paid_at"], data["created_at"]) == (AT, "2026-11-22T11:58:55.792Z")
    assert press.receiver.bodies()[0]["timestamp"] == "2026-11-22T12:00:00.000Z"


def test_payment_can_tell_the_link_it_came_by(press: Press) -> None:
    press.turn(webhook_tracking=True)
    press.sell("subscription")

    assert list(press.only()["data"]["tracking"]) == ["link_url", "metadata"]


def test_subscription_payment_names_its_subscription(press: Press) -> None:
    press.sell("subscription", copies=2)

    first, second = press.bodies(PAYMENT)

    assert list(first["data"]["subscription"]) == ["id"]
    assert first["data"]["subscription"] == second["data"]["subscription"]


@pytest.mark.parametrize(
    ("ids", "prefix", "refund"),
    [("matching", "FV-ORDER-", "FV-ORDER-"), ("other", "FV-", "FVC-"), ("none", None, None)],
)
def test_ids_match_differ_or_are_absent(
    press: Press, ids: str, prefix: str | None, refund: str | None
) -> None:
    press.turn(webhook_ids=ids)
    press.sell()
    press.control.add_reversals(press.creator.handle)

    paid, taken = [body["data"] for body in press.bodies()]

    rows = {row["transactionOrderId"] for row in press.rows()}
    if prefix is None or refund is None:
        assert "id" not in paid
        assert not {"id", "payment_id"} & set(taken)
        return
    assert paid["id"].startswith(prefix)
    assert taken["id"].startswith(refund)
    assert taken["payment_id"] == paid["id"] != taken["id"]
    assert ({paid["id"], taken["id"]} == rows) is (ids == "matching")


def test_matching_ids_repeat_where_the_api_repeats_them(press: Press) -> None:
    press.turn(ids="duplicate")
    press.sell(copies=2)

    assert [body["data"]["id"] for body in press.bodies()] == [
        row["transactionOrderId"] for row in press.rows()
    ]


def test_amounts_can_be_in_the_fans_own_currency(press: Press) -> None:
    press.turn(webhook_currency="local")
    press.sell(cents=1000, currency="GBP")
    press.sell(cents=1000, currency="JPY")
    press.sell(cents=1000)

    shown = [body["data"] for body in press.bodies()]

    assert [(d["gross"], d["net"], d["currency"]) for d in shown] == [
        (790, 632, "GBP"),
        (1500, 1200, "JPY"),
        (1000, 800, "USD"),
    ]
    assert {row["gross"] for row in press.rows()} == {1000}


def test_currency_can_be_untold_and_gross_be_what_left_the_card(press: Press) -> None:
    press.turn(webhook_currency="unknown", webhook_gross="paid")
    press.sell(cents=1000, total_cents=1190)

    data = press.only()["data"]

    assert "currency" not in data
    assert (data["gross"], data["net"]) == (1190, 800)


def test_paid_at_can_be_beside_the_rows_date(press: Press) -> None:
    press.turn(webhook_paid_skew_ms=-1500)
    press.sell(at=AT)

    assert press.only()["data"]["paid_at"] == "2026-11-22T11:58:58.623Z"
    assert press.rows()[0]["date"] == AT


def test_rewards_that_no_fan_paid_are_not_announced(press: Press) -> None:
    press.sell("referral")
    press.sell("giveaway")

    assert press.bodies() == []


def test_reversals_are_positive_and_name_their_sale(press: Press) -> None:
    sold = press.sell(cents=900)["rows"][0]["order_id"]
    press.control.add_reversals(press.creator.handle, kind="chargeback")

    data = press.only("creator.dispute.created")["data"]

    assert (data["amount"], data["payment"]["id"]) == (900, sold)
    assert data["payment"]["purchaser"]["uuid"] in press.creator.fans_by_uuid


def test_one_checkout_sale_is_told_twice_with_one_id(press: Press) -> None:
    press.turn(webhook_family="checkout")
    press.sell("checkoutLink", 9999)
    press.sell("tip")

    (checkout,) = press.bodies("checkout_link.payment.succeeded")
    creator, tip = press.bodies(PAYMENT)

    assert checkout["data"]["id"] == creator["data"]["id"] != tip["data"]["id"]
    assert checkout["id"] != creator["id"]
    assert checkout["data"]["fees"] == {"fanvue_fee": 2000, "transaction_fee": None}


def test_messages_can_be_metadata_only(press: Press) -> None:
    press.turn(webhook_message_text=False, webhook_optionals="null")
    press.control.add_messages(press.creator.handle)

    assert list(press.only()["data"]) == [
        *("object", "uuid", "sender", "created_at", "deleted_at", "creator", "fan")
    ]


def test_message_life_is_told(press: Press) -> None:
    name, control = press.creator.handle, press.control
    (message,) = control.add_messages(name, text="new")["messages"]
    assert control.read_messages(name, message["fan_uuid"]) >= 1
    assert control.read_messages(name, message["fan_uuid"]) == 0
    assert control.delete_messages(name, message["fan_uuid"]) == [message["uuid"]]

    said, read, gone = press.bodies()

    assert (said["data"]["sender"], said["data"]["text"]) == ("fan", "new")
    assert said["data"]["unread_messages_count"] >= 1
    assert (read["type"], read["data"]["unread_messages_count"]) == ("creator.message.read", 0)
    assert gone["data"]["deleted_at"] == "2026-11-22T12:00:00.000Z"


def test_calls_of_the_api_are_announced_too(press: Press) -> None:
    name, control = press.creator.handle, press.control
    (message,) = control.add_messages(name)["messages"]
    token = control.grant(name, scopes=["read:chat", "write:chat"]).access_token
    headers = {"Authorization": f"Bearer {token}", "X-Fanvue-API-Version": "2025-06-26"}
    chat = f"{control.url}/v1/chats/{message['fan_uuid']}"

    control._http.get(f"{chat}/messages?markAsRead=true", headers=headers).raise_for_status()
    control._http.post(f"{chat}/message", json={"text": "yo"}, headers=headers).raise_for_status()

    assert [body["type"] for body in press.bodies()] == [
        "creator.message.received",
        "creator.message.read",
        "creator.message.sent",
    ]
