"""The dashboard's object equals the rows, whatever happened to them, and shows nobody else's.

Its stamp stands for it: one stamp never stands for two objects.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Rollback
from psycopg.types.json import Jsonb

from tests.database.figures import PERIODS, Row, Rows, stats
from tests.database.happenings import FANS, SALES, TRUNCATE, VALUES, Statement, statements


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.database.engine import Engine
    from tests.support.postgres import Connection


class Watch:
    """One agency's objects after every statement, and the stamps that they bore."""

    def __init__(self, engine: Engine, agency_id: uuid.UUID) -> None:
        self.engine = engine
        self.agency_id = agency_id
        self.shown: dict[str, list[Row]] = {}
        self.last: tuple[str, list[Row]] | None = None

    def look(self, *, blunt: bool) -> None:
        """Compare the objects with the rows, and the stamp with the objects."""
        seen = [stats(self.engine, self.agency_id, *period) for period in PERIODS]
        (stamp,) = {one.pop("stamp") for one in seen}
        rows = Rows(self.engine, self.agency_id)

        assert seen == [rows.stats(*period) for period in PERIODS]
        assert self.shown.setdefault(stamp, seen) == seen, "one stamp for two objects"
        if self.last is not None and not blunt and self.last[1] == seen:
            assert self.last[0] == stamp, "another stamp for the same object"
        self.last = (stamp, seen)


@pytest.mark.property
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(written=st.lists(statements, min_size=1, max_size=10))
def test_the_object_equals_the_rows_and_its_stamp_stands_for_it(
    engine: Engine, written: list[Statement]
) -> None:
    with engine.owner.transaction():
        first, second = engine.agency(), engine.agency()
        for handle, agency_id in (("a", first), ("b", first), ("c", second)):
            engine.model(agency_id, due=False, handle=handle)
        watches = [Watch(engine, first), Watch(engine, second)]
        for statement, values in [("select 1", {}), *written]:
            engine.owner.execute(statement.encode(), values)
            for watch in watches:
                # a truncated table says of every model that it changed
                watch.look(blunt=statement == TRUNCATE)
        raise Rollback


class Member:
    """Somebody who is signed in."""

    def __init__(self, connection: Connection, user_id: uuid.UUID) -> None:
        self.connection = connection
        claims = Jsonb({"sub": str(user_id), "role": "authenticated"})
        connection.execute("select set_config('request.jwt.claims', %s::text, false)", [claims])
        connection.execute("set role authenticated")

    def ask(self, agency_id: uuid.UUID) -> dict[str, Any]:
        """Ask for an agency's dashboard."""
        row = self.connection.execute(
            "select public.dashboard_stats(%s, %s, %s) as found", [agency_id, *PERIODS[0]]
        ).fetchone()
        assert row is not None
        return dict(row["found"])

    def head(self, agency_id: uuid.UUID) -> dict[str, Any]:
        """Ask whether a kept dashboard still stands."""
        row = self.connection.execute(
            "select public.stats_head(%s) as found", [agency_id]
        ).fetchone()
        assert row is not None
        return dict(row["found"])


def furnish(engine: Engine, handle: str) -> tuple[uuid.UUID, uuid.UUID]:
    """Make an agency whose creator has sales and fans; return it and its owner."""
    owner_id = uuid.uuid4()
    agency_id = engine.agency(owner_id=owner_id)
    engine.model(agency_id, due=False, handle=handle)
    for statement in (SALES, FANS):
        engine.owner.execute(statement.encode(), VALUES | {"models": [handle], "category": handle})
    return agency_id, owner_id


def test_a_member_sees_their_own_agency_and_nothing_of_another(
    engine: Engine, connect: Callable[[], Connection]
) -> None:
    theirs, _ = furnish(engine, "theirs")
    mine, user_id = furnish(engine, "mine")
    member = Member(connect(), user_id)

    seen = member.ask(mine)

    assert {key: seen[key] for key in seen if key not in {"as_of", "freshness"}} == stats(
        engine, mine, *PERIODS[0]
    )
    assert "theirs" not in str(seen)
    assert str(theirs) not in str(seen)
    for ask in (member.ask, member.head):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not a member of"):
            ask(theirs)


def test_a_member_who_left_is_out_at_once(
    engine: Engine, connect: Callable[[], Connection]
) -> None:
    mine, user_id = furnish(engine, "mine")
    member = Member(connect(), user_id)
    member.head(mine)
    engine.rows(
        "insert into public.agency_members (agency_id, user_id, role)"
        " values (%s, gen_random_uuid(), 'owner')",
        mine,
    )

    engine.rows("delete from public.agency_members where user_id = %s", user_id)

    for ask in (member.ask, member.head):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not a member of"):
            ask(mine)


def test_stamp_and_figures_are_of_one_moment_while_sales_arrive(engine: Engine) -> None:
    agency_id, _ = furnish(engine, "a")
    selling = engine.another()

    def sell() -> None:
        for _ in range(60):
            selling.connection.execute(SALES.encode(), VALUES)

    seen: dict[str, Row] = {}
    sold = selling.run(sell)
    while not sold.done():
        found = stats(engine, agency_id, *PERIODS[0])
        assert seen.setdefault(found["stamp"], found) == found
    sold.result()

    last = stats(engine, agency_id, *PERIODS[0])
    assert last["totals"]["transactions"] == 2 + 2 * 60
    assert seen.get(last["stamp"], last) == last


_TOUCHED = """
  select relname, (seq_tup_read + idx_tup_fetch)::bigint as rows, seq_scan
  from pg_stat_xact_user_tables where schemaname in ('public', 'private')
"""


def touched(engine: Engine, statement: str, *values: Any) -> dict[str, tuple[int, int]]:
    """Return how many rows of each table a statement read, and how often it read one whole."""
    with engine.owner.transaction():
        before = {row["relname"]: row for row in engine.rows(_TOUCHED)}
        engine.rows(statement, *values)
        after = {row["relname"]: row for row in engine.rows(_TOUCHED)}
    return {
        name: (row["rows"] - before[name]["rows"], row["seq_scan"] - before[name]["seq_scan"])
        for name, row in after.items()
        if name != "engine_clock"
    }


@pytest.mark.usefixtures("fresh_sessions")
def test_a_dashboard_reads_its_own_agency_s_rollups_and_no_sale(engine: Engine) -> None:
    for _ in range(10):
        engine.models(engine.agency(), 20, due=False)
    agency_id, _ = furnish(engine, "a")
    engine.models(agency_id, 19, due=False)
    ask = "select public.dashboard_stats(%s, %s, %s), public.stats_head(%s)"
    for _ in range(7):
        engine.rows(ask, agency_id, *PERIODS[0], agency_id)
    sell = SALES.replace("%(at)s", "%(at)s::timestamptz - n * interval '1 minute'").replace(
        "generate_series(1, %(count)s)", "generate_series(1, 2000) n"
    )
    engine.owner.execute(sell.encode(), VALUES | {"origin": "api"})
    # Autovacuum does this once a tenth of the ledger is new.
    engine.rows("analyze public.fanvue_transactions")

    read = touched(engine, ask, agency_id, *PERIODS[0], agency_id)

    assert read["fanvue_transactions"] == (2, 0)
    assert read["earnings_daily"][0] <= 40
    assert read["sync_state"][0] <= 2 * 2 * 20
    assert read["models"][0] <= 6 * 20
    assert read["stats_versions"][0] <= 2 * 20
    assert {name for name, (_, scans) in read.items() if scans} == set()


@pytest.mark.parametrize(("days_before", "shown"), [(0, 1), (7, 1), (8, 0)])
def test_top_fans_are_a_week_old_at_most(engine: Engine, days_before: int, shown: int) -> None:
    agency_id = engine.agency()
    model_id = engine.model(agency_id, due=False)
    last = PERIODS[0][1]
    engine.rows(
        "insert into public.fanvue_top_fans (agency_id, model_id, day, rank, fan_uuid, gross, net)"
        " values (%s, %s, %s::date - %s, 1, 'fan', 5, 4)",
        agency_id,
        model_id,
        last,
        days_before,
    )

    assert len(stats(engine, agency_id, *PERIODS[0])["top_fans"]) == shown


def test_days_and_instants_are_universal_time_wherever_the_caller_is(engine: Engine) -> None:
    agency_id = engine.agency()
    model_id = engine.model(agency_id, due=False)
    engine.rows(
        "update public.sync_state set last_success_at = '2026-03-01T12:00:00Z' where model_id = %s",
        model_id,
    )
    engine.rows("set timezone = 'Pacific/Kiritimati'")

    found = engine.value("select public.dashboard_stats(%s, %s, %s)", agency_id, *PERIODS[0])

    assert found["as_of"].endswith("+00:00")
    assert found["freshness"][0]["newest_success_at"] == "2026-03-01T12:00:00+00:00"
