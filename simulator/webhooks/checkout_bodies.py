"""The data objects of checkout_link.* events; their empty keys are documented as null."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from simulator.clock import stamp
from simulator.happenings import Happening, Kind
from simulator.order_ids import payment_id, reversal_id
from simulator.webhooks.amounts import amounts
from simulator.webhooks.creator_bodies import CHECKOUT_MS


if TYPE_CHECKING:
    from simulator.knobs import Knobs
    from simulator.people import Creator
    from simulator.transactions import Transaction


SOURCE = "checkoutLink"


def checkout_event(happening: Happening, knobs: Knobs) -> tuple[str, dict[str, Any]] | None:
    """Return the type and data of the event about a checkout link, if one was used."""
    row = happening.row
    if row is None:
        return None
    if happening.kind is Kind.PAID and row.source == SOURCE:
        return "checkout_link.payment.succeeded", _payment(happening, row, knobs)
    original = row.reverses
    if original is not None and original.source == SOURCE and row.source == "refund":
        return "checkout_link.refund.created", _refund(happening, row, original, knobs)
    return None


def _payment(happening: Happening, row: Transaction, knobs: Knobs) -> dict[str, Any]:
    shown = amounts(knobs, row)
    paid_at = row.at + knobs.webhook_paid_skew_ms
    return {
        "object": "payment",
        "id": payment_id(knobs, row),
        "status": "succeeded",
        "billing_reason": "one_time",
        "gross": shown.gross,
        "net": shown.net,
        "fees": {"fanvue_fee": shown.gross - shown.net, "transaction_fee": None},
        "currency": shown.currency,
        "paid_in_full": True,
        "installment": None,
        "subscription": None,
        "client_reference_id": None,
        "transaction_id": None,
        "created_at": stamp(paid_at - CHECKOUT_MS),
        "paid_at": stamp(paid_at),
        **_parties(happening),
    }


def _refund(
    happening: Happening, row: Transaction, original: Transaction, knobs: Knobs
) -> dict[str, Any]:
    shown = amounts(knobs, row)
    return {
        "object": "refund",
        "id": reversal_id(knobs, row),
        "payment_id": payment_id(knobs, original),
        "amount": shown.gross,
        "currency": shown.currency,
        "reason": None,
        "full_amount": True,
        "created_at": stamp(row.at + knobs.webhook_paid_skew_ms),
        "client_reference_id": None,
        **_parties(happening),
    }


def _parties(happening: Happening) -> dict[str, Any]:
    return {
        "checkout_link": {
            "uuid": _part(happening.creator, "link"),
            "name": "VIP pack",
            "product_uuid": _part(happening.creator, "product"),
            "product_price_uuid": _part(happening.creator, "price"),
        },
        "purchaser": {"uuid": happening.fan.uuid, "email": None},
        "creator": {"uuid": happening.creator.uuid},
        "metadata": {},
    }


def _part(creator: Creator, name: str) -> str:
    return str(uuid.uuid5(uuid.UUID(creator.uuid), name))
