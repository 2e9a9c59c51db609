"""What goes into one call to Fanvue and what comes out of it.

Plain data, and the one thing a call needs from its surroundings: a budget. No HTTP here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.traffic import Lane, RateSeen


class CallBudget(Protocol):
    """Grants calls; see `worker.limits.budget` for the promises."""

    async def acquire(
        self, bucket: str, lane: Lane, *, endpoint: str, hint: int | None = None
    ) -> None:
        """Take one permit, or raise `Throttled`."""
        ...

    def observe(self, bucket: str, seen: RateSeen, *, endpoint: str) -> None:
        """Learn from the headers of a response."""
        ...

    async def penalize(self, bucket: str, until: datetime, *, endpoint: str) -> None:
        """Close an endpoint of a bucket until a moment."""
        ...


class Family(StrEnum):
    """The path family that answered; rows differ between the two."""

    V1 = "v1"
    UNVERSIONED = "unversioned"


@dataclass(frozen=True, slots=True)
class Access:
    """On whose behalf a call is made, and from which budget it is paid."""

    token: str = field(repr=False)
    bucket: str
    lane: Lane
    hint: int | None = None
    # Set by the client: which of the bucket's endpoints the call goes to.
    endpoint: str = ""


@dataclass(slots=True)
class RequestMeter:
    """Counts what the calls of one job cost."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    waited_ms: int = 0
    bytes: int = 0
    # A page is committed that may end the job: then its lease goes by our own doing.
    ending: bool = False


@dataclass(frozen=True, slots=True)
class Validator:
    """What a response offered for asking again only if something changed."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A useful answer: 2xx with JSON, or 304 with `body` None.

    Numbers in `body` are int or Decimal, never float. `date` is the server's own clock.
    """

    status: int
    body: Any = field(repr=False)
    headers: Mapping[str, str]
    date: datetime | None
    rate: RateSeen | None
    family: Family

    @property
    def not_modified(self) -> bool:
        """Tell whether nothing changed since the validator was offered."""
        return self.status == 304  # noqa: PLR2004 - the status is the meaning

    @property
    def validator(self) -> Validator | None:
        """Return what to send next time, if the response offered anything."""
        etag, modified = self.headers.get("etag"), self.headers.get("last-modified")
        return Validator(etag, modified) if etag or modified else None
