"""The walk functions of the database in memory, for streams of rows that stand for themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.unit.jobs.walk_book import floats_in
from tests.unit.store.rpc_stub import lost_lease


@dataclass
class Chat:
    """How far a chat is read."""

    at: datetime | None = None
    pending: bool = False
    known_until: datetime | None = None
    live_cursor: str | None = None
    live_newest: datetime | None = None
    history_cursor: str | None = None
    history_done: bool = False


@dataclass
class StreamBook:
    """What the database knows of one stream."""

    sync_type: str
    kind: str = "incremental"
    floor: datetime | None = None
    keep_text: bool = True
    day: str = "2026-11-22"
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    chats: dict[str, Chat] = field(default_factory=dict)
    pages: list[dict[str, Any]] = field(default_factory=list)
    validator: dict[str, Any] | None = None
    version: int = 0
    walk: dict[str, Any] | None = None
    closed_as: list[str | None] = field(default_factory=list)

    def begin(self, _: dict[str, Any]) -> dict[str, Any]:
        if self.walk is None:
            self.walk = {
                "walk_id": "walk",
                "kind": self.kind,
                "phase": "history" if self.sync_type == "message_history" else "rows",
                "mode": "cursor",
                "cursor": None,
                "position": None,
                "ceiling": None,
                "newest": None,
                "notes": {},
                "pages": 0,
                "rows": 0,
            }
        fresh = self.walk["kind"] == "incremental" and self.walk["pages"] == 0
        return {
            **self.walk,
            "version": self.version,
            "floor": None if self.floor is None else self.floor.isoformat(),
            "aside_due": False,
            "aside_checked_at": None,
            "todo": self._todo(self.walk["phase"]),
            "validator": self.validator if fresh else None,
            "known": len(self.rows) + len(self.chats),
            "settings": {"keep_text": self.keep_text, "day": self.day},
        }

    def commit(self, asked: dict[str, Any]) -> dict[str, Any]:
        page = asked["p_page"]
        assert not floats_in(page), "money must not travel as a float"
        if self.walk is None or self.version != asked["p_version"]:
            raise lost_lease()
        self.version += 1
        self.pages.append(page)
        inserted = self._store(page)
        self.walk |= {name: page[name] for name in ("mode", "cursor", "position")}
        self.walk["phase"] = page["next_phase"]
        self.walk["notes"] = {**self.walk["notes"], **page["notes"]}
        self.walk["pages"] += page["pages"]
        if page["validator"] is not None:
            self.validator = page["validator"]
        todo = self._todo(self.walk["phase"])
        complete = page["complete"] or page["not_modified"] or self._ends(page, inserted, todo)
        if complete:
            self.closed_as.append(page["partial"])
            self.walk = None
        return {
            "version": self.version,
            "inserted": inserted,
            "updated": 0,
            "unchanged": len(page["rows"]) - inserted,
            "amount": "0.00",
            "cancel": False,
            "complete": complete,
            "partial": page["partial"] if complete else None,
            "todo": todo,
        }

    def _ends(self, page: dict[str, Any], inserted: int, todo: list[Any]) -> bool:
        if page["until_known"] and self.kind == "incremental" and not inserted:
            return True
        return page["next_phase"] in {"talk", "history"} and not todo

    def _store(self, page: dict[str, Any]) -> int:
        if page["chat"] is not None:
            return self._store_messages(page)
        before = len(self.rows)
        for row in page["rows"]:
            name = row.get("fan_uuid") or row.get("post_uuid") or "account"
            self.rows[name] = row
            if self.sync_type == "messages":
                self._heard_of(name, row["at"])
        return len(self.rows) - before

    def _heard_of(self, name: str, instant: str | None) -> None:
        if instant is None:
            # A chat without messages.
            return
        at = datetime.fromisoformat(instant)
        chat = self.chats.setdefault(name, Chat())
        chat.pending |= chat.at is None or at > chat.at
        chat.at = at

    def _store_messages(self, page: dict[str, Any]) -> int:
        chat, before = self.chats[page["chat"]], len(self.messages)
        self.messages |= {row["message_uuid"]: row for row in page["rows"]}
        if page["phase"] == "history":
            chat.history_cursor = page["chat_cursor"]
            chat.history_done = chat.history_cursor is None
            return len(self.messages) - before
        instants = [datetime.fromisoformat(row["at"]) for row in page["rows"]]
        first_look = chat.known_until is None
        chat.live_newest = chat.live_newest or max(instants, default=None)
        chat.live_cursor = page["chat_cursor"]
        if page["chat_done"]:
            if first_look:
                chat.history_cursor = page["chat_cursor"]
                chat.history_done = chat.history_cursor is None
            chat.known_until = chat.live_newest or chat.known_until
            chat.pending, chat.live_cursor, chat.live_newest = False, None, None
        return len(self.messages) - before

    def _todo(self, phase: str) -> list[dict[str, Any]]:
        if phase == "talk":
            return [
                {
                    "fan_uuid": name,
                    "known_until": chat.known_until and chat.known_until.isoformat(),
                    "cursor": chat.live_cursor,
                }
                for name, chat in self.chats.items()
                if chat.pending
            ]
        if phase == "history":
            return [
                {"fan_uuid": name, "known_until": None, "cursor": chat.history_cursor}
                for name, chat in self.chats.items()
                if not chat.history_done
            ]
        return []
