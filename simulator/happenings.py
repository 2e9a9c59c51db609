"""What happens in the world and who may want to hear of it, in no wire format.

Builders announce happenings to the world; webhooks listen. Nothing here decides what is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from simulator.content import Message
    from simulator.people import Creator, Fan
    from simulator.transactions import Transaction


class Kind(StrEnum):
    """What happened."""

    PAID = "paid"
    REVERSED = "reversed"
    FOLLOWED = "followed"
    SUBSCRIBED = "subscribed"
    RENEWED = "renewed"
    RENEWAL_CHANGED = "renewal_changed"
    UNSUBSCRIBED = "unsubscribed"
    MESSAGE_RECEIVED = "message_received"
    MESSAGE_SENT = "message_sent"
    MESSAGE_READ = "message_read"
    MESSAGE_DELETED = "message_deleted"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to a creator; the instant is in milliseconds."""

    kind: Kind
    creator: Creator
    fan: Fan
    at: int
    row: Transaction | None = None
    message: Message | None = None


Listener = Callable[[Happening], None]
