"""The queue in SQL alone: draining it with and without a held snapshot, and its parts' prices."""

from __future__ import annotations

import uuid
from contextlib import nullcontext
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.table import Row, compare


if TYPE_CHECKING:
    from benchmarks.stage import Size, Stage


WORKER = "bench"
BATCHES = (50, 500)
CLAIMS = 10
CLAIM_LIMIT = 8


def drain(stage: Stage, size: Size) -> list[Row]:
    """Claim and settle a backlog while a snapshot is held elsewhere, against nobody holding one."""
    stage.populate(agencies=size.agencies, models=size.backlog)
    rows = []
    for batch in BATCHES:
        clean, held = [], []
        for _ in range(size.rounds):
            clean.append(_drain_once(stage, size.backlog, batch, hold=False))
            held.append(_drain_once(stage, size.backlog, batch, hold=True))
        rows.append(
            compare(
                "drain",
                f"{size.backlog:,} jobs by {batch}, a snapshot held",
                "no snapshot held",
                path="SQL",
                unit="jobs/s",
                figures=held,
                baselines=clean,
            )
        )
    return rows


def settle(stage: Stage, size: Size) -> list[Row]:
    """Price each part of settling polls without news: the whole, hints off, a row for each run."""
    stage.populate(agencies=size.agencies, models=size.backlog)
    rows = []
    for batch in BATCHES:
        claimed, settled, untold, kept = [], [], [], []
        for _ in range(size.rounds):
            parts = _parts(stage, size.backlog, batch)
            claimed.append(parts[0])
            settled.append(parts[1])
            with stage.without_hints():
                untold.append(_parts(stage, size.backlog, batch)[1])
            kept.append(_parts(stage, size.backlog, batch, priority=5)[1])
        for measured, figures in (
            ("all of it", settled),
            ("without hints", untold),
            ("asked for: a row and a hint each", kept),
        ):
            rows.append(
                compare(
                    "settle",
                    f"{batch} jobs, {measured}",
                    f"their claim by {batch}",
                    path="SQL",
                    unit="ms",
                    figures=figures,
                    baselines=claimed,
                )
            )
    return rows


def _parts(stage: Stage, jobs: int, batch: int, priority: int = 10) -> tuple[float, float]:
    """Drain a backlog; return the median milliseconds of its claims and of its settlements."""
    stage.fill_queue(jobs, priority)
    claims: list[float] = []
    settlements: list[float] = []
    while True:
        took, reply = stage.timed_call(
            "claim_sync_jobs", p_worker=WORKER, p_limit=batch, p_claim_id=uuid.uuid4()
        )
        if not reply["jobs"]:
            return median(claims), median(settlements)
        items = [
            {"id": job["id"], "lease_id": job["lease_id"], "outcome": "done"}
            for job in reply["jobs"]
        ]
        claims.append(took)
        settlements.append(stage.timed_call("settle_sync_jobs", p_worker=WORKER, p_items=items)[0])


def claim(stage: Stage, size: Size) -> list[Row]:
    """Claim a few jobs from a long queue, against a short one."""
    stage.populate(agencies=size.agencies, models=size.backlog)
    long, short = [], []
    for _ in range(size.rounds):
        short += _claims(stage, size.short_backlog)
        long += _claims(stage, size.backlog)
    return [
        compare(
            "claim",
            f"{CLAIM_LIMIT} jobs of {size.backlog:,} queued",
            f"{CLAIM_LIMIT} of {size.short_backlog} queued",
            path="SQL",
            unit="ms",
            figures=long,
            baselines=short,
        )
    ]


def _drain_once(stage: Stage, jobs: int, batch: int, *, hold: bool) -> float:
    stage.fill_queue(jobs)
    done = 0
    with stage.held_snapshot() if hold else nullcontext():
        began = perf_counter()
        while taken := stage.call(
            "claim_sync_jobs", p_worker=WORKER, p_limit=batch, p_claim_id=uuid.uuid4()
        )["jobs"]:
            items = [
                {"id": job["id"], "lease_id": job["lease_id"], "outcome": "done"} for job in taken
            ]
            done += len(stage.call("settle_sync_jobs", p_worker=WORKER, p_items=items))
        seconds = perf_counter() - began
    if done != jobs:
        raise RuntimeError(f"the drain finished {done} of {jobs} jobs")
    return done / seconds


def _claims(stage: Stage, jobs: int) -> list[float]:
    stage.fill_queue(jobs)
    return [
        stage.timed_call(
            "claim_sync_jobs", p_worker=WORKER, p_limit=CLAIM_LIMIT, p_claim_id=uuid.uuid4()
        )[0]
        for _ in range(min(CLAIMS, jobs // CLAIM_LIMIT))
    ]
