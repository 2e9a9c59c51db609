"""What people give to the connecting commands, checked before anything is written.

Tokens are read from an option, a file or stdin, and never printed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import typer

from worker.errors import UsageError


if TYPE_CHECKING:
    from pathlib import Path


FROM_STDIN: Final = "-"
LONGEST_NAME: Final = 200
LONGEST_TOKEN: Final = 16_384
LONGEST_LIFETIME_SECONDS: Final = 366 * 24 * 3600


def read_token(given: str | None, file: Path | None) -> str:
    """Return the refresh token from wherever it was given."""
    if (given is None) == (file is None):
        raise UsageError(
            "a grant needs exactly one refresh token",
            remedy="give --refresh-token TOKEN, --refresh-token - or --refresh-token-file FILE",
        )
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise UsageError(
                "--refresh-token-file cannot be read as text", remedy="name a readable text file"
            ) from None
    if given == FROM_STDIN:
        if sys.stdin.isatty():
            # Not echoed: a terminal's history outlives the command.
            return str(typer.prompt("refresh token", hide_input=True, err=True)).strip()
        return sys.stdin.read().strip()
    return (given or "").strip()


def name_problems(option: str, value: str, remedy: str) -> list[str]:
    """Say what is wrong with a name, and what to do."""
    text = value.strip().removeprefix("@")
    if not text:
        return [f"{option} is empty; {remedy}"]
    if len(text) > LONGEST_NAME or not text.isprintable():
        return [f"{option} is longer than {LONGEST_NAME} or not plain text; {remedy}"]
    return []


def token_problems(option: str, value: str) -> list[str]:
    """Say what is wrong with a token, without a word of it."""
    text = value.strip()
    if not text:
        return [f"{option} is empty; paste the token that Fanvue issued"]
    if len(text) > LONGEST_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
        return [f"{option} does not look like a token; paste it whole, on one line, without quotes"]
    return []


def raise_all(problems: list[str]) -> None:
    """Tell everything that is wrong at once, if anything is."""
    if not problems:
        return
    message, _, remedy = problems[0].partition("; ")
    if len(problems) > 1:
        raise UsageError("\n".join(problems))
    raise UsageError(message, remedy=remedy)
