"""What the documents point at is there: links, files, commands, targets, SQL, settings."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import typer

from tests.docs.markdown import anchors, code_words, documents, links
from tests.support.postgres import MIGRATIONS, PROJECT
from worker.cli import build_app


if TYPE_CHECKING:
    from pathlib import Path


DOCUMENTS = documents()
OURS = [path for path in DOCUMENTS if "decisions" not in path.parts]
# Where people begin, beside the README.
GUIDES = [PROJECT / "docs" / "adopt.md", PROJECT / "docs" / "operations.md"]
SQL = "\n".join(path.read_text("utf-8") for path in sorted(MIGRATIONS.glob("*.sql")))
# In capitals with an underscore, and no setting: SQL, HTTP, and what shells and platforms set.
PLATFORM = {"SUPABASE_DB_URL", "PROJECT_REF", "DURATION", "KILLS", "BACKFILL", "RESET"}
ROOTS = (
    "docs/",
    "tests/",
    "worker/",
    "local/",
    "simulator/",
    "supabase/",
    "deploy/",
    "examples/",
    ".github/",
)
PROGRAM: Any = typer.main.get_command(build_app())


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def everywhere(pattern: str, paths: list[Path]) -> list[tuple[str, str]]:
    """Find a pattern in what documents set as code."""
    return [
        (name_of(path), match)
        for path in paths
        for words in code_words(path)
        for match in re.findall(pattern, words)
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    lost = []
    for link in links(path):
        target, _, anchor = link.partition("#")
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        there = (path.parent / target).resolve() if target else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(link)

    assert lost == []


def test_no_document_is_lost() -> None:
    seen: set[Path] = set()
    waiting = [PROJECT / "README.md", *GUIDES]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for link in links(path):
            there = (path.parent / link.partition("#")[0]).resolve()
            if there.is_dir():
                waiting += sorted(there.glob("*.md"))
            elif there.suffix == ".md" and there.exists():
                waiting.append(there)

    docs = {path for path in DOCUMENTS if path.is_relative_to(PROJECT / "docs")}
    assert {name_of(path) for path in docs - seen} == set()


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_named_files_exist(path: Path) -> None:
    named = {
        word.rstrip("/")
        for words in code_words(path)
        for word in re.findall(r"[\w./-]+", words)
        if word.startswith(ROOTS) and "*" not in words
    }

    assert [word for word in sorted(named) if not (PROJECT / word).exists()] == []


def command_lines() -> list[tuple[str, str]]:
    lines = everywhere(r"(?:^|[|;&] *|exec )fanvue-sync(?: [^|<>#`\n]*)?", OURS)
    return [(where, re.sub(r"^.*?fanvue-sync", "fanvue-sync", line)) for where, line in lines]


@pytest.mark.parametrize(("where", "line"), sorted(set(command_lines())), ids=str)
def test_commands_of_the_program_exist_with_their_options(where: str, line: str) -> None:
    words = shlex.split(line.replace("…", "").rstrip("\\ ").rstrip(";"))[1:]
    command = PROGRAM
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{where}: {line}"
        command = command.commands[words.pop(0)]
    options = {"--help"}
    for parameter in command.params:
        # and what switches it off
        options |= {*parameter.opts, *parameter.secondary_opts}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert given <= options, f"{where}: {line}"


def test_make_targets_exist() -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )
    named = everywhere(r"^make ([a-z-]+)", OURS)

    assert named
    assert [(where, target) for where, target in named if target not in targets] == []


def test_functions_and_views_of_the_console_exist() -> None:
    kinds = "function|view|table|type|sequence"
    made = set(re.findall(rf"create [a-z ]*(?:{kinds})(?: if not exists)? (\w+\.\w+)", SQL))
    named = everywhere(r"\b((?:ops|private)\.[a-z_]+)", OURS)

    assert ("docs/operations.md", "ops.health") in named
    assert [(where, name) for where, name in named if name not in made] == []


def test_settings_are_known() -> None:
    example = (PROJECT / ".env.example").read_text("utf-8")
    deploy = (PROJECT / ".github" / "workflows" / "deploy.yml").read_text("utf-8")
    known = set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", example + deploy)) | PLATFORM
    named = everywhere(r"\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b", OURS)

    assert named
    unknown = {(where, name) for where, name in named if name not in known}
    assert {name for where, name in unknown if where.startswith(("docs/", "README"))} == set()


def test_python_modules_that_are_run_exist() -> None:
    named = everywhere(r"python -m ([\w.]+)", OURS)

    lost = []
    for where, module in named:
        path = PROJECT / module.replace(".", "/")
        if not (path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()):
            lost.append((where, module))
    assert lost == []
