"""Who stands on a creator's lists, in the order in which the lists show them.

One place for endpoints and for the truth that tests compare with, so that both agree. A
roster is kept until somebody comes, goes or runs out, so that a page costs no scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from simulator.people import Creator, Fan


@dataclass(frozen=True, slots=True)
class Roster:
    """A creator's lists as they are within a span of time, newest first."""

    version: int
    since: int
    until: int | None
    subscribers: list[Fan]
    followers: list[Fan]

    def holds(self, version: int, now_ms: int) -> bool:
        """Tell whether the lists are still these."""
        started = self.version == version and now_ms >= self.since
        return started and (self.until is None or now_ms < self.until)


def roster(creator: Creator, now_ms: int) -> Roster:
    """Return the lists at an instant."""
    found = creator.roster
    if found is None or not found.holds(creator.people_version, now_ms):
        found = creator.roster = _draw_up(creator, now_ms)
    return found


def subscribers_shown(creator: Creator, now_ms: int, *, with_expired: bool = False) -> list[Fan]:
    """Return the subscribers, newest subscription first; expired ones only if told so."""
    if with_expired:
        found = [fan for fan in creator.fans if fan.subscription]
        return sorted(found, key=subscriber_key, reverse=True)
    return roster(creator, now_ms).subscribers


def followers_shown(creator: Creator, now_ms: int) -> list[Fan]:
    """Return the followers without an active subscription, newest first."""
    return roster(creator, now_ms).followers


def subscriber_key(fan: Fan) -> tuple[int, str]:
    """Order subscribers by their first subscription, equal instants by uuid."""
    return (fan.subscription.first_at if fan.subscription else 0, fan.uuid)


def follower_key(fan: Fan) -> tuple[int, str]:
    """Order followers by when they came, equal instants by uuid."""
    return (fan.followed_at, fan.uuid)


def _draw_up(creator: Creator, now_ms: int) -> Roster:
    subscribers = creator.subscribers(now_ms)
    ends = [
        fan.subscription.period_end
        for fan in subscribers
        if fan.subscription and not fan.subscription.auto_renews
    ]
    return Roster(
        version=creator.people_version,
        since=now_ms,
        until=min(ends, default=None),
        subscribers=sorted(subscribers, key=subscriber_key, reverse=True),
        followers=sorted(creator.followers(now_ms), key=follower_key, reverse=True),
    )
