"""Who lives in the simulated world: agencies, their staff, creators and fans.

Plain records with links between them; how they are made is the generator's business and
how they look on the wire is the endpoints'.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.content import ChatBook
from simulator.transactions import Ledger


if TYPE_CHECKING:
    from simulator.content import Post
    from simulator.rosters import Roster


@dataclass(slots=True)
class Subscription:
    """A fan's subscription to a creator; instants in milliseconds, money in cents."""

    price: int
    first_at: int
    period_start: int
    period_end: int
    auto_renews: bool
    cancelled_at: int | None = None

    def is_active(self, now_ms: int) -> bool:
        """Tell whether the fan still has access."""
        return self.auto_renews or now_ms < self.period_end

    def period(self, now_ms: int) -> tuple[int, int]:
        """Return the current period's start and end; renewing ones roll on with time."""
        if not self.auto_renews or now_ms < self.period_end:
            return self.period_start, self.period_end
        length = self.period_end - self.period_start
        skipped = (now_ms - self.period_start) // length * length
        return self.period_start + skipped, self.period_end + skipped


@dataclass(slots=True, eq=False)
class Fan:
    """Somebody who follows, subscribes to or pays a creator."""

    uuid: str
    handle: str
    display_name: str
    nickname: str | None
    avatar_url: str | None
    registered_at: int
    followed_at: int
    is_top_spender: bool = False
    subscription: Subscription | None = None
    unfollowed_at: int | None = None


@dataclass(slots=True, eq=False)
class User:
    """Somebody who can sign in and grant access: a creator or an agency's staff."""

    uuid: str
    email: str
    handle: str
    display_name: str
    bio: str
    created_at: int
    updated_at: int
    is_creator: bool = True


@dataclass(slots=True, eq=False)
class Creator:
    """A creator's account with everything in it."""

    user: User
    agency: Agency
    ledger: Ledger = field(default_factory=Ledger)
    fans: list[Fan] = field(default_factory=list)
    fans_by_uuid: dict[str, Fan] = field(default_factory=dict)
    chats: ChatBook = field(default_factory=ChatBook)
    posts: list[Post] = field(default_factory=list)
    status: str = "active"
    paid_out: int = 0
    last_payout_at: int | None = None
    people_version: int = 0
    roster: Roster | None = None

    @property
    def uuid(self) -> str:
        """Return the account's uuid."""
        return self.user.uuid

    @property
    def handle(self) -> str:
        """Return the account's handle."""
        return self.user.handle

    def add_fan(self, fan: Fan) -> None:
        """Make somebody a fan."""
        self.fans.append(fan)
        self.fans_by_uuid[fan.uuid] = fan
        self.people_changed()

    def people_changed(self) -> None:
        """Note that somebody came, went or changed a subscription, so lists are drawn up anew."""
        self.people_version += 1

    def add_post(self, post: Post) -> None:
        """Put a post in its place in time."""
        insort(self.posts, post, key=lambda p: p.at)

    def post(self, uuid: str) -> Post:
        """Return a post; raises KeyError with a readable message."""
        found = next((post for post in self.posts if post.uuid == uuid), None)
        if found is None:
            raise KeyError(f"{self.handle} has no post {uuid!r}")
        return found

    def fan(self, uuid: str) -> Fan:
        """Return a fan; raises KeyError with a readable message."""
        found = self.fans_by_uuid.get(uuid)
        if found is None:
            raise KeyError(f"{self.handle} has no fan {uuid!r}")
        return found

    def balance(self, now_ms: int) -> int:
        """Return the cents available for payout; taken back money never makes it negative."""
        return max(0, self.ledger.available(now_ms) - self.paid_out)

    def subscribers(self, now_ms: int) -> list[Fan]:
        """Return the fans whose subscription is active."""
        return [f for f in self.fans if f.subscription and f.subscription.is_active(now_ms)]

    def followers(self, now_ms: int) -> list[Fan]:
        """Return the fans who follow and have no active subscription."""
        return [fan for fan in self.inactive(now_ms) if fan.unfollowed_at is None]

    def inactive(self, now_ms: int) -> list[Fan]:
        """Return the fans without an active subscription, whether they follow or not."""
        return [f for f in self.fans if not (f.subscription and f.subscription.is_active(now_ms))]


@dataclass(slots=True, eq=False)
class Agency:
    """An agency: its administrator's account and the creators it looks after."""

    uuid: str
    name: str
    owner: User
    creators: list[Creator] = field(default_factory=list)
