"""Committing a page in SQL alone, over a small and a large ledger, and against a plain insert.

Cost follows change: the size of the ledger must not show, and unchanged rows must cost little.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from benchmarks.table import Row, compare


if TYPE_CHECKING:
    from benchmarks.stage import Size, Stage


PAGE_ROWS = 50
# an instant of its own for each: rows that share one with history must be matched, as few are
NEWEST = datetime(2026, 6, 1, microsecond=7000, tzinfo=UTC)

# Triggers are off while history is made: the rollup is then written in one statement.
_HISTORY = """
  insert into public.fanvue_transactions (
    agency_id, model_id, fanvue_id, amount, net_amount, currency, category, source, status,
    fan_uuid, fanvue_created_at)
  select m.agency_id, m.id, 'old-' || n, 9.99, 7.99, 'USD', 'tip', 'tip', 'available',
         'fan-' || n %% 40, timestamptz '2026-01-01' - n * interval '20 minutes'
  from public.models m
  cross join generate_series(1, %(each)s) n
"""
_PLAIN = """
  insert into bench.plain (
    agency_id, model_id, fanvue_id, amount, net_amount, currency, category, source, status,
    fan_uuid, fanvue_created_at)
  select m.agency_id, m.id, r.fanvue_id, r.amount, r.net, r.currency, r.category, r.source,
         r.status, r.fan_uuid, r.at
  from public.models m
  cross join jsonb_to_recordset(%(rows)s) as r(
    fanvue_id text, amount numeric, net numeric, currency text, category text, source text,
    status text, fan_uuid text, at timestamptz)
  where m.id = %(model)s
  on conflict (fanvue_id, model_id) do nothing
"""
_PLAIN_TABLE = """
  create schema bench;
  create table bench.plain (like public.fanvue_transactions including all);
"""
# "including all" leaves them out
_KEYS = """
  alter table bench.plain
    add foreign key (agency_id) references public.agencies,
    add foreign key (model_id) references public.models
"""


def commit(stage: Stage, size: Size) -> list[Row]:
    """Commit pages of new and of unchanged rows over two ledgers."""
    small_new, small_same = _commits(stage, size, size.small_ledger)
    plain_new, plain_same = _plain_inserts(stage, size)
    keyed_new, _ = _plain_inserts(stage, size, _KEYS)
    large_new, large_same = _commits(stage, size, size.large_ledger)
    small, large = f"{size.small_ledger:,}-row ledger", f"{size.large_ledger:,}-row ledger"
    new, same = f"{PAGE_ROWS} new rows", f"{PAGE_ROWS} unchanged rows"
    plain = "plain insert, on conflict do nothing"
    pairs = (
        (f"{new}, {large}", small, large_new, small_new),
        (f"{same}, {large}", small, large_same, small_same),
        (f"{new}, {small}", plain, small_new, plain_new),
        (f"{new}, {small}", f"{plain}, with the foreign keys", small_new, keyed_new),
        (f"{same}, {small}", plain, small_same, plain_same),
    )
    return [
        compare(
            "commit",
            measured,
            against,
            path="SQL",
            unit="ms",
            figures=figures,
            baselines=baselines,
        )
        for measured, against, figures, baselines in pairs
    ]


def _commits(stage: Stage, size: Size, ledger: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of commits of new rows, and of the same rows again."""
    fill_ledger(stage, size, ledger)
    model_id = stage.run("select id from public.models order by id limit 1")[0]
    return commit_pages(stage, model_id, range(size.commits))


def commit_pages(stage: Stage, model_id: str, numbers: range) -> tuple[list[float], list[float]]:
    """Commit pages that are new, and the same again; return the milliseconds of each."""
    stage.call("enqueue_sync", p_model_id=model_id, p_sync_type="earnings", p_full=True)
    (job,) = stage.call(
        "claim_model_job",
        p_worker="bench",
        p_model_id=model_id,
        p_sync_type="earnings",
        p_lease_seconds=600,
        p_claim_id=uuid.uuid4(),
    )["jobs"]
    walk = stage.call("begin_sync_walk", p_job_id=job["id"], p_lease_id=job["lease_id"])
    pages = [_page(number) for number in numbers]
    new: list[float] = []
    same: list[float] = []
    version = walk["version"]
    for took in (new, same):
        for rows in pages:
            took.append(
                _commit(stage, job, version, {"walk_id": walk["walk_id"], **_turn(rows, version)})
            )
            version += 1
    return new, same


def _commit(stage: Stage, job: dict[str, Any], version: int, page: dict[str, Any]) -> float:
    took, _ = stage.timed_call(
        "commit_sync_page",
        p_job_id=job["id"],
        p_lease_id=job["lease_id"],
        p_version=version,
        p_page=page,
    )
    return took


def _turn(rows: list[dict[str, Any]], version: int) -> dict[str, Any]:
    return {"key": f"page {version}", "rows": rows, "position": rows[-1]["at"], "cursor": "next"}


def _page(number: int) -> list[dict[str, Any]]:
    """Describe fifty sales of one page, newest first."""
    return [
        {
            "fanvue_id": f"new-{place}",
            "source": "message",
            "category": "message",
            "amount": "12.50",
            "net": "10.00",
            "currency": "USD",
            "status": "pending",
            "fan_uuid": f"fan-{place % 40}",
            "at": (NEWEST - place * timedelta(minutes=20)).isoformat(),
        }
        for place in range(number * PAGE_ROWS, (number + 1) * PAGE_ROWS)
    ]


def _plain_inserts(stage: Stage, size: Size, keys: str = "") -> tuple[list[float], list[float]]:
    """Insert the same rows into a table of the same columns and indexes, and again."""
    model_id = stage.run("select id from public.models order by id limit 1")[0]
    stage.run(_PLAIN_TABLE + keys)
    try:
        stage.run("insert into bench.plain select * from public.fanvue_transactions")
        stage.settle("bench.plain")
        new: list[float] = []
        same: list[float] = []
        pages = [_page(number) for number in range(size.commits, 2 * size.commits)]
        for took in (new, same):
            for rows in pages:
                began = perf_counter()
                stage.run(_PLAIN, {"rows": Jsonb(rows), "model": model_id})
                took.append((perf_counter() - began) * 1000)
        return new, same
    finally:
        stage.run("drop schema bench cascade")


def fill_ledger(stage: Stage, size: Size, ledger: int) -> None:
    """Make models with a history, so many rows together."""
    stage.populate(agencies=size.agencies, models=size.ledger_models)
    with stage.owner.transaction():
        stage.run("set local session_replication_role = replica")
        stage.run(_HISTORY, {"each": ledger // size.ledger_models})
        stage.roll_up()
    stage.settle("public.fanvue_transactions", "public.earnings_daily")
