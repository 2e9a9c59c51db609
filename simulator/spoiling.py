"""Rows whose details are spoilt: null, of another type, or no text at all; ids in capitals.

What makes a row what it is stays as it is, so that its books can be exact all the same.
"""

from __future__ import annotations

import re
from typing import Any


# What Postgres cannot store: NUL and half a pair of surrogates.
UNSTORABLE = "a\0b\ud83d"

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FAN = [("handle", 5), ("displayName", UNSTORABLE), ("isTopSpender", "often"), ("nickname", [])]
_MONEY: list[tuple[str, Any]] = [
    ("user", {"uuid": None}),
    ("messageUuid", ""),
    ("postUuid", 5),
    ("currency", 826),
    ("net", None),
    ("source", ""),
    ("transactionOrderStatus", ""),
    ("transactionOrderId", {}),
]
DETAILS: dict[str, list[tuple[str, Any]]] = {
    "/insights/earnings": _MONEY,
    "/insights/spending": _MONEY,
    "/insights/top-spenders": [("messages", "many"), ("gross", None), ("net", "much")],
    "/subscribers": [*_FAN, ("registeredAt", "soon")],
    "/followers": [*_FAN, ("registeredAt", 5)],
    "/chats": [
        ("unreadMessagesCount", None),
        ("isMuted", {}),
        ("lastMessage", {"uuid": None}),
        ("lastMessageAt", "soon"),
    ],
    "/chats/{userUuid}/messages": [("type", None), ("text", UNSTORABLE), ("mediaUuids", 7)],
    "/posts": [("tips", {"count": None}), ("audience", 5), ("likesCount", "many")],
}


def spoil(template: str, body: Any, every: int) -> Any:
    """Return an answer in which every so many rows have one detail spoilt, each in its turn."""
    details = DETAILS.get(template)
    if details is None or not isinstance(body, dict) or not isinstance(body.get("data"), list):
        return body
    rows = list(body["data"])
    for turn, place in enumerate(range(0, len(rows), every)):
        rows[place] = _spoilt(rows[place], *details[turn % len(details)])
    return {**body, "data": rows}


def in_capitals(body: Any) -> Any:
    """Return JSON with every uuid in capitals; it names the same thing."""
    if isinstance(body, dict):
        return {name: in_capitals(value) for name, value in body.items()}
    if isinstance(body, list):
        return [in_capitals(value) for value in body]
    return body.upper() if isinstance(body, str) and _UUID.fullmatch(body) else body


def _spoilt(row: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    if "date" in row and row.get("gross", 0) < 0 and name == "source":
        # It is known by its source, unless it says what it reverses.
        told = row.get("reversedTransactionOrderId")
        if told in {None, row.get("transactionOrderId")}:
            return row
    return {**row, name: value}
