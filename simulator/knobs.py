"""Every way in which the simulated Fanvue can be told to behave differently.

Defaults are the best-evidenced behaviour; where evidence is thin or contradictory a knob
offers the alternatives. Values may be set for all creators and overridden for one.
"""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads the annotation at run time
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field, field_validator

from simulator.webhook_knobs import WebhookKnobs


class Ties(StrEnum):
    """What a cursor does with rows that share the millisecond at a page border."""

    EXACT = "exact"
    SKIP = "skip"
    REPEAT = "repeat"
    # A number of rows, skipped in whatever list the other parameters ask for.
    OFFSET = "offset"


class Endless(StrEnum):
    """What the pages show of a list that never ends: nothing, or its first rows once more."""

    EMPTY = "empty"
    REPEATED = "repeated"


class OrderIds(StrEnum):
    """Whether rows carry a transaction order id, and whether it is unique."""

    PRESENT = "present"
    ABSENT = "absent"
    DUPLICATE = "duplicate"


class ReversalIds(StrEnum):
    """Which order id a refund or chargeback row carries in the v1 family."""

    OWN = "own"
    SHARED = "shared"
    NONE = "none"


class GraceAnswer(StrEnum):
    """What a used refresh token answers within the grace window."""

    SAME = "same"
    NEW = "new"


class GrossMeaning(StrEnum):
    """What `gross` means in the unversioned family."""

    PRICE = "price"
    PAID = "paid"


class FamilyState(StrEnum):
    """Whether a path family is served."""

    SERVED = "served"
    MISSING = "missing"
    SUNSET = "sunset"


class Validators(StrEnum):
    """Which validators answers to GET offer, and so which conditions are honoured."""

    NONE = "none"
    ETAG = "etag"
    LAST_MODIFIED = "last_modified"
    BOTH = "both"


class Consent(StrEnum):
    """What the creator answers when the authorize page names them by login_hint."""

    ALLOW = "allow"
    DENY = "deny"


class Knobs(WebhookKnobs):
    """One complete set of behaviours; those of webhooks are inherited."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_enum_values=False)

    # Path families and versions
    unversioned: FamilyState = FamilyState.SERVED
    v1: FamilyState = FamilyState.SERVED
    versions: list[str] = Field(default=["2025-06-26"])
    sunset_versions: dict[str, str] = Field(default={"2024-01-01": "2024-12-31T00:00:00.000Z"})

    # Earnings rows
    ties: Ties = Ties.EXACT
    pages_shuffled: bool = Field(
        default=False, description="the rows of a page of earnings stand in any order"
    )
    swap_every: int = Field(
        default=0,
        ge=0,
        description="every so many rows of earnings one comes late; 0: none",
    )
    late_by: int = Field(
        default=1, ge=1, description="how many places too late; 1: neighbours change places"
    )
    ids: OrderIds = OrderIds.PRESENT
    reversal_ids: ReversalIds = ReversalIds.OWN
    unversioned_gross: GrossMeaning = GrossMeaning.PRICE
    v1_total: bool = True
    v1_spending: bool = False
    null_optionals: bool = False
    start_inclusive: bool = True
    dates_truncated_to_day: bool = False
    order_id_filter: bool = True
    max_size: int = Field(default=50, ge=1)
    summary_cache_seconds: float = Field(default=600, ge=0)
    summary_error_cents: dict[date, int] = Field(
        default={}, description="by how much the summary is wrong on a day: 2026-11-20 to cents"
    )
    subscribers_include_expired: bool = False

    spoilt_details: int = Field(
        default=0, ge=0, description="every so many rows of a list have a detail spoilt; 0: none"
    )
    ids_in_capitals: bool = Field(
        default=False, description="uuids in answers and announcements are in capitals"
    )

    # Lists that are not whole but look it
    list_share: dict[str, float] = Field(
        default={}, description="which part of a list is shown: /followers to 0..1"
    )
    list_gaps: bool = Field(
        default=False, description="such lists have gaps instead of ending early"
    )

    endless: dict[str, Endless] = Field(
        default={}, description="lists that never end: /followers to empty or repeated pages"
    )

    # What an agency's daily earnings count
    agency_rewards: bool = Field(
        default=True, description="/agencies/earnings counts what no fan paid"
    )
    agency_pending: bool = Field(
        default=True, description="/agencies/earnings counts what is not yet for payout"
    )
    agency_reversed: bool = Field(
        default=True, description="/agencies/earnings counts sales that were taken back"
    )
    agency_currencies: dict[str, str | None] = Field(
        default={}, description="days of /agencies/earnings in EUR, GBP or null"
    )

    # Conditional requests
    validators: Validators = Field(
        default=Validators.NONE, description="what answers to GET offer; a match gets 304"
    )
    weak_etags: bool = Field(default=False, description="tags are weak (W/)")

    # Rate limit
    rate_limit: int = Field(default=100, ge=1)
    rate_window_seconds: float = Field(default=60, gt=0)
    endpoint_limits: dict[str, int] = Field(
        default={},
        description="endpoints with a limit and a count of their own: /chats to 5; 0: always 429",
    )

    # Access
    own_creator_path_is_404: bool = True
    empty_error_400: bool = False

    # OAuth
    access_token_seconds: float = Field(default=3600, gt=0)
    refresh_token_seconds: float | None = None
    grace_seconds: float = Field(default=30, ge=0)
    grace_answer: GraceAnswer = GraceAnswer.SAME
    basic_auth_only: bool = True
    refresh_revokes_access: bool = False
    code_seconds: float = Field(default=600, gt=0)
    consent: Consent = Consent.ALLOW
    app_scopes: list[str] | None = Field(
        default=None, description="the scopes ticked in the app; null: all there are"
    )
    scope_named: bool = Field(
        default=True, description="invalid_scope says which scope is not ticked"
    )

    @field_validator("endpoint_limits")
    @classmethod
    def _limits_are_counts(cls, limits: dict[str, int]) -> dict[str, int]:
        if any(limit < 0 for limit in limits.values()):
            raise ValueError("a limit is at least 0")
        return {f"/{path.lstrip('/')}": limit for path, limit in limits.items()}

    @field_validator("endless")
    @classmethod
    def _lists_are_paths(cls, lists: dict[str, Endless]) -> dict[str, Endless]:
        return {f"/{path.lstrip('/')}": how for path, how in lists.items()}

    @field_validator("list_share")
    @classmethod
    def _shares_are_parts(cls, shares: dict[str, float]) -> dict[str, float]:
        if any(not 0 <= share <= 1 for share in shares.values()):
            raise ValueError("each share must be between 0 and 1")
        return {f"/{path.lstrip('/')}": share for path, share in shares.items()}

    def share_of(self, path: str) -> float:
        """Return which part of the list at a path is shown."""
        return self.list_share.get(path, 1.0)


class KnobBook:
    """The knobs in force: one set for everybody plus overrides per creator."""

    def __init__(self, base: Knobs | None = None) -> None:
        self._base = base or Knobs()
        self._overrides: dict[str, dict[str, Any]] = {}
        self._resolved: dict[str, Knobs] = {}

    @property
    def base(self) -> Knobs:
        """Return the set that applies where nothing is overridden."""
        return self._base

    def of(self, creator_uuid: str | None) -> Knobs:
        """Return the set in force for a creator, or for nobody in particular."""
        if creator_uuid is None:
            return self._base
        return self._resolved.get(creator_uuid, self._base)

    def replace(self, values: dict[str, Any], creator_uuid: str | None = None) -> Knobs:
        """Forget earlier settings and start from the defaults plus these values."""
        if creator_uuid is None:
            self._set_base(Knobs.model_validate(values))
        else:
            self._set_override(creator_uuid, values)
        return self.of(creator_uuid)

    def update(self, values: dict[str, Any], creator_uuid: str | None = None) -> Knobs:
        """Change only the named knobs."""
        if creator_uuid is None:
            self._set_base(Knobs.model_validate(self._base.model_dump() | values))
        else:
            self._set_override(creator_uuid, self._overrides.get(creator_uuid, {}) | values)
        return self.of(creator_uuid)

    def _set_base(self, base: Knobs) -> None:
        self._base = base
        for creator_uuid, values in self._overrides.items():
            self._resolved[creator_uuid] = self._merge(values)

    def _set_override(self, creator_uuid: str, values: dict[str, Any]) -> None:
        merged = self._merge(values)
        self._overrides[creator_uuid] = values
        self._resolved[creator_uuid] = merged

    def _merge(self, values: dict[str, Any]) -> Knobs:
        return Knobs.model_validate(self._base.model_dump() | values)
