"""Who stands on a creator's lists, in the order in which the lists show them.

One place for endpoints and for the truth that tests compare with, so that both agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from simulator.people import Creator, Fan


def subscribers_shown(creator: Creator, now_ms: int, *, with_expired: bool = False) -> list[Fan]:
    """Return the subscribers, newest subscription first; expired ones only if told so."""
    found = creator.subscribers(now_ms)
    if with_expired:
        found = [fan for fan in creator.fans if fan.subscription]
    return sorted(found, key=subscriber_key, reverse=True)


def followers_shown(creator: Creator, now_ms: int) -> list[Fan]:
    """Return the followers without an active subscription, newest first."""
    return sorted(creator.followers(now_ms), key=follower_key, reverse=True)


def subscriber_key(fan: Fan) -> tuple[int, str]:
    """Order subscribers by their first subscription, equal instants by uuid."""
    return (fan.subscription.first_at if fan.subscription else 0, fan.uuid)


def follower_key(fan: Fan) -> tuple[int, str]:
    """Order followers by when they came, equal instants by uuid."""
    return (fan.followed_at, fan.uuid)
