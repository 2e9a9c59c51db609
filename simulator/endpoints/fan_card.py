"""How a fan looks in lists, chats and tips: one card, the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.clock import stamp


if TYPE_CHECKING:
    from simulator.people import Fan


def fan_card(fan: Fan) -> dict[str, Any]:
    """Render a fan with everything the list endpoints show."""
    return {
        "uuid": fan.uuid,
        "handle": fan.handle,
        "displayName": fan.display_name,
        "nickname": fan.nickname,
        "isTopSpender": fan.is_top_spender,
        "avatarUrl": fan.avatar_url,
        "registeredAt": stamp(fan.registered_at),
    }
