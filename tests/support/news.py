"""What happens to creators within a minute of a lively day, and what our tables must then show.

Drawn from a seed: equal seeds give equal days. Knows Fanvue's orders and answers, no table.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simulator.truths import Audience


MINUTES: Final = 1440
# How often a creator's day brings each of them.
PER_DAY: Final[Mapping[str, float]] = {
    "sale": 25,
    "tip": 10,
    "refund": 0.5,
    "fan_message": 80,
    "creator_message": 50,
    "locked_message": 6,
    "purchase": 4,
    "reading": 30,
    "follow": 6,
    "unfollow": 1.5,
    "subscription": 3,
    "cancellation": 1.5,
    "post": 2,
    "reaction": 8,
}
# By the hour, UTC: the small hours are quiet and the evening is not.
RHYTHM: Final = (
    *(0.6, 0.4, 0.3, 0.25, 0.25, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1),
    *(1.2, 1.1, 1.0, 1.0, 1.1, 1.3, 1.5, 1.8, 2.0, 2.0, 1.7, 1.2),
)
SOURCES: Final = ("subscription", "renewal", "mediaLink", "checkoutLink")
# A list of fifty shows these for sure, whoever else pays meanwhile.
SURE_RANK: Final = 25
# A creator reads those. That an older chat was read shows only when it is listed again.
LIVELY: Final = 30


@dataclass(frozen=True, slots=True)
class Expected:
    """Something that our tables must show from now on: at least `want` of a figure, if it is one.

    `group` tells what one call brings together, such as a chat.
    """

    kind: str
    creator: str
    key: str
    want: float = 0
    group: str = ""


@dataclass(slots=True)
class Facts:
    """What one creator's happenings are made of and judged by."""

    newest_post: str
    likes: dict[str, int]
    spent: dict[str, int]
    total: int
    unread: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    # who talked last stands last
    talked: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, truth: Audience) -> Facts:
        """Read them at the beginning."""
        return cls(
            # the truth lists posts oldest first
            newest_post=list(truth.posts)[-1],
            likes={uuid: post.likes for uuid, post in truth.posts.items()},
            spent={one.fan_uuid: one.gross_cents for one in truth.top_spenders},
            total=truth.account.total_gross_cents,
        )

    def waiting(self) -> list[str]:
        """Return the fans in the liveliest chats who wait to be read."""
        return [fan for fan in list(self.talked)[-LIVELY:] if self.unread.get(fan)]

    def is_top(self, fan: str) -> bool:
        """Tell whether a fan stands safely on the list of those who spent most."""
        return sum(other > self.spent[fan] for other in self.spent.values()) < SURE_RANK


class News:
    """Makes the happenings, minute by minute."""

    def __init__(self, truths: Iterable[Audience], seed: int, pace: float = 1) -> None:
        self._facts = {truth.creator: Facts.of(truth) for truth in truths}
        self._random = random.Random(seed)  # noqa: S311 - reproducible on purpose
        self._pace = pace

    def orders(self, hour: int) -> list[dict[str, Any]]:
        """Return what happens in a minute of that hour."""
        share = self._pace * RHYTHM[hour % 24] / MINUTES
        found = []
        for creator in self._facts:
            for kind, per_day in PER_DAY.items():
                if self._random.random() < per_day * share:
                    order = self._order(kind, creator)
                    if order is not None:
                        found.append({**order, "creator": creator})
        return found

    def _order(self, kind: str, creator: str) -> dict[str, Any] | None:
        facts = self._facts[creator]
        match kind:
            case "sale":
                return {"do": "sales", "rows": [{"source": self._random.choice(SOURCES)}]}
            case "tip":
                row = {"source": "tip", "post_uuid": facts.newest_post}
                return {"do": "sales", "rows": [row]}
            case "reading":
                waiting = facts.waiting()
                if not waiting:
                    return None
                return {"do": "messages/read", "fan_uuid": self._random.choice(waiting)}
            case _:
                return dict(PLAIN[kind])

    def expected(
        self, orders: list[dict[str, Any]], answers: list[dict[str, Any]]
    ) -> Iterable[Expected]:
        """Return what our tables must show after what happened."""
        for order, answer in zip(orders, answers, strict=True):
            yield from _READERS[order["do"]](self._facts[order["creator"]], order, answer)


def announced(order: Mapping[str, Any]) -> Counter[str]:
    """Return how many webhooks Fanvue sends of it, by what they are about.

    Posts, reactions and who unfollows are announced by no topic.
    """
    match order["do"]:
        case "sales":
            # the start and the renewal of a subscription are told beside their payment
            sources = [row["source"] for row in order["rows"]]
            told = sum(source in {"subscription", "renewal"} for source in sources)
            return Counter(money=len(sources) + told)
        case "reversals" | "purchases" | "cancellations":
            return Counter(money=1)
        case "fans":
            return Counter(money=1) if "subscribers" in order else Counter(fans=1)
        case "messages" | "messages/read":
            return Counter(chats=1)
        case _:
            return Counter()


PLAIN: Final[Mapping[str, Mapping[str, Any]]] = {
    "refund": {"do": "reversals"},
    "fan_message": {"do": "messages"},
    "creator_message": {"do": "messages", "sent": True},
    "locked_message": {"do": "messages", "sent": True, "price": 900, "text": "only for you"},
    "purchase": {"do": "purchases"},
    "follow": {"do": "fans", "followers": 1},
    "unfollow": {"do": "unfollows"},
    "subscription": {"do": "fans", "subscribers": 1},
    "cancellation": {"do": "cancellations"},
    "post": {"do": "posts"},
    "reaction": {"do": "posts/react"},
}


def _money(facts: Facts, order: dict[str, Any], answer: dict[str, Any]) -> Iterable[Expected]:
    creator = order["creator"]
    for row in answer["rows"]:
        yield Expected("earnings", creator, row["order_id"])
        if row["gross_cents"] > 0:
            yield from _paid(facts, creator, row["fan_uuid"], row["gross_cents"])


def _paid(facts: Facts, creator: str, fan: str, cents: int) -> Iterable[Expected]:
    facts.total += cents
    facts.spent[fan] = facts.spent.get(fan, 0) + cents
    yield Expected("account", creator, str(facts.total), facts.total)
    if facts.is_top(fan):
        yield Expected("top_fans", creator, fan, facts.spent[fan])


def _bought(facts: Facts, order: dict[str, Any], answer: dict[str, Any]) -> Iterable[Expected]:
    creator = order["creator"]
    for row in answer["purchases"]:
        yield Expected("earnings", creator, row["order_id"])
        yield Expected("unlocks", creator, row["message_uuid"])
        yield from _paid(facts, creator, row["fan_uuid"], row["gross_cents"])


def _said(facts: Facts, order: dict[str, Any], answer: dict[str, Any]) -> Iterable[Expected]:
    for row in answer["messages"]:
        fan = row["fan_uuid"]
        facts.talked.pop(fan, None)
        facts.talked[fan] = None
        if not order.get("sent"):
            facts.unread[fan].append(row["uuid"])
        yield Expected("messages", order["creator"], row["uuid"], group=fan)


def _read(facts: Facts, order: dict[str, Any], _: dict[str, Any]) -> Iterable[Expected]:
    for uuid in facts.unread.pop(order["fan_uuid"], []):
        yield Expected("reads", order["creator"], uuid)


def _came(_: Facts, order: dict[str, Any], answer: dict[str, Any]) -> Iterable[Expected]:
    kind = "subscribers" if "subscribers" in order else "followers"
    for fan in answer["fans"]:
        yield Expected(kind, order["creator"], fan["uuid"])


def _left(_: Facts, order: dict[str, Any], answer: dict[str, Any]) -> Iterable[Expected]:
    kind = "unfollows" if order["do"] == "unfollows" else "cancellations"
    for fan in answer["fans"]:
        yield Expected(kind, order["creator"], fan["uuid"])


def _posted(facts: Facts, order: dict[str, Any], answer: dict[str, Any]) -> Iterable[Expected]:
    for post in answer["posts"]:
        facts.newest_post, facts.likes[post["uuid"]] = post["uuid"], 0
        yield Expected("posts", order["creator"], post["uuid"])


def _liked(facts: Facts, order: dict[str, Any], answer: dict[str, Any]) -> Iterable[Expected]:
    for uuid in answer["posts"]:
        facts.likes[uuid] += 1
        yield Expected("reactions", order["creator"], uuid, facts.likes[uuid])


_READERS: Final = {
    "sales": _money,
    "reversals": _money,
    "purchases": _bought,
    "messages": _said,
    "messages/read": _read,
    "fans": _came,
    "unfollows": _left,
    "cancellations": _left,
    "posts": _posted,
    "posts/react": _liked,
}
