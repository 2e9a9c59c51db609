"""OAuth grants in the database: begin, finish and fail a refresh, re-seal, store, list.

A grant id is a model's id (its own grant) or the id of an agency's connection. Tokens leave and
enter this module as they are stored; sealing is `worker.jobs.grants`' duty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal


if TYPE_CHECKING:
    from worker.store.database import Database


@dataclass(frozen=True, slots=True)
class GrantView:
    """What `begin_token_refresh` answered; tokens as stored, sealed for `grant_id`."""

    state: str
    grant_id: str
    version: int | None = None
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    fence: int | None = None
    use_for: timedelta = timedelta(0)
    retry_in: timedelta = timedelta(0)
    reason: str | None = None
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Connection:
    """A model that is ready to take a grant."""

    agency_id: str
    model_id: str
    token_version: int
    created: bool


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What connecting would do; `repeated`: the consent at hand is stored there already."""

    new_agency: bool
    first_agency: bool
    new_account: bool
    repeated: bool


class GrantStore:
    """The grant RPCs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, model_id: str, holder: str, rejected_version: int | None) -> GrantView:
        """Ask what to call Fanvue with for a model; the answer may be that we are to refresh."""
        reply = await self._database.call(
            "begin_token_refresh",
            {"p_model_id": model_id, "p_holder": holder, "p_rejected_version": rejected_version},
        )
        return GrantView(
            state=str(reply["state"]),
            grant_id=str(reply.get("sealed_for") or model_id),
            version=reply.get("version"),
            access_token=reply.get("access_token"),
            refresh_token=reply.get("refresh_token"),
            fence=reply.get("fence"),
            use_for=timedelta(seconds=float(reply.get("use_for_s") or 0)),
            retry_in=timedelta(seconds=float(reply.get("retry_in_s") or 0)),
            reason=reply.get("reason"),
            throttled=bool(reply.get("throttled")),
        )

    async def finish(
        self, view: GrantView, access_token: str, refresh_token: str, expires_in: timedelta
    ) -> str:
        """Store a new pair (sealed): `stored`, or `moved` when another refresh was first."""
        reply = await self._database.call(
            "finish_token_refresh",
            {
                "p_grant_id": view.grant_id,
                "p_fence": view.fence,
                "p_version": view.version,
                "p_access_token": access_token,
                "p_refresh_token": refresh_token,
                "p_expires_in_s": expires_in.total_seconds(),
            },
        )
        return str(reply["state"])

    async def fail(
        self, view: GrantView, kind: str, message: str, retry_after: timedelta | None = None
    ) -> tuple[str, timedelta]:
        """Note a failed refresh; return the verdict and when to try again."""
        reply = await self._database.call(
            "fail_token_refresh",
            {
                "p_grant_id": view.grant_id,
                "p_fence": view.fence,
                "p_version": view.version,
                "p_kind": kind,
                "p_message": message,
                "p_retry_after_s": None if retry_after is None else retry_after.total_seconds(),
            },
        )
        return str(reply["state"]), timedelta(seconds=float(reply.get("retry_in_s") or 0))

    async def reseal(
        self,
        grant_id: str,
        before: tuple[str | None, str | None],
        after: tuple[str | None, str | None],
    ) -> bool:
        """Replace (access, refresh) by the same sealed anew, unless they changed meanwhile."""
        reply = await self._database.call(
            "seal_tokens",
            {
                "p_grant_id": grant_id,
                "p_access_from": before[0],
                "p_access_to": after[0],
                "p_refresh_from": before[1],
                "p_refresh_to": after[1],
            },
        )
        return bool(reply)

    async def try_connecting(
        self,
        kind: Literal["creator", "agency"],
        agency: str,
        account_uuid: str,
        *,
        replace: bool = False,
        fingerprint: str | None = None,
    ) -> Foreseen:
        """Find whatever would refuse a connection, and write nothing."""
        reply = await self._database.call(
            "try_connecting",
            {
                "p_kind": kind,
                "p_agency": agency,
                "p_account_uuid": account_uuid,
                "p_replace": replace,
                "p_fingerprint": fingerprint,
            },
        )
        return Foreseen(
            new_agency=bool(reply["new_agency"]),
            first_agency=not reply["agencies"],
            new_account=bool(reply["new_account"]),
            repeated=bool(reply["repeated"]),
        )

    async def connect(
        self, agency: str, creator_uuid: str, handle: str | None, *, replace: bool
    ) -> Connection:
        """Find or make the agency and the model of a creator."""
        reply = await self._database.call(
            "connect_model",
            {
                "p_agency": agency,
                "p_creator_uuid": creator_uuid,
                "p_handle": handle,
                "p_replace": replace,
            },
        )
        return Connection(
            agency_id=str(reply["agency_id"]),
            model_id=str(reply["model_id"]),
            token_version=int(reply["token_version"]),
            created=bool(reply["created"]),
        )

    async def store(
        self,
        connection: Connection,
        access_token: str | None,
        refresh_token: str,
        expires_in: timedelta | None,
    ) -> int | None:
        """Store a fresh (sealed) grant; return the first sync's job, None where it is paused."""
        reply = await self._database.call(
            "store_grant",
            {
                "p_model_id": connection.model_id,
                "p_version": connection.token_version,
                "p_access_token": access_token,
                "p_refresh_token": refresh_token,
                "p_expires_in_s": None if expires_in is None else expires_in.total_seconds(),
            },
        )
        return None if reply["job_id"] is None else int(reply["job_id"])

    async def stored(self) -> list[dict[str, Any]]:
        """List every grant, tokens as stored; for `tokens` commands."""
        rows: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = await self._database.call("list_grants", {"p_after": after, "p_limit": 500})
            rows.extend(page)
            if len(page) < 500:  # noqa: PLR2004 - the page size asked for
                return rows
            after = str(page[-1]["grant_id"])
