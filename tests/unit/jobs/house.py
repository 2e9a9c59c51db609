"""Fanvue's lists and chats behind httpx's transport seam, in both families' ways of paging."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.clock import NOON
from tests.support.fanvue_stub import json_answer


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.clock import ManualClock


CREATOR = "7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01"
NUMBERED_IN_BOTH = {"/posts", "/insights/top-spenders"}


def uuid_of(kind: str, number: int) -> str:
    """Return a uuid that tells what it stands for."""
    digest = hashlib.sha256(f"{kind} {number}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fan(number: int, **more: Any) -> dict[str, Any]:
    return {"uuid": uuid_of("fan", number), "handle": f"fan-{number}", **more}


def post(number: int, **more: Any) -> dict[str, Any]:
    at = stamp(NOON - timedelta(hours=number))
    return {"uuid": uuid_of("post", number), "createdAt": at, "text": f"post {number}", **more}


@dataclass
class Message:
    """One message of a chat."""

    number: int
    at: datetime
    sent: bool = False

    @property
    def uuid(self) -> str:
        return uuid_of("message", self.number)

    def wire(self, fan_uuid: str) -> dict[str, Any]:
        sides = [{"uuid": fan_uuid}, {"uuid": CREATOR}]
        sender, recipient = sides[::-1] if self.sent else sides
        return {
            "uuid": self.uuid,
            "text": f"secret words {self.number}",
            "sentAt": stamp(self.at),
            "sender": sender,
            "recipient": recipient,
            "type": "SINGLE_RECIPIENT",
        }


@dataclass
class House:
    """One creator's lists and chats."""

    clock: ManualClock
    v1: bool = True
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict)
    chats: dict[str, list[Message]] = field(default_factory=dict)
    largest: int = 50
    validators: bool = False
    expired: set[str] = field(default_factory=set)
    tamper: Callable[[str, int, Any], Any] | None = None
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.calls]

    def talk(self, fan_number: int, *ages_in_minutes: float, sent: bool = False) -> list[Message]:
        """Add messages to a chat, each so many minutes old."""
        messages = self.chats.setdefault(uuid_of("fan", fan_number), [])
        total = sum(len(chat) for chat in self.chats.values())
        added = [
            Message(fan_number * 100_000 + total + n, NOON - timedelta(minutes=age), sent)
            for n, age in enumerate(ages_in_minutes)
        ]
        messages += added
        return added

    def heal(self, _: str, __: int, body: Any) -> Any:
        """Accept every cursor from now on; a way to tamper with answers."""
        self.expired.clear()
        return body

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path, params = request.url.path, dict(request.url.params)
        if path.startswith("/v1") != self.v1:
            # Asked once in a day, and not what a test counts.
            return json_answer({"message": "Cannot GET"}, 404)
        self.calls.append((path, params))
        bare = path.removeprefix("/v1").removeprefix(f"/creators/{CREATOR}")
        body = self._body(bare, params)
        if body is not None and self.tamper is not None:
            body = self.tamper(bare, self.paths.count(path), body)
        answer = self._wrapped(request, body)
        self.statuses.append(answer.status_code)
        return answer

    def _wrapped(self, request: httpx.Request, body: Any) -> httpx.Response:
        if isinstance(body, httpx.Response):
            return body
        if body is None:
            return json_answer({"message": "Not found"}, 404)
        headers = {"date": format_datetime(self.clock.now(), usegmt=True)}
        if self.validators:
            headers["etag"] = f'"{hashlib.sha256(json.dumps(body).encode()).hexdigest()[:16]}"'
            if request.headers.get("if-none-match") == headers["etag"]:
                return httpx.Response(304, headers=headers)
        return json_answer(body, headers=headers)

    def _body(self, path: str, params: dict[str, str]) -> Any:
        if path in self.objects:
            return self.objects[path]
        if path == "/chats":
            return self._paged(path, self._chat_rows(), params)
        if path.endswith("/messages"):
            return self._messages(path.split("/")[2], params)
        rows = self.lists.get(path)
        return None if rows is None else self._paged(path, rows, params)

    def _paged(self, path: str, rows: list[dict[str, Any]], params: dict[str, str]) -> Any:
        size = min(int(params.get("size", 15)), self.largest)
        if not self.v1 or path in NUMBERED_IN_BOTH:
            return _numbered(rows, int(params.get("page", 1)), size)
        cursor = params.get("cursor", "after-0")
        place = cursor.removeprefix("after-")
        if cursor in self.expired or not (place.isascii() and place.isdigit()):
            return json_answer({"errors": ["cursor is invalid or has expired"]}, 400)
        start = int(place)
        following = start + size
        more = following < len(rows)
        return {
            "data": rows[start:following],
            "nextCursor": f"after-{following}" if more else None,
        }

    def _chat_rows(self) -> list[dict[str, Any]]:
        newest = [(max(m.at for m in chat), uuid) for uuid, chat in self.chats.items() if chat]
        return [
            {
                "user": {"uuid": uuid},
                "lastMessageAt": stamp(at),
                "lastMessage": {"uuid": self.chats[uuid][-1].uuid, "text": "secret words"},
            }
            for at, uuid in sorted(newest, reverse=True)
        ]

    def _messages(self, fan_uuid: str, params: dict[str, str]) -> Any:
        if fan_uuid not in self.chats:
            return None
        assert params["markAsRead"] == "false"
        found = sorted(self.chats[fan_uuid], key=lambda m: (m.at, m.number), reverse=True)
        if not self.v1:
            size = min(int(params.get("size", 15)), self.largest)
            wire = [message.wire(fan_uuid) for message in found]
            return _numbered(wire, int(params.get("page", 1)), size)
        return self._by_dates(fan_uuid, found, params)

    def _by_dates(self, fan_uuid: str, found: list[Message], params: dict[str, str]) -> Any:
        limit = min(int(params.get("limit", 20)), self.largest)
        bounds = {True: params.get("sentBefore"), False: params.get("receivedBefore")}
        if any(bounds.values()):
            found = [m for m in found if _is_before(m, bounds[m.sent])]
        page, rest = found[:limit], found[limit:]
        return {
            "data": [message.wire(fan_uuid) for message in page],
            "dateFilter": {
                "sentBefore": _go_on(page, rest, sent=True),
                "receivedBefore": _go_on(page, rest, sent=False),
            },
        }


def _numbered(rows: list[Any], page: int, size: int) -> dict[str, Any]:
    chosen = rows[(page - 1) * size : page * size]
    more = page * size < len(rows)
    return {"data": chosen, "pagination": {"page": page, "size": len(chosen), "hasMore": more}}


def _is_before(message: Message, bound: str | None) -> bool:
    return bound is not None and message.at < datetime.fromisoformat(bound)


def _go_on(page: list[Message], rest: list[Message], *, sent: bool) -> str | None:
    if not any(message.sent is sent for message in rest):
        return None
    shown = [message.at for message in page if message.sent is sent]
    return stamp(shown[-1] if shown else page[-1].at + timedelta(milliseconds=1))
