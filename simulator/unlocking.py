"""Fans buy locked messages: the message is theirs, and a sale of its price names it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from simulator.sales import Sale, add_sale


if TYPE_CHECKING:
    from simulator.content import Message
    from simulator.people import Creator, Fan
    from simulator.transactions import Transaction
    from simulator.world import World


def buy_messages(
    world: World,
    creator: Creator,
    message_uuids: list[str],
    *,
    count: int = 1,
    fan_uuid: str | None = None,
) -> list[tuple[Fan, Message, Transaction]]:
    """Buy the named messages now, or so many of the latest locked ones, of one fan if named."""
    with world.lock:
        locked = creator.chats.locked
        unknown = [uuid for uuid in message_uuids if uuid not in locked]
        if unknown:
            raise KeyError(f"{creator.handle} has no locked message {unknown[0]!r}")
        found = [locked[uuid] for uuid in dict.fromkeys(message_uuids)] or list(
            islice(
                (
                    pair
                    for pair in reversed(locked.values())
                    if fan_uuid is None or pair[0].fan.uuid == fan_uuid
                ),
                count,
            )
        )
        bought = []
        for chat, message in found:
            (row,) = add_sale(
                world,
                creator,
                Sale(
                    source="message",
                    gross_cents=message.price,
                    fan_uuid=chat.fan.uuid,
                    message_uuid=message.uuid,
                ),
            )
            message.purchased_at = row.at
            del locked[message.uuid]
            bought.append((chat.fan, message, row))
        return bought
