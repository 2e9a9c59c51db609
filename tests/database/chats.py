"""A creator's chats as Fanvue lists them, read through the worker's calls."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from tests.database.streams import Creator, Reading


class House:
    """What Fanvue lists of a creator's chats; message n of a chat was sent in minute n."""

    def __init__(self, creator: Creator) -> None:
        self.creator = creator
        self.start = creator.now() - timedelta(days=1)

    def at(self, minute: int) -> str:
        return (self.start + timedelta(minutes=minute)).isoformat()

    def chat(self, fan: str, newest: int, **more: Any) -> dict[str, Any]:
        said = {"at": self.at(newest), "last_message_uuid": f"{fan}-{newest}"}
        return {"fan_uuid": fan, "handle": f"@{fan}", **said, **more}

    def messages(self, fan: str, *minutes: int, **more: Any) -> list[dict[str, Any]]:
        return [
            {
                "message_uuid": f"{fan}-{minute}",
                "at": self.at(minute),
                "sender": "fan",
                "body": f"text {minute}",
                "type": "SINGLE_RECIPIENT",
                **more,
            }
            for minute in minutes
        ]

    def list_chats(self, reading: Reading, *chats: dict[str, Any], **more: Any) -> dict[str, Any]:
        return reading.commit(*chats, next_phase="talk", **more)

    def talk(
        self,
        reading: Reading,
        fan: str,
        *minutes: int,
        done: bool = True,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        phase = "talk" if reading.job["sync_type"] == "messages" else "history"
        return reading.commit(
            *self.messages(fan, *minutes),
            phase=phase,
            next_phase=phase,
            chat=fan,
            chat_done=done,
            chat_cursor=cursor,
        )

    def learn(self, *chats: tuple[str, int]) -> None:
        """Read some chats for the first time, each of them one page long."""
        reading = self.creator.begin("messages")
        self.list_chats(reading, *(self.chat(fan, newest) for fan, newest in chats))
        for fan, newest in chats:
            self.talk(reading, fan, *range(1, newest + 1))
        reading.settle()


def names(todo: list[dict[str, Any]]) -> list[str]:
    return [chat["fan_uuid"] for chat in todo]


def pending(creator: Creator) -> set[str]:
    return creator.names("pending", "fanvue_chats")


def stored(creator: Creator, fan: str) -> set[int]:
    found = creator.names(f"fan_uuid = '{fan}'", "fanvue_messages", "message_uuid")
    return {int(name.rsplit("-", 1)[1]) for name in found}
