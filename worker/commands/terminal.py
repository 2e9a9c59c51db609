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
    from collections.abc import Collection, Iterable, Sequence


# What is piped must not be cut at the 80 columns of a terminal that is not there.
PIPED_WIDTH: Final = 240
GAP: Final = 2
NARROWEST: Final = 6
NARROW_TEXT: Final = 24
SHORT_ID: Final = 8
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


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    shrink: Collection[str] = (),
    wrap: str | None = None,
) -> None:
    """Print a plain table on stdout, a line for each row.

    On a terminal, columns in `shrink` are cut where the table is too wide, the widest first, and
    `wrap` goes on in lines below. Into a pipe everything goes whole.
    """
    # As text, so that brackets in a name are no markup.
    cells = [[Text("" if cell is None else one_line(cell)) for cell in row] for row in rows]
    console = open_console()
    widths = [
        max(len(column), *(row[place].cell_len for row in cells)) if cells else len(column)
        for place, column in enumerate(columns)
    ]
    if sys.stdout.isatty():
        widths = _fit(columns, widths, console.width, shrink, wrap)
    else:
        console.width = sum(widths) + GAP * len(widths)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        cut = column != wrap
        table.add_column(column, width=width, no_wrap=cut, overflow="ellipsis" if cut else "fold")
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _fit(
    columns: Sequence[str],
    widths: list[int],
    room: int,
    shrink: Collection[str],
    wrap: str | None,
) -> list[int]:
    """Return the widths with which a table fits."""
    fitting = list(widths)
    room -= GAP * (len(columns) - 1)
    least = dict.fromkeys(shrink, NARROWEST) | ({} if wrap is None else {wrap: NARROW_TEXT})
    while sum(fitting) > room:
        giving = [
            (columns[place] == wrap, width, place)
            for place, width in enumerate(fitting)
            if width > least.get(columns[place], width)
        ]
        if not giving:
            break
        # What wraps gives first; then the widest of what is cut.
        _, _, widest = max(giving)
        fitting[widest] -= 1
    return fitting


def counted(count: int, one: str, many: str | None = None) -> str:
    """Say so many of something: 1 row, 2 rows."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def short_id(value: str) -> str:
    """Return as much of an id as tells it from others in a list; commands take it."""
    return value[:SHORT_ID]


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
