"""How money happens in the world: sales, ties, late rows, reversals and status flips.

Each row is consistent with the rest of the world: a paid message exists in its chat, a tip
counts on its post. Amounts are whole US cents; creators keep 80 % unless a row says otherwise.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotation at run time
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from simulator.clock import to_millis
from simulator.content import Message, Tip
from simulator.happenings import Kind
from simulator.transactions import REWARD_SOURCES, SALES, Transaction


if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.people import Creator, Fan
    from simulator.world import World


DAY_MS = 86_400_000
HOLD_MS = 7 * DAY_MS
CURRENCIES = ("USD", "USD", "USD", "GBP", "EUR", "BRL", None)
PRICES = (300, 500, 700, 999, 1200, 1500, 2500, 4999)
SOURCE_WEIGHTS = {
    "message": 38,
    "tip": 20,
    "renewal": 14,
    "subscription": 10,
    "post": 8,
    "mediaLink": 3,
    "checkoutLink": 2,
    "appStore": 1,
    "fanExperience": 1,
    "referral": 1,
    "affiliate": 1,
    "giveaway": 1,
}


class Sale(BaseModel):
    """One sale as a caller describes it; whatever is left out is chosen from the seed."""

    model_config = ConfigDict(extra="forbid")

    source: str = ""
    gross_cents: int | None = None
    net_cents: int | None = None
    total_cents: int | None = None
    currency: str | None = "USD"
    at: AwareDatetime | None = None
    visible_at: AwareDatetime | None = None
    available_at: AwareDatetime | None = None
    fan_uuid: str | None = None
    message_uuid: str | None = None
    post_uuid: str | None = None
    copies: int = Field(default=1, ge=1)


def add_sale(world: World, creator: Creator, sale: Sale) -> list[Transaction]:
    """Add a described sale, as many times as it says; equal copies share their instant."""
    with world.lock:
        at = world.clock.now_ms() if sale.at is None else to_millis(sale.at)
        source = sale.source or _draw_source(world)
        fan = _fan_for(world, creator, source, sale.fan_uuid)
        gross = sale.gross_cents if sale.gross_cents is not None else world.random.choice(PRICES)
        rows = []
        for _ in range(sale.copies):
            row = _new_row(world, creator, source=source, gross=gross, at=at, fan=fan)
            row.currency = sale.currency
            row.net = row.net if sale.net_cents is None else sale.net_cents
            row.total = row.total if sale.total_cents is None else sale.total_cents
            row.available_at = _millis(sale.available_at, row.available_at)
            row.visible_at = max(at, _millis(sale.visible_at, at))
            row.message_uuid, row.post_uuid = sale.message_uuid, sale.post_uuid
            if sale.message_uuid is None and sale.post_uuid is None:
                _attach_content(world, creator, row)
            creator.ledger.add(row, world.clock.now_ms())
            world.announce(Kind.PAID, creator, fan, row=row)
            rows.append(row)
        return rows


def add_sales(  # noqa: PLR0913 - who, how many and when
    world: World,
    creator: Creator,
    count: int,
    *,
    since: int | None = None,
    until: int | None = None,
    visible_at: int | None = None,
) -> list[Transaction]:
    """Add exactly so many varied sales, each at its own millisecond, within [since, until)."""
    with world.lock:
        now = world.clock.now_ms()
        high = now + 1 if until is None else until
        low = high - max(count, 1) if since is None else min(since, high - count)
        times = sorted(world.random.sample(range(low, high), count))
        return _add_varied(world, creator, times, visible_at)


def add_sales_with_ties(  # noqa: PLR0913 - the shape of the ties is the point
    world: World,
    creator: Creator,
    count: int,
    *,
    page_size: int = 50,
    borders: Iterable[int] = (1,),
    width: int = 4,
    since: int | None = None,
) -> list[Transaction]:
    """Add sales of which `width` share one millisecond across each named page border.

    Borders are counted from the newest row, so the creator must have no newer rows.
    """
    with world.lock:
        now = world.clock.now_ms()
        low = now - 30 * DAY_MS if since is None else since
        times = sorted(world.random.sample(range(low, now), count), reverse=True)
        for border in borders:
            first = border * page_size - width // 2
            for position in range(max(first, 0), min(first + width, count)):
                times[position] = times[min(border * page_size, count - 1)]
        return _add_varied(world, creator, sorted(times), None)


def add_reversals(  # noqa: PLR0913 - who, how many, which, what and when
    world: World,
    creator: Creator,
    *,
    count: int = 1,
    order_ids: Iterable[str] = (),
    kind: str = "refund",
    at: int | None = None,
) -> list[Transaction]:
    """Take back the named sales, or the newest ones that a fan paid and still stand."""
    with world.lock:
        ledger = creator.ledger
        now = world.clock.now_ms()
        ledger.settle(now)
        named = [ledger.find(order_id) for order_id in order_ids]
        if None in named:
            raise KeyError("no sale with one of these order ids is visible")
        originals = [row for row in named if row is not None] or [
            row for row in reversed(ledger.rows(SALES)) if row.fan and not row.reversed_by
        ][:count]
        if any(row.reversed_by for row in originals):
            raise ValueError("a sale can be reversed only once")
        when = now if at is None else at
        return [_reverse(world, creator, original, kind, when) for original in originals]


def flip_statuses(
    world: World, creator: Creator, *, count: int | None = None, order_ids: Iterable[str] = ()
) -> list[Transaction]:
    """Make pending rows available for payout now: the named ones, or the oldest."""
    with world.lock:
        now = world.clock.now_ms()
        creator.ledger.settle(now)
        wanted = set(order_ids)
        pending = [
            row
            for row in creator.ledger.rows()
            if row.available_at > now and (not wanted or row.order_id in wanted)
        ]
        chosen = pending if wanted or count is None else pending[:count]
        for row in chosen:
            row.available_at = now
        creator.ledger.touched()
        return chosen


def _add_varied(
    world: World, creator: Creator, times: list[int], visible_at: int | None
) -> list[Transaction]:
    now = world.clock.now_ms()
    rows = []
    for at in times:
        source = _draw_source(world)
        fan = _fan_for(world, creator, source, None)
        gross = world.random.choice(PRICES)
        row = _new_row(world, creator, source=source, gross=gross, at=at, fan=fan)
        row.visible_at = at if visible_at is None else max(at, visible_at)
        _attach_content(world, creator, row)
        creator.ledger.add(row, now)
        world.announce(Kind.PAID, creator, fan, row=row)
        rows.append(row)
    return rows


def _new_row(  # noqa: PLR0913 - the facts of a row
    world: World, creator: Creator, *, source: str, gross: int, at: int, fan: Fan | None
) -> Transaction:
    rng = world.random
    serial = creator.ledger.next_serial()
    number = world.next_order_number()
    reward = source in REWARD_SOURCES
    return Transaction(
        at=at,
        serial=serial,
        number=number,
        paired_number=creator.ledger.paired_number(serial, number),
        source=source,
        gross=gross,
        net=gross if reward else gross * 80 // 100,
        total=gross if reward else gross + gross * rng.randrange(3, 26) // 100,
        currency="USD" if reward else rng.choice(CURRENCIES),
        fan=fan,
        available_at=at + HOLD_MS,
        visible_at=at,
    )


def _reverse(
    world: World, creator: Creator, original: Transaction, kind: str, at: int
) -> Transaction:
    row = _new_row(world, creator, source=kind, gross=-original.gross, at=at, fan=original.fan)
    row.net, row.total, row.currency = -original.net, -original.total, original.currency
    row.message_uuid, row.post_uuid = original.message_uuid, original.post_uuid
    row.reverses, original.reversed_by = original, row
    creator.ledger.add(row, world.clock.now_ms())
    world.announce(Kind.REVERSED, creator, row.fan, row=row)
    return row


def _draw_source(world: World) -> str:
    return world.random.choices(tuple(SOURCE_WEIGHTS), tuple(SOURCE_WEIGHTS.values()))[0]


def _fan_for(world: World, creator: Creator, source: str, fan_uuid: str | None) -> Fan | None:
    if fan_uuid is not None:
        return creator.fan(fan_uuid)
    if source in REWARD_SOURCES or not creator.fans:
        return None
    return world.random.choice(creator.fans)


def _attach_content(world: World, creator: Creator, row: Transaction) -> None:
    fan = row.fan
    if fan is None:
        return
    if row.source == "message":
        message = Message(
            uuid=world.new_uuid(),
            at=min(row.at - world.random.randrange(1_000, 900_000), world.clock.now_ms()),
            text="locked clip",
            sent=True,
            price=row.gross,
            purchased_at=row.at,
            media_uuids=[world.new_uuid()],
        )
        creator.chats.with_fan(fan, fan.followed_at).add(message)
        row.message_uuid = message.uuid
    elif row.source in {"post", "tip"} and creator.posts and world.random.random() < 2 / 3:
        wanted = [p for p in creator.posts if (p.price is not None) == (row.source == "post")]
        post = world.random.choice(wanted or creator.posts)
        row.post_uuid = post.uuid
        if row.source == "tip":
            post.tips.append(Tip(fan, row.at, row.gross, row.net))


def _millis(moment: datetime | None, otherwise: int) -> int:
    return otherwise if moment is None else to_millis(moment)
