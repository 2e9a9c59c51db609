"""The demo's command line: until Ctrl-C, or for a while and then a verdict.

Parses, prints, and turns signals into one orderly stop; the work is in
`local.demo.performance`.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from local.demo.performance import InterruptedDemoError, Performance
from local.demo.promises import check_promises
from local.demo.stage import Stage
from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from local.demo.promise import Promise


INTERRUPTED = 130
EXAMPLES = """
\b
Examples:
  python -m local.demo
  python -m local.demo --duration 60
  python -m local.demo --duration 60 --json
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog=EXAMPLES)
def demo(
    *,
    duration: Annotated[
        int | None,
        typer.Option(help="Stop the news after so many seconds, check, end.", min=5, max=86_400),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Run the stack, a simulated Fanvue, two workers and a stream of news.

    With --duration, exit 0 only if every promise held.
    """
    console = Console(stderr=as_json, highlight=False)
    began = time.monotonic()
    stage = Stage()
    performance = Performance(stage, console)
    promises: list[Promise] = []
    with _stopped_by_signals(performance, console):
        try:
            performance.open()
            performance.play(duration)
            promises = check_promises(performance.catch_up())
        except InterruptedDemoError:
            pass
        except StackError:
            # A Ctrl-C reaches the programs that were asked just then, too.
            if not performance.interrupted:
                raise
        finally:
            stage.close()
    if not promises:
        raise typer.Exit(0 if duration is None else INTERRUPTED)
    _print_verdict(promises, time.monotonic() - began, as_json=as_json)
    if not all(promise.holds for promise in promises):
        raise typer.Exit(1)


def main() -> None:
    """Run the demo; an expected failure is one message and exit code 1."""
    try:
        code = app(standalone_mode=False)
    except StackError as error:
        typer.echo(f"error: {error}", err=True)
        code = 1
    except typer.TyperException as error:
        typer.echo(f"error: {error.format_message()}; see --help", err=True)
        code = error.exit_code
    sys.exit(code or 0)


@contextmanager
def _stopped_by_signals(performance: Performance, console: Console) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a stop; later ones change nothing."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if not performance.interrupted:
            console.print("\nstopping …")
            performance.interrupt()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_verdict(promises: list[Promise], seconds: float, *, as_json: bool) -> None:
    if as_json:
        facts = [
            {"promise": one.text, "figure": one.figure, "holds": one.holds} for one in promises
        ]
        holds = all(one.holds for one in promises)
        typer.echo(json.dumps({"holds": holds, "seconds": round(seconds), "promises": facts}))
        return
    table = Table("promise", "figure", "", title=f"after {seconds:.0f} s", title_justify="left")
    for one in promises:
        table.add_row(one.text, one.figure, "[green]ok" if one.holds else "[red bold]FAIL")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
