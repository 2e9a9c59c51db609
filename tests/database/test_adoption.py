"""An older application's database is adopted in place: every row kept, nothing changed silently."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row

from local.programs import supabase_command
from tests.support.postgres import MIGRATIONS, empty_project, migrated_project, run_file


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import Connection


HERE = Path(__file__).parent
ATLAS_OWNER = "e0000000-0000-0000-0000-000000000001"
BOREALIS_OWNER = "e0000000-0000-0000-0000-000000000002"
ANA, ANA_TOO, BEA, CLEO, DORA, NAMELESS = (
    f"b0000000-0000-0000-0000-00000000000{n}" for n in range(1, 7)
)

# What the operator decided after a look, before the first migration.
KEPT = """
create schema if not exists private;
create table private.kept_access (
  object text primary key, why text not null, decided_at timestamptz not null default now());
insert into private.kept_access (object, why) values
  ('policy "owners add models" on public.models', 'our page adds creators'),
  ('right to insert on public.models of authenticated', 'our page adds creators'),
  ('column public.models.notes', 'our page shows them')
"""
ALL_RIGHTS = "delete, insert, references, select, trigger, truncate, update"
ALL_BUT_INSERT = "delete, references, select, trigger, truncate, update"
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


@dataclass(frozen=True)
class Adoption:
    """The database of the older application, migrated by the official command."""

    url: str
    project: Path
    said: str


@pytest.fixture(scope="module")
def adoption(cluster_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adoption]:
    """Make a database of the older application and migrate it, as hosted Supabase does."""
    project = tmp_path_factory.mktemp("project")
    (project / "supabase").mkdir()
    (project / "supabase" / "config.toml").write_text('project_id = "test"\n', encoding="utf-8")
    shutil.copytree(MIGRATIONS, project / "supabase" / "migrations")
    with empty_project(cluster_url) as url:
        with psycopg.connect(url) as connection:
            run_file(connection, HERE / "legacy_schema.sql")
            run_file(connection, HERE / "legacy_rows.sql")
            run_file(connection, HERE / "legacy_access.sql")
            connection.execute(KEPT.encode())
        yield Adoption(url, project, push(url, project))


@pytest.fixture
def adopted(adoption: Adoption) -> Iterator[Connection]:
    """Connect to the adopted database; what a test changes is rolled back."""
    with psycopg.connect(adoption.url, row_factory=dict_row) as connection:
        yield connection
        connection.rollback()


def rows(adopted: Connection, query: str, *values: Any) -> list[dict[str, Any]]:
    return adopted.execute(query.encode(), values).fetchall()


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


def denied(adopted: Connection, user_id: str, query: str) -> bool:
    """Return whether a signed-in user is refused a statement."""
    with adopted.transaction(force_rollback=True):
        claims = json.dumps({"sub": user_id})
        adopted.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        adopted.execute("set local role authenticated")
        try:
            adopted.execute(query.encode())
        except psycopg.errors.InsufficientPrivilege:
            return True
    return False


@pytest.mark.parametrize(
    "query",
    [
        "select public.all_sales()",
        "select public.run_sql('select 1')",
        "select public.list_models()",
        "select public.revenue_of_anybody(gen_random_uuid())",
        "select * from public.model_names",
        "select session_cookie from public.models",
        "select api_key from public.models",
        "select webhook_secret from public.models",
        "select card_digits from public.fanvue_transactions",
        "select * from public.models",
        "delete from public.models",
    ],
)
def test_what_studio_opened_is_closed(adopted: Connection, query: str) -> None:
    assert denied(adopted, BOREALIS_OWNER, query)


def test_views_of_studio_show_members_what_is_theirs(adopted: Connection) -> None:
    with adopted.transaction(force_rollback=True):
        claims = json.dumps({"sub": ATLAS_OWNER})
        adopted.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        adopted.execute("set local role authenticated")
        models = rows(adopted, "select distinct model_id::text from public.sales_by_category")

    assert models == [{"model_id": ANA}]


def test_what_reads_none_of_our_tables_stays_as_it_was(adopted: Connection) -> None:
    profile = "select public.nickname_of(gen_random_uuid())"

    assert not denied(adopted, ATLAS_OWNER, profile)


def test_a_written_decision_keeps_what_it_names(adopted: Connection) -> None:
    add = "insert into public.models (agency_id) values ('{}')"
    own, others = (f"a0000000-0000-0000-0000-00000000000{n}" for n in (1, 2))

    assert not denied(adopted, ATLAS_OWNER, add.format(own))
    assert denied(adopted, ATLAS_OWNER, add.format(others))
    assert not denied(adopted, ATLAS_OWNER, "select notes from public.models")


def test_whatever_opened_a_table_is_written_down(adopted: Connection) -> None:
    findings = {
        # PostgreSQL 17 has one right more
        row["finding"].replace("maintain, ", ""): (row["decision"], row["before"]["definition"])
        for row in rows(
            adopted,
            "select finding, decision, before from private.adoption_findings"
            " where decision <> 'changed'",
        )
    }

    assert {name: decision for name, (decision, _) in findings.items()} == {
        'policy "Enable read access for all users" on public.models': "closed",
        'policy "Enable read access for all users" on public.fanvue_transactions': "closed",
        'policy "Service role full access" on public.agencies': "closed",
        'policy "owners see their agency" on public.agencies': "closed",
        'policy "owners see their models" on public.models': "closed",
        'policy "owners see their transactions" on public.fanvue_transactions': "closed",
        'policy "owners add models" on public.models': "kept",
        'policy "everybody hears" on realtime.messages': "told",
        "trigger count_revenue on public.fanvue_transactions": "told",
        **{
            f"right to {privileges} on public.{table} of {role}": "closed"
            for table in ("agencies", "models", "fanvue_transactions")
            for role in ("anon", "authenticated")
            for privileges in [
                ALL_RIGHTS if (table, role) != ("models", "authenticated") else ALL_BUT_INSERT
            ]
        },
        "right to insert on public.models of authenticated": "kept",
        "view public.sales": "closed",
        "view public.sales_by_category": "closed",
        "view public.model_names": "closed",
        "function public.all_sales()": "closed",
        "function public.run_sql(text)": "closed",
        "function private.all_models()": "closed",
        "function public.revenue_of_anybody(uuid)": "closed",
        **{
            f"column public.models.{column}": "closed"
            for column in ("fanvue_access_token", "session_cookie", "api_key", "webhook_secret")
        },
        "column public.fanvue_transactions.card_digits": "closed",
        "column public.models.notes": "kept",
    }
    _, policy = findings['policy "Service role full access" on public.agencies']
    assert policy == (
        'create policy "Service role full access" on public.agencies as permissive for all'
        " to public using (true) with check (true)"
    )


def test_what_is_left_to_the_operator_is_told_until_it_is_decided(adopted: Connection) -> None:
    question = "select state, answer from ops.health where where_to_look = 'ops.foreign_access'"
    name = 'policy "everybody hears" on realtime.messages'

    (before,) = rows(adopted, question)
    told = rows(adopted, "select object, state, remedy from ops.foreign_access")
    adopted.execute("drop trigger count_revenue on public.fanvue_transactions")
    (said,) = rows(adopted, "select ops.keep_access(%s, 'no private topics') as value", name)
    (again,) = rows(adopted, "select ops.keep_access(%s, 'no private topics') as value", name)
    (after,) = rows(adopted, question)

    assert before["state"] == "attention"
    assert name in before["answer"]
    assert told == [
        {
            "object": name,
            "state": "attention",
            "remedy": 'drop policy "everybody hears" on realtime.messages',
        },
        {
            "object": "trigger count_revenue on public.fanvue_transactions",
            "state": "attention",
            "remedy": "drop trigger count_revenue on public.fanvue_transactions",
        },
    ]
    assert (said["value"]["changed"], again["value"]["changed"]) == (True, False)
    assert after == {"state": "ok", "answer": "yes"}


# What somebody does in Studio next month, and what it is called.
LATER = {
    "create policy mine on public.sync_runs using (true)": "policy mine on public.sync_runs",
    'alter policy "members see their models" on public.models using (true)': (
        'policy "members see their models" on public.models'
    ),
    'drop policy "members see their agency\'s jobs" on public.sync_jobs': (
        'no policy "members see their agency\'s jobs" on public.sync_jobs'
    ),
    "alter table public.fanvue_messages disable row level security": (
        "row security of public.fanvue_messages"
    ),
    "grant select on public.models to authenticated": (
        "right to select on public.models of authenticated"
    ),
    "grant select (access_token) on public.agency_connections to anon": (
        "right to select (access_token) on public.agency_connections of anon"
    ),
    "create view public.fans as select * from public.fanvue_fans": "view public.fans",
    "create trigger send_rows after update on public.models for each row"
    " execute function public.count_revenue()": "trigger send_rows on public.models",
    "create function public.peek() returns bigint language sql security definer"
    " as 'select count(*) from public.fanvue_messages'": "function public.peek()",
}


@pytest.mark.parametrize(("statement", "name"), LATER.items(), ids=list(LATER.values()))
def test_what_studio_opens_later_is_told_and_put_right_by_its_remedy(
    adopted: Connection, statement: str, name: str
) -> None:
    access = (
        "select object, remedy from private.foreign_access()"
        " where object !~ 'everybody hears|count_revenue'"
    )
    before = rows(adopted, "select to_jsonb(x) as x from private.foreign_access() x")
    columns = "select has_column_privilege('authenticated', 'public.models', 'handle', 'select')"

    adopted.execute(statement.encode())
    (told,) = rows(adopted, access)
    adopted.execute(told["remedy"].encode())

    assert told["object"] == name
    assert rows(adopted, "select to_jsonb(x) as x from private.foreign_access() x") == before
    assert rows(adopted, columns) == [{"has_column_privilege": True}]


def test_a_function_of_the_engine_that_was_replaced_is_told(adopted: Connection) -> None:
    adopted.execute(
        "create or replace function private.member_agency_ids() returns setof uuid language sql"
        " stable security definer set search_path = '' as 'select id from public.agencies'"
    )

    (told,) = rows(
        adopted,
        "select object, remedy from private.foreign_access() where kind = 'function'",
    )

    assert told == {"object": "function private.member_agency_ids()", "remedy": None}


def test_nothing_of_a_new_project_is_foreign(cluster_url: str) -> None:
    with migrated_project(cluster_url) as url, psycopg.connect(url) as connection:
        foreign = connection.execute("select * from private.foreign_access()").fetchall()
        relations = connection.execute(
            "select c.relname::text from pg_class c where c.relkind in ('r', 'p', 'v', 'm')"
            " and c.relnamespace = 'public'::regnamespace order by 1"
        ).fetchall()
        known = connection.execute(
            "select unnest(private.engine_relations()) order by 1"
        ).fetchall()
        hidden = connection.execute(
            "select a.attrelid::regclass::text, a.attname::text"
            " from unnest(private.adopted_tables()) t(name)"
            " join pg_attribute a on a.attrelid = ('public.' || t.name)::regclass and a.attnum > 0"
            " where not has_column_privilege('authenticated', a.attrelid, a.attnum, 'select')"
            " order by 1, 2"
        ).fetchall()

    assert foreign == []
    # A new table or view is watched once it stands in private.engine_relations.
    assert known == relations
    # A new column of an adopted table is shown once it stands in private.member_columns.
    assert hidden == [
        ("models", "fanvue_access_token"),
        ("models", "fanvue_refresh_token"),
        ("models", "fanvue_token_issued_at"),
        ("models", "token_version"),
    ]


def catalog(connection: Connection) -> list[Any]:
    """Return what stands in schema public: tables, columns, rights, policies, functions, rows."""
    return connection.execute(
        "select c.oid, c.xmin::text, c.relacl::text, c.reloptions::text from pg_class c"
        " where c.relnamespace = 'public'::regnamespace"
        " union all select attrelid, xmin::text, attname || attacl::text, null from pg_attribute"
        " where attrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)"
        " union all select oid, xmin::text, polname, null from pg_policy"
        " union all select oid, xmin::text, proacl::text, null from pg_proc"
        " where pronamespace = 'public'::regnamespace"
        " union all select null, xmin::text, id::text, to_jsonb(m)::text from public.models m"
        " order by 1, 2, 3"
    ).fetchall()


def test_what_cannot_be_adopted_is_refused_before_anything_is_changed(
    cluster_url: str, adoption: Adoption
) -> None:
    with empty_project(cluster_url) as url:
        with psycopg.connect(url) as connection:
            run_file(connection, HERE / "legacy_schema.sql")
            run_file(connection, HERE / "legacy_rows.sql")
            run_file(connection, HERE / "legacy_access.sql")
            connection.execute(
                "create view public.totals as select model_id, sum(amount) as total"
                " from public.fanvue_transactions group by 1"
            )
            connection.execute("create table public.webhook_events (id uuid, body jsonb)")
        with psycopg.connect(url, autocommit=True) as connection:
            before = catalog(connection)
            refused = push(url, adoption.project, code=1)
            after = catalog(connection)
            connection.execute("drop view public.totals")
            connection.execute("alter table public.webhook_events rename to older_webhook_events")
            push(url, adoption.project)
            kept = connection.execute("select count(*) from public.models").fetchone()

    assert "nothing of the older application was changed" in refused
    assert "relation public.webhook_events (alter table public.webhook_events rename" in refused
    assert "view public.totals (drop view public.totals and make it again after" in refused
    assert after == before
    assert kept == (6,)


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


def push(url: str, workdir: Path, code: int = 0) -> str:
    """Apply the migrations with the official command, as hosted projects do."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    remote = "postgresql://{user}:{password}@{host}:{port}/{dbname}?sslmode=disable".format(**parts)
    answer = subprocess.run(
        [
            *supabase_command(),
            "db",
            "push",
            "--yes",
            f"--remote={remote}",
            f"--workdir={workdir}",
        ],
        env={**os.environ, "SUPABASE_TELEMETRY_DISABLED": "1", "CI": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == code, answer.stderr
    return answer.stdout + answer.stderr
