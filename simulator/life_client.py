"""The client's orders about people and content: fans, chats, posts, and the truth of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.control_calls import ControlCalls
from simulator.truths import Audience, read_audience


if TYPE_CHECKING:
    from datetime import datetime


BULK_SECONDS = 120.0


class LifeControl(ControlCalls):
    """Steers everything that is not money."""

    def audience(
        self, creator: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> Audience:
        """Return who and what the lists would show now; the window is of the top spenders."""
        query = {
            "creator": creator,
            "start": None if start is None else start.isoformat(),
            "end": None if end is None else end.isoformat(),
        }
        answer = self._call("GET", "audience", query=query, timeout=BULK_SECONDS)
        return read_audience(answer)

    def add_creators(self, count: int = 1, **order: Any) -> list[dict[str, str]]:
        """Add creators; see `control.orders.NewCreators`."""
        body = {"count": count, **order}
        answer = self._call("POST", "creators", body, timeout=BULK_SECONDS)
        return list(answer["creators"])

    def move_creator(self, creator: str, agency: str) -> dict[str, Any]:
        """Let another agency look after a creator, a new one if need be."""
        return self._call("POST", "creators/move", {"creator": creator, "agency": agency})

    def add_fans(self, creator: str, *, followers: int = 0, subscribers: int = 0) -> dict[str, Any]:
        """Add fans who follow or subscribe now."""
        body = {"creator": creator, "followers": followers, "subscribers": subscribers}
        return self._call("POST", "fans", body)

    def add_messages(self, creator: str, count: int = 1, **order: Any) -> dict[str, Any]:
        """Add messages, from fans unless `sent`; see `control.life.NewMessages`."""
        return self._call("POST", "messages", {"creator": creator, "count": count, **order})

    def add_history(
        self,
        creator: str,
        count: int,
        *,
        fans: int = 50,
        days: int = 365,
        ties: int | None = None,
    ) -> dict[str, Any]:
        """Add old messages over so many chats and days, silently."""
        body = {"creator": creator, "count": count, "fans": fans, "days": days, "ties": ties}
        return self._call("POST", "messages/history", body, timeout=BULK_SECONDS)

    def add_posts(self, creator: str, count: int = 1, **order: Any) -> dict[str, Any]:
        """Publish posts now."""
        return self._call("POST", "posts", {"creator": creator, "count": count, **order})

    def cancel_subscriptions(self, creator: str, count: int = 1) -> dict[str, Any]:
        """End subscriptions now."""
        return self._call("POST", "cancellations", {"creator": creator, "count": count})

    def change_subscriptions(self, creator: str, change: str, count: int = 1) -> dict[str, Any]:
        """Renew or end subscriptions, or stop their renewal; see `memberships.Change`."""
        body = {"creator": creator, "count": count, "change": change}
        return self._call("POST", "subscriptions", body)

    def read_messages(self, creator: str, fan_uuid: str) -> int:
        """Let a creator read a chat; return how many messages were unread."""
        body = {"creator": creator, "fan_uuid": fan_uuid}
        return int(self._call("POST", "messages/read", body)["read"])

    def delete_messages(self, creator: str, fan_uuid: str, *message_uuids: str) -> list[str]:
        """Delete messages of a chat, or its newest; return which."""
        body = {"creator": creator, "fan_uuid": fan_uuid, "message_uuids": message_uuids}
        return list(self._call("POST", "messages/delete", body)["deleted"])
