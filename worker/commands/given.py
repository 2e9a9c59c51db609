"""What people give to the connecting commands, checked before anything is written.

Tokens are read from an option, a file or stdin, and never printed.
"""

from __future__ import annotations

import codecs
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

import typer

from worker.errors import UsageError


if TYPE_CHECKING:
    from pathlib import Path


FROM_STDIN: Final = "-"
BYTE_ORDER_MARK: Final = "\ufeff"
OPTION: Final = "--refresh-token"
FROM_FILE: Final = "--refresh-token-file"
QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d"
LONGEST_NAME: Final = 200
LONGEST_TOKEN: Final = 16_384
LONGEST_LIFETIME_SECONDS: Final = 366 * 24 * 3600


class Given(NamedTuple):
    """A token, and where it was given."""

    token: str
    source: str


def read_token(given: str | None, file: Path | None) -> Given:
    """Return the refresh token from wherever it was given; a terminal is asked for it."""
    if given is None and file is None and sys.stdin.isatty() and sys.stderr.isatty():
        given = FROM_STDIN
    if (given is None) == (file is None):
        raise UsageError(
            "a grant needs exactly one refresh token",
            remedy="give --refresh-token TOKEN, --refresh-token - or --refresh-token-file FILE",
        )
    if file is not None:
        return Given(_text_of(file), FROM_FILE)
    if given != FROM_STDIN:
        return Given(str(given).strip(), OPTION)
    if sys.stdin.isatty():
        # Not echoed: a terminal's history outlives the command.
        given = str(typer.prompt("refresh token", hide_input=True, err=True))
        return Given(given.strip(), OPTION)
    try:
        return Given(sys.stdin.read().removeprefix(BYTE_ORDER_MARK).strip(), OPTION)
    except UnicodeDecodeError:
        raise _no_text(f"what {OPTION} reads from stdin") from None


def _text_of(file: Path) -> str:
    """Return the text of a file, whichever editor wrote it."""
    try:
        content = file.read_bytes()
        utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if utf_16 else "utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        raise _no_text(FROM_FILE) from None


def _no_text(source: str) -> UsageError:
    return UsageError(
        f"{source} cannot be read as text", remedy="give a text with nothing but the token in it"
    )


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
    if text[0] in QUOTES and text[-1] in QUOTES:
        return [f"{option} stands in quotes; leave them out, they are no part of the token"]
    if text[0] in "{[":
        return [f"{option} is JSON; give the token in it alone, without quotes"]
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
