"""Command line: the engine beside others on a durable server of its own; prints Markdown tables.

Parses, starts, prints, stops; measuring is elsewhere.
"""

from __future__ import annotations

from statistics import median, quantiles
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benchmarks.peers.loading import COLUMNS, as_rows, loads
from benchmarks.peers.pickup import our_pickups
from benchmarks.peers.programs import install
from benchmarks.peers.queue import OURS, drains, peer_pickups, prices
from benchmarks.stage import open_stage
from local.programs import PROJECT
from local.stack import Stack
from worker.logs import configure_logging


if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.peers.loading import Load
    from benchmarks.peers.queue import Figures
    from benchmarks.stage import Stage


DIRECTORY = PROJECT / ".local" / "bench-peers"
PORT = 25741
PARTS = ("drain", "prices", "pickup", "loaders")

cli = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
progress = Console(stderr=True)


@cli.command()
def peers(
    *,
    only: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(PARTS)}; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="The backlog to drain.")] = 5000,
    rounds: Annotated[int, typer.Option(help="How often; medians are printed.")] = 5,
    picked: Annotated[int, typer.Option(help="Jobs added to an idle worker.")] = 100,
    history: Annotated[int, typer.Option(help="Transactions of the first sync.")] = 5000,
) -> None:
    """Measure the engine beside other queues and loaders."""
    configure_logging("error")
    wanted = only or PARTS
    install()
    stack = Stack(DIRECTORY, port=PORT)
    # an instance that a broken-off run left behind is not to be trusted
    stack.down(reset=True)
    try:
        with open_stage(stack.up().env) as stage:
            if "drain" in wanted:
                _drain(stage, jobs, rounds)
            if "prices" in wanted:
                figures = prices(stage, jobs, rounds)
                _table("Price of each part, jobs/s", figures)
            if "pickup" in wanted:
                _pickup(stage, picked)
            if "loaders" in wanted:
                _loaders(stage, history, rounds)
    finally:
        stack.down(reset=True)


def _drain(stage: Stage, jobs: int, rounds: int) -> None:
    figures: Figures = {}
    for done, figures in drains(stage, jobs, rounds):  # noqa: B007 - the last ones hold all
        progress.print(f"drain: {done}", highlight=False)
    _table(f"{jobs:,} jobs, jobs/s", figures)


def _pickup(stage: Stage, picked: int) -> None:
    rows = [(OURS, our_pickups(stage, picked)), *peer_pickups(stage, picked)]
    _say("Pickup, ms", ("", "median", "p95"), [(name, *_spread(took)) for name, took in rows])


def _loaders(stage: Stage, history: int, rounds: int) -> None:
    taken: dict[str, list[Load]] = {}
    for done, taken in loads(stage, history, rounds):  # noqa: B007 - the last ones hold all
        progress.print(f"loaders: {done}", highlight=False)
    _say(f"A history of {history:,} sales", COLUMNS, as_rows(taken))


def _spread(took: Sequence[float]) -> tuple[str, str]:
    p95 = quantiles(took, n=20)[-1] if len(took) > 1 else took[0]
    return f"{median(took):.1f}", f"{p95:.1f}"


def _table(title: str, figures: Figures) -> None:
    columns = list(dict.fromkeys(column for _, column in figures))
    rows = [
        (row, *(f"{median(figures[row, column]):,.0f}" for column in columns))
        for row in dict.fromkeys(row for row, _ in figures)
    ]
    _say(title, ("", *columns), rows)


def _say(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    typer.echo("\n".join([f"\n{title}\n", *(f"| {' | '.join(line)} |" for line in lines)]))


if __name__ == "__main__":
    cli()
