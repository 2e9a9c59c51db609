"""Who hears which topic: members their agency's, nobody another's, and nobody sends but the engine.

The questions are Realtime's own: a probe row, looked at with the claims of the one who joins.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.types.json import Jsonb


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.database.engine import Engine
    from tests.support.postgres import Connection


def topic(agency: uuid.UUID) -> str:
    return f"agency:{agency}"


def hears(
    connection: Connection, user: uuid.UUID, topic: str, extension: str = "broadcast"
) -> bool:
    """Ask as Realtime asks: a probe row, and whether the user's role can see it."""
    with connection.transaction(force_rollback=True):
        probe = connection.execute(
            "insert into realtime.messages (topic, extension) values (%s, %s) returning id",
            (topic, extension),
        ).fetchone()
        assert probe is not None
        claims = Jsonb({"sub": str(user), "role": "authenticated"})
        connection.execute(
            "select set_config('role', 'authenticated', true),"
            " set_config('realtime.topic', %s, true),"
            " set_config('request.jwt.claims', %s::text, true)",
            (topic, claims),
        )
        row = connection.execute(
            "select count(*) as n from realtime.messages where id = %s", (probe["id"],)
        ).fetchone()
        return bool(row and row["n"])


@pytest.mark.parametrize(
    "form",
    [
        "agency:{other}",
        "agency:{own}x",
        "agency:",
        "agency",
        "{own}",
        "workers",
        "AGENCY:{own}",
        "agency:%",
        "agency:{own} or true",
    ],
)
def test_a_member_hears_no_topic_but_their_agency_s(
    engine: Engine, connect: Callable[[], Connection], form: str
) -> None:
    own, other, user = engine.agency(), engine.agency(), uuid.uuid4()
    engine.rows(
        "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, 'member')",
        own,
        user,
    )
    connection = connect()

    assert hears(connection, user, topic(own))
    assert not hears(connection, user, topic(own), "presence")
    assert not hears(connection, user, form.format(own=own, other=other))


def test_a_removed_member_is_refused_at_the_next_question(
    engine: Engine, connect: Callable[[], Connection]
) -> None:
    own, user = engine.agency(), uuid.uuid4()
    engine.rows(
        "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, 'member')",
        own,
        user,
    )
    connection = connect()
    assert hears(connection, user, topic(own))

    engine.rows("delete from public.agency_members where user_id = %s", user)

    assert not hears(connection, user, topic(own))


def test_members_cannot_send(engine: Engine, connect: Callable[[], Connection]) -> None:
    own, user = engine.agency(), uuid.uuid4()
    engine.rows(
        "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, 'owner')",
        own,
        user,
    )
    connection = connect()
    with connection.transaction(force_rollback=True):
        connection.execute("set local role authenticated")
        connection.execute(
            "select set_config('request.jwt.claims', %s::text, true),"
            " set_config('realtime.topic', %s, true)",
            (Jsonb({"sub": str(user), "role": "authenticated"}), topic(own)),
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "insert into realtime.messages (topic, extension, event, payload, private)"
                " values (%s, 'broadcast', 'transactions', '{}', true)",
                (topic(own),),
            )


def test_the_publication_carries_three_tables_and_nothing_else(engine: Engine) -> None:
    tables = engine.rows(
        "select schemaname || '.' || tablename as name from pg_publication_tables"
        " where pubname = 'supabase_realtime' order by 1"
    )
    assert [row["name"] for row in tables] == [
        "public.fanvue_transactions",
        "public.sync_jobs",
        "public.sync_state",
    ]
    kinds = engine.rows(
        "select pubinsert, pubupdate, pubdelete, pubtruncate from pg_publication"
        " where pubname = 'supabase_realtime'"
    )
    assert [tuple(row.values()) for row in kinds] == [(True, True, False, False)]
