"""The part of a fan that every list shows alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.streams.stream import iso


if TYPE_CHECKING:
    from worker.fanvue.wire_lists import Fan
    from worker.streams.stream import Row


def named(fan: Fan) -> Row:
    """Return who a fan is."""
    return {"fan_uuid": str(fan.uuid), "handle": fan.handle, "display_name": fan.display_name}


def listed(fan: Fan) -> Row:
    """Return what a list of fans says of one."""
    return named(fan) | {
        "registered_at": iso(fan.registered_at),
        "is_top_spender": fan.is_top_spender,
    }
