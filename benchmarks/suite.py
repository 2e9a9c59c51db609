"""All benchmarks by name, in the order of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.calls import calls
from benchmarks.ledger import commit
from benchmarks.memory import memory
from benchmarks.pixels import pixels
from benchmarks.queue import claim, drain, settle
from benchmarks.reads import reads
from benchmarks.scale import scale
from benchmarks.stage import open_stage
from benchmarks.throughput import callers, throughput
from benchmarks.ticks import outage, tick
from benchmarks.webhooks import webhook


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from benchmarks.stage import Size, Stage
    from benchmarks.table import Row


BENCHMARKS: dict[str, Callable[[Stage, Size], list[Row]]] = {
    "calls": calls,
    "commit": commit,
    "drain": drain,
    "claim": claim,
    "settle": settle,
    "tick": tick,
    "outage": outage,
    "callers": callers,
    "throughput": throughput,
    "webhook": webhook,
    "pixels": pixels,
    "reads": reads,
    "memory": memory,
    "scale": scale,
}


def run_benchmarks(
    environment: Mapping[str, str], size: Size, names: Collection[str]
) -> Iterator[list[Row]]:
    """Run the named benchmarks on a stack whose data they may delete; yield each one's rows."""
    with open_stage(environment) as stage:
        for name, benchmark in BENCHMARKS.items():
            if name in names:
                stage.clear()
                yield benchmark(stage, size)
