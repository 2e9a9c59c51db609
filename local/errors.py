"""What can go wrong with the local stack, as one error the command line prints in one line.

The message says what is wrong and what to do about it; no tracebacks for expected failures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from pathlib import Path


class StackError(Exception):
    """The stack cannot do what was asked; the message tells the reader what to do."""


def log_excerpt(path: Path, lines: int = 12) -> str:
    """Return the last lines of a log file, to end an error message with."""
    if not path.exists():
        return f"(no log at {path})"
    tail = path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join([f"last lines of {path}:", *("  " + line for line in tail)])
