"""Command line: run the benchmarks on a stack of their own and print one table of ratios.

Parses, starts, prints, stops; measuring is elsewhere.
"""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.page import write_tables
from benchmarks.stage import FULL, LARGE, TINY
from benchmarks.suite import BENCHMARKS, run_benchmarks
from benchmarks.table import as_table
from local.errors import StackError
from local.programs import PROJECT
from local.stack import Stack
from worker.logs import configure_logging


DIRECTORY = PROJECT / ".local" / "bench"
PORT = 25721

cli = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@cli.command()
def bench(
    *,
    only: Annotated[
        list[str] | None, typer.Option(help="One benchmark; repeatable.", metavar="NAME")
    ] = None,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Only try whether they run; the figures mean nothing.")
    ] = False,
    large: Annotated[
        bool, typer.Option("--large", help="Measure scale up to ten million sales: 8 GB of disk.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option(help="Put the table into this page.", metavar="PAGE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what the engine costs, as ratios of medians."""
    unknown = set(only or ()) - BENCHMARKS.keys()
    if unknown:
        typer.echo(
            f"no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}",
            err=True,
        )
        raise typer.Exit(2)
    size = TINY if tiny else LARGE if large else FULL
    configure_logging("warning")
    progress = Console(stderr=True, quiet=as_json)
    stack = Stack(DIRECTORY, port=PORT, volatile=True)
    # an instance that a broken-off run left behind is not to be trusted
    stack.down(reset=True)
    try:
        environment = stack.up().env
        rows = []
        with progress.status("benchmarks"):
            for measured in run_benchmarks(environment, size, only or BENCHMARKS):
                rows += measured
                progress.print(f"{measured[0].benchmark}: done", highlight=False)
    finally:
        stack.down(reset=True)
    if write:
        write_tables(write, rows)
    if as_json:
        typer.echo(json.dumps([row.as_json() for row in rows], indent=2))
    else:
        Console().print(as_table(rows))


def main() -> None:
    """Run, with a broken stack as one line."""
    try:
        cli()
    except StackError as error:
        typer.echo(f"benchmarks: {error}", err=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
