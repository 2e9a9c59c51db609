"""The shapes of Fanvue's answers: essentials are strict, details may be lost, more is kept.

Serves every generation of rows: before order ids existed, unversioned, `/v1`, and spending. Enums
are plain texts, because new values appear without notice. Complaints name a JSON path and never
a value, since values are personal data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Self, TypeVar
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
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from worker.errors import ProviderContract
from worker.fanvue.details import Detail, Expected, Reading, reading_of


if TYPE_CHECKING:
    from collections.abc import Iterable


# A thousandth of what the ledger's numeric(14,2) holds, so that sums stay far from its end.
LARGEST_CENTS = 10**11 - 1
LONGEST_WORD = 200
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


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


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _fold_uuid(value: str) -> str:
    # Other numbers than uuids may mean something by their case.
    return value.lower() if _UUID.fullmatch(value) else value


def _cut(value: object) -> object:
    return value[:LONGEST_WORD] if isinstance(value, str) else value


Cents = Annotated[
    int, BeforeValidator(_whole_cents), Field(strict=True, ge=-LARGEST_CENTS, le=LARGEST_CENTS)
]
Moment = Annotated[AwareDatetime, BeforeValidator(_text_only), AfterValidator(_utc_milliseconds)]
Word = Annotated[
    str, StringConstraints(strict=True, pattern=r"\S", min_length=1, max_length=LONGEST_WORD)
]
OrderId = Annotated[Word, BeforeValidator(_number_as_text), AfterValidator(_fold_uuid)]
Source = Annotated[Word, BeforeValidator(_cut)]
# "eur" and "EUR" are one currency, and rows without an order id are told apart by it.
Currency = Annotated[Word, AfterValidator(str.upper)]
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
    handle: Detail[str] = None
    display_name: Detail[str] = None
    nickname: Detail[str] = None
    is_top_spender: Detail[bool] = None


class EarningRow(Wire):
    """A row of `/insights/earnings` or `/insights/spending`, of any generation.

    Amounts are US cents whatever `currency` says; `currency` is the fan's own.
    """

    date: Moment
    gross: Cents
    net: Expected[Cents] = None
    total: Detail[Cents] = None
    currency: Detail[Currency] = None
    source: Expected[Source] = None
    message_uuid: Detail[UUID] = None
    post_uuid: Detail[UUID] = None
    transaction_order_id: Detail[OrderId] = None
    transaction_order_status: Detail[Word] = None
    reversed_transaction_order_id: Detail[OrderId] = None
    user: Detail[Payer] = None

    @model_validator(mode="after")
    def _says_what_it_reverses(self, info: ValidationInfo) -> Self:
        """Refuse a reversal that may share its sale's id and does not say so by its source."""
        lost = reading_of(info).has_lost
        told = self.reversed_transaction_order_id not in {None, self.transaction_order_id}
        if self.gross < 0 and (lost("reversedTransactionOrderId") or (lost("source") and not told)):
            raise PydanticCustomError("nameless_reversal", "it does not say what it reverses")
        return self


class Me(Wire):
    """`/users/me`: who the grant belongs to."""

    uuid: UUID
    handle: Expected[str] = None
    display_name: Detail[str] = None
    is_creator: Detail[bool] = None


class AccountEarnings(Wire):
    """All-time figures of an account, in US cents."""

    total: Expected[Cents] = None
    available_balance: Detail[Cents] = None
    last_payout_at: Detail[Moment] = None


class AccountFans(Wire):
    """How many fans an account has."""

    followers: Expected[Count] = None
    subscribers: Expected[Count] = None


class AccountState(Wire):
    """The account part of `/users/account`."""

    status: Expected[Word] = None
    earnings: Expected[AccountEarnings] = None
    fans: Detail[AccountFans] = None


class Account(Me):
    """`/users/account`: the profile and its figures."""

    account: Expected[AccountState] = None


_W = TypeVar("_W", bound=Wire)


@dataclass(frozen=True, slots=True)
class Complaints:
    """What of a page could not be read: whole records, and the paths of details of others."""

    records: list[ProviderContract] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def __add__(self, other: Complaints) -> Complaints:
        """Return both."""
        return Complaints([*self.records, *other.records], [*self.details, *other.details])


def parse(shape: type[_W], raw: object, *, at: str = "$", details: list[str] | None = None) -> _W:
    """Read one object; raise `ProviderContract` with the JSON path of the first offence.

    The paths of details that could not be read are added to `details`.
    """
    reading = Reading()
    try:
        read = shape.model_validate(raw, context=reading)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join([at, *(str(part) for part in first["loc"])])
        kind = first["type"]
        raise ProviderContract(
            f"{shape.__name__} at {path} is not as documented ({kind})", json_path=path
        ) from None
    if details is not None:
        details += [".".join([at, *path]) for _, path in reading.lost]
    return read


def parse_rows(
    shape: type[_W], rows: Iterable[object], *, first: int = 0
) -> tuple[list[_W], Complaints]:
    """Read rows of a page, from the place `first` on; the good ones, and what was not read."""
    good: list[_W] = []
    complaints = Complaints()
    for index, raw in enumerate(rows, first):
        try:
            good.append(parse(shape, raw, at=f"data[{index}]", details=complaints.details))
        except ProviderContract as error:
            complaints.records.append(error)
    return good, complaints
