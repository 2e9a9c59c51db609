"""The ids of money as each side shows them: the API's order id and the webhook's payment id.

One place, so that `matching` really matches in every position of the knobs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.knobs import OrderIds, ReversalIds
from simulator.webhook_knobs import PaymentIds


if TYPE_CHECKING:
    from simulator.knobs import Knobs
    from simulator.transactions import Transaction


FIRST_INVOICE = 400_000
INVOICE_STEP = 3


def order_id(knobs: Knobs, row: Transaction) -> str | None:
    """Return the order id that the API shows for a row, if it shows one."""
    if knobs.ids is OrderIds.ABSENT:
        return None
    if row.reverses is not None and knobs.reversal_ids is not ReversalIds.OWN:
        shared = knobs.reversal_ids is ReversalIds.SHARED
        return order_id(knobs, row.reverses) if shared else None
    if knobs.ids is OrderIds.DUPLICATE and row.reverses is None:
        return f"FV-ORDER-{row.paired_number}"
    return row.order_id


def payment_id(knobs: Knobs, row: Transaction) -> str | None:
    """Return the id of a sale in a webhook."""
    match knobs.webhook_ids:
        case PaymentIds.MATCHING:
            return order_id(knobs, row) or row.order_id
        case PaymentIds.OTHER:
            return f"FV-{_invoice(row)}"
        case PaymentIds.NONE:
            return None


def reversal_id(knobs: Knobs, row: Transaction) -> str | None:
    """Return the id of a refund or dispute itself in a webhook."""
    match knobs.webhook_ids:
        case PaymentIds.MATCHING if knobs.reversal_ids is ReversalIds.OWN:
            return order_id(knobs, row) or row.order_id
        case PaymentIds.NONE:
            return None
        case _:
            return f"FVC-{_invoice(row)}"


def _invoice(row: Transaction) -> int:
    """Return a number of the webhooks' own, which no order has."""
    return FIRST_INVOICE + row.number * INVOICE_STEP
