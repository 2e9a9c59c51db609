"""What a text tells a person to run: commands of the program, and SQL; and whether it would run."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from typing import Any, Final

import typer

from worker.cli import build_app


_PROGRAM: Final[Any] = typer.main.get_command(build_app())
_MENTION: Final = re.compile(r"fanvue-sync(?= )([^;,|<>`\n]*)")
_SQL: Final = re.compile(
    r"select (?:ops|private|public|pg_catalog)?\.?\w+\((?:[^()']|'[^']*')*\)"
    r"|(?:update|delete from) (?:ops|private|public)\.\w+ .*? where [\w.]+ = (?:'[^']*'|\d+)"
)


def commands_in(text: str) -> list[str]:
    """Return each mention of the program with all that may belong to it."""
    return [match[1].strip() for match in _MENTION.finditer(text)]


def sql_in(text: str) -> list[str]:
    """Return each statement."""
    return _SQL.findall(text)


def runs(mention: str) -> bool:
    """Tell whether a mention is a command that runs as it stands, before the sentence goes on.

    Every option that is written belongs to it, and nothing that it needs is left out.
    """
    said = mention.replace("'s ", " ").rstrip(' .):"')
    # a quote that was opened is closed, one that the sentence closes is not the command's
    words = shlex.split(said if said.count("'") % 2 == 0 else said.rstrip("'"))
    options = [place for place, word in enumerate(words) if word.startswith("--")]
    shortest = max(1, options[-1] + 1 if options else 1)
    return any(_parses(words[:end]) for end in range(shortest, len(words) + 1))


def _parses(words: list[str]) -> bool:
    command, context = _PROGRAM, None
    rest = list(words)
    path = list(takewhile(lambda word: not word.startswith("-"), words))
    while hasattr(command, "commands"):
        if not path or path[0] not in command.commands:
            return False
        command = command.commands[path.pop(0)]
        rest.pop(0)
    try:
        context = command.make_context("fanvue-sync", rest)
    except typer.Exit:
        # --help ends here.
        return True
    except typer.TyperException:
        return False
    given = context.params
    context.close()
    # The one need that the parser does not know: connecting takes a token from somewhere.
    return command.name != "connect" or bool(given["refresh_token"] or given["refresh_token_file"])
