"""The scheduling tick when nothing is due: it must not cost more with more models."""

from __future__ import annotations

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
