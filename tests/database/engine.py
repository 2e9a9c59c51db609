"""The engine as tests drive it: its functions by name, the scene to set, the clock to move.

Calls go as service_role on one connection; `another()` gives a second worker's eyes and hands.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb


if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from tests.support.postgres import Connection


# How long to wait for another thread, in seconds: it catches what hangs, and judges nothing.
WAIT = 240


class Worker:
    """One connection that acts as service_role and calls the engine's functions."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.name = name
        connection.execute("set role service_role")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    @property
    def pid(self) -> int:
        """The server process behind this connection."""
        return self.connection.info.backend_pid

    def call(self, function: str, *arguments: Any, **named: Any) -> Any:
        """Call a function of schema public and return its value."""
        slots = [sql.Placeholder()] * len(arguments)
        pairs = [sql.SQL("{} => %s").format(sql.Identifier(key)) for key in named]
        statement = sql.SQL("select {}({}) as value").format(
            sql.Identifier("public", function), sql.SQL(", ").join([*slots, *pairs])
        )
        values = [_adapt(value) for value in (*arguments, *named.values())]
        row = self.connection.execute(statement, values).fetchone()
        return None if row is None else row["value"]

    def start(self, function: str, *arguments: Any, **named: Any) -> Future[Any]:
        """Call a function without waiting for it."""
        return self.run(self.call, function, *arguments, **named)

    def run(self, what: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
        """Run something on this worker's own thread."""
        return self._thread.submit(what, *arguments, **named)

    def claim(self, limit: int = 10, **named: Any) -> list[dict[str, Any]]:
        """Claim jobs and return them."""
        return list(self.call("claim_sync_jobs", self.name, limit, **named)["jobs"])

    def settle(self, job: dict[str, Any], outcome: str, **more: Any) -> list[int]:
        """Settle one job and return the accepted ids."""
        item = {"id": job["id"], "lease_id": job["lease_id"], "outcome": outcome, **more}
        return list(self.call("settle_sync_jobs", self.name, [item]))


class Engine(Worker):
    """The first worker, plus the owner's hands that set the scene."""

    def __init__(
        self, owner: Connection, connect: Callable[[], Connection], *, measurable: bool = False
    ) -> None:
        super().__init__(connect(), "w0")
        self.owner = owner
        # Whether what a statement reads depends on this test alone.
        self.measurable = measurable
        self._connect = connect
        self._workers = 0

    def another(self) -> Worker:
        """Return another worker with a connection of its own."""
        self._workers += 1
        return Worker(self._connect(), f"w{self._workers}")

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Run a statement as the owner and return its rows."""
        cursor = self.owner.execute(sql.SQL(query), values)
        return cursor.fetchall() if cursor.description else []

    def value(self, query: str, *values: Any) -> Any:
        """Run a query as the owner and return its only value."""
        (row,) = self.rows(query, *values)
        (value,) = row.values()
        return value

    def move_clock(self, **by: float) -> None:
        """Move the engine's clock on, as if so much time had passed."""
        seconds = by.get("seconds", 0) + 60 * by.get("minutes", 0) + 3600 * by.get("hours", 0)
        self.rows(
            "insert into private.engine_clock values (true, make_interval(secs => %s))"
            " on conflict (singleton) do update set shift = engine_clock.shift + excluded.shift",
            seconds,
        )

    def agency(self, name: str | None = None, owner_id: uuid.UUID | None = None) -> uuid.UUID:
        """Make an agency."""
        return uuid.UUID(
            str(
                self.value(
                    "insert into public.agencies (name, owner_id) values (%s, %s) returning id",
                    name or f"agency {uuid.uuid4()}",
                    owner_id,
                )
            )
        )

    def model(self, agency_id: uuid.UUID, *, due: bool = True, **columns: Any) -> uuid.UUID:
        """Make an active model with a grant; its stream is due at once, or not for a year."""
        given = {
            "fanvue_user_uuid": str(uuid.uuid4()),
            "fanvue_access_token": "access-0",
            "fanvue_refresh_token": "refresh-0",
            **columns,
            "agency_id": agency_id,
        }
        statement = sql.SQL("insert into public.models ({}) values ({}) returning id").format(
            sql.SQL(", ").join(sql.Identifier(key) for key in given),
            sql.SQL(", ").join([sql.Placeholder()] * len(given)),
        )
        row = self.owner.execute(statement, list(given.values())).fetchone()
        assert row is not None
        model_id = uuid.UUID(str(row["id"]))
        if not due:
            self.rows(
                "update public.sync_state set next_sync_at = now() + interval '1 year'"
                " where model_id = %s",
                model_id,
            )
        return model_id

    def models(self, agency_id: uuid.UUID, count: int, *, due: bool = True) -> None:
        """Make many active models at once."""
        self.rows(
            "insert into public.models (agency_id, fanvue_user_uuid, fanvue_refresh_token)"
            " select %s, gen_random_uuid()::text, 'refresh-0' from generate_series(1, %s)",
            agency_id,
            count,
        )
        if not due:
            self.rows(
                "update public.sync_state set next_sync_at = now() + interval '1 year'"
                " where agency_id = %s",
                agency_id,
            )

    def running_job(self, model_id: uuid.UUID) -> dict[str, Any]:
        """Queue a model's earnings and claim exactly that job."""
        self.call("enqueue_sync", model_id, "earnings")
        reply = self.call("claim_model_job", self.name, model_id, "earnings", 60, uuid.uuid4())
        (job,) = reply["jobs"]
        return dict(job)

    def page(self, walk: dict[str, Any], key: str, *rows: Any, **more: Any) -> dict[str, Any]:
        """Build a page of a walk as the worker sends it."""
        return {"walk_id": walk["walk_id"], "key": key, "rows": list(rows), **more}

    def begin(self, job: dict[str, Any]) -> dict[str, Any]:
        """Begin or resume the walk of a job."""
        return dict(self.call("begin_sync_walk", job["id"], job["lease_id"]))

    def wait_until_blocked(self, *workers: Worker) -> None:
        """Return once each worker's statement waits for a lock that somebody else holds."""
        for worker in workers:
            while not self.is_blocked(worker):
                pass

    def is_blocked(self, worker: Worker) -> bool:
        """Return whether a worker's statement waits for a lock; look no more often than needed."""
        return bool(
            self.value("select cardinality(pg_blocking_pids(%s)) from pg_sleep(0.002)", worker.pid)
        )


def _adapt(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict | list) else value
