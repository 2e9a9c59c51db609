"""Command line: play a day in simulated time on a stack of its own and print what came of it.

Parses, starts, prints, stops; the day itself is played by what the tests play shorter ones with.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
import typer
from rich.console import Console

from benchmarks.day.report import as_tables
from local.errors import StackError
from local.programs import PROJECT
from local.stack import Stack
from tests.support.day import Shape
from tests.support.day_figures import Figure
from tests.support.day_killer import RandomKiller
from tests.support.day_run import Outcome, play
from tests.support.fairness import LIMIT, backfill_beside_live_work
from worker.logs import configure_logging


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


DIRECTORY = PROJECT / ".local" / "day-run"
PORT = 26021
MINUTES_PER_HOUR = 60
# How many creators are active beside the one with the huge backfill.
ACTIVE = 20

cli = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@cli.command()
def day(  # noqa: PLR0913 - one parameter per option
    *,
    creators: Annotated[int, typer.Option(min=1, help="Creators in five agencies.")] = 50,
    hours: Annotated[int, typer.Option(min=1, max=24, help="Hours of it.")] = 24,
    from_hour: Annotated[
        int, typer.Option("--from", min=0, max=23, help="UTC hour in which it begins.")
    ] = 0,
    kills: Annotated[
        int, typer.Option(min=0, help="Play it again with so many workers killed, and compare.")
    ] = 0,
    backfill: Annotated[
        int, typer.Option(min=0, help="Instead: this many old messages beside active creators.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal days.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Play a day of polling without webhooks; exit 1 unless every promise held."""
    configure_logging("warning")
    progress = Console(stderr=True, quiet=as_json)
    shape = Shape(
        creators=creators,
        minutes=hours * MINUTES_PER_HOUR,
        start=Shape().start + timedelta(hours=from_hour),
        seed=seed,
    )
    began = time.monotonic()
    with _stack() as environment, progress.status("a day") as status:
        if backfill:
            outcome = asyncio.run(_backfill(environment, backfill, status.update))
        else:
            outcome = asyncio.run(_day(environment, shape, kills, status.update))
    seconds = round(time.monotonic() - began)
    if as_json:
        typer.echo(json.dumps({**outcome.as_json(), "seconds": seconds}, indent=2))
    else:
        console = Console()
        for table in as_tables(outcome, shape):
            console.print(table)
        console.print(f"{seconds} s, {outcome.happenings:,} happenings looked for")
    raise typer.Exit(1 if outcome.broken else 0)


async def _day(
    environment: dict[str, str], shape: Shape, kills: int, told: Callable[[str], None]
) -> Outcome:
    outcome = await play(environment, shape, told=told)
    if not kills:
        return outcome
    killer = RandomKiller(kills, shape.minutes)
    killed = await play(environment, shape, killer=killer, told=lambda text: told(f"again: {text}"))
    outcome.figures += [
        Figure(f"with kills: {one.promise}", one.figure, one.held) for one in killed.figures
    ]
    differing = [table for table, said in killed.digest.items() if outcome.digest[table] != said]
    outcome.figures += [
        Figure(
            f"{kills} workers are killed",
            f"{killer.kills} killed, {killer.interrupted} of them with work in hand",
            killer.kills == kills,
        ),
        Figure(
            "the day with kills ends like the one without",
            "every table alike" if not differing else f"differing: {', '.join(differing)}",
            not differing,
        ),
    ]
    return outcome


async def _backfill(
    environment: dict[str, str], messages: int, told: Callable[[str], None]
) -> Outcome:
    result = await backfill_beside_live_work(
        environment, messages, creators=ACTIVE, minutes=MINUTES_PER_HOUR, told=told
    )
    outcome = Outcome()
    outcome.figures = [
        Figure(
            "every old message is stored",
            f"{result.stored:,} after {result.minutes} minutes",
            result.stored >= messages,
        ),
        Figure(
            "no live stream is ever later than twice its interval",
            f"longest gaps: messages {result.longest('messages') / 60:.1f} min,"
            f" earnings {result.longest('earnings') / 60:.1f} min"
            f" ({ACTIVE + 1} creators of one agency)",
            not result.late,
        ),
        Figure(
            "no window is exceeded",
            f"{result.refused} answers 429, at most {result.busiest_window} of {LIMIT} calls",
            not result.refused and result.busiest_window <= LIMIT,
        ),
    ]
    return outcome


@contextmanager
def _stack() -> Iterator[dict[str, str]]:
    """Run a stack of its own, its schedule silent."""
    stack = Stack(DIRECTORY, port=PORT, volatile=True)
    # an instance that a broken-off run left behind is not to be trusted
    stack.down(reset=True)
    try:
        environment: dict[str, Any] = stack.up().env
        with psycopg.connect(environment["SUPABASE_DB_URL"], autocommit=True) as database:
            database.execute("select cron.alter_job(jobid, active := false) from cron.job")
        yield environment
    finally:
        stack.down(reset=True)


def main() -> None:
    """Run, with a broken stack as one line."""
    try:
        cli()
    except StackError as error:
        typer.echo(f"day: {error}", err=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
