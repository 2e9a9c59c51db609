"""An older application's database is adopted in place: every row kept, nothing changed silently."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.older_application import (
    ANA,
    ANA_TOO,
    ATLAS_OWNER,
    BEA,
    BOREALIS_OWNER,
    CLEO,
    DORA,
    NAMELESS,
    push,
    rows,
)
from tests.support.postgres import empty_project, migrated_project


if TYPE_CHECKING:
    from tests.database.older_application import Adoption
    from tests.support.postgres import Connection


# What the owner of a project may not do to Realtime.
REFUSED = (
    "alter table realtime.messages add column note text",
    "alter table realtime.messages disable row level security",
    "create index on realtime.messages (event)",
    "create table realtime.mine (id integer)",
    "create or replace function realtime.topic() returns text language sql as 'select 1'",
    "drop table realtime.messages",
    "create trigger mine after insert on realtime.messages execute function mine()",
    "create rule mine as on insert to realtime.messages do also select 1",
    "alter publication supabase_realtime_messages_publication set (publish = 'delete')",
    "delete from realtime.messages",
    "truncate realtime.messages",
)


def seen_by(adopted: Connection, role: str, user_id: str | None, table: str) -> set[str]:
    """Return the ids that a role sees; none where it may not look at all."""
    with adopted.transaction(force_rollback=True):
        claims = json.dumps({"sub": user_id} if user_id else {})
        adopted.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        adopted.execute(f"set local role {role}".encode())
        try:
            found = rows(adopted, f"select id from public.{table}")  # noqa: S608 - names below
        except psycopg.errors.InsufficientPrivilege:
            return set()
        return {str(row["id"]) for row in found}


def test_every_row_but_a_twin_is_kept_under_its_primary_key(adopted: Connection) -> None:
    counts = {
        table: len(rows(adopted, f"select id from public.{table}"))  # noqa: S608 - names below
        for table in ("agencies", "models", "fanvue_transactions")
    }

    assert counts == {"agencies": 3, "models": 6, "fanvue_transactions": 8}


def test_ids_are_folded_and_of_twins_one_row_is_kept(adopted: Connection) -> None:
    ids = rows(
        adopted,
        "select right(coalesce(t.id, f.row_id)::text, 1) as row, right(t.fanvue_id, 1) as id,"
        " right(f.before ->> 'fanvue_id', 1) as told, f.before ? 'fanvue_created_at' as whole"
        " from (select * from public.fanvue_transactions where fanvue_id ilike 'f0000000%%') t"
        " full join (select * from private.adoption_findings where before ? 'fanvue_id') f"
        " on f.row_id = t.id order by 1",
    )

    assert [tuple(row.values()) for row in ids] == [
        ("5", "a", "A", False),
        # The twin of 7, written down whole.
        ("6", None, "B", True),
        ("7", "b", None, None),
        # Of another time: not for us to say which is right.
        ("8", "C", "C", False),
        ("9", "c", None, None),
    ]


def test_owners_are_members(adopted: Connection) -> None:
    members = rows(adopted, "select user_id::text, role from public.agency_members order by 1")

    assert members == [
        {"user_id": ATLAS_OWNER, "role": "owner"},
        {"user_id": BOREALIS_OWNER, "role": "owner"},
    ]


def test_owners_see_what_is_theirs_and_nothing_else(adopted: Connection) -> None:
    atlas = seen_by(adopted, "authenticated", ATLAS_OWNER, "models")
    borealis = seen_by(adopted, "authenticated", BOREALIS_OWNER, "models")

    assert atlas == {ANA, BEA}
    assert borealis == {ANA_TOO, CLEO, DORA, NAMELESS}
    assert len(seen_by(adopted, "authenticated", ATLAS_OWNER, "fanvue_transactions")) == 3
    assert len(seen_by(adopted, "authenticated", BOREALIS_OWNER, "fanvue_transactions")) == 5


@pytest.mark.parametrize("table", ["agencies", "models", "fanvue_transactions"])
def test_strangers_see_nothing(adopted: Connection, table: str) -> None:
    stranger = "e0000000-0000-0000-0000-00000000000f"

    assert seen_by(adopted, "anon", None, table) == set()
    assert seen_by(adopted, "authenticated", None, table) == set()
    assert seen_by(adopted, "authenticated", stranger, table) == set()


def test_plain_tokens_are_kept_for_the_worker_and_hidden_from_members(adopted: Connection) -> None:
    (ana,) = rows(adopted, "select fanvue_access_token from public.models where id = %s", ANA)
    assert ana["fanvue_access_token"] == "plain-token-ana"

    with adopted.transaction(force_rollback=True):
        adopted.execute("set local role authenticated")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            adopted.execute("select fanvue_access_token from public.models")


def test_states_are_brought_into_words_that_are_known(adopted: Connection) -> None:
    states = {
        str(row["id"]): row["status"]
        for row in rows(adopted, "select id, status from public.models")
    }

    assert states == {
        ANA: "active",
        ANA_TOO: "paused",
        BEA: "paused",
        CLEO: "active",
        DORA: "active",
        NAMELESS: "active",
    }


def test_one_creator_stands_in_one_model(adopted: Connection) -> None:
    creators = {
        str(row["id"]): row["fanvue_user_uuid"]
        for row in rows(adopted, "select id, fanvue_user_uuid from public.models")
    }

    assert creators == {
        ANA: "c0000000-0000-0000-0000-00000000000a",
        ANA_TOO: None,
        BEA: "c0000000-0000-0000-0000-00000000000b",
        CLEO: "c0000000-0000-0000-0000-00000000000c",
        DORA: None,
        NAMELESS: None,
    }


def test_totals_are_the_sums_of_the_rows(adopted: Connection) -> None:
    totals = rows(adopted, "select id::text, revenue_total from public.models order by id")

    assert [row["revenue_total"] for row in totals] == [
        Decimal(cents) for cents in ("10.00", "0.00", "0.00", "10.00", "0.00", "0.00")
    ]


def test_days_are_rolled_up_in_utc_under_the_models_agency(adopted: Connection) -> None:
    days = rows(
        adopted,
        "select m.display_name, e.day::text, e.category, e.gross, e.agency_id = m.agency_id as own"
        " from public.earnings_daily e join public.models m on m.id = e.model_id order by 1, 2",
    )

    assert [tuple(row.values()) for row in days] == [
        ("Ana", "2026-03-01", "tip", Decimal("10.00"), True),
        ("Ana", "2026-03-02", "uncategorised", Decimal("5.00"), True),
        ("Ana", "2026-03-03", "refund", Decimal("-5.00"), True),
        ("Cleo", "2026-03-01", "tip", Decimal("10.00"), True),
    ]


def test_every_change_to_a_row_is_written_down_with_what_stood_there(adopted: Connection) -> None:
    findings = rows(
        adopted,
        "select f.row_id::text as id, f.before from private.adoption_findings f order by f.id",
    )

    def changed(row_id: str, field: str) -> list[Any]:
        return [f["before"][field] for f in findings if f["id"] == row_id and field in f["before"]]

    assert changed(BEA, "status") == ["on holiday"]
    assert changed(CLEO, "status") == [None]
    assert changed(ANA, "fanvue_user_uuid") == ["C0000000-0000-0000-0000-00000000000A"]
    assert changed(ANA_TOO, "fanvue_user_uuid")[0] == " c0000000-0000-0000-0000-00000000000a"
    assert changed(DORA, "fanvue_user_uuid") == [""]
    assert changed("d0000000-0000-0000-0000-000000000001", "amount") == ["10.004"]
    assert changed("d0000000-0000-0000-0000-000000000004", "agency_id") == [
        "a0000000-0000-0000-0000-000000000001"
    ]
    assert changed(ANA, "revenue_total") == [99.999]


def test_the_older_applications_function_still_answers(adopted: Connection) -> None:
    (row,) = rows(
        adopted,
        "select public.get_agency_revenue('a0000000-0000-0000-0000-000000000001') as revenue",
    )

    assert row["revenue"] == Decimal("10.00")


def test_models_with_a_token_are_scheduled_at_once(adopted: Connection) -> None:
    (reply,) = rows(adopted, "select public.enqueue_due('test') as value")

    # seven streams of two models; old messages are read on demand
    assert reply["value"]["enqueued"] == 14


def test_no_policy_is_left_for_everybody(adopted: Connection) -> None:
    assert rows(adopted, "select * from pg_policies where 'public' = any (roles)") == []


def test_migrations_apply_without_superuser_rights_and_without_pg_cron(cluster_url: str) -> None:
    with migrated_project(cluster_url) as url, psycopg.connect(url) as connection:
        (cron,) = connection.execute("select to_regnamespace('cron')").fetchone() or ()
        (tick,) = connection.execute("select public.enqueue_due('test')").fetchone() or ()
        owner = connection.execute(
            "select distinct r.rolname, r.rolsuper from pg_class c join pg_roles r"
            " on r.oid = c.relowner where c.relnamespace = 'public'::regnamespace"
        ).fetchall()
    assert cron is None
    assert tick == {"enqueued": 0, "revived": 0}
    assert owner == [("postgres", False)]


def test_of_realtime_a_project_may_change_policies_alone(cluster_url: str) -> None:
    policy = "policy members on realtime.messages"
    with empty_project(cluster_url) as url, psycopg.connect(url) as connection:
        for allowed in (f"create {policy} using (true)", f"drop {policy}"):
            connection.execute(allowed)
        connection.execute(
            "create function public.mine() returns trigger language plpgsql as 'begin end'"
        )
        for replication_role, refused in product(("origin", "replica"), REFUSED):
            connection.execute(f"set session_replication_role = {replication_role}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(refused)


def test_a_second_push_changes_nothing(adoption: Adoption) -> None:
    catalog = (
        "select (select count(*) from pg_class), (select count(*) from pg_proc),"
        " (select max(xmin::text::bigint) from pg_class), (select count(*) from public.models),"
        " (select jsonb_agg(f order by id) from private.adoption_findings f)"
    )
    with psycopg.connect(adoption.url, autocommit=True) as connection:
        before = connection.execute(catalog).fetchone()

        second = push(adoption.url, adoption.project)

        after = connection.execute(catalog).fetchone()
    assert "Applying migration" in adoption.said
    assert "up to date" in second
    assert after == before
