"""What callers of the control API may ask for; unknown fields are refused."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from simulator.faults import Fault
from simulator.sales import Sale


class Order(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid")


class NewCreators(Order):
    """More creators, each with exactly so many transactions."""

    count: int = Field(default=1, ge=1)
    agency: str | None = None
    handle: str = ""
    creator_uuid: str = ""
    transactions: int = Field(default=0, ge=0)
    fans: int = Field(default=25, ge=0)
    days: int = Field(default=60, ge=1)
    messages: int | None = Field(default=None, ge=0)
    posts: int | None = Field(default=None, ge=0)
    subscribers: int = Field(default=0, ge=0)
    followers: int = Field(default=0, ge=0)
    administrator: bool = False


class CreatorMove(Order):
    """A creator whom another agency looks after from now on, a new one if need be."""

    creator: str
    agency: str


class Ties(Order):
    """Where rows share a millisecond."""

    page_size: int = Field(default=50, ge=1)
    borders: list[int] = [1]
    width: int = Field(default=4, ge=2)


class NewSales(Order):
    """More sales: so many varied ones, or the rows described; unannounced ones are history."""

    creator: str
    count: int = Field(default=0, ge=0)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    visible_at: AwareDatetime | None = None
    ties: Ties | None = None
    rows: list[Sale] = []
    announce: bool = True


class NewReversals(Order):
    """Refunds or chargebacks of the named sales, or of the newest."""

    creator: str
    count: int = Field(default=1, ge=1)
    order_ids: list[str] = []
    kind: str = Field(default="refund", pattern="^(refund|chargeback)$")
    at: AwareDatetime | None = None
    announce: bool = True


class StatusFlips(Order):
    """Pending rows that become available now: the named, the oldest so many, or all."""

    creator: str
    count: int | None = Field(default=None, ge=1)
    order_ids: list[str] = []


class NewPurchases(Order):
    """Locked messages that fans buy now: the named, or so many of the latest."""

    creator: str
    message_uuids: list[str] = []
    count: int = Field(default=1, ge=1)
    fan_uuid: str | None = None
    announce: bool = True


class Payout(Order):
    """The available balance is paid out now."""

    creator: str


class AccountStatus(Order):
    """What an account's status is from now on."""

    creator: str
    status: str = Field(pattern="^(active|suspended)$")


class NewGrant(Order):
    """A ready grant of a creator or of an agency's administrator."""

    creator: str | None = None
    agency: str | None = None
    scopes: list[str] | None = None
    expires_in: float | None = Field(default=None, ge=0)
    client_id: str | None = None


class TokenOwner(Order):
    """Whose tokens."""

    creator: str


class ClockMove(Order):
    """How to move time; several may be given and apply in this order."""

    set: AwareDatetime | None = None
    advance_seconds: float | None = None
    freeze: bool | None = None


class NewClient(Order):
    """An OAuth client to register."""

    client_id: str
    client_secret: str
    redirect_uris: list[str] = []


class NewFaults(Order):
    """Fault rules to arm."""

    faults: list[Fault]
