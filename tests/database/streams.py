"""A creator's streams as Fanvue shows them: readings of lists and chats, and the events about them.

Each reading is one job's walk, played through the worker's calls.
"""

from __future__ import annotations

import itertools
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from tests.database.engine import Engine, Worker


class Creator:
    """One creator some of whose streams are switched on."""

    def __init__(self, engine: Engine, *streams: str, agency_id: uuid.UUID | None = None) -> None:
        self.engine = engine
        engine.rows(
            "update private.sync_streams set enabled = true where sync_type = any (%s)",
            list(streams),
        )
        self.uuid = str(uuid.uuid4())
        self.agency_id = agency_id or engine.agency()
        self.model_id = engine.model(self.agency_id, due=False, fanvue_user_uuid=self.uuid)
        engine.rows(
            "update public.sync_state set next_sync_at = null"
            " where model_id = %s and sync_type = 'message_history'",
            self.model_id,
        )
        self._events = itertools.count(1)

    def now(self) -> datetime:
        """Return the engine's time."""
        moment = self.engine.value("select private.engine_now()")
        assert isinstance(moment, datetime)
        return moment

    def at(self, **ago: float) -> str:
        """Return an instant so long ago."""
        return (self.now() - timedelta(**ago)).isoformat()

    def begin(self, stream: str, *, full: bool = False) -> Reading:
        """Queue a stream, claim its job and begin its walk."""
        return Reading(self, stream, full=full)

    def read(self, stream: str, *pages: list[dict[str, Any]], full: bool = False) -> dict[str, Any]:
        """Read a list to its end, page by page, and return the last reply."""
        reading = self.begin(stream, full=full)
        replies = [reading.commit(*page, cursor="more") for page in pages[:-1]]
        replies.append(reading.commit(*(pages[-1] if pages else []), complete=True))
        reading.settle()
        return replies[-1]

    def poll(self, stream: str, *pages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Read a list from the top until the database knows the rest; return the replies."""
        reading = self.begin(stream)
        replies = []
        for number, page in enumerate(pages, start=1):
            last = number == len(pages)
            replies.append(reading.commit(*page, complete=last, until_known=True))
            if replies[-1]["complete"]:
                break
        reading.settle()
        return replies

    def told(self, topic: str, at: str | None = None, **data: Any) -> Any:
        """Receive an event about this creator."""
        return self.engine.call("receive_webhook_event", self.event(topic, at, **data))["status"]

    def event(self, topic: str, at: str | None = None, **data: Any) -> dict[str, Any]:
        """Build an event about this creator."""
        moment = at or self.at()
        return {
            "id": f"{self.uuid}-{next(self._events)}",
            "type": f"creator.{topic}",
            "timestamp": moment,
            "data": {"creator": {"uuid": self.uuid}, "created_at": moment, **data},
        }

    def subscribed(self, fan: str, at: str | None = None) -> Any:
        """Hear that a fan subscribed."""
        return self.told("subscription.activated", at, status="active", purchaser={"uuid": fan})

    def unsubscribed(self, fan: str, at: str | None = None) -> Any:
        """Hear that a subscription ended."""
        return self.told("subscription.deactivated", at, status="expired", purchaser={"uuid": fan})

    def followed(self, fan: str, at: str | None = None) -> Any:
        """Hear that a fan followed."""
        return self.told("follow.created", at, follower={"uuid": fan})

    def wrote(self, number: str, fan: str = "f1", text: str = "hello", **more: Any) -> Any:
        """Hear that a fan sent a message."""
        data = {"uuid": number, "sender": "fan", "text": text, "fan": {"uuid": fan}, **more}
        return self.told("message.received", **data)

    def state(self, stream: str) -> dict[str, Any]:
        """Return a stream's state row."""
        (row,) = self.engine.rows(
            "select * from public.sync_state where model_id = %s and sync_type = %s",
            self.model_id,
            stream,
        )
        return row

    def rows(self, table: str, columns: str, order: str) -> list[tuple[Any, ...]]:
        """Return this creator's rows of a table."""
        query = f"select {columns} from public.{table} where model_id = %s order by {order}"  # noqa: S608 - names from the tests
        return [tuple(row.values()) for row in self.engine.rows(query, self.model_id)]

    def names(self, condition: str, table: str = "fanvue_fans", name: str = "fan_uuid") -> set[str]:
        """Return which of this creator's rows fulfil a condition."""
        query = f"select {name} as name from public.{table} where model_id = %s and {condition}"  # noqa: S608 - names from the tests
        return {row["name"] for row in self.engine.rows(query, self.model_id)}

    def counters(self) -> tuple[int, int]:
        """Return the model's counts of subscribers and followers."""
        (row,) = self.engine.rows(
            "select subscribers_count, followers_count from public.models where id = %s",
            self.model_id,
        )
        return row["subscribers_count"], row["followers_count"]

    def override(self, stream: str, *, agency: bool = False, **settings: Any) -> None:
        """Set what differs from the defaults for this model, or its agency."""
        names = ", ".join(settings)
        slots = ", ".join(["%s"] * len(settings))
        whose, key = ("agency_id", self.agency_id) if agency else ("model_id", self.model_id)
        self.engine.rows(
            f"insert into private.sync_overrides ({whose}, sync_type, {names})"  # noqa: S608 - names from the tests
            f" values (%s, %s, {slots})",
            key,
            stream,
            *settings.values(),
        )


class Reading:
    """One job's walk over one stream."""

    def __init__(self, creator: Creator, stream: str, *, full: bool = False) -> None:
        self.creator = creator
        self.engine = creator.engine
        self.engine.call("enqueue_sync", creator.model_id, stream, full)
        reply = self.engine.call("claim_model_job", "w0", creator.model_id, stream, 60)
        (self.job,) = reply["jobs"]
        self.state = self.engine.begin(self.job)
        self.version = self.state["version"]
        self.partial: str | None = None

    def page(self, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Build the next page."""
        stamped = {"ceiling": self.creator.at(), "position": None, **more}
        return self.engine.page(self.state, f"v{self.version}", *rows, **stamped)

    def send(self, page: dict[str, Any], version: int, by: Worker | None = None) -> dict[str, Any]:
        """Send a page on a version, perhaps by another worker."""
        ids = self.job["id"], self.job["lease_id"]
        return dict((by or self.engine).call("commit_sync_page", *ids, version, page))

    def commit(self, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Commit the next page."""
        reply = self.send(self.page(*rows, **more), self.version)
        self.version = reply["version"]
        self.partial = reply["partial"]
        return reply

    def settle(self, outcome: str = "done") -> None:
        """Give the job back as the worker does after its walk."""
        state = "partial" if self.partial else "succeeded"
        more = {"state": state} if outcome == "done" else {}
        assert self.engine.settle(self.job, outcome, **more) == [self.job["id"]]


def fans(*names: str, **more: Any) -> list[dict[str, Any]]:
    """Return rows of a list of fans."""
    return [{"fan_uuid": name, "handle": f"@{name}", **more} for name in names]


def crowd(count: int, prefix: str = "fan") -> list[str]:
    """Return so many names."""
    return [f"{prefix}{number:03}" for number in range(count)]
