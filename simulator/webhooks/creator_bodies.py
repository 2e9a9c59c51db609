"""The data objects of creator.* events: snake_case, every key of the examples.

Empty optional keys are None here; `optional_keys` decides whether they travel.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.happenings import Happening, Kind
from simulator.order_ids import payment_id, reversal_id
from simulator.webhooks.amounts import amounts


if TYPE_CHECKING:
    from simulator.knobs import Knobs
    from simulator.people import Creator, Fan
    from simulator.transactions import Transaction


CHECKOUT_MS = 4_331
MONTH_MS = 30 * 86_400_000
SUBSCRIPTION_SOURCES = frozenset({"subscription", "renewal"})
SUBSCRIPTION_TYPES = {
    Kind.SUBSCRIBED: "creator.subscription.activated",
    Kind.RENEWED: "creator.subscription.renewed",
    Kind.RENEWAL_CHANGED: "creator.subscription.cancel_at_period_end_changed",
    Kind.UNSUBSCRIBED: "creator.subscription.deactivated",
}
MESSAGE_TYPES = {
    Kind.MESSAGE_RECEIVED: "creator.message.received",
    Kind.MESSAGE_SENT: "creator.message.sent",
    Kind.MESSAGE_DELETED: "creator.message.deleted",
}


def creator_event(happening: Happening, knobs: Knobs) -> tuple[str, dict[str, Any]]:
    """Return the type and data of the event that announces a happening."""
    kind = happening.kind
    if happening.row is not None:
        return _money(happening, happening.row, knobs)
    if kind in SUBSCRIPTION_TYPES:
        return SUBSCRIPTION_TYPES[kind], _subscription(happening)
    if kind in MESSAGE_TYPES:
        return MESSAGE_TYPES[kind], _message(happening, knobs)
    if kind is Kind.MESSAGE_READ:
        return "creator.message.read", _read(happening)
    return "creator.follow.created", _follow(happening)


def _money(happening: Happening, row: Transaction, knobs: Knobs) -> tuple[str, dict[str, Any]]:
    if not row.is_reversal:
        return "creator.payment.succeeded", _payment(happening, row, knobs)
    if row.source == "chargeback":
        return "creator.dispute.created", _dispute(happening, row, knobs)
    return "creator.refund.created", _refund(happening, row, knobs)


def _person(fan: Fan) -> dict[str, Any]:
    return {
        "uuid": fan.uuid,
        "handle": fan.handle,
        "display_name": fan.display_name,
        "avatar_url": fan.avatar_url,
    }


def _payment(happening: Happening, row: Transaction, knobs: Knobs) -> dict[str, Any]:
    creator, fan = happening.creator, happening.fan
    money = amounts(knobs, row)
    paid_at = row.at + knobs.webhook_paid_skew_ms
    recurring = row.source in SUBSCRIPTION_SOURCES
    shown: dict[str, Any] = {
        "object": "payment",
        "id": payment_id(knobs, row),
        "status": "succeeded",
        "source": row.source,
        "gross": money.gross,
        "net": money.net,
        "currency": money.currency,
        "created_at": stamp(paid_at - CHECKOUT_MS),
        "paid_at": stamp(paid_at),
        "post_uuid": row.post_uuid,
        "message_uuid": row.message_uuid,
        "subscription": {"id": _subscription_id(creator, fan)} if recurring else None,
        "creator": {"uuid": creator.uuid},
        "purchaser": _person(fan),
    }
    if knobs.webhook_tracking:
        shown["tracking"] = {
            "link_url": f"https://www.example.test/{creator.handle}/fv-1",
            "metadata": {"source": "tiktok", "campaign": "nov"},
        }
    return shown


def _refund(happening: Happening, row: Transaction, knobs: Knobs) -> dict[str, Any]:
    shown = amounts(knobs, row)
    return {
        "object": "refund",
        "id": reversal_id(knobs, row),
        "payment_id": None if row.reverses is None else payment_id(knobs, row.reverses),
        "amount": shown.gross,
        "currency": shown.currency,
        "created_at": stamp(row.at + knobs.webhook_paid_skew_ms),
        "creator": {"uuid": happening.creator.uuid},
        "purchaser": _person(happening.fan),
    }


def _dispute(happening: Happening, row: Transaction, knobs: Knobs) -> dict[str, Any]:
    shown = amounts(knobs, row)
    return {
        "object": "dispute",
        "id": reversal_id(knobs, row),
        "amount": shown.gross,
        "currency": shown.currency,
        "created_at": stamp(row.at + knobs.webhook_paid_skew_ms),
        "creator": {"uuid": happening.creator.uuid},
        "payment": {
            "id": None if row.reverses is None else payment_id(knobs, row.reverses),
            "purchaser": _person(happening.fan),
        },
    }


def _subscription(happening: Happening) -> dict[str, Any]:
    ended = happening.kind is Kind.UNSUBSCRIBED
    held = happening.fan.subscription
    first = happening.at if held is None else held.first_at
    start, end = (
        (happening.at, happening.at + MONTH_MS) if held is None else held.period(happening.at)
    )
    shown: dict[str, Any] = {
        "object": "subscription",
        "id": None if ended else _subscription_id(happening.creator, happening.fan),
        "status": "expired" if ended else "active",
        "cancel_at_period_end": held is not None and not held.auto_renews,
        "current_period_start": stamp(start),
        "created_at": stamp(first),
        "expires_at": stamp(end),
        "creator": {"uuid": happening.creator.uuid},
        "purchaser": _person(happening.fan),
    }
    if ended:
        shown["deactivation_reason"] = "not_renewed"
    return shown


def _message(happening: Happening, knobs: Knobs) -> dict[str, Any]:
    message = happening.message
    if message is None:
        raise ValueError("a message event needs its message")
    deleted = happening.kind is Kind.MESSAGE_DELETED
    shown: dict[str, Any] = {
        "object": "message",
        "uuid": message.uuid,
        "sender": "creator" if message.sent else "fan",
        "created_at": stamp(message.at),
        "deleted_at": stamp(happening.at) if deleted else None,
    }
    if knobs.webhook_message_text:
        shown |= {
            "text": message.text,
            "is_automated": message.type.startswith("AUTOMATED_"),
            "is_muted": happening.creator.chats[happening.fan.uuid].is_muted,
            "unread_messages_count": _unread(happening),
        }
    return shown | {"creator": {"uuid": happening.creator.uuid}, "fan": _person(happening.fan)}


def _read(happening: Happening) -> dict[str, Any]:
    return {
        "object": "fan_message_read",
        "unread_messages_count": _unread(happening),
        "creator": {"uuid": happening.creator.uuid},
        "fan": _person(happening.fan),
    }


def _follow(happening: Happening) -> dict[str, Any]:
    return {
        "object": "follow",
        "created_at": stamp(happening.at),
        "follower": _person(happening.fan),
        "creator": {"uuid": happening.creator.uuid},
    }


def _unread(happening: Happening) -> int:
    return happening.creator.chats[happening.fan.uuid].unread_count


def _subscription_id(creator: Creator, fan: Fan) -> str:
    return str(uuid.uuid5(uuid.UUID(creator.uuid), fan.uuid))
