"""Which optional keys of a data object travel: none that are empty, all, or as few as allowed."""

from __future__ import annotations

from typing import Any

from simulator.webhook_knobs import Optionals


PERSON = frozenset({"handle", "display_name", "avatar_url", "email"})
SPARE: dict[str, frozenset[str]] = {
    "payment": frozenset({"net", "created_at", "paid_at", "subscription", "tracking"}),
    "subscription": frozenset(
        {"current_period_start", "created_at", "expires_at", "deactivation_reason"}
    ),
    "message": frozenset({"text", "is_automated", "is_muted", "unread_messages_count"}),
    "follow": frozenset({"created_at"}),
}


def trim(data: dict[str, Any], optionals: Optionals) -> dict[str, Any]:
    """Return the data object with the keys that travel."""
    if optionals is Optionals.NULL:
        return data
    spare: frozenset[str] = frozenset()
    if optionals is Optionals.MINIMAL:
        spare = SPARE.get(data.get("object", ""), PERSON) | PERSON
    return {
        key: trim(value, optionals) if isinstance(value, dict) else value
        for key, value in data.items()
        if value is not None and key not in spare
    }
