"""The demo's command line: until Ctrl-C, or for a while and then a verdict.

Parses, and turns signals into one orderly stop; the work is in `local.demo.performance`, what is
printed at its beginning and end in `local.demo.words`.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from local.demo.performance import Performance
from local.demo.promises import check_promises, take_figures
from local.demo.stage import Stage
from local.demo.waiting import InterruptedDemoError, Patience
from local.demo.words import print_json, print_verdict, welcome
from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


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

    With --duration, exit 0 only if every promise held; how fast it was is never judged.
    """
    console = Console(stderr=as_json, highlight=False, markup=False)

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    began = time.monotonic()
    patience = Patience(say)
    stage = Stage(patience)
    performance = Performance(stage, patience, say)
    records = None
    with _stopped_by_signals(patience, say):
        try:
            login = performance.open()
            say(welcome(stage, login, seconds=time.monotonic() - began, until_stopped=not duration))
            performance.play(duration)
            records = performance.catch_up()
        except InterruptedDemoError:
            pass
        except Exception:
            # A Ctrl-C reaches the programs that were asked just then, too.
            if not patience.interrupted:
                raise
        finally:
            stage.close()
    if records is None:
        raise typer.Exit(0 if duration is None else INTERRUPTED)
    promises, figures = check_promises(records), take_figures(records)
    show = print_json if as_json else print_verdict
    show(promises, figures, time.monotonic() - began)
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
def _stopped_by_signals(patience: Patience, say: Callable[[str], None]) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a stop; later ones change nothing."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if not patience.interrupted:
            patience.interrupt()
            say("\nstopping …")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
