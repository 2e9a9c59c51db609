"""What happens in the simulated Fanvue while the demo runs: a little of everything, in rounds.

Most of it is announced by webhooks. Likes and leavers are not: only a reading finds them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random


MOST_SOLD_AT_ONCE: Final = 3
# Like no other: nothing else may be taken for it.
TIP_CENTS: Final = 1937
# In every so many-th round, beside the sales and messages of each.
REPLY_EVERY: Final = 2
FAN_EVERY: Final = 3
PURCHASE_EVERY: Final = 4
LIKE_EVERY: Final = 5
REFUND_EVERY: Final = 6
POST_EVERY: Final = 7
CANCEL_EVERY: Final = 8
LEAVE_EVERY: Final = 9

Order = dict[str, Any]


@dataclass(slots=True)
class News:
    """What has happened so far, counted by kind."""

    happen: Callable[..., Any]
    creators: Sequence[str]
    random: Random
    rounds: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def readable(self) -> int:
        """Return how many of these a list or a chat shows, money apart."""
        kinds = ("messages", "messages bought", "posts", "follows", "subscriptions")
        return sum(self.counts[kind] for kind in kinds)

    def next_round(self) -> None:
        """Let some of it happen now, to creators drawn by chance."""
        self.rounds += 1
        self.happen(*self._orders())

    def everybody_sells(self) -> int:
        """Let each creator get a tip, which Fanvue announces; return how many that were."""
        tip = {"source": "tip", "gross_cents": TIP_CENTS}
        orders = [self._order("sales", "sales", creator, rows=[tip]) for creator in self.creators]
        self.happen(*orders)
        return len(orders)

    def _orders(self) -> Iterator[Order]:
        for creator in self.random.sample(list(self.creators), 2):
            count = self.random.randint(1, MOST_SOLD_AT_ONCE)
            yield self._order("sales", "sales", creator, count=count)
        yield self._order("messages", "messages", count=self.random.randint(1, 2))
        kinds: tuple[tuple[int, str, str, Order], ...] = (
            (REPLY_EVERY, "messages", "messages", {"sent": True}),
            (PURCHASE_EVERY, "messages bought", "purchases", {}),
            (LIKE_EVERY, "likes", "posts/react", {}),
            (REFUND_EVERY, "refunds", "reversals", {}),
            (POST_EVERY, "posts", "posts", {}),
            (CANCEL_EVERY, "cancellations", "cancellations", {}),
            (LEAVE_EVERY, "unfollows", "unfollows", {}),
        )
        for every, kind, route, more in kinds:
            if self.rounds % every == 0:
                yield self._order(kind, route, **more)
        if self.rounds % FAN_EVERY == 0:
            yield self._order("follows", "fans", followers=1)
            yield self._order("subscriptions", "fans", subscribers=1)

    def _order(self, kind: str, route: str, creator: str = "", **more: Any) -> Order:
        self.counts[kind] += more.get("count", 1)
        return {
            "do": route,
            "creator": creator or self.random.choice(list(self.creators)),
            **more,
        }
