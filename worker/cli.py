"""The command line: which command is called what. Parsing and printing are in `worker.commands`."""

from __future__ import annotations

from typing import Annotated

import typer

from worker import __version__
from worker.commands import (
    connect,
    connect_agency,
    connect_link,
    creators,
    doctor,
    members,
    queue,
    reconcile,
    rotation,
    run,
    status,
    sync,
    tokens,
    watch,
    webhooks,
)
from worker.commands.refusals import PROGRAM, PlainErrors


def build_app() -> typer.Typer:
    """Put the program together."""
    app = typer.Typer(
        name=PROGRAM,
        help="Syncs Fanvue creators' money into Supabase: exact, resumable, observable.",
        cls=PlainErrors,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    app.command(epilog=run.EXAMPLES)(run.run)
    app.command(epilog=connect.EXAMPLES)(connect.connect)
    app.command("connect-agency", epilog=connect_agency.EXAMPLES)(connect_agency.connect_agency)
    app.command("connect-link", epilog=connect_link.EXAMPLES)(connect_link.connect_link)
    app.command(epilog=creators.EXAMPLES)(creators.creators)
    app.command(epilog=sync.EXAMPLES)(sync.sync)
    app.command(epilog=queue.ENQUEUE_EXAMPLES)(queue.enqueue)
    app.command(epilog=reconcile.EXAMPLES)(reconcile.reconcile)
    app.command(epilog=status.EXAMPLES)(status.status)
    app.command(epilog=doctor.EXAMPLES)(doctor.doctor)
    app.command(epilog=watch.EXAMPLES)(watch.watch)
    people = _group(app, "members", "Who belongs to an agency: list, add, remove.")
    people.command("list", epilog=members.LIST_EXAMPLES)(members.list_members)
    people.command(epilog=members.ADD_EXAMPLES)(members.add)
    people.command(epilog=members.REMOVE_EXAMPLES)(members.remove)
    jobs = _group(app, "jobs", "The queue: list, retry, cancel.")
    jobs.command("list", epilog=queue.LIST_EXAMPLES)(queue.list_jobs)
    jobs.command(epilog=queue.RETRY_EXAMPLES)(queue.retry)
    jobs.command(epilog=queue.CANCEL_EXAMPLES)(queue.cancel)
    grants = _group(app, "tokens", "The grants: status, refresh, key rotation. Never shown.")
    grants.command(epilog=tokens.STATUS_EXAMPLES)(tokens.status)
    grants.command(epilog=tokens.REFRESH_EXAMPLES)(tokens.refresh)
    grants.command(epilog=rotation.EXAMPLES)(rotation.rotate_key)
    hooks = _group(app, "webhooks", "Fanvue's announcements: list, register, test, rotate, delete.")
    hooks.command("list", epilog=webhooks.LIST_EXAMPLES)(webhooks.list_webhooks)
    hooks.command(epilog=webhooks.REGISTER_EXAMPLES)(webhooks.register)
    hooks.command("test", epilog=webhooks.TEST_EXAMPLES)(webhooks.send_tests)
    hooks.command(epilog=webhooks.ROTATE_EXAMPLES)(webhooks.rotate)
    hooks.command(epilog=webhooks.DELETE_EXAMPLES)(webhooks.delete)
    return app


def _group(app: typer.Typer, name: str, text: str) -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None)
    app.add_typer(group, name=name, help=text)
    return group


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
