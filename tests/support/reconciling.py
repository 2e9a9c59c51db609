"""Reconciliations as tests ask for them, and what they left in the tables.

Runs go through the queue, as the command line's do.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from worker.app import open_books
from worker.store.reconcile import ReconcileStore


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.engine import Engine
    from tests.support.ledger_faults import LedgerFaults


NO_LIMIT: Final = {"rate_limit": 100_000}


def reconcile(engine: Engine, days: int | None = None, creator: str | None = None) -> None:
    """Queue a run of one creator or of all, and drain."""
    enqueue(engine, days, creator)
    engine.drain()


def enqueue(engine: Engine, days: int | None = None, creator: str | None = None) -> None:
    async def put() -> None:
        async with open_books(engine.settings()) as books:
            store = ReconcileStore(books.database, timedelta(seconds=60))
            await store.enqueue(None if creator is None else engine.models[creator], days)

    asyncio.run(put())


def runs(engine: Engine) -> list[tuple[str, dict[str, Any]]]:
    """Return state and detail of the finished runs, oldest first."""
    return engine.database.execute(
        "select state, detail from public.sync_runs where sync_type = 'reconcile' order by id"
    ).fetchall()


def drift(engine: Engine, kind: str = "%") -> list[tuple[Any, ...]]:
    return engine.database.execute(
        "select kind, transaction_id, day, state from public.reconciliation_findings"
        " where kind <> 'mended' and kind like %s order by id",
        (kind,),
    ).fetchall()


def mended(engine: Engine) -> int:
    row = engine.database.execute(
        "select coalesce(sum(transactions), 0) from public.reconciliation_findings"
        " where kind = 'mended'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def settled(engine: Engine) -> Callable[[dict[str, Any]], bool]:
    """Choose rows that are a day old: what is younger is not judged yet."""
    border = now_at_fanvue(engine) - timedelta(days=1)
    return lambda row: row["fanvue_created_at"] < border


def assert_rollups_equal_rows(engine: Engine) -> None:
    differing = engine.database.execute(
        """
        select day, category from (
          select model_id, (fanvue_created_at at time zone 'UTC')::date as day,
                 coalesce(category, 'uncategorised') as category, sum(amount) as gross,
                 sum(coalesce(net_amount, 0)) as net, count(*)::integer as transactions
          from public.fanvue_transactions group by 1, 2, 3) r
        full join public.earnings_daily e using (model_id, day, category)
        where (r.gross, r.net, r.transactions) is distinct from (e.gross, e.net, e.transactions)
        """
    ).fetchall()
    assert differing == []


def synced(engine: Engine, *sizes: int, days: int = 60) -> list[str]:
    """Connect creators with so many sales each, reversals among them, and sync them."""
    engine.fanvue.turn(**NO_LIMIT)
    creators = [engine.creator(size, days=days) for size in sizes]
    for creator in creators:
        engine.fanvue.add_sales(creator, 12, ties={"borders": [1, 3], "width": 4})
        engine.fanvue.add_reversals(creator, 5)
        engine.fanvue.add_reversals(creator, 3, kind="chargeback")
    engine.drain()
    for creator in creators:
        engine.assert_exact(creator)
    return creators


def drop_phantoms(engine: Engine, faults: LedgerFaults) -> None:
    engine.database.execute(
        "delete from public.fanvue_transactions where id = any(%s)", (list(faults.phantoms),)
    )


def now_at_fanvue(engine: Engine) -> datetime:
    return datetime.fromisoformat(engine.fanvue.clock()["now"]).astimezone(UTC)


def midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
