"""The shapes of Fanvue's answers: what we rely on is strict, what we do not know is kept.

Serves every generation of rows: before order ids existed, unversioned, `/v1`, and spending. Enums
are plain texts, because new values appear without notice. Complaints name a JSON path and never
a value, since values are personal data.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from worker.errors import ProviderContract


if TYPE_CHECKING:
    from collections.abc import Iterable


# numeric(14,2) holds twelve digits of dollars, which are fourteen of cents.
LARGEST_CENTS = 10**14 - 1


def _whole_cents(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004 - the validator reports ValueError only
    if isinstance(value, Decimal):
        # Bounded before it is compared: 1E+999999 would otherwise be written out in full.
        if not value.is_finite() or value.adjusted() > len(str(LARGEST_CENTS)):
            raise ValueError("not an amount in cents")
        if value != value.to_integral_value():
            raise ValueError("a fraction of a cent")
        return int(value)
    return value


def _utc_milliseconds(value: datetime) -> datetime:
    try:
        moment = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the calendar") from None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _text_only(value: object) -> object:
    if not isinstance(value, str):
        # A number would be taken for seconds since 1970.
        raise ValueError("not a text")  # noqa: TRY004 - the validator reports ValueError only
    return value


Cents = Annotated[
    int, BeforeValidator(_whole_cents), Field(strict=True, ge=-LARGEST_CENTS, le=LARGEST_CENTS)
]
Moment = Annotated[AwareDatetime, BeforeValidator(_text_only), AfterValidator(_utc_milliseconds)]
Word = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)]
# What an integer column holds.
Count = Annotated[int, Field(strict=True, ge=-(2**31), le=2**31 - 1)]


class Wire(BaseModel):
    """What every shape shares: camelCase outside, unknown fields kept, nothing mutable."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
        extra="allow",
        frozen=True,
        hide_input_in_errors=True,
    )


class Payer(Wire):
    """The fan behind a row."""

    uuid: UUID
    handle: str | None = None
    display_name: str | None = None
    nickname: str | None = None
    is_top_spender: bool | None = None


class EarningRow(Wire):
    """A row of `/insights/earnings` or `/insights/spending`, of any generation.

    Amounts are US cents whatever `currency` says; `currency` is the fan's own.
    """

    date: Moment
    gross: Cents
    net: Cents
    total: Cents | None = None
    currency: str | None = None
    source: Word
    message_uuid: UUID | None = None
    post_uuid: UUID | None = None
    transaction_order_id: Word | None = None
    transaction_order_status: Word | None = None
    reversed_transaction_order_id: Word | None = None
    user: Payer | None = None


class Me(Wire):
    """`/users/me`: who the grant belongs to."""

    uuid: UUID
    handle: str
    display_name: str | None = None
    is_creator: bool | None = None


class AccountEarnings(Wire):
    """All-time figures of an account, in US cents."""

    total: Cents
    available_balance: Cents | None = None
    last_payout_at: Moment | None = None


class AccountFans(Wire):
    """How many fans an account has."""

    followers: Count
    subscribers: Count


class AccountState(Wire):
    """The account part of `/users/account`."""

    status: Word
    earnings: AccountEarnings
    fans: AccountFans | None = None


class Account(Me):
    """`/users/account`: the profile and its figures."""

    account: AccountState


_W = TypeVar("_W", bound=Wire)


def parse(shape: type[_W], raw: object, *, at: str = "$") -> _W:
    """Read one object; raise `ProviderContract` with the JSON path of the first offence."""
    try:
        return shape.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join([at, *(str(part) for part in first["loc"])])
        kind = first["type"]
        raise ProviderContract(
            f"{shape.__name__} at {path} is not as documented ({kind})", json_path=path
        ) from None


def parse_rows(
    shape: type[_W], rows: Iterable[object], *, first: int = 0
) -> tuple[list[_W], list[ProviderContract]]:
    """Read rows of a page, from the place `first` on; the good ones apart from the complaints."""
    good: list[_W] = []
    bad: list[ProviderContract] = []
    for index, raw in enumerate(rows, first):
        try:
            good.append(parse(shape, raw, at=f"data[{index}]"))
        except ProviderContract as error:
            bad.append(error)
    return good, bad
