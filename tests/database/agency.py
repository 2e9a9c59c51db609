"""An agency as database tests set it up: its connection, the models behind it, its refreshers."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from tests.database.engine import Engine, Worker


class Agency:
    """An agency's connection and the models behind it."""

    def __init__(self, engine: Engine, creators: int = 3, name: str = "Atlas") -> None:
        self.engine = engine
        self.account = uuid.uuid4()
        place = engine.call("connect_agency", name, self.account, "consent-1")
        self.agency_id, self.connection_id = place["agency_id"], place["connection_id"]
        self.place = place
        self.store()
        self.creators = [uuid.uuid4() for _ in range(creators)]
        attached = {one["creator_uuid"]: one["model_id"] for one in self.attach(*self.creators)}
        self.models = [attached[str(creator)] for creator in self.creators]

    def store(self, version: int = 0, name: str = "1") -> Any:
        """Store a consent's grant."""
        tokens = (f"access-{name}", f"refresh-{name}", 3600, f"consent-{name}")
        return self.engine.call("store_connection", self.connection_id, version, *tokens)

    def attach(self, *creators: uuid.UUID, replace: bool = False) -> list[dict[str, Any]]:
        """Let creators be read through the connection."""
        listed = [{"uuid": str(one), "handle": f"h{one.hex[:4]}"} for one in creators]
        return list(self.engine.call("attach_creators", self.connection_id, listed, replace))

    def expire(self) -> None:
        """Let the access token end."""
        self.engine.rows(
            "update public.agency_connections set token_expires_at = private.engine_now()"
            " - interval '1 s', token_issued_at = private.engine_now() - interval '1 h'"
        )

    def begin(self, of: Any = None, holder: str = "w0", worker: Worker | None = None) -> Any:
        """Ask what to call Fanvue with for a model."""
        return (worker or self.engine).call("begin_token_refresh", of or self.models[0], holder)

    def finish(self, begun: dict[str, Any], name: str = "2") -> Any:
        """Store the new pair of a begun refresh."""
        tokens = (f"access-{name}", f"refresh-{name}", 3600)
        grant = (begun["sealed_for"], begun["fence"], begun["version"])
        return self.engine.call("finish_token_refresh", *grant, *tokens)

    def fail(self, begun: dict[str, Any], kind: str = "invalid_grant") -> Any:
        """Report a failed refresh."""
        grant = (begun["sealed_for"], begun["fence"], begun["version"])
        return self.engine.call("fail_token_refresh", *grant, kind, "the words of Fanvue")

    def die(self) -> None:
        """Let Fanvue refuse the grant twice."""
        self.expire()
        self.fail(self.begin())
        self.engine.move_clock(seconds=11)
        assert self.fail(self.begin())["state"] == "reauth_required"

    def row(self) -> dict[str, Any]:
        """Return the connection as stored."""
        (row,) = self.engine.rows(
            "select * from public.agency_connections where id = %s", self.connection_id
        )
        return row

    def statuses(self) -> list[str]:
        """Return the status of each model behind the connection."""
        rows = self.engine.rows(
            "select status from public.models where connection_id = %s", self.connection_id
        )
        return [row["status"] for row in rows]
