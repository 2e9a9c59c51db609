"""What the demo prints: where everything is and what to try, and the verdict at the end."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

import typer
from rich.console import Console
from rich.table import Table

from local.demo.stage import DIRECTORY
from local.programs import PROJECT


if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.demo.promise import Figure, Promise
    from local.demo.stage import Login, Stage


HERE: Final = DIRECTORY.relative_to(PROJECT)
WIDTH_OF_NO_TERMINAL: Final = 120


def welcome(stage: Stage, login: Login, *, seconds: float, until_stopped: bool) -> str:
    """Say what to do next, in lines that can be pasted as they are."""
    settings = stage.stack.env()
    lines = [
        "",
        f"Ready after {seconds:.0f} s. A browser:",
        f"  open      {stage.page.url}{'' if stage.page.is_there else '  (is being built)'}",
        f"  log in    {login.email}   {login.password}",
        "",
        "Another terminal, in the checkout's directory:",
        f"  set -a; . {HERE}/stack.env; set +a",
        "  .venv/bin/fanvue-sync status",
        "  .venv/bin/fanvue-sync watch",
        '  psql "$SUPABASE_DB_URL" -c "select * from ops.health"',
        "",
        f"  API       {settings['SUPABASE_URL']}",
        f"  database  {settings['SUPABASE_DB_URL']}",
        f"  Fanvue    {stage.fanvue.url}/_sim/world",
        f"  logs      {HERE}/logs",
        "",
        "Something is sold every few seconds. Ctrl-C stops everything."
        if until_stopped
        else "Something is sold every few seconds; then comes the verdict. Ctrl-C stops it.",
        "",
    ]
    return "\n".join(lines)


def print_json(promises: Sequence[Promise], figures: Sequence[Figure], seconds: float) -> None:
    """Print the verdict as one object."""
    verdict = {
        "holds": all(one.holds for one in promises),
        "seconds": round(seconds),
        "promises": [
            {"promise": one.text, "figure": one.figure, "holds": one.holds} for one in promises
        ],
        "figures": [{"what": one.text, "figure": one.figure} for one in figures],
    }
    typer.echo(json.dumps(verdict))


def print_verdict(promises: Sequence[Promise], figures: Sequence[Figure], seconds: float) -> None:
    """Print what was promised, and how fast it went; where to look if something failed."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_NO_TERMINAL)
    table = Table("promise", "figure", "", title=f"after {seconds:.0f} s", title_justify="left")
    for one in promises:
        table.add_row(one.text, one.figure, "[green]ok" if one.holds else "[red bold]FAIL")
    console.print(table)
    beside = Table("how fast it was, on this machine and today", "figure")
    for figure in figures:
        beside.add_row(figure.text, figure.figure)
    console.print(beside)
    failed = sum(not one.holds for one in promises)
    if failed:
        console.print(f"{failed} of {len(promises)} promises did not hold. Look in {HERE}/logs.")
    else:
        console.print(f"All {len(promises)} promises held. Logs: {HERE}/logs")
