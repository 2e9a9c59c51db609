"""Walks over a stream's pages: open or resume one, commit a page with its cursor in one call.

The database guards every commit by the job's lease and the state's version; a repeated commit
gets its first answer again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from worker.store.reconcile import fetch_sums


if TYPE_CHECKING:
    from worker.store.database import Database
    from worker.store.jobs import Job
    from worker.store.reconcile import OurSums


@dataclass(frozen=True, slots=True)
class ChatToRead:
    """A chat whose messages are to be read next.

    `known_until` is None for a chat that was never read; `cursor` is where its reading goes on.
    """

    fan_uuid: str
    known_until: datetime | None
    cursor: str | None


@dataclass(frozen=True, slots=True)
class OfferedValidator:
    """What a response offered for asking the same request again only if something changed."""

    request: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class WalkState:
    """The open walk of a stream, as the database keeps it.

    `day` is the database's UTC day when the job began: snapshots are named by it. `known` counts
    the rows held of the stream's list, as far as a bound on its pages needs it; of a poll that
    begins nothing is `counted`. `calls` are those of the first page, where they were asked for.
    """

    version: int
    walk_id: str
    kind: str
    phase: str
    mode: str | None
    cursor: str | None
    floor: datetime | None
    ceiling: datetime | None
    position: datetime | None
    newest: datetime | None
    pages: int
    rows: int
    notes: dict[str, Any]
    aside_due: bool
    aside_checked_at: datetime | None
    todo: list[ChatToRead] = field(default_factory=list)
    validator: OfferedValidator | None = None
    keep_text: bool = True
    day: date | None = None
    known: int = 0
    counted: bool = True
    calls: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PageCommit:
    """One page to commit: its rows and where the walk goes on.

    `chat` names the chat whose messages the rows are. `until_known` lets the database close the
    walk when it knew every row. `not_modified` closes it because Fanvue said that nothing changed.
    `unlisted` makes the run partial and the walk no less whole: what Fanvue has no list of.
    `onward`: the next page is certain and depends on nothing that the database answers to this one.
    `joins`: it may be committed as one with the page before it, since none of its rows is one of
    that page's, or the database would know it; `pages` counts what was joined.
    """

    rows: list[dict[str, Any]]
    phase: str
    next_phase: str
    mode: str
    cursor: str | None
    position: datetime | None
    ceiling: datetime | None
    complete: bool = False
    partial: str | None = None
    unlisted: str | None = None
    aside_checked: bool = False
    notes: dict[str, Any] = field(default_factory=dict)
    chat: str | None = None
    chat_done: bool = False
    chat_cursor: str | None = None
    until_known: bool = False
    not_modified: bool = False
    validator: OfferedValidator | None = None
    onward: bool = False
    joins: bool = False
    pages: int = 1

    def joined(self, following: PageCommit) -> PageCommit:
        """Return both pages as one: what the first one froze, and the place after the second."""
        return replace(
            following,
            rows=[*self.rows, *following.rows],
            ceiling=self.ceiling,
            aside_checked=self.aside_checked or following.aside_checked,
            notes={**self.notes, **following.notes},
            validator=self.validator,
            pages=self.pages + following.pages,
        )


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit changed; `amount` is the change of the model's total, US dollars.

    `complete` may be true although the page did not say so: the database closed the walk. With it
    the job may be `settled`, as the commit offered.
    """

    version: int
    inserted: int
    updated: int
    unchanged: int
    amount: Decimal
    cancel: bool
    complete: bool
    partial: str | None
    todo: list[ChatToRead] = field(default_factory=list)
    settled: bool = False

    @property
    def is_last(self) -> bool:
        """Whether the walk ends with it: at the list's end, or because somebody wants it to."""
        return self.complete or self.cancel


class WalkStore:
    """The walk's RPCs."""

    def __init__(self, database: Database, lease: timedelta) -> None:
        self._database = database
        self._lease_seconds = max(1, round(lease.total_seconds()))

    async def begin(self, job: Job, calls: dict[str, Any] | None = None) -> WalkState:
        """Open the walk of a leased job, or return the open one; take the first page's `calls`."""
        reply = await self._database.call(
            "begin_sync_walk",
            {"p_job_id": job.id, "p_lease_id": job.lease_id, "p_calls": calls},
        )
        settings = reply.get("settings") or {}
        return WalkState(
            version=int(reply["version"]),
            walk_id=str(reply["walk_id"]),
            kind=str(reply["kind"]),
            phase=str(reply["phase"]),
            mode=str(reply["mode"]),
            cursor=reply["cursor"],
            floor=_moment(reply["floor"]),
            ceiling=_moment(reply["ceiling"]),
            position=_moment(reply["position"]),
            newest=_moment(reply["newest"]),
            pages=int(reply["pages"]),
            rows=int(reply["rows"]),
            notes=dict(reply["notes"] or {}),
            aside_due=bool(reply["aside_due"]),
            aside_checked_at=_moment(reply["aside_checked_at"]),
            todo=_todo(reply),
            validator=_validator(reply.get("validator")),
            keep_text=bool(settings.get("keep_text", True)),
            day=date.fromisoformat(settings["day"]) if settings.get("day") else None,
            known=int(reply.get("known") or 0),
            counted=reply.get("known") is not None,
            calls=reply.get("calls"),
        )

    async def commit(
        self, job: Job, state: WalkState, page: PageCommit, settle: dict[str, Any] | None = None
    ) -> Committed:
        """Commit a page, or several as one, under the job's lease and the state's version.

        `settle` is how the job ends if this page ends its walk, nothing being partial.
        """
        reply = await self._database.call(
            "commit_sync_page",
            {
                "p_job_id": job.id,
                "p_lease_id": job.lease_id,
                "p_version": state.version,
                "p_lease_seconds": self._lease_seconds,
                "p_settle": settle,
                "p_page": {
                    # The lease is part of the key: another worker's page is not a repetition.
                    "key": f"{job.lease_id}:{state.version}",
                    "walk_id": state.walk_id,
                    "rows": page.rows,
                    "pages": page.pages,
                    "phase": page.phase,
                    "next_phase": page.next_phase,
                    "mode": page.mode,
                    "cursor": page.cursor,
                    "position": _text(page.position),
                    "ceiling": _text(page.ceiling),
                    "complete": page.complete,
                    "partial": page.partial,
                    "aside_checked": page.aside_checked,
                    "notes": page.notes,
                    "chat": page.chat,
                    "chat_done": page.chat_done,
                    "chat_cursor": page.chat_cursor,
                    "until_known": page.until_known,
                    "not_modified": page.not_modified,
                    "validator": None if page.validator is None else asdict(page.validator),
                },
            },
        )
        complete = bool(reply.get("complete", page.complete))
        return Committed(
            version=int(reply["version"]),
            inserted=int(reply["inserted"]),
            updated=int(reply["updated"]),
            unchanged=int(reply["unchanged"]),
            amount=Decimal(reply["amount"]),
            cancel=bool(reply["cancel"]),
            complete=complete,
            partial=(reply.get("partial") or page.partial or page.unlisted) if complete else None,
            todo=_todo(reply),
            settled=bool(reply.get("settled")),
        )

    async def sums(self, job: Job, first: date, until: date) -> OurSums:
        """Return our sums per day, reversals left out, and the differences known already."""
        return await fetch_sums(self._database, job, first, until)


def _todo(reply: dict[str, Any]) -> list[ChatToRead]:
    return [
        ChatToRead(item["fan_uuid"], _moment(item["known_until"]), item["cursor"])
        for item in reply.get("todo") or []
    ]


def _validator(offered: dict[str, Any] | None) -> OfferedValidator | None:
    if offered is None:
        return None
    return OfferedValidator(offered["request"], offered.get("etag"), offered.get("last_modified"))


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _text(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()
