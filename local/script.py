"""Runs one function as a command: an expected failure is one message and exit code 1."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Callable


def run_script(command: Callable[..., Any]) -> None:
    """Run the command with the words of the command line."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    try:
        app()
    except StackError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
