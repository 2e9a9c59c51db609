"""What Studio left open is found, closed or kept by a written decision, and told ever after."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.database.older_application import (
    ANA,
    ATLAS_OWNER,
    BOREALIS_OWNER,
    Adoption,
    older_application,
    push,
    rows,
)
from tests.support.postgres import MIGRATIONS, as_superuser, migrate, migrated_project, run_file


if TYPE_CHECKING:
    from tests.support.postgres import Connection


ALL_RIGHTS = "delete, insert, references, select, trigger, truncate, update"
ALL_BUT_INSERT = "delete, references, select, trigger, truncate, update"


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
        "routine private.all_models()": "told",
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
    told = rows(
        adopted, "select object, state, remedy from ops.foreign_access where state = 'attention'"
    )
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


KEPT = {
    'policy "owners add models" on public.models': (
        'drop policy "owners add models" on public.models'
    ),
    "right to insert on public.models of authenticated": (
        "revoke insert on public.models from authenticated"
    ),
    "column public.models.notes": "revoke select (notes) on public.models from authenticated",
}


def test_what_a_decision_keeps_stays_the_operators_to_judge(adopted: Connection) -> None:
    question = "select object, why, remedy from ops.foreign_access where state = %s order by object"
    told = {row["object"] for row in rows(adopted, question, "attention")}
    kept = rows(adopted, question, "kept")

    adopted.execute("delete from private.kept_access where object = any (%s)", [[*KEPT]])
    undone = {row["remedy"] for row in rows(adopted, question, "attention")}
    for remedy in KEPT.values():
        adopted.execute(remedy.encode())
    after = {row["object"] for row in rows(adopted, question, "attention")}

    assert {row["object"]: row["remedy"] for row in kept} == KEPT
    assert {row["why"] for row in kept} == {"our page adds creators", "our page shows them"}
    assert undone >= {
        KEPT['policy "owners add models" on public.models'],
        "revoke insert, select (notes) on public.models from authenticated",
    }
    assert after == told


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
    "create function public.h0() returns bigint language sql as"
    " 'select count(*) from public.models';"
    " create function public.\"H1\"() returns bigint language sql as 'select public.h0()';"
    " create function public.h2() returns bigint language sql as 'select public.\"H1\"()';"
    " create function public.h3() returns bigint language sql security definer"
    " as 'select public.h2()'": "function public.h3()",
    "create schema backstage; create view backstage.handles as select handle from public.models;"
    " create function public.names() returns setof text language sql security definer"
    " as 'select handle from backstage.handles'": "function public.names()",
    "create function public.webhook_keys() returns setof text language sql security definer"
    " as 'select secret from private.webhook_subscriptions'": "function public.webhook_keys()",
    "create function public.run(query text) returns void language plpgsql as"
    " 'begin execute query; end'; create function public.tidy(query text) returns void"
    " language sql security definer as 'select public.run(query)'": "function public.tidy(text)",
    "alter table public.fanvue_transactions disable trigger fanvue_transactions_roll_up_insert": (
        "disabled trigger fanvue_transactions_roll_up_insert on public.fanvue_transactions"
    ),
    "drop trigger models_note on public.models": "no trigger models_note on public.models",
    "drop trigger models_note on public.models; create trigger models_note after insert"
    " on public.models for each row execute function public.count_revenue()": (
        "trigger models_note on public.models"
    ),
    "alter publication supabase_realtime set (publish = 'insert, update, delete')": (
        "deletions in publication supabase_realtime"
    ),
    "alter publication supabase_realtime add table public.models": (
        "publication supabase_realtime of public.models"
    ),
    "create publication warehouse for table public.fanvue_fans": (
        "publication warehouse of public.fanvue_fans"
    ),
    "create table public.greetings (id uuid);"
    " create function public.greet() returns trigger language plpgsql security definer as"
    " 'begin insert into public.greetings values (new.id); return new; end';"
    " create trigger greet after insert on auth.users"
    " for each row execute function public.greet();"
    " create function public.let_in() returns trigger language plpgsql security definer as"
    " 'begin insert into public.agency_members select id, new.id from public.agencies;"
    " return new; end'; create trigger let_in after insert on auth.users"
    " for each row execute function public.let_in()": "trigger let_in on auth.users",
}


@pytest.mark.parametrize(("statement", "name"), LATER.items(), ids=list(LATER.values()))
def test_what_studio_opens_later_is_told_and_put_right_by_its_remedy(
    adopted: Connection, statement: str, name: str
) -> None:
    access = (
        "select object, remedy from private.foreign_access()"
        " where object !~ 'everybody hears|count_revenue' and kept is null"
    )
    before = rows(adopted, "select to_jsonb(x) as x from private.foreign_access() x")
    columns = "select has_column_privilege('authenticated', 'public.models', 'handle', 'select')"

    adopted.execute(statement.encode())
    (told,) = rows(adopted, access)
    adopted.execute(told["remedy"].encode())

    assert told["object"] == name
    assert rows(adopted, "select to_jsonb(x) as x from private.foreign_access() x") == before
    assert rows(adopted, columns) == [{"has_column_privilege": True}]


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("grant service_role to authenticated", "role service_role given to authenticated"),
        ("alter role anon bypassrls", "anon passes by row security"),
        (
            "create publication everything for all tables",
            "publication everything of all tables",
        ),
        (
            "alter publication supabase_realtime add tables in schema public",
            "publication supabase_realtime of all tables",
        ),
    ],
)
def test_what_only_the_superuser_gives_is_told_and_taken_back(
    adoption: Adoption, statement: str, name: str
) -> None:
    told = (
        "select object, remedy from private.foreign_access() where kind in ('role', 'publication')"
    )
    with psycopg.connect(as_superuser(adoption.url), row_factory=dict_row) as connection:
        connection.execute(statement.encode())
        (found,) = rows(connection, told)
        connection.execute(found["remedy"].encode())
        after = rows(connection, told)
        connection.rollback()

    assert found["object"] == name
    assert after == []


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
        functions = connection.execute(
            "select array_agg(distinct proname::text order by proname::text),"
            " private.engine_functions() from pg_proc"
            " where pronamespace = 'public'::regnamespace"
        ).fetchone()
        rules = connection.execute(
            "select array_agg(object order by object), private.engine_rules()"
            " from private.access_inventory where kind in ('policy', 'trigger')"
            " and split_part(object, ' on public.', 2) = any (private.adopted_tables())"
        ).fetchone()
        hidden = connection.execute(
            "select a.attrelid::regclass::text, a.attname::text"
            " from unnest(private.adopted_tables()) t(name)"
            " join pg_attribute a on a.attrelid = ('public.' || t.name)::regclass and a.attnum > 0"
            " where not has_column_privilege('authenticated', a.attrelid, a.attnum, 'select')"
            " order by 1, 2"
        ).fetchall()

    assert foreign == []
    # A new table or view is watched once it stands in private.engine_relations.
    assert set(relations) <= set(known)
    # A new function, and a new policy or trigger on an adopted table, are kept free of others once
    # they stand in private.engine_functions and private.engine_rules.
    for made, named in (functions or (), rules or ()):
        assert set(made) == set(named)
    # A new column of an adopted table is shown once it stands in private.member_columns.
    assert hidden == [
        ("models", "disconnected_at"),
        ("models", "fanvue_access_token"),
        ("models", "fanvue_refresh_token"),
        ("models", "fanvue_token_issued_at"),
        ("models", "status_reason"),
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
    with older_application(cluster_url) as url:
        with psycopg.connect(url) as connection:
            connection.execute(
                "create view public.totals as select model_id, sum(amount) as total"
                " from public.fanvue_transactions group by 1"
            )
            connection.execute("create table public.webhook_events (id uuid, body jsonb)")
            connection.execute(
                "create function public.request_sync(uuid, text) returns void language sql as '';"
                " create function public.stats_head(integer) returns integer language sql as"
                " 'select 1'; create trigger models_note after insert on public.models"
                " for each row execute function public.count_revenue()"
            )
        with psycopg.connect(url, autocommit=True) as connection:
            before = catalog(connection)
            refused = push(url, adoption.project, code=1)
            after = catalog(connection)
            connection.execute("drop view public.totals")
            for remedy in (
                "alter table public.webhook_events rename to older_webhook_events",
                "alter routine public.request_sync(uuid,text) rename to older_request_sync",
                "alter routine public.stats_head(integer) rename to older_stats_head",
                "alter trigger models_note on public.models rename to older_models_note",
            ):
                assert f"({remedy})" in refused
                connection.execute(remedy.encode())
            push(url, adoption.project)
            kept = connection.execute("select count(*) from public.models").fetchone()

    assert "nothing of the older application was changed" in refused
    assert "relation public.webhook_events (alter table public.webhook_events rename" in refused
    assert "view public.totals (drop view public.totals and make it again after" in refused
    assert after == before
    assert kept == (6,)


def test_a_publication_of_all_tables_is_refused(cluster_url: str) -> None:
    publication = "publication supabase_realtime of all tables"
    with (
        older_application(cluster_url) as url,
        psycopg.connect(as_superuser(url)) as connection,
    ):
        connection.execute("alter publication supabase_realtime add tables in schema public")
        for path in sorted(MIGRATIONS.glob("*_*.sql"))[:3]:
            run_file(connection, path)
        refused = connection.execute(
            "select object, remedy from private.adoption_survey() where decision = 'refused'"
        ).fetchall()

    remedy = "alter publication supabase_realtime drop tables in schema public"
    assert refused == [(publication, remedy)]


def test_a_policy_that_is_kept_under_a_name_of_the_engine_is_refused(cluster_url: str) -> None:
    policy = 'policy "members see their models" on public.models'
    with older_application(cluster_url) as url, psycopg.connect(url) as connection:
        connection.execute(f"create {policy} using (true)".encode())
        for path in sorted(MIGRATIONS.glob("*_*.sql"))[:3]:
            run_file(connection, path)
        decision = "select decision from private.adoption_survey() where object = %s order by 1"
        unkept = connection.execute(decision, [policy]).fetchall()
        connection.execute("insert into private.kept_access values (%s, 'ours')", [policy])
        kept = connection.execute(decision, [policy]).fetchall()

    assert unkept == [("closed",)]
    assert kept == [("kept",), ("refused",)]


def test_what_stands_in_schemas_of_the_engine_is_told_with_the_way_out(cluster_url: str) -> None:
    with older_application(cluster_url) as url, psycopg.connect(url) as connection:
        connection.execute(
            "create table private.notes (id serial primary key);"
            " create view private.note_ids as select id from private.notes;"
            " create function private.as_text(jsonb) returns text language sql as 'select null'"
        )
        for path in sorted(MIGRATIONS.glob("*_*.sql"))[:3]:
            run_file(connection, path)
        survey = (
            "select object, remedy from private.adoption_survey()"
            " where decision = 'told' and relation = 'schema private' order by 1"
        )
        told = connection.execute(survey).fetchall()
        for _, remedy in told:
            connection.execute(remedy.encode())
        moved = connection.execute(survey).fetchall()

    assert [name for name, _ in told] == [
        "routine private.all_models()",
        "routine private.as_text(jsonb)",
        "table private.notes",
        "view private.note_ids",
    ]
    assert moved == []


@pytest.mark.parametrize(
    ("others", "carried"),
    [
        ("public.profiles", ["profiles"]),
        ("public.models", ["fanvue_transactions", "sync_jobs", "sync_state"]),
    ],
)
def test_deletions_that_everybody_would_hear_of_are_taken_out_of_the_publication(
    cluster_url: str, others: str, carried: list[str]
) -> None:
    with older_application(cluster_url) as url:
        with psycopg.connect(url) as connection:
            connection.execute(
                "alter publication supabase_realtime add table public.fanvue_transactions,"
                f" {others}".encode()
            )
        migrate(url)
        with psycopg.connect(url, row_factory=dict_row) as connection:
            tables = rows(
                connection,
                "select tablename::text as name from pg_publication_tables"
                " where pubname = 'supabase_realtime' order by 1",
            )
            findings = rows(
                connection,
                "select finding, decision from private.adoption_findings"
                " where finding ~ 'publication' order by 1",
            )
            foreign = rows(
                connection, "select * from private.foreign_access() where kind = 'publication'"
            )
            (asked,) = rows(
                connection,
                "select bool_and(has_column_privilege('anon', 'public.' || name, 'id', 'select'))"
                " as keys from unnest(private.followed_tables()) t(name)",
            )
            connection.execute(
                "alter publication supabase_realtime set (publish = 'insert, update, delete')"
            )
            if "sync_jobs" not in carried:
                connection.execute("alter publication supabase_realtime add table public.sync_jobs")
            (told,) = rows(
                connection,
                "select object, remedy from ops.foreign_access where kind = 'publication'",
            )

    name = "deletions in publication supabase_realtime"
    assert [row["name"] for row in tables] == carried
    assert {row["finding"]: row["decision"] for row in findings} == {
        name: "closed",
        **({f"publication supabase_realtime of {others}": "closed"} if "models" in others else {}),
    }
    assert foreign == []
    assert asked == {"keys": True}
    assert told == {
        "object": name,
        "remedy": "alter publication supabase_realtime "
        + (
            "set (publish = 'insert, update')"
            if "sync_jobs" in carried
            else "drop table public.sync_jobs"
        ),
    }
