"""`fanvue-sync run`: the worker itself, until a signal or until the queue is drained.

Logs go to stderr, as JSON unless that is a terminal, whose last line shows the queue. The summary
is the result.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.live import Live
from rich.text import Text

from worker.app import open_books, run_worker
from worker.clock import SystemClock
from worker.commands.refusals import INTERRUPTED
from worker.commands.session import wait_for
from worker.commands.terminal import AsJson, counted, one_line, open_console, print_json, say
from worker.errors import SyncError
from worker.logs import configure_logging
from worker.settings import load_settings


if TYPE_CHECKING:
    from worker.settings import Settings
    from worker.tally import Tally


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync run
  fanvue-sync run --drain
  WORKER_LOG_FORMAT=console fanvue-sync run --drain --json 2>worker.log
"""
LINE_EVERY: Final = timedelta(seconds=2)


def run(
    *,
    drain: Annotated[
        bool, typer.Option("--drain", help="End when nothing is due or running any more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Work: claim due jobs, sync, settle; SIGTERM or Ctrl-C hands the leases back.

    With --drain the exit code is 1 if a job of this run ended dead, 130 if it was interrupted.
    """
    settings = load_settings()
    tally = wait_for(_run(settings, drain=drain))
    if as_json:
        print_json(summary(tally))
    else:
        say(_sentence(tally))
    if drain and tally.dead:
        raise typer.Exit(1)
    if drain and tally.interrupted:
        raise typer.Exit(INTERRUPTED)


async def _run(settings: Settings, *, drain: bool) -> Tally:
    line = None
    if sys.stderr.isatty() and sys.stdout.isatty():
        line = asyncio.create_task(_show_queue(settings))
        # The line takes stderr over first, so that logs are written above it.
        await asyncio.sleep(0)
    worker = settings.worker
    # For eyes where somebody looks, for machines where it is kept.
    log_format = worker.log_format or ("console" if sys.stderr.isatty() else "json")
    configure_logging(worker.log_level, log_format, secrets=settings.secrets())
    try:
        return await run_worker(settings, drain=drain)
    finally:
        if line is not None:
            line.cancel()
            await asyncio.gather(line, return_exceptions=True)


async def _show_queue(settings: Settings) -> None:
    """Keep one line about the whole queue, this worker's part or not."""
    clock = SystemClock()
    with Live(console=open_console(stderr=True), transient=True, refresh_per_second=2) as live:
        async with open_books(settings, clock) as books:
            while True:
                try:
                    jobs = (await books.overview.status())["jobs"]
                except SyncError as error:
                    live.update(Text(one_line(error.message), style="yellow"))
                else:
                    live.update(
                        Text(
                            f"{jobs['running']} running · {jobs['due']} due · "
                            f"{jobs['queued']} queued · {jobs['dead']} dead · Ctrl-C stops",
                            style="dim",
                        )
                    )
                await clock.sleep(LINE_EVERY)


def summary(tally: Tally) -> dict[str, Any]:
    """Return what a run did, as `--json` prints it."""
    return {
        "claimed": tally.claimed,
        "outcomes": dict(sorted(tally.outcomes.items())),
        "dead": tally.dead,
        "lost": tally.lost,
        "requests": tally.requests,
        "throttled": tally.throttled,
        "pickup_ms": {
            "p50": tally.pickup.quantile(0.5),
            "p95": tally.pickup.quantile(0.95),
        },
    }


def _sentence(tally: Tally) -> str:
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(tally.outcomes.items()))
    return (
        f"{counted(tally.claimed, 'job')} claimed ({outcomes or 'nothing to do'}), "
        f"{counted(tally.requests, 'call')} to Fanvue, {tally.throttled:,} of them throttled"
    )
