"""Bulk history: many old messages, posts and fans at once, which nobody hears of.

Made for sizes of real accounts; a hundred thousand messages take about a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.content import Message, Post
from simulator.people import Fan, Subscription


if TYPE_CHECKING:
    from simulator.people import Creator
    from simulator.world import World


DAY_MS = 86_400_000
MONTH_MS = 30 * DAY_MS
SUBSCRIPTION_PRICES = (499, 999, 1499)
MESSAGE_PRICES = (500, 900, 1500, 2500)
LOCKED_EVERY = 20
UNREAD_EVERY = 50
TIED_EVERY = 100
FAN_NAMES = (
    *("mara", "theo", "lin", "sam", "alex", "kim", "noah", "ella", "omar", "yuki"),
    *("pablo", "nina", "ravi", "zoe", "finn", "lea", "max", "ida", "hugo", "tess"),
)
TEXTS = ("hi there", "good morning", "loved the last one", "new set tonight", "thank you!")


def add_history(  # noqa: PLR0913 - the shape of a history
    world: World,
    creator: Creator,
    messages: int,
    *,
    fans: int = 50,
    days: int = 365,
    ties: int | None = None,
) -> int:
    """Add old messages over so many chats; return how many share an instant with another.

    Directions are mixed, each twentieth message is locked and not bought. Every instant is
    unique but for the ties, which share theirs with the message before in the same chat.
    """
    with world.silence():
        now = world.clock.now_ms()
        rng = world.random
        while len(creator.fans) < fans:
            creator.add_fan(new_fan(world, days))
        chosen = rng.sample(creator.fans, fans)
        wanted = messages // TIED_EVERY if ties is None else ties
        tied = set(rng.sample(range(messages), min(wanted, messages)))
        made = 0
        for number, at in enumerate(sorted(rng.sample(range(now - days * DAY_MS, now), messages))):
            fan = rng.choice(chosen)
            chat = creator.chats.with_fan(fan, min(fan.followed_at, at))
            previous = chat.messages[-1] if chat.messages else None
            tie = number in tied and previous is not None and previous.at < now
            if tie and previous is not None:
                at = previous.at  # noqa: PLW2901 - the tie is the point
            made += tie
            chat.add(_old_message(world, number, at))
        return made


def _old_message(world: World, number: int, at: int) -> Message:
    rng = world.random
    locked = number % LOCKED_EVERY == 0
    sent = locked or rng.random() < 1 / 2
    return Message(
        uuid=world.new_uuid(),
        at=at,
        text=rng.choice(TEXTS),
        sent=sent,
        price=rng.choice(MESSAGE_PRICES) if locked else None,
        media_uuids=[world.new_uuid()] if locked else [],
        is_read=number % UNREAD_EVERY != 1,
    )


def add_old_fans(
    world: World, creator: Creator, *, followers: int, subscribers: int, days: int
) -> None:
    """Add exactly so many followers and active subscribers, who came within so many days."""
    with world.silence():
        now = world.clock.now_ms()
        fans = [new_fan(world, days) for _ in range(followers + subscribers)]
        for number, fan in enumerate(fans):
            if number < subscribers:
                start = fan.followed_at
                period_start = start + (now - start) // MONTH_MS * MONTH_MS
                renews = number % 5 != 0
                fan.subscription = Subscription(
                    price=world.random.choice(SUBSCRIPTION_PRICES),
                    first_at=start,
                    period_start=period_start,
                    period_end=period_start + MONTH_MS,
                    auto_renews=renews,
                    cancelled_at=None if renews else period_start,
                )
            creator.add_fan(fan)


def add_old_posts(world: World, creator: Creator, count: int, days: int) -> None:
    """Add exactly so many posts over the past days, each at its own millisecond."""
    rng = world.random
    now = world.clock.now_ms()
    times = sorted(rng.sample(range(now - days * DAY_MS, now), count))
    for number, at in enumerate(times):
        creator.add_post(
            Post(
                uuid=world.new_uuid(),
                at=at,
                text=f"post {number + 1} of {creator.handle}",
                price=None if number % 2 else 1500,
                audience="subscribers" if number % 3 else "followers-and-subscribers",
                media_uuids=[world.new_uuid()],
                likes=rng.randrange(40),
                comments=rng.randrange(8),
                is_pinned=number == 0,
            )
        )


def new_fan(world: World, days: int) -> Fan:
    """Return somebody who followed within so many days."""
    rng = world.random
    now = world.clock.now_ms()
    name = rng.choice(FAN_NAMES)
    letter = rng.choice("abcdefghijklmnoprstw")
    followed_at = now - rng.randrange(DAY_MS, days * DAY_MS + DAY_MS + 1)
    uuid = world.new_uuid()
    return Fan(
        uuid=uuid,
        handle=f"{name}-{letter}{uuid[:4]}",
        display_name=f"{name.title()} {letter.upper()}.",
        nickname=name.title() if rng.random() < 1 / 3 else None,
        avatar_url=f"https://media.example.test/a/{name}.jpg" if rng.random() < 1 / 2 else None,
        registered_at=followed_at - rng.randrange(DAY_MS, 300 * DAY_MS),
        followed_at=followed_at,
    )
