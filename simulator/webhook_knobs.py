"""The knobs of webhooks: what is sent, how it looks, and how delivery goes wrong.

A part of `knobs.Knobs`. Durations here are of the machine's clock, so that a frozen
simulated clock does not stop deliveries.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field


class WebhookFamily(StrEnum):
    """Which events announce what happened."""

    CREATOR = "creator"
    LEGACY = "legacy"
    BOTH = "both"
    CHECKOUT = "checkout"
    """creator.*, and for checkout links checkout_link.* beside it with the same data.id."""


class PaymentIds(StrEnum):
    """How the id of a payment event relates to the API row's transaction order id."""

    MATCHING = "matching"
    OTHER = "other"
    NONE = "none"


class PaymentGross(StrEnum):
    """What `gross` means in a payment event."""

    PRICE = "price"
    PAID = "paid"


class PaymentCurrency(StrEnum):
    """Which currency a payment event states its amounts in."""

    USD = "usd"
    LOCAL = "local"
    UNKNOWN = "unknown"


class Optionals(StrEnum):
    """What becomes of optional keys: left out when empty, null when empty, or never there."""

    OMITTED = "omitted"
    NULL = "null"
    MINIMAL = "minimal"


class LegacyPurchase(StrEnum):
    """Which form a legacy purchase has; only the later one can tell other sources."""

    DOCUMENTED = "documented"
    JULY_2026 = "july_2026"


class Duplicates(StrEnum):
    """How a duplicate differs from the first: signed anew, byte for byte, or renamed."""

    RESEND = "resend"
    REPLAY = "replay"
    RENAMED = "renamed"


class Signing(StrEnum):
    """Which of a target's secrets sign a delivery."""

    CURRENT = "current"
    PREVIOUS = "previous"
    BOTH = "both"


class Probe(StrEnum):
    """How an address is called, unsigned, before it is subscribed. Fanvue's own way is unknown."""

    NONE = "none"
    GET = "get"
    HEAD = "head"
    EMPTY = "empty"
    """A POST without a body."""
    OBJECT = "object"
    """A POST of JSON that is no event."""
    EVENT = "event"
    """A POST of something that looks like an event."""


class WebhookKnobs(BaseModel):
    """Everything about webhooks that can be turned."""

    webhooks: bool = True

    # Bodies
    webhook_family: WebhookFamily = WebhookFamily.CREATOR
    webhook_ids: PaymentIds = PaymentIds.MATCHING
    webhook_gross: PaymentGross = PaymentGross.PRICE
    webhook_currency: PaymentCurrency = PaymentCurrency.USD
    webhook_optionals: Optionals = Optionals.OMITTED
    webhook_message_text: bool = True
    webhook_tracking: bool = False
    webhook_legacy_purchase: LegacyPurchase = LegacyPurchase.DOCUMENTED
    webhook_paid_skew_ms: int = 0
    webhook_hint_headers: bool = False

    # When a delivery is sent
    webhook_delay_seconds: float = Field(default=0, ge=0)
    webhook_reorder_seconds: float = Field(default=0, ge=0)
    webhook_after_visible: bool = False
    webhook_concurrency: int = Field(default=8, ge=1)
    webhook_timeout_seconds: float = Field(default=10, gt=0)
    webhook_retry_seconds: list[float] = [1, 2, 5, 10, 30, 60, 120, 300, 600]

    # What goes wrong on the way
    webhook_duplicate_probability: float = Field(default=0, ge=0, le=1)
    webhook_duplicates: Duplicates = Duplicates.RESEND
    webhook_stale_probability: float = Field(default=0, ge=0, le=1)
    webhook_forged_probability: float = Field(default=0, ge=0, le=1)
    webhook_signing: Signing = Signing.CURRENT
    webhook_skew_seconds: float = 0

    # Registering by API
    webhook_probe: Probe = Probe.EMPTY
    webhook_registration_400: bool = False
    webhook_loopback_urls: bool = False
    webhook_base_scope: str = "read:creator"
