"""What members read of errors and reasons: codes and fixed words, nothing that anybody quoted."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from worker import errors
from worker.errors import SyncError
from worker.store.database import DatabaseBroken


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.database.engine import Engine
    from tests.support.postgres import Connection


QUOTED = "Bearer ory_ac_Qm9vIQ, token: hunter2, https://user:pass@host/ Traceback (most recent"
SHRUNK = "Fanvue's list of followers named 80 fewer than the 100 known: more than 20 % would end"
# Not errors of jobs: they are told on the command line.
ON_THE_COMMAND_LINE = {"usage", "rejected", "sync_error"}
READINGS = (
    "select to_jsonb(x)::text as t from public.sync_health x",
    "select to_jsonb(x)::text as t from public.model_overview x",
    "select member_error::text as t from public.sync_state",
    "select member_error::text as t from public.sync_jobs",
    "select member_error::text as t from public.sync_runs",
    "select member_reason as t from public.models",
)
HIDDEN = {
    "sync_state": ["last_error", "walk_notes", "last_page_reply", "last_page_key", "validator"],
    "sync_jobs": ["last_error", "claimed_by"],
    "sync_runs": ["error", "detail", "worker"],
    "models": ["status_reason"],
    "agency_connections": ["status_reason"],
}


class Member:
    """A member of an agency, with a connection of their own."""

    def __init__(self, engine: Engine, connection: Connection, agency_id: uuid.UUID) -> None:
        self.connection = connection
        self.user_id = uuid.uuid4()
        engine.rows(
            "insert into public.agency_members (agency_id, user_id, role)"
            " values (%s, %s, 'member')",
            agency_id,
            self.user_id,
        )

    def read(self, query: sql.Composed | str) -> list[Any]:
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(
                "select set_config('role', 'authenticated', true),"
                " set_config('request.jwt.claims', %s::text, true)",
                (Jsonb({"sub": str(self.user_id), "role": "authenticated"}),),
            )
            asked = sql.SQL(query) if isinstance(query, str) else query
            return self.connection.execute(asked).fetchall()


@pytest.fixture
def agency_id(engine: Engine) -> uuid.UUID:
    return engine.agency()


@pytest.fixture
def member(engine: Engine, connect: Callable[[], Connection], agency_id: uuid.UUID) -> Member:
    return Member(engine, connect(), agency_id)


def told(engine: Engine, **error: Any) -> dict[str, Any]:
    return dict(engine.value("select private.member_error(%s)", Jsonb(error)))


@pytest.mark.parametrize("kind", ["bug", "provider_contract", "made_up", "partial"])
def test_what_an_error_quotes_is_read_by_operators_alone(
    engine: Engine, member: Member, agency_id: uuid.UUID, kind: str
) -> None:
    model_id = engine.model(agency_id, due=False)
    job = engine.running_job(model_id)
    error = {"kind": kind, "message": QUOTED, "remedy": QUOTED, "trace": QUOTED}
    engine.settle(job, "dead", error=error)
    engine.rows("select ops.pause_model(%s, %s)", model_id, QUOTED)

    read = [row["t"] for query in READINGS for row in member.read(query)]

    words = " ".join(filter(None, read))
    assert words.count("tell whoever runs this service") + words.count("it is read again") >= 3
    assert not [word for word in ("ory_ac_", "hunter2", "pass", "Traceback") if word in words]
    (run,) = engine.rows("select error from public.sync_runs where state = 'failed'")
    assert run["error"]["message"] == QUOTED
    assert QUOTED in str(engine.call("list_jobs")) + str(engine.call("list_streams"))
    assert QUOTED in str(engine.call("list_creators"))


@pytest.mark.parametrize(
    ("table", "column"), [(table, name) for table, names in HIDDEN.items() for name in names]
)
def test_the_columns_that_quote_are_closed(member: Member, table: str, column: str) -> None:
    query = sql.SQL("select {} from public.{}").format(*map(sql.Identifier, (column, table)))

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        member.read(query)


def test_every_error_of_the_worker_has_its_words(engine: Engine) -> None:
    codes = {
        found.code
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, SyncError)
    } - ON_THE_COMMAND_LINE | {DatabaseBroken.code, "bug", "partial"}

    assert {code: told(engine, kind=code)["kind"] for code in codes} == {
        code: code for code in codes
    }


def test_an_unlisted_code_and_an_odd_instant_are_not_passed_on(engine: Engine) -> None:
    assert told(engine, kind=QUOTED, at=QUOTED)["kind"] == "other"
    assert "at" not in told(engine, kind="bug", at=QUOTED)
    assert "at" not in told(engine, kind="bug", at=f"2026-11-30T10:00:00Z{QUOTED}")
    assert told(engine, kind="bug", at="2026-11-30T10:00:00+00:00")["at"].startswith("2026")


def test_a_list_that_shrank_is_told_as_such(engine: Engine) -> None:
    assert told(engine, kind="partial", message=SHRUNK)["kind"] == "shrunk"
    assert told(engine, kind="partial", message=QUOTED)["kind"] == "partial"


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        ("active", None, None),
        ("active", QUOTED, None),
        ("paused", QUOTED, "paused by whoever runs this service"),
        ("paused", None, "paused by whoever runs this service"),
        ("paused", f"adopted with status {QUOTED}", "taken over from an older application"),
        ("reauth_required", QUOTED, "the account must connect again"),
        (
            "reauth_required",
            f"Fanvue refuses the refresh token ({QUOTED})",
            "Fanvue no longer accepts the access",
        ),
    ],
)
def test_a_reason_is_told_in_fixed_words(
    engine: Engine, member: Member, status: str, reason: str | None, words: str | None
) -> None:
    agency_id = engine.value("select id from public.agencies")
    engine.model(agency_id, due=False, status=status, status_reason=reason)

    (row,) = member.read("select status_reason from public.model_overview")

    assert (row["status_reason"] or "").startswith(words or "")
    assert (row["status_reason"] is None) == (words is None)
    assert QUOTED not in str(row)
