"""The client's orders about people and content: fans, chats, posts, and the truth of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.control_calls import ControlCalls
from simulator.truths import Audience, read_audience


if TYPE_CHECKING:
    from datetime import datetime


class LifeControl(ControlCalls):
    """Steers everything that is not money."""

    def audience(
        self,
        creator: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        details: bool = False,
    ) -> Audience:
        """Return who and what the lists would show now, with every row if details are wanted.

        The window, its end exclusive, is that of the top spenders.
        """
        query = {
            "creator": creator,
            "start": None if start is None else start.isoformat(),
            "end": None if end is None else end.isoformat(),
            "details": "true" if details else None,
        }
        answer = self._call("GET", "audience", query=query)
        return read_audience(answer)

    def add_creators(self, count: int = 1, **order: Any) -> list[dict[str, str]]:
        """Add creators; see `control.orders.NewCreators`."""
        body = {"count": count, **order}
        answer = self._call("POST", "creators", body)
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
        return self._call("POST", "messages/history", body)

    def add_posts(self, creator: str, count: int = 1, **order: Any) -> dict[str, Any]:
        """Publish posts now."""
        return self._call("POST", "posts", {"creator": creator, "count": count, **order})

    def delete_chat(self, creator: str, fan_uuid: str) -> int:
        """Delete a chat; return how many messages it had."""
        body = {"creator": creator, "fan_uuid": fan_uuid}
        return int(self._call("POST", "chats/delete", body)["deleted"])

    def mute_chat(self, creator: str, fan_uuid: str, *, muted: bool = True) -> None:
        """Mute a chat, or let it be heard again."""
        body = {"creator": creator, "fan_uuid": fan_uuid, "muted": muted}
        self._call("POST", "chats/mute", body)

    def rename_fan(self, creator: str, fan_uuid: str, **names: str) -> None:
        """Give a fan another `handle` or `display_name`."""
        self._call("POST", "fans/rename", {"creator": creator, "fan_uuid": fan_uuid, **names})

    def delete_posts(self, creator: str, *post_uuids: str) -> list[str]:
        """Delete posts, or the newest; return which."""
        body = {"creator": creator, "post_uuids": post_uuids}
        return list(self._call("POST", "posts/delete", body)["deleted"])

    def react_to_posts(
        self, creator: str, *post_uuids: str, likes: int = 1, comments: int = 0
    ) -> list[str]:
        """Let fans like and comment on posts, or on the newest; return which."""
        body = {"creator": creator, "post_uuids": post_uuids, "likes": likes, "comments": comments}
        return list(self._call("POST", "posts/react", body)["posts"])

    def buy_messages(
        self, creator: str, *message_uuids: str, count: int = 1, fan_uuid: str | None = None
    ) -> list[dict[str, Any]]:
        """Let fans buy locked messages: the named, or so many of the latest; return the sales."""
        body = {"creator": creator, "message_uuids": message_uuids, "count": count}
        answer = self._call("POST", "purchases", {**body, "fan_uuid": fan_uuid})
        return list(answer["purchases"])

    def unfollow(self, creator: str, *fan_uuids: str, count: int = 1) -> list[str]:
        """Let followers leave: the named, or so many of the oldest; return who."""
        body = {"creator": creator, "fan_uuids": fan_uuids, "count": count}
        return [fan["uuid"] for fan in self._call("POST", "unfollows", body)["fans"]]

    def follow_again(self, creator: str, *fan_uuids: str, count: int = 1) -> list[str]:
        """Let fans who left follow again; return who."""
        body = {"creator": creator, "fan_uuids": fan_uuids, "count": count}
        return [fan["uuid"] for fan in self._call("POST", "unfollows/undo", body)["fans"]]

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
