"""What legacy events say: flat bodies without type, mostly without id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from tests.simulator.press import Press


AT = "2026-11-22T11:59:00.123Z"


@pytest.mark.parametrize(
    ("sale", "keys"),
    [
        ({"source": "message"}, {"routeUuid", "price"}),
        ({"source": "post"}, {"postUuid", "price"}),
        ({"source": "subscription"}, {"price"}),
        ({"source": "tip", "post_uuid": "p"}, {"context", "postUuid", "senderUuid", "price"}),
        ({"source": "tip", "message_uuid": "m"}, {"context", "messageUuid", "senderUuid", "price"}),
    ],
)
def test_legacy_sales_are_flat_without_id_and_type(
    press: Press, sale: dict[str, Any], keys: set[str]
) -> None:
    press.turn(webhook_family="legacy")
    post = {"post_uuid": press.creator.posts[0].uuid} if sale["source"] == "post" else {}
    press.sell(cents=1500, at=AT, **sale, **post)

    body = press.only()

    assert set(body) == keys | {"sender", "recipientUuid", "timestamp"}
    assert list(body["sender"]) == ["uuid", "handle", "displayName", "avatarUrl"]
    assert (body["price"], body["timestamp"]) == (1500, AT)
    assert body["recipientUuid"] == press.creator.uuid


def test_later_legacy_purchases_carry_ids(press: Press) -> None:
    press.turn(webhook_family="legacy", webhook_legacy_purchase="july_2026")
    sold = press.sell("mediaLink")["rows"][0]["order_id"]

    body = press.only()

    assert (body["purchaseType"], body["transactionOrderId"]) == ("media", sold)
    assert body["eventId"].startswith("evt-")
    assert body["transactionOrderStatus"] == "pendingBalance"


def test_legacy_tells_messages_and_follows_but_no_refunds_or_renewals(press: Press) -> None:
    press.turn(webhook_family="legacy")
    name = press.creator.handle
    press.sell("renewal")
    press.control.add_reversals(name)
    press.control.add_messages(name, text="hi there")
    press.control.add_fans(name, followers=1, subscribers=1)

    message, follow = press.bodies()

    assert list(message) == [
        *("message", "messageUuid", "isMuted", "sender", "recipientUuid", "timestamp")
    ]
    assert list(message["message"]) == [
        *("uuid", "text", "hasMedia", "mediaUuids", "price", "createdAt")
    ]
    assert list(follow) == ["sender", "recipientUuid", "timestamp"]


def test_both_families_tell_one_sale(press: Press) -> None:
    press.turn(webhook_family="both")
    press.sell("message")

    assert sorted("type" in body for body in press.bodies()) == [False, True]
