"""Amounts of a payment as its webhook states them: minor units of the stated currency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.webhook_knobs import PaymentCurrency, PaymentGross


if TYPE_CHECKING:
    from simulator.knobs import Knobs
    from simulator.transactions import Transaction


# Thousandths of a minor unit for one US cent; the yen has no smaller unit.
RATES = {"USD": 1000, "GBP": 790, "EUR": 920, "BRL": 5400, "JPY": 1500}


@dataclass(frozen=True, slots=True)
class Amounts:
    """Positive amounts and the currency they are in; None when it is not told."""

    gross: int
    net: int
    currency: str | None


def amounts(knobs: Knobs, row: Transaction) -> Amounts:
    """Return a row's amounts without their sign."""
    currency = "USD"
    if knobs.webhook_currency is PaymentCurrency.LOCAL and row.currency in RATES:
        currency = row.currency
    gross = row.total if knobs.webhook_gross is PaymentGross.PAID else row.gross
    rate = RATES[currency]
    unknown = knobs.webhook_currency is PaymentCurrency.UNKNOWN
    return Amounts(
        abs(gross) * rate // 1000,
        abs(row.net) * rate // 1000,
        None if unknown else currency,
    )
