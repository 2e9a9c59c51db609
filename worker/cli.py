"""The command line: which command is called what. Parsing and printing are in `worker.commands`."""

from __future__ import annotations

from typing import Annotated

import typer

from worker import __version__
from worker.commands import connect, run
from worker.commands.refusals import PROGRAM, PlainErrors


def build_app() -> typer.Typer:
    """Put the program together."""
    app = typer.Typer(
        name=PROGRAM,
        help="Syncs Fanvue creators' money into Supabase: exact, resumable, observable.",
        cls=PlainErrors,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    app.command(epilog=run.EXAMPLES)(run.run)
    app.command(epilog=connect.EXAMPLES)(connect.connect)
    return app


def main() -> None:
    """Run the command line of this process."""
    build_app()()


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - the framework's signature
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Syncs Fanvue creators' money into Supabase: exact, resumable, observable."""
