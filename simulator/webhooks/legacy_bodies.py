"""The flat bodies of the legacy family: camelCase, without type and, as documented, without id.

What the legacy family never announced (refunds, renewals, most subscription changes) has no
body here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.happenings import Happening, Kind
from simulator.order_ids import payment_id
from simulator.webhook_knobs import LegacyPurchase, Optionals
from simulator.webhooks.amounts import amounts


if TYPE_CHECKING:
    from simulator.knobs import Knobs
    from simulator.transactions import Transaction


def legacy_event(
    happening: Happening, knobs: Knobs, event_id: str
) -> tuple[str, dict[str, Any]] | None:
    """Return the topic and the whole body, if the legacy family knows such an event."""
    row, message = happening.row, happening.message
    if happening.kind is Kind.PAID and row is not None:
        return _sale(happening, row, knobs, event_id)
    if happening.kind is Kind.FOLLOWED:
        return "follow.new", _common(happening, knobs, happening.at)
    if happening.kind is Kind.MESSAGE_RECEIVED and message is not None:
        return "message.received", {
            "message": {
                "uuid": message.uuid,
                "text": message.text if knobs.webhook_message_text else None,
                "hasMedia": bool(message.media_uuids),
                "mediaUuids": message.media_uuids,
                "price": message.price,
                "createdAt": stamp(message.at),
            },
            "messageUuid": message.uuid,
            "isMuted": happening.creator.chats[happening.fan.uuid].is_muted,
            **_common(happening, knobs, message.at),
        }
    if happening.kind is Kind.MESSAGE_READ and message is not None:
        body = _common(happening, knobs, happening.at)
        return "message.read", {"messageUuid": message.uuid, **body}
    return None


def _sale(
    happening: Happening, row: Transaction, knobs: Knobs, event_id: str
) -> tuple[str, dict[str, Any]] | None:
    price = amounts(knobs, row).gross
    common = _common(happening, knobs, row.at + knobs.webhook_paid_skew_ms)
    if row.source == "subscription":
        return "subscriber.new", {"price": price, **common}
    if row.source == "tip":
        return "tip.new", {**_tip_context(row), "senderUuid": happening.fan.uuid} | {
            "price": price,
            **common,
        }
    if row.source == "renewal":
        return None
    content: dict[str, Any] = {}
    if row.message_uuid is not None:
        content = {"routeUuid": row.message_uuid}
    elif row.post_uuid is not None:
        content = {"postUuid": row.post_uuid}
    if knobs.webhook_legacy_purchase is LegacyPurchase.JULY_2026:
        return "purchase.new", _late_purchase(row, knobs, event_id) | content | {
            "price": price,
            **common,
        }
    return ("purchase.new", {**content, "price": price, **common}) if content else None


def _tip_context(row: Transaction) -> dict[str, Any]:
    if row.post_uuid is not None:
        return {"context": "post", "postUuid": row.post_uuid}
    if row.message_uuid is not None:
        return {"context": "message", "messageUuid": row.message_uuid}
    return {"context": "message"}


def _late_purchase(row: Transaction, knobs: Knobs, event_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"purchaseType": "post" if row.source == "post" else "media"}
    number = payment_id(knobs, row)
    if number is not None:
        shown["transactionOrderId"] = number
    return shown | {"transactionOrderStatus": "pendingBalance", "eventId": event_id}


def _common(happening: Happening, knobs: Knobs, at: int) -> dict[str, Any]:
    fan = happening.fan
    sender: dict[str, Any] = {"uuid": fan.uuid}
    if knobs.webhook_optionals is not Optionals.MINIMAL:
        sender |= {
            "handle": fan.handle,
            "displayName": fan.display_name,
            "avatarUrl": fan.avatar_url,
        }
    return {
        "sender": sender,
        "recipientUuid": happening.creator.uuid,
        "timestamp": stamp(at),
    }
