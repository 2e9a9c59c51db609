"""Every command that the program, the database or an example tells a person to run, runs."""

from __future__ import annotations

import ast
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import typer

from tests.support.postgres import MIGRATIONS, PROJECT
from tests.support.remedies import commands_in, runs
from worker.cli import build_app


if TYPE_CHECKING:
    from collections.abc import Iterator


UUID = "3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a10"
PROGRAM: Any = typer.main.get_command(build_app())


def texts_of_the_program() -> Iterator[tuple[str, str]]:
    """Yield what modules may say: every text but docstrings and examples."""
    for path in sorted((PROJECT / "worker").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        silent = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) or (isinstance(node, ast.AnnAssign) and _examples(node))
        }
        parts = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for part in node.values
        }
        for node in ast.walk(tree):
            if id(node) in silent or id(node) in parts:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path.name, node.value
            elif isinstance(node, ast.JoinedStr):
                yield (
                    path.name,
                    "".join(
                        str(part.value) if isinstance(part, ast.Constant) else "1"
                        for part in node.values
                    ),
                )


def _examples(node: ast.AnnAssign) -> bool:
    return isinstance(node.target, ast.Name) and "EXAMPLES" in node.target.id


def texts_of_the_database() -> Iterator[tuple[str, str]]:
    """Yield every text of the migrations, with an id in the place of what is filled in."""
    for path in sorted(MIGRATIONS.glob("*.sql")):
        for line in path.read_text("utf-8").splitlines():
            if not line.lstrip().startswith(("--", "comment on", "'")):
                for text in re.findall(r"'((?:[^']|'')*)'", line):
                    yield path.name, text.replace("''", "'").replace("%s", UUID)


def mentions() -> list[tuple[str, str]]:
    texts = [*texts_of_the_program(), *texts_of_the_database()]
    return sorted({(where, said) for where, text in texts for said in commands_in(text)})


@pytest.mark.parametrize(("where", "said"), mentions(), ids=str)
def test_a_command_that_is_told_runs_as_it_stands(where: str, said: str) -> None:
    # The text goes on with a uuid in the next piece.
    assert runs(said + UUID if said.endswith("--user-uuid") else said), f"{where}: {said}"


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, below in command.commands.items():
        yield from leaves(below, (*path, name))


@pytest.mark.parametrize(("path", "command"), list(leaves(PROGRAM)), ids=str)
def test_the_examples_of_a_command_run_as_they_stand(path: tuple[str, ...], command: Any) -> None:
    lines = (command.epilog or "").replace("\\\n", " ").splitlines()
    examples = [line.strip() for line in lines if "fanvue-sync " in line]

    assert examples, path
    for line in examples:
        _, _, said = line.partition("fanvue-sync ")
        words = shlex.split(re.split(r" [|]| \d?>", said)[0].replace("UUID", UUID))
        assert runs(shlex.join(word for word in words if word != "grant.txt")) or "-file" in said
        assert tuple(words[: len(path)]) == path, line
