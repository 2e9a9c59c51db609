"""How commands speak: results on stdout for people or as JSON, everything else on stderr.

Nothing here knows the engine. Whatever is printed must be free of secrets already.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# Piped tables must not be cut at the 80 columns of a terminal that is not there.
PIPED_WIDTH: Final = 240
# What stands for a letter that is not shown.
HIDDEN: Final = "\ufffd"
# They make one sign of several letters.
JOINERS: Final = "\u200c\u200d"
MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def open_console(*, stderr: bool = False) -> Console:
    """Open a console on stdout or stderr as they are now."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def print_json(data: object, *, err: bool = False) -> None:
    """Print one line of JSON; what could harm a terminal is escaped, and read back the same."""
    line = json.dumps(data, default=str, ensure_ascii=False)
    typer.echo(
        "".join(letter if _is_harmless(letter) else json.dumps(letter)[1:-1] for letter in line),
        err=err,
    )


def say(text: str, *, err: bool = False) -> None:
    """Print a text for people; names and Fanvue's words in it can do nothing to the terminal."""
    shown = (letter if _is_harmless(letter) or letter in "\n\t" else HIDDEN for letter in text)
    typer.echo("".join(shown), err=err)


def one_line(text: object) -> str:
    """Return a name or somebody else's words as they may stand within a line or a cell."""
    return "".join(
        letter if _is_harmless(letter) else HIDDEN for letter in " ".join(str(text).split())
    )


def _is_harmless(letter: str) -> bool:
    """Tell whether a letter neither moves nor colours nor turns around what is beside it."""
    return letter.isprintable() or letter in JOINERS


def note(text: str) -> None:
    """Tell people something that is not the result."""
    say(text, err=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a plain table on stdout."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        # As text, so that brackets in a name are no markup.
        table.add_row(*(Text("" if cell is None else one_line(cell)) for cell in row))
    open_console().print(table)


def ago(moment: str | None, now: datetime) -> str:
    """Say how long ago, or in how long, an instant in JSON is."""
    if moment is None:
        return "never"
    seconds = (now - datetime.fromisoformat(moment).astimezone(UTC)).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """Say a length of time in its largest unit."""
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def error_text(error: Any) -> str:
    """Return the message of an error as job rows keep it, on one line."""
    message = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(message).split()) if message else ""
