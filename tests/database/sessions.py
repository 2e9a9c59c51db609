"""The tests' database between two tests: a clock that stands, tables emptied, sessions kept."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from tests.support.postgres import as_superuser


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.postgres import Connection


# More than most tests need; what a crowd opened beyond it is closed when its test ends.
KEPT = 12
# A microsecond passes with every look at the clock, and nothing else lets it pass but the test:
# what comes later has a later time, and no test is slower than a lease, a window or a margin.
_CLOCK = """
create sequence private.ticks;
grant all on sequence private.ticks to public;
create or replace function private.engine_now() returns timestamptz
language sql volatile security definer set search_path = '' as $$
  select timestamptz 'epoch' + pg_catalog.nextval('private.ticks') * interval '1 microsecond'
         + coalesce((select c.shift from private.engine_clock c), interval '0')
$$;
-- one that replaced the engine's is told
update private.access_inventory i set definition = md5(lower(p.prosrc))
from pg_proc p
where i.object = 'function private.engine_now()' and p.oid = 'private.engine_now()'::regprocedure;
do $$
declare
  v_default record;
begin
  for v_default in
    select d.adrelid::regclass as relation, a.attname
    from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
    join pg_class c on c.oid = d.adrelid
    where pg_get_expr(d.adbin, d.adrelid) = 'now()'
      and c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
  loop
    execute format('alter table %s alter %I set default private.engine_now()',
                   v_default.relation, v_default.attname);
  end loop;
end
$$;
"""
# A wait for a lock ends when a test lets it end, however slow the machine is.
_PATIENCE = """
alter function private.apply_event(public.webhook_events, private.webhook_facts, boolean,
                                   timestamptz) set lock_timeout = '1h';
alter function public.receive_webhook_event(jsonb, text, text, boolean) set lock_timeout = '1h';
"""
# Everything that hangs on an agency goes with it; the others stand alone. Truncating all of it
# costs thirty times what deleting a test's few rows does, and is left to those that had many.
_EMPTY = """
create function private.empty_all(p_untouched boolean) returns regclass[] language plpgsql as $$
declare
  v_tables regclass[];
  v_table regclass;
begin
  with recursive t(oid) as (
    select x::regclass::oid
    from unnest(array['public.agencies', 'public.webhook_events', 'private.api_budgets',
                      'private.api_endpoints',
                      'private.scheduler_ticks', 'private.engine_clock',
                      'private.adoption_findings', 'private.pushes',
                      'private.webhook_refusals', 'private.webhook_tests',
                      'private.alert_states', 'ops.actions', 'auth.users']) x
    union
    select c.conrelid from t join pg_constraint c on c.contype = 'f' and c.confrelid = t.oid
  )
  select array_agg(t.oid::regclass) into v_tables from t;
  if p_untouched or (select sum(pg_relation_size(x)) from unnest(v_tables) x) > 1000000 then
    execute 'truncate ' || array_to_string(v_tables, ', ');
    return v_tables;
  end if;
  set local session_replication_role = replica;
  foreach v_table in array v_tables loop
    if pg_relation_size(v_table) > 0 then
      execute format('delete from %s', v_table);
    end if;
  end loop;
  return v_tables;
end
$$
"""
# What is truncated keeps its statistics, and what is not has dead rows and index entries.
_FORGET = "delete from pg_statistic where starelid = any (%s::regclass[])"
_KEPT = """
select c.oid::regclass::text as name
from pg_class c
where c.relkind = 'r' and not c.relisshared and c.oid <> all (%s::regclass[])
"""


def prepare(connection: Connection) -> None:
    """Give the database the tests' clock, and what empties it."""
    for statement in (_CLOCK, _PATIENCE, _EMPTY):
        connection.execute(statement.encode())


class Sessions:
    """Connections that outlive a test."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Connection] = []
        self.untouched = True
        # Whether the test that runs began untouched.
        self.measurable = False

    @contextmanager
    def lending(self) -> Iterator[Callable[[], Connection]]:
        """Lend connections for the time of a test."""
        lent: list[Connection] = []

        def lend() -> Connection:
            connection = self._idle.pop() if self._idle else self._open()
            lent.append(connection)
            return connection

        try:
            yield lend
        finally:
            # The one that sets the scene is lent first, and again first.
            for connection in reversed(lent):
                self._take_back(connection)

    def empty(self, connection: Connection) -> None:
        """Empty every table, and let the clock stand at the present."""
        row = connection.execute(
            "select private.empty_all(%s)::text[] as tables", [self.untouched]
        ).fetchone()
        assert row is not None
        if self.untouched:
            self._settle(row["tables"])
        self.measurable = self.untouched
        connection.execute(
            # not before the days that the tests' events tell of
            "select setval('private.ticks', (extract(epoch from"
            " greatest(now(), timestamptz '2026-11-22Z')) * 1000000)::bigint)"
        )
        self.untouched = False

    def _settle(self, emptied: list[str]) -> None:
        """Let nothing that ran before show: neither in the emptied tables, nor in any other."""
        with psycopg.connect(as_superuser(self._url), autocommit=True) as superuser:
            superuser.execute(_FORGET, [emptied])
            kept = [sql.SQL(name) for (name,) in superuser.execute(_KEPT, [emptied])]
            superuser.execute(sql.SQL("vacuum (analyze) {}").format(sql.SQL(", ").join(kept)))

    def close(self) -> None:
        """Close what is not lent."""
        while self._idle:
            self._idle.pop().close()

    def _open(self) -> Connection:
        return psycopg.connect(self._url, autocommit=True, row_factory=dict_row)

    def _take_back(self, connection: Connection) -> None:
        left = connection.info.transaction_status
        usable = left in {TransactionStatus.IDLE, TransactionStatus.INTRANS}
        if not usable or len(self._idle) >= KEPT:
            connection.close()
            return
        connection.rollback()
        connection.execute("reset session authorization; reset role; reset all; discard temp")
        self._idle.append(connection)
