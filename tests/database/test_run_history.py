"""What history keeps: polls without news are counted, everything else is a row.

And what a poll without news writes at all: the guard of what an idle engine costs.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.database.books import Sale
from tests.database.ear import Ear
from tests.database.test_cost import buffers
from tests.support.day_costs import QUIET_BYTES, RUN_BYTES
from tests.support.postgres import as_superuser


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.database.engine import Engine


# What a quiet poll may write, its tick, claim, page and settlement together: state and queue alone.
MOST_WRITTEN = {
    "sync_jobs": 4,
    "sync_state": 6,
    "quiet_runs": 1,
    "queue_lanes": 1,
    "scheduler_ticks": 1,
    # that work is due: to workers, one for all that a tick queued
    "pushes": 2,
}
MOST_WAL = 6000


@pytest.fixture
def model(engine: Engine) -> uuid.UUID:
    return engine.model(engine.agency(), due=False)


def due(engine: Engine) -> None:
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.call("enqueue_due", "worker")


def scheduled(engine: Engine) -> dict[str, Any]:
    """Claim a job that the schedule made."""
    due(engine)
    (job,) = engine.claim()
    return job


def poll(engine: Engine, *sales: Sale, **settled: Any) -> dict[str, Any]:
    """Play a scheduled poll to its end; nothing but the sales is new."""
    job = scheduled(engine)
    state = engine.begin(job)
    page = engine.page(state, str(uuid.uuid4()), *[one.listed() for one in sales], complete=True)
    engine.call("commit_sync_page", job["id"], job["lease_id"], state["version"], page)
    engine.settle(job, "done", **{"state": "succeeded", "stats": {"requests": 1}, **settled})
    return job


@pytest.fixture
def lively(engine: Engine, model: uuid.UUID) -> Engine:
    """Return an engine whose stream has been read wholly before; its history begins now."""
    assert model.int
    poll(engine)
    engine.rows("update public.sync_state set last_deep_at = private.engine_now()")
    engine.rows("delete from public.sync_runs where true")
    return engine


def counted(engine: Engine) -> list[dict[str, Any]]:
    return engine.rows(
        "select sync_type, runs, requests from private.quiet_runs where runs > 0 order by hour"
    )


def runs(engine: Engine) -> int:
    return int(engine.value("select count(*) from public.sync_runs"))


def test_polls_without_news_are_counted_by_stream_and_hour(lively: Engine) -> None:
    for _ in range(3):
        poll(lively)
    lively.move_clock(hours=1)
    poll(lively)

    assert counted(lively) == [
        {"sync_type": "earnings", "runs": 3, "requests": 3},
        {"sync_type": "earnings", "runs": 1, "requests": 1},
    ]
    assert runs(lively) == 0


@pytest.mark.parametrize(
    ("sales", "settled", "before"),
    [
        ([Sale(1, 500, "O1", "f1", "tip")], {}, ""),
        ([], {"state": "partial", "error": {"kind": "partial", "message": "2 rows"}}, ""),
        ([], {"stats": {"requests": 2, "throttled": 1}}, ""),
        ([], {}, "attempt = 2, pages = 0"),
        ([], {}, "cause = 'night'"),
        ([], {}, "priority = 5"),
        ([], {}, "asked_at = claimed_at"),
    ],
    ids=["news", "partial", "throttled", "second attempt", "by night", "ahead", "asked for"],
)
def test_news_trouble_and_what_somebody_asked_for_are_rows(
    lively: Engine, sales: Sequence[Sale], settled: dict[str, Any], before: str
) -> None:
    job = scheduled(lively)
    state = lively.begin(job)
    page = lively.page(state, "p1", *[one.listed() for one in sales], complete=True)
    lively.call("commit_sync_page", job["id"], job["lease_id"], state["version"], page)
    if before:
        lively.rows(f"update public.sync_jobs set {before} where true")  # noqa: S608 - our own text

    lively.settle(job, "done", **{"state": "succeeded", **settled})

    assert (runs(lively), counted(lively)) == (1, [])


@pytest.mark.parametrize("outcome", ["fail", "dead", "cancelled"])
def test_what_did_not_succeed_is_a_row(lively: Engine, outcome: str) -> None:
    lively.settle(scheduled(lively), outcome, error={"kind": "gone", "message": "410"})

    assert (runs(lively), counted(lively)) == (1, [])


def test_history_that_was_read_is_a_row(engine: Engine, model: uuid.UUID) -> None:
    assert model.int
    poll(engine)

    assert engine.rows("select state, detail ->> 'kind' as kind from public.sync_runs") == [
        {"state": "succeeded", "kind": "full"}
    ]


def test_a_webhooks_poll_without_news_is_counted(lively: Engine, model: uuid.UUID) -> None:
    lively.rows(
        "select private.pull_forward(%s, 'earnings', private.engine_now(), 'webhook e1')", model
    )
    lively.move_clock(minutes=2)
    poll(lively)

    assert (runs(lively), len(counted(lively))) == (0, 1)


def test_a_counted_run_whose_reply_was_lost_is_accepted_again_and_counted_once(
    lively: Engine,
) -> None:
    job = scheduled(lively)
    stream = {"model_id": job["model_id"], "sync_type": job["sync_type"]}

    assert lively.settle(job, "done", **stream) == [job["id"]]
    assert lively.settle(job, "done", **stream) == [job["id"]]
    lively.move_clock(hours=1)
    assert lively.settle(job, "done", **stream) == [job["id"]]
    assert lively.settle(job | {"lease_id": job["lease_id"] - 1}, "done", **stream) == []

    assert [row["runs"] for row in counted(lively)] == [1]


def test_status_counts_what_is_counted_and_what_is_a_row(lively: Engine) -> None:
    for _ in range(3):
        poll(lively)
    poll(lively, Sale(1, 500, "O1", "f1", "tip"))
    lively.settle(scheduled(lively), "fail", error={"kind": "gone", "message": "410"})

    assert lively.call("engine_status")["runs_24h"] == {"succeeded": 4, "failed": 1}

    lively.move_clock(hours=25)
    assert lively.call("engine_status")["runs_24h"] is None


def test_a_worker_that_finds_nothing_works_all_the_same(lively: Engine) -> None:
    lively.move_clock(hours=3)
    poll(lively)

    claimed = lively.value("select private.engine_now() - private.last_claim() < '1 minute'")

    assert claimed is True


@pytest.mark.usefixtures("fresh_sessions")
def test_when_a_worker_last_took_a_job_is_found_without_reading_history(lively: Engine) -> None:
    poll(lively)
    pages = []
    for more in (1, 2000):
        lively.models(lively.agency(), more)
        lively.rows(
            "insert into private.quiet_runs"
            " (model_id, sync_type, hour, runs, requests, last_lease_id)"
            " select id, 'earnings', date_trunc('hour', private.engine_now(), 'UTC'), 1, 1, 1"
            " from public.models on conflict do nothing"
        )
        lively.value("select private.last_claim()")
        pages.append(buffers(lively, "select private.last_claim()"))

    few, many = pages
    assert many <= few + 2


def test_a_job_that_is_taken_by_hand_is_a_claim(engine: Engine, model: uuid.UUID) -> None:
    assert engine.value("select private.last_claim()") is None

    job = engine.running_job(model)

    assert engine.value("select private.last_claim()") == engine.value(
        "select claimed_at from public.sync_jobs where id = %s", job["id"]
    )


def test_a_batch_is_settled_at_once_whatever_its_jobs_came_to(
    engine: Engine, model: uuid.UUID, migrated_url: str
) -> None:
    assert model.int
    engine.models(engine.agency(), 40)
    engine.call("enqueue_due", "worker")
    jobs = engine.claim(40)
    outcomes = ["done"] * 30 + ["retry", "fail", "dead", "snooze", "yield"] * 2
    items = [
        {"id": job["id"], "lease_id": job["lease_id"], "outcome": outcome}
        for job, outcome in zip(jobs, outcomes, strict=True)
    ]
    with psycopg.connect(as_superuser(migrated_url), row_factory=dict_row) as meter:
        meter.execute("set track_functions = 'pl'")
        meter.execute("set role service_role")
        row = meter.execute(
            "select public.settle_sync_jobs('w0', %s) as ids", (Jsonb(items),)
        ).fetchone()
        told = meter.execute(
            "select calls from pg_stat_xact_user_functions where funcname = 'push_jobs'"
        ).fetchone()

    assert row is not None
    assert sorted(row["ids"]) == sorted(job["id"] for job in jobs)
    assert engine.value("select sum(runs) from private.quiet_runs") == 30
    assert runs(engine) == 4
    # thirty that are done are one statement, the ten others one or two each
    assert told is not None
    assert told["calls"] <= 2 + 2 * 10


# What a poll without news costs -----------------------------------------------------------------


def quietly(engine: Engine, call: Callable[[str, Sequence[Any]], Any]) -> None:
    """Play a scheduled poll without news through the worker's calls, each made by `call`."""
    call("public.enqueue_due('worker')", ())
    call("public.claim_sync_jobs('w0', 10)", ())
    (job,) = engine.rows("select id, lease_id, model_id from public.sync_jobs")
    ids = (job["id"], job["lease_id"])
    call("public.begin_sync_walk(%s, %s)", ids)
    (state,) = engine.rows("select version, walk_id from public.sync_state")
    page: dict[str, Any] = {"walk_id": str(state["walk_id"]), "key": str(uuid.uuid4()), "rows": []}
    page |= {"complete": True, "position": None}
    ends = {"model_id": str(job["model_id"]), "sync_type": "earnings", "stats": {"requests": 1}}
    call(
        "public.commit_sync_page(%s, %s, %s, %s, p_settle => %s)",
        (*ids, state["version"], Jsonb(page), Jsonb(ends)),
    )


def written(engine: Engine) -> Counter[str]:
    """Return how many rows this session's transaction has written, by table."""
    rows = engine.rows(
        "select relname, n_tup_ins + n_tup_upd + n_tup_del as rows from pg_stat_xact_user_tables"
    )
    return Counter({row["relname"]: row["rows"] for row in rows})


def test_a_poll_without_news_writes_its_own_state_and_nothing_else(lively: Engine) -> None:
    lively.move_clock(minutes=30)
    lively.rows("update public.sync_state set next_sync_at = private.engine_now()")
    ear = Ear(lively)
    with lively.owner.transaction():
        before = written(lively)
        quietly(lively, lambda call, values: lively.rows(f"select {call}", *values))
        rows = written(lively) - before

    assert rows - Counter(MOST_WRITTEN) == Counter()
    assert [event for event, _ in ear.heard()] == []


@pytest.mark.usefixtures("fresh_sessions")
def test_a_poll_without_news_writes_little_to_the_log(lively: Engine) -> None:
    def explained(call: str, values: Sequence[Any]) -> None:
        plan = lively.value(f"explain (analyze, wal, format json) select {call}", *values)
        (top,) = json.loads(plan) if isinstance(plan, str) else plan
        sizes.append(top["Plan"]["WAL Bytes"])

    polls = []
    # a page's first change after a checkpoint is logged whole: the cheapest of several had none
    for _ in range(5):
        lively.move_clock(minutes=30)
        lively.rows("update public.sync_state set next_sync_at = private.engine_now()")
        sizes: list[int] = []
        quietly(lively, explained)
        polls.append(sum(sizes))

    assert min(polls) <= MOST_WAL


@pytest.mark.usefixtures("fresh_sessions")
@pytest.mark.parametrize(
    ("table", "most", "insert"),
    [
        (
            "public.sync_runs",
            RUN_BYTES,
            (
                "(job_id, lease_id, agency_id, model_id, sync_type, state, attempt, queued_at,"
                " started_at, finished_at, worker, detail)"
                " select n * 50 + row_number() over (), n * 50, m.agency_id, m.id, 'earnings',"
                " 'succeeded', 1, now(), now(), now() + n * interval '1 minute',"
                " 'worker-0123456789',"
                " jsonb_build_object('kind', 'incremental', 'cause', private.cause_of(null, now()))"
            ),
        ),
        (
            "private.quiet_runs",
            QUIET_BYTES,
            "select m.id, 'earnings', now() + n * interval '1 hour', 1, 1, n",
        ),
    ],
    ids=["runs", "counters"],
)
def test_a_row_of_history_takes_no_more_bytes_than_costs_are_reckoned_with(
    engine: Engine, table: str, most: int, insert: str
) -> None:
    engine.models(engine.agency(), 50)
    size = f"select pg_total_relation_size('{table}')"
    empty = engine.value(size)

    engine.rows(
        f"insert into {table} {insert} from generate_series(1, 100) n cross join public.models m"
    )

    assert (engine.value(size) - empty) / 5000 <= most
