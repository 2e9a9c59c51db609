"""Fills a world with people: agencies, creators, their fans, chats and posts.

Everything is drawn from the world's seed. Money is made by `sales`, never here.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from simulator.content import Message, Post
from simulator.history import (
    DAY_MS,
    MESSAGE_PRICES,
    MONTH_MS,
    SUBSCRIPTION_PRICES,
    TEXTS,
    add_history,
    add_old_fans,
    add_old_posts,
    new_fan,
)
from simulator.people import Subscription
from simulator.sales import add_sales
from simulator.transactions import SALES


if TYPE_CHECKING:
    from simulator.people import Creator, Fan
    from simulator.world import World


TOP_SHARE = 7
CREATOR_NAMES = (
    *("nova", "iris", "juno", "vega", "luna", "cleo", "mira", "skye"),
    *("aria", "dahlia", "ember", "freya", "gaia", "hazel", "ivy", "jade"),
)
LOCKED_EVERY = 5


def populate(  # noqa: PLR0913 - the figures of a world
    world: World,
    *,
    agencies: int = 3,
    models: int = 12,
    transactions: int = 120,
    fans: int = 25,
    days: int = 60,
) -> None:
    """Fill a world: models are dealt to the agencies in turn."""
    for number in range(1, agencies + 1):
        world.add_agency(f"Agency {number}")
    for number in range(models):
        add_model(world, number=number, transactions=transactions, fans=fans, days=days)


def add_model(  # noqa: PLR0913 - each figure of a new model is the caller's choice
    world: World,
    *,
    number: int | None = None,
    agency: str | None = None,
    handle: str = "",
    creator_uuid: str = "",
    transactions: int = 0,
    fans: int = 25,
    days: int = 60,
    messages: int | None = None,
    posts: int | None = None,
    subscribers: int = 0,
    followers: int = 0,
    administrator: bool = False,
) -> Creator:
    """Add one creator with fans, chats, posts and exactly so many transactions: all history.

    Messages and posts are a few unless a number says how many, paid messages not counted;
    subscribers and followers come on top of the fans, exactly so many. An administrator is
    a creator who runs the agency, too.
    """
    with world.silence():
        position = len(world.creators) if number is None else number
        if agency is None:
            home = world.agencies[position % len(world.agencies)]
        else:
            home = next((a for a in world.agencies if agency in (a.uuid, a.name)), None) or (
                world.add_agency(agency)
            )
        name = CREATOR_NAMES[position % len(CREATOR_NAMES)]
        creator = world.add_creator(
            home, handle or f"{name}-{position + 1}", creator_uuid=creator_uuid
        )
        if administrator:
            world.make_administrator(creator)
        for _ in range(fans):
            creator.add_fan(new_fan(world, days))
        for fan in creator.fans[: fans // 3]:
            fan.subscription = _new_subscription(world, fan)
        add_old_fans(world, creator, followers=followers, subscribers=subscribers, days=days)
        if posts is None:
            _fill_posts(world, creator, days)
        else:
            add_old_posts(world, creator, posts, days)
        if messages is None:
            _fill_chats(world, creator)
        elif messages:
            chatting = max(1, len(creator.fans) * 2 // 3)
            add_history(world, creator, messages, fans=chatting, days=days)
        if transactions:
            now = world.clock.now_ms()
            add_sales(world, creator, transactions, since=now - days * DAY_MS, until=now)
        _mark_top_spenders(creator)
        return creator


def _new_subscription(world: World, fan: Fan) -> Subscription:
    rng = world.random
    now = world.clock.now_ms()
    start = fan.followed_at
    month = MONTH_MS
    period_start = start + (now - start) // month * month
    subscription = Subscription(
        price=rng.choice(SUBSCRIPTION_PRICES),
        first_at=start,
        period_start=period_start,
        period_end=period_start + month,
        auto_renews=True,
    )
    chance = rng.random()
    if chance < 1 / 5:
        subscription.auto_renews = False
        subscription.cancelled_at = period_start + DAY_MS
    elif chance < 1 / 3:
        subscription.auto_renews = False
        subscription.period_start = start
        subscription.period_end = min(start + month, now - 1)
        subscription.cancelled_at = start
    return subscription


def _mark_top_spenders(creator: Creator) -> None:
    paid: Counter[str] = Counter()
    for row in creator.ledger.rows(SALES):
        if row.fan is not None:
            paid[row.fan.uuid] += row.gross
    for uuid, _ in paid.most_common(len(creator.fans) // TOP_SHARE):
        creator.fans_by_uuid[uuid].is_top_spender = True


def _fill_posts(world: World, creator: Creator, days: int) -> None:
    rng = world.random
    now = world.clock.now_ms()
    for number in range(8):
        creator.add_post(
            Post(
                uuid=world.new_uuid(),
                at=now - days * DAY_MS - DAY_MS + number * 1000,
                text=f"post {number + 1} of {creator.handle}",
                price=None if number % 2 else 1500,
                audience="subscribers" if number % 3 else "followers-and-subscribers",
                media_uuids=[world.new_uuid()],
                likes=rng.randrange(40),
                comments=rng.randrange(8),
                is_pinned=number == 0,
            )
        )


def _fill_chats(world: World, creator: Creator) -> None:
    rng = world.random
    now = world.clock.now_ms()
    for fan in creator.fans[: max(1, len(creator.fans) * 2 // 3)]:
        chat = creator.chats.with_fan(fan, fan.followed_at)
        for number in range(rng.randrange(1, 9)):
            sent = rng.random() < 1 / 2
            message = Message(
                uuid=world.new_uuid(),
                at=rng.randrange(fan.followed_at, now),
                text=rng.choice(TEXTS),
                sent=sent,
                is_read=rng.random() < 2 / 3,
            )
            if sent and number % LOCKED_EVERY == 0:
                message.price = MESSAGE_PRICES[number % len(MESSAGE_PRICES)]
                message.media_uuids = [world.new_uuid()]
            chat.add(message)
