"""What a member reads costs what the member's rows cost: nobody else's rows are touched.

Every relation that members may read comes from the catalog, so a new one is measured the moment
it exists. Counts buffers and the rows that were read and thrown away; never seconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from tests.support.postgres import as_superuser, migrated_project


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import Connection


AGENCIES = 3000
MODELS = 2
ROWS_A_MODEL = 8
STRANGER = "e0000000-0000-0000-0000-00000000000f"
MEMBER = "e0000000-0000-0000-0000-000000000001"
# Among many rows a probe of an index takes the place of a short table: a few buffers for each row
# of the member's own. The tables of all have a hundred times as many.
ALLOWED = {MEMBER: 10 * MODELS * ROWS_A_MODEL, STRANGER: 10}
AGENCY = "a0000000-0000-0000-0000-000000000001"
NEIGHBOUR = "a0000000-0000-0000-0000-000000000002"

RELATIONS = """
select c.relname::text as name,
       (array_agg(a.attname::text order by a.attnum))[1] as some_column,
       array_agg(a.attname::text) as columns
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
  and has_column_privilege('authenticated', c.oid, a.attnum, 'select')
group by c.oid
order by c.relname
"""
# Of all columns with a list of allowed words (a check constraint), the list.
WORDS = """
select c.conkey[1] as place, array_agg(w.word[1]) as words
from pg_constraint c
cross join lateral regexp_matches(pg_get_constraintdef(c.oid), '''([a-z_]+)''::text', 'g') w(word)
where c.contype = 'c' and c.conrelid = %s::regclass and cardinality(c.conkey) = 1
group by c.oid
"""
COLUMNS = """
select a.attname::text as name, a.attnum as place, a.atttypid::regtype::text as type,
       a.attnotnull and not a.atthasdef and a.attidentity = '' as is_needed
from pg_attribute a
where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped
  and a.attgenerated = '' and a.attidentity = ''
"""
EXPLAIN = sql.SQL("explain (analyze, buffers, timing off, format json) ")
STATEMENTS: dict[str, LiteralString] = {
    "one row": "select {column} from {relation} limit 1",
    "the count": "select count(*) from {relation}",
    "what is its own": "select {column} from {relation} where {whose} = {agency}",
    "what is another's": "select {column} from {relation} where {whose} = {neighbour}",
    "what is one model's": (
        "select {column} from {relation} where {whose} = {agency} and model_id ="
        " (select id from models where agency_id = {agency} order by id limit 1)"
    ),
}
DASHBOARD: dict[str, LiteralString] = {
    "the feed": (
        "select id from fanvue_transactions where agency_id = {agency}"
        " order by fanvue_created_at desc, id desc limit 20"
    ),
    "another's feed": (
        "select id from fanvue_transactions where agency_id = {neighbour}"
        " order by fanvue_created_at desc, id desc limit 20"
    ),
    "the feed of all agencies": (
        "select id from fanvue_transactions order by fanvue_created_at desc, id desc limit 20"
    ),
    "a month of days": (
        "select day from earnings_daily"
        " where agency_id = {agency} and day >= current_date - 30 order by day"
    ),
    "dashboard_stats": "select dashboard_stats({agency}, current_date - 30, current_date)",
    "stats_head": "select stats_head({agency})",
    "announcements": "select announcements({agency})",
}
IDS = {"agency": sql.Literal(AGENCY), "neighbour": sql.Literal(NEIGHBOUR)}
VALUES = {
    "uuid": "gen_random_uuid()",
    "text": "gen_random_uuid()::text",
    "jsonb": "'{}'::jsonb",
    "boolean": "false",
    "date": "current_date - n",
    "timestamp with time zone": "now() - n * interval '1 hour'",
}


@dataclass(frozen=True)
class Cost:
    """What a statement touched."""

    buffers: int
    removed: int


class Crowd:
    """A database in whose tables one agency's few rows stand, alone or among many."""

    def __init__(self, database: Connection) -> None:
        self.database = database
        database.execute("set session_replication_role = replica")
        self.tables = [
            str(row[0])
            for row in database.execute(
                "select relname from pg_class where relkind in ('r', 'p')"
                " and relnamespace = 'public'::regnamespace"
            )
        ]
        self.words = {
            table: dict(database.execute(WORDS, [f"public.{table}"]).fetchall())
            for table in self.tables
        }
        self._drop_checks()

    def _drop_checks(self) -> None:
        """A filled row need not make sense: its size and its keys do."""
        for name, table in self.database.execute(
            "select conname, conrelid::regclass::text from pg_constraint where contype = 'c'"
            " and connamespace = 'public'::regnamespace"
        ).fetchall():
            self.database.execute(f'alter table {table} drop constraint "{name}"'.encode())

    def add(self, agencies: int) -> None:
        """Add agencies with a member, models and rows in every table."""
        self.database.execute(
            "insert into public.agencies (id, name)"
            " select case n when 1 then %s::uuid when 2 then %s::uuid else gen_random_uuid() end,"
            " 'agency ' || n from generate_series(1, %s) n on conflict do nothing",
            [AGENCY, NEIGHBOUR, agencies],
        )
        self.database.execute(
            "insert into public.agency_members (agency_id, user_id)"
            " select a.id, case a.id when %s then %s::uuid else gen_random_uuid() end"
            " from public.agencies a where not exists"
            " (select from public.agency_members m where m.agency_id = a.id)",
            [AGENCY, MEMBER],
        )
        self.database.execute(
            "insert into public.models (agency_id, fanvue_user_uuid)"
            " select a.id, gen_random_uuid()::text"
            " from public.agencies a, generate_series(1, %s)"
            " where not exists (select from public.models m where m.agency_id = a.id)",
            [MODELS],
        )
        for table in self.tables:
            if table not in {"agencies", "agency_members", "models"}:
                self._fill(table)

    def _fill(self, table: str) -> None:
        columns = self.database.execute(COLUMNS, [f"public.{table}"]).fetchall()
        words = self.words[table]
        values = {}
        for name, place, kind, needed in columns:
            if name == "agency_id":
                values[name] = "m.agency_id"
            elif name == "model_id":
                values[name] = "m.id"
            elif name == "sync_type":
                values[name] = "'stream ' || n"
            elif place in words:
                values[name] = f"(array{words[place]!r})[1 + n %% {len(words[place])}]"
            elif needed:
                values[name] = VALUES.get(kind, "n")
        assert "agency_id" in values, f"{table} does not say whose its rows are"
        names = sql.SQL(", ").join(map(sql.Identifier, values))
        self.database.execute(
            sql.SQL("insert into public.{} ({}) select {} from public.models m, ").format(
                sql.Identifier(table), names, sql.SQL(", ".join(values.values()))
            )
            + sql.SQL(
                "generate_series(1, %s) n where not exists"
                " (select from public.{} x where x.agency_id = m.agency_id) on conflict do nothing"
            ).format(sql.Identifier(table)),
            [ROWS_A_MODEL],
        )

    def cost(self, user: str, statement: sql.Composed) -> Cost:
        """Run a statement as a signed-in user and count what it touched."""
        database = self.database
        with database.transaction(force_rollback=True):
            claims = json.dumps({"sub": user, "role": "authenticated"})
            database.execute("select set_config('request.jwt.claims', %s, true)", [claims])
            database.execute("set local role authenticated")
            # the first one fills the session's own caches of the catalog
            database.execute(statement)
            told = database.execute(EXPLAIN + statement).fetchone()
        assert told is not None
        plan = told[0][0]["Plan"]
        return Cost(
            plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
            sum(_removed(node) for node in _nodes(plan)),
        )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _removed(node: dict[str, Any]) -> int:
    return sum(
        int(count) * int(node["Actual Loops"])
        for name, count in node.items()
        if name.startswith("Rows Removed by")
    )


def statements(relations: list[Any]) -> dict[str, tuple[str, sql.Composed]]:
    """Return what is measured, by name: as whom, and the statement."""
    asked: dict[str, tuple[str, sql.Composed]] = {}
    for name, column, columns in relations:
        names = {
            "column": sql.Identifier(column),
            "relation": sql.Identifier(name),
            "whose": sql.Identifier("id" if name == "agencies" else "agency_id"),
        }
        told = [
            one for one in STATEMENTS.items() if "model_id" not in one[1] or "model_id" in columns
        ]
        for who, user in (("stranger", STRANGER), ("member", MEMBER)):
            for what, text in told:
                asked[f"{who}: {what} of {name}"] = (user, sql.SQL(text).format(**names, **IDS))
    for what, text in DASHBOARD.items():
        asked[f"member: {what}"] = (MEMBER, sql.SQL(text).format(**IDS))
    return asked


@pytest.fixture
def crowd(cluster_url: str) -> Iterator[Crowd]:
    with (
        migrated_project(cluster_url) as url,
        psycopg.connect(as_superuser(url), autocommit=True) as database,
    ):
        yield Crowd(database)


def test_no_read_of_a_member_costs_more_because_others_have_rows(crowd: Crowd) -> None:
    relations = crowd.database.execute(RELATIONS).fetchall()
    asked = statements(relations)
    crowd.add(2)
    crowd.database.execute("vacuum analyze")
    alone = {name: crowd.cost(*one) for name, one in asked.items()}

    crowd.add(AGENCIES)
    crowd.database.execute("vacuum analyze")
    among_many = {name: crowd.cost(*one) for name, one in asked.items()}

    assert len(relations) >= 16
    grown = [
        f"{name}: {alone[name]} became {cost}"
        for name, cost in among_many.items()
        if cost.buffers > 2 * alone[name].buffers + ALLOWED[asked[name][0]]
        or cost.removed > alone[name].removed + MODELS * ROWS_A_MODEL
    ]
    assert not grown, "\n".join(grown)


def test_every_policy_asks_for_the_agencies_as_an_array(crowd: Crowd) -> None:
    """Only so can an index find the rows; realtime.messages is not filled above."""
    policies = crowd.database.execute(
        "select schemaname || '.' || tablename || ': ' || policyname, qual from pg_policies"
        " where schemaname in ('public', 'realtime')"
    ).fetchall()

    assert len(policies) >= 16
    assert [name for name, qual in policies if "= ANY (ARRAY( SELECT" not in qual] == []
