"""What the control API tells as the truth, in the shape that tests compare with.

Money is whole US cents; instants are texts as Fanvue writes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sums:
    """A count and two sums in US cents."""

    count: int
    gross_cents: int
    net_cents: int


@dataclass(frozen=True, slots=True)
class Books:
    """Exact totals of one creator."""

    count: int
    gross_cents: int
    net_cents: int
    by_category: dict[str, Sums]
    by_day: dict[str, Sums]


@dataclass(frozen=True, slots=True)
class ChatTruth:
    """A chat: its messages, newest first, and how many of the fan's are unread."""

    message_uuids: list[str]
    last_message_at: str
    unread: int


@dataclass(frozen=True, slots=True)
class PostTruth:
    """A post's counters."""

    likes: int
    comments: int
    tips: int
    tips_gross_cents: int
    tips_net_cents: int
    price_cents: int | None
    is_pinned: bool


@dataclass(frozen=True, slots=True)
class SpenderTruth:
    """What a fan paid within the window asked for."""

    fan_uuid: str
    gross_cents: int
    net_cents: int
    messages: int


@dataclass(frozen=True, slots=True)
class AccountTruth:
    """The totals of an account."""

    status: str
    total_gross_cents: int
    available_balance_cents: int
    last_payout_at: str | None
    followers: int
    subscribers: int


@dataclass(frozen=True, slots=True)
class MessageTruth:
    """A message as the lists show it."""

    fan_uuid: str
    at: str
    sender: str
    body: str | None
    type: str
    media_count: int
    price_cents: int | None
    purchased_at: str | None
    is_read: bool


@dataclass(frozen=True, slots=True)
class SubscriptionTruth:
    """An active subscription."""

    price_cents: int
    auto_renews: bool
    first_at: str
    period_end: str


@dataclass(frozen=True, slots=True)
class PostRowTruth:
    """What a post is, without its counters."""

    at: str
    body: str
    audience: str
    media_count: int


@dataclass(frozen=True, slots=True)
class Audience:
    """Everything about a creator's people and content, in the order of the lists.

    The rows, by their uuid, are there only if details were asked for.
    """

    creator: str
    now: str
    subscribers: list[str]
    followers: list[str]
    chats: dict[str, ChatTruth]
    messages: int
    posts: dict[str, PostTruth]
    top_spenders: list[SpenderTruth]
    account: AccountTruth
    message_rows: dict[str, MessageTruth] = field(default_factory=dict)
    subscriptions: dict[str, SubscriptionTruth] = field(default_factory=dict)
    post_rows: dict[str, PostRowTruth] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """How many requests there were, by the facets asked for; `last` is the newest's number."""

    last: int
    total: int
    by: tuple[str, ...]
    counts: dict[tuple[str | int | None, ...], int]

    def sum(self, **where: str | int | None) -> int:
        """Add up the counts whose facets are as named."""
        wanted = {self.by.index(name): value for name, value in where.items()}
        return sum(
            count
            for facets, count in self.counts.items()
            if all(facets[position] == value for position, value in wanted.items())
        )


def read_counts(answer: dict[str, Any]) -> RequestCounts:
    """Read counts of requests."""
    counts = {tuple(facets): count for *facets, count in answer["counts"]}
    return RequestCounts(answer["last"], answer["total"], tuple(answer["by"]), counts)


def read_books(answer: dict[str, Any]) -> Books:
    """Read the books of one creator."""
    return Books(
        answer["count"],
        answer["gross_cents"],
        answer["net_cents"],
        {name: Sums(**sums) for name, sums in answer["by_category"].items()},
        {day: Sums(**sums) for day, sums in answer["by_day"].items()},
    )


def read_audience(answer: dict[str, Any]) -> Audience:
    """Read the people and content of one creator."""
    return Audience(
        creator=answer["creator"],
        now=answer["now"],
        subscribers=answer["subscribers"],
        followers=answer["followers"],
        chats={uuid: ChatTruth(**chat) for uuid, chat in answer["chats"].items()},
        messages=answer["messages"],
        posts={uuid: PostTruth(**post) for uuid, post in answer["posts"].items()},
        top_spenders=[SpenderTruth(**spender) for spender in answer["top_spenders"]],
        account=AccountTruth(**answer["account"]),
        message_rows={
            uuid: MessageTruth(**row) for uuid, row in answer.get("message_rows", {}).items()
        },
        subscriptions={
            uuid: SubscriptionTruth(**row) for uuid, row in answer.get("subscriptions", {}).items()
        },
        post_rows={uuid: PostRowTruth(**row) for uuid, row in answer.get("post_rows", {}).items()},
    )
