"""The command line of the local stack: up, down, status, env, logs.

Parses and prints; the work is in local.stack. Errors are one line on stderr.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from local.errors import StackError
from local.ports import DEFAULT_PORT
from local.programs import find_program
from local.stack import DEFAULT_DIRECTORY, Report, Stack


app = typer.Typer(
    name="local",
    help="A Supabase-compatible stack on loopback, without Docker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Directory = Annotated[Path, typer.Option("--dir", help="Directory of the instance.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def up(  # noqa: PLR0913 - one parameter per option
    directory: Directory = DEFAULT_DIRECTORY,
    port: Annotated[int, typer.Option(help="First port, at the first start.")] = DEFAULT_PORT,
    *,
    volatile: Annotated[
        bool, typer.Option("--volatile", help="Fast and not crash-safe, for tests.")
    ] = False,
    migrations: Annotated[Path | None, typer.Option(help="Other migrations.")] = None,
    functions: Annotated[Path | None, typer.Option(help="Other Edge Functions.")] = None,
    fanvue_url: Annotated[
        str | None, typer.Option(help="Where Fanvue is, or its stand-in.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start the stack and apply all migrations; running it twice is harmless."""
    stack = Stack(
        directory,
        port=port,
        volatile=volatile,
        migrations=migrations,
        functions=functions,
        fanvue_url=fanvue_url,
    )
    report = stack.up()
    if as_json:
        typer.echo(
            json.dumps({"env": report.env, "notes": report.notes, "seconds": report.seconds})
        )
    else:
        _print_report(stack, report)


@app.command()
def down(
    directory: Directory = DEFAULT_DIRECTORY,
    *,
    reset: Annotated[bool, typer.Option("--reset", help="Also delete all data.")] = False,
) -> None:
    """Stop the stack; only processes that it started."""
    stopped = Stack(directory).down(reset=reset)
    what = ", ".join(stopped) if stopped else "nothing was running"
    typer.echo(f"stopped: {what}" + ("; data deleted" if reset else ""))


@app.command()
def status(directory: Directory = DEFAULT_DIRECTORY, *, as_json: AsJson = False) -> None:
    """Say what runs and where; exits 1 unless everything does."""
    stack = Stack(directory)
    running = stack.running()
    state = stack.instance.load()
    if as_json:
        data = state.postgres_data if state else None
        typer.echo(json.dumps({"running": running, "data": data}))
    else:
        table = Table("piece", "pid", "log")
        for name, pid in running.items():
            log = str(stack.instance.processes.log(name))
            table.add_row(name, str(pid) if pid else "[red]not running[/red]", log)
        console = Console()
        console.print(table)
        if state is not None:
            console.print(f"data: {state.postgres_data}", soft_wrap=True)
    if not all(running.values()):
        raise typer.Exit(1)


@app.command()
def env(directory: Directory = DEFAULT_DIRECTORY, *, as_json: AsJson = False) -> None:
    """Print the settings of the stack, for `eval "$(python -m local env)"`."""
    values = Stack(directory).env()
    if as_json:
        typer.echo(json.dumps(values))
    else:
        for key, value in sorted(values.items()):
            typer.echo(f"export {key}={shlex.quote(value)}")


@app.command()
def logs(
    directory: Directory = DEFAULT_DIRECTORY,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing.")] = False,
) -> None:
    """Print the end of every log."""
    folder = Stack(directory).instance.processes.log("gateway").parent
    files = sorted(str(path) for path in folder.glob("*.log"))
    if not files:
        raise StackError(f"no logs in {folder}")
    tail = [find_program("tail"), "-n", "40", *(["-F"] if follow else []), *files]
    try:
        subprocess.run(tail, check=False)  # noqa: S603 - tail on our own logs
    except KeyboardInterrupt:
        typer.echo("")


def main() -> None:
    """Run a command; an expected failure is one message and exit code 1."""
    try:
        app()
    except StackError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


def _print_report(stack: Stack, report: Report) -> None:
    console = Console()
    table = Table(show_header=False, box=None, pad_edge=False)
    for label, key in (
        ("API", "SUPABASE_URL"),
        ("Database", "SUPABASE_DB_URL"),
        ("Redis over HTTP", "UPSTASH_REDIS_REST_URL"),
        ("Publishable key", "SUPABASE_PUBLISHABLE_KEY"),
        ("Fanvue", "FANVUE_API_URL"),
    ):
        table.add_row(label, report.env[key])
    table.add_row("Settings", str(stack.instance.env_file))
    console.print(table, soft_wrap=True)
    for note in report.notes:
        console.print(f"note: {note}", soft_wrap=True)
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items())
    settings = shlex.quote(_from_here(stack.instance.env_file))
    console.print("in another shell, to use it:")
    console.print(f"  set -a; . {settings}; set +a", soft_wrap=True, markup=False)
    console.print("  .venv/bin/fanvue-sync status")
    console.print(f"up in {sum(report.seconds.values()):.1f} s ({steps})")


def _from_here(path: Path) -> str:
    """Return the path as somebody in this directory types it; the shell's `.` wants a slash."""
    here = Path.cwd()
    return f"./{path.relative_to(here)}" if path.is_relative_to(here) else str(path)
