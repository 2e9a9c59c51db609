"""A creator's webhook subscriptions at Fanvue: listed, made and deleted with the creator's grant.

Fanvue calls the address first and refuses where that call is refused, often without a word why.
Nothing is stored here. A lost answer to `make` leaves a subscription whose secret nobody knows:
the next registration finds and replaces it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from worker.errors import NotFound, ProviderContract, ScopeMissing, Unauthorized, Unavailable
from worker.fanvue.calls import Access
from worker.fanvue.verdicts import EmptyRefusal
from worker.fanvue.wire import Wire, Word, parse
from worker.traffic import Lane


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from worker.fanvue.client import FanvueClient
    from worker.jobs.roster import TokenSource


PATH: Final = "/webhooks/subscriptions"
# What the engine understands, by the scope that it takes; checkout sales are announced among the
# payments. One event without its scope fails the whole call, so that scopes are left out in turn.
MONEY: Final = (
    "creator.payment.succeeded",
    "creator.refund.created",
    "creator.dispute.created",
    "creator.subscription.activated",
    "creator.subscription.renewed",
    "creator.subscription.deactivated",
    "creator.subscription.cancel_at_period_end_changed",
)
CHATS: Final = (
    "creator.message.received",
    "creator.message.sent",
    "creator.message.read",
    "creator.message.deleted",
)
FANS: Final = ("creator.follow.created",)
TOPICS: Final = MONEY + CHATS + FANS
_ATTEMPTS: Final = (TOPICS, MONEY + CHATS, MONEY + FANS, MONEY)
SCOPES: Final = {MONEY: "read:creator", CHATS: "read:chat", FANS: "read:fan"}

_T = TypeVar("_T")


class _Listed(Wire):
    id: Word
    url: str = ""
    events: tuple[str, ...] = ()


class _List(Wire):
    data: tuple[_Listed, ...]


class _Made(Wire):
    id: Word
    signing_secret: Word


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as Fanvue lists it."""

    id: str
    url: str
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewSubscription(Subscription):
    """A subscription that was just made, with the secret that is told once."""

    secret: str = field(repr=False)


def tells_of_chats(events: Sequence[str]) -> bool:
    """Tell whether messages are announced."""
    return bool(set(CHATS) & set(events))


def wanted_topics(*, messages: bool) -> tuple[str, ...]:
    """Return the topics to subscribe to, with messages or without."""
    return TOPICS if messages else MONEY + FANS


def missing_scopes(events: Sequence[str], wanted: Sequence[str] = TOPICS) -> list[str]:
    """Return the scopes without which wanted topics were left out."""
    left_out = set(wanted) - set(events)
    return [scope for topics, scope in SCOPES.items() if set(topics) & left_out]


class Subscriptions:
    """Speaks to Fanvue as one creator."""

    def __init__(self, client: FanvueClient, creator_uuid: str, token: TokenSource) -> None:
        self._client = client
        self._bucket = f"user:{creator_uuid}"
        self._token = token

    async def listed(self) -> list[Subscription]:
        """Return what our app made for this creator."""
        reply = await self._call(lambda auth: self._client.get(PATH, auth=auth))
        return [Subscription(one.id, one.url, one.events) for one in parse(_List, reply.body).data]

    async def make(self, url: str, *, messages: bool = True) -> NewSubscription:
        """Subscribe an address to every wanted topic for which the creator granted the scope."""
        wanted = set(wanted_topics(messages=messages))
        for events in (some for some in _ATTEMPTS[:-1] if wanted.issuperset(some)):
            try:
                return await self._make(url, events)
            except ScopeMissing:
                continue
        return await self._make(url, _ATTEMPTS[-1])

    async def _make(self, url: str, events: Sequence[str]) -> NewSubscription:
        asked = {"url": url, "events": list(events)}
        try:
            reply = await self._call(lambda auth: self._client.send("POST", PATH, asked, auth=auth))
        except (EmptyRefusal, ProviderContract, Unavailable) as error:
            raise ProviderContract(
                f"Fanvue refuses a webhook to {url} ({error.message}); mostly it could not reach "
                "the address or was refused there",
                remedy="see that it answers with fanvue-sync webhooks test, or add the webhook by "
                "hand: Fanvue's Developer area, your app, Events",
            ) from error
        made = parse(_Made, reply.body)
        return NewSubscription(made.id, url, tuple(events), made.signing_secret)

    async def delete(self, subscription_id: str) -> bool:
        """Delete a subscription; False where Fanvue knows none."""
        path = f"{PATH}/{subscription_id}"
        try:
            await self._call(lambda auth: self._client.send("DELETE", path, auth=auth))
        except NotFound:
            return False
        return True

    async def _call(self, call: Callable[[Access], Awaitable[_T]]) -> _T:
        token = await self._token(None)
        try:
            return await call(Access(token.value, self._bucket, Lane.NORMAL))
        except Unauthorized:
            token = await self._token(token.version)
            return await call(Access(token.value, self._bucket, Lane.NORMAL))
