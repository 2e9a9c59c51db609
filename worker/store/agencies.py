"""Agencies' connections in the database: find or make one, store its grant, attach creators.

Tokens enter this module sealed. Every call may be repeated after a lost answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from worker.store.database import Database


# A creator costs a lock and a few rows: so many at a time stay far from any time limit.
CREATORS_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class AgencyConnection:
    """The place of an agency's grant; `repeated`: the consent at hand is stored there already."""

    agency_id: str
    connection_id: str
    token_version: int
    status: str
    created: bool
    repeated: bool


@dataclass(frozen=True, slots=True)
class Creator:
    """A creator as Fanvue lists them."""

    uuid: str
    handle: str | None = None
    display_name: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """What became of one creator: created, attached, mended, unchanged, kept or refused."""

    creator_uuid: str
    handle: str | None
    outcome: str
    model_id: str | None = None
    status: str | None = None
    job_id: int | None = None
    message: str | None = None

    @classmethod
    def from_reply(cls, item: dict[str, Any]) -> Attachment:
        """Read one outcome."""
        job_id = item.get("job_id")
        return cls(
            creator_uuid=str(item["creator_uuid"]),
            handle=item.get("handle"),
            outcome=str(item["outcome"]),
            model_id=item.get("model_id"),
            status=item.get("status"),
            job_id=None if job_id is None else int(job_id),
            message=item.get("message"),
        )


class AgencyStore:
    """The RPCs of agencies' connections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def connect(
        self, agency: str, user_uuid: str, fingerprint: str | None
    ) -> AgencyConnection:
        """Find or make the agency and the connection of its administrator's account."""
        reply = await self._database.call(
            "connect_agency",
            {"p_agency": agency, "p_user_uuid": user_uuid, "p_fingerprint": fingerprint},
        )
        return AgencyConnection(
            agency_id=str(reply["agency_id"]),
            connection_id=str(reply["connection_id"]),
            token_version=int(reply["token_version"]),
            status=str(reply["status"]),
            created=bool(reply["created"]),
            repeated=bool(reply["repeated"]),
        )

    async def store(  # noqa: PLR0913 - one parameter per column
        self,
        place: AgencyConnection,
        *,
        access_token: str | None,
        refresh_token: str,
        expires_in: timedelta | None,
        fingerprint: str,
        handle: str | None,
    ) -> int:
        """Store a fresh (sealed) grant; return how many models it woke."""
        reply = await self._database.call(
            "store_connection",
            {
                "p_connection_id": place.connection_id,
                "p_version": place.token_version,
                "p_access_token": access_token,
                "p_refresh_token": refresh_token,
                "p_expires_in_s": None if expires_in is None else expires_in.total_seconds(),
                "p_fingerprint": fingerprint,
                "p_handle": handle,
            },
        )
        return int(reply["mended"])

    async def attach(
        self, connection_id: str, creators: Sequence[Creator], *, replace: bool
    ) -> list[Attachment]:
        """Let creators be read through a connection; one outcome for each."""
        found: list[Attachment] = []
        for start in range(0, max(len(creators), 1), CREATORS_AT_ONCE):
            some = creators[start : start + CREATORS_AT_ONCE]
            reply = await self._database.call(
                "attach_creators",
                {
                    "p_connection_id": connection_id,
                    "p_creators": [
                        {"uuid": one.uuid, "handle": one.handle, "display_name": one.display_name}
                        for one in some
                    ],
                    "p_replace": replace,
                },
            )
            found += [Attachment.from_reply(item) for item in reply]
        return found
