"""The schedule: a tick when nothing is due, and what operators read when everything is late."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.table import Row, compare


if TYPE_CHECKING:
    from benchmarks.stage import Size, Stage


def tick(stage: Stage, size: Size) -> list[Row]:
    """Tick over many models of which none is due, against few."""
    few, many = [], []
    for _ in range(size.rounds):
        few += _ticks(stage, size, size.few_models)
        many += _ticks(stage, size, size.many_models)
    return [
        compare(
            "tick",
            f"nothing due, {size.many_models:,} models",
            f"nothing due, {size.few_models} models",
            path="SQL",
            unit="ms",
            figures=many,
            baselines=few,
        )
    ]


def _ticks(stage: Stage, size: Size, models: int) -> list[float]:
    stage.populate(agencies=size.agencies, models=models)
    return [stage.timed_call("enqueue_due", p_by="bench")[0] for _ in range(size.ticks)]


def outage(stage: Stage, size: Size) -> list[Row]:
    """Read what is late, and what wants attention, when nobody works: many creators, and half."""
    few = _late(stage, size, size.many_models // 2)
    many = _late(stage, size, size.many_models)
    names = ("ops.late, every line", "ops.late, a hundred lines", "engine_attention")
    return [
        compare(
            "outage",
            f"{name}, {size.many_models:,} creators late",
            "half as many",
            path="SQL",
            unit="ms",
            figures=figures,
            baselines=baselines,
        )
        for name, figures, baselines in zip(names, many, few, strict=True)
    ]


def _late(stage: Stage, size: Size, models: int) -> tuple[list[float], ...]:
    stage.populate(agencies=size.agencies, models=models)
    stage.run("update public.sync_state set next_sync_at = now() - interval '1 hour'")
    stage.call("enqueue_due", p_by="bench", p_limit=10 * models)
    stage.run("update public.sync_jobs set run_at = run_at - interval '30 minutes'")
    stage.settle("public.sync_state", "public.sync_jobs")
    lines: list[float] = []
    some: list[float] = []
    asked: list[float] = []
    for _ in range(size.rounds):
        for took, statement in (
            (lines, "select why from ops.late"),
            (some, "select why from ops.late limit 100"),
            (asked, "select public.engine_attention()"),
        ):
            began = perf_counter()
            stage.run(statement)
            took.append((perf_counter() - began) * 1000)
    return lines, some, asked
