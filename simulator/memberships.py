"""How fans come, stay and go while the world runs: follows, subscriptions, renewals, ends.

Only access and its periods; the money of a subscription is a sale of its own, see `sales`.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from simulator.happenings import Kind
from simulator.history import MONTH_MS, SUBSCRIPTION_PRICES, new_fan
from simulator.people import Subscription
from simulator.rosters import followers_shown


if TYPE_CHECKING:
    from simulator.people import Creator, Fan
    from simulator.world import World


class Change(StrEnum):
    """What becomes of a subscription."""

    RENEW = "renew"
    STOP_RENEWAL = "stop_renewal"
    END = "end"
    RETURN = "return"


def add_fans(
    world: World, creator: Creator, *, followers: int = 0, subscribers: int = 0
) -> list[Fan]:
    """Add fans who follow, or subscribe, from now on."""
    with world.lock:
        now = world.clock.now_ms()
        fans = [new_fan(world, 1) for _ in range(followers + subscribers)]
        for fan in fans:
            fan.followed_at = now
            creator.add_fan(fan)
        for fan in fans[:subscribers]:
            fan.subscription = Subscription(
                price=world.random.choice(SUBSCRIPTION_PRICES),
                first_at=now,
                period_start=now,
                period_end=now + MONTH_MS,
                auto_renews=True,
            )
            creator.people_changed()
            world.announce(Kind.SUBSCRIBED, creator, fan)
        for fan in fans[subscribers:]:
            world.announce(Kind.FOLLOWED, creator, fan)
        return fans


def unfollow(world: World, creator: Creator, fan_uuids: list[str], *, count: int = 1) -> list[Fan]:
    """Let the named fans leave, or so many of the oldest followers; nothing announces it."""
    with world.lock:
        now = world.clock.now_ms()
        oldest = reversed(followers_shown(creator, now))
        fans = [creator.fan(uuid) for uuid in fan_uuids] or list(islice(oldest, count))
        for fan in fans:
            fan.unfollowed_at = now
        creator.people_changed()
        return fans


def follow_again(
    world: World, creator: Creator, fan_uuids: list[str], *, count: int = 1
) -> list[Fan]:
    """Let the named fans who left follow again, or so many of those who left first."""
    with world.lock:
        now = world.clock.now_ms()
        gone = [fan for fan in creator.fans if fan.unfollowed_at is not None]
        fans = [fan for fan in gone if not fan_uuids or fan.uuid in fan_uuids]
        fans = fans if fan_uuids else fans[:count]
        for fan in fans:
            fan.unfollowed_at, fan.followed_at = None, now
            creator.people_changed()
            world.announce(Kind.FOLLOWED, creator, fan)
        return fans


def change_subscriptions(world: World, creator: Creator, count: int, change: Change) -> list[Fan]:
    """Change so many subscriptions now, the oldest first; only an ended one can return."""
    with world.lock:
        now = world.clock.now_ms()
        fans = creator.subscribers(now)
        if change is Change.RETURN:
            fans = [fan for fan in creator.inactive(now) if fan.subscription]
        if change is Change.STOP_RENEWAL:
            fans = [fan for fan in fans if fan.subscription and fan.subscription.auto_renews]
        for fan in fans[:count]:
            if fan.subscription is not None:
                kind = _change(fan.subscription, change, now)
                creator.people_changed()
                world.announce(kind, creator, fan)
        return fans[:count]


def _change(subscription: Subscription, change: Change, now: int) -> Kind:
    match change:
        case Change.RENEW:
            subscription.period_start, subscription.period_end = now, now + MONTH_MS
            return Kind.RENEWED
        case Change.STOP_RENEWAL:
            period = subscription.period(now)
            subscription.period_start, subscription.period_end = period
            subscription.auto_renews = False
            subscription.cancelled_at = now
            return Kind.RENEWAL_CHANGED
        case Change.END:
            subscription.auto_renews = False
            subscription.period_end = now
            subscription.cancelled_at = now
            return Kind.UNSUBSCRIBED
        case Change.RETURN:
            subscription.period_start, subscription.period_end = now, now + MONTH_MS
            subscription.auto_renews = True
            subscription.cancelled_at = None
            return Kind.SUBSCRIBED
