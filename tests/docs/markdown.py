"""What a Markdown document points at: links, anchors, and the code that it names.

Knows the plain Markdown that our documents keep to, and GitHub's way of naming headings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.docs.fences import read_fences
from tests.support.postgres import PROJECT


if TYPE_CHECKING:
    from pathlib import Path


_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
FOREIGN = {"node_modules", ".venv", ".local", ".pytest_cache"}


def documents() -> list[Path]:
    """Return every Markdown document of the project."""
    found = sorted(PROJECT.rglob("*.md"))
    return [path for path in found if not FOREIGN & set(path.relative_to(PROJECT).parts)]


def prose(path: Path) -> str:
    """Return a document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(path: Path) -> list[str]:
    """Return where a document's links lead."""
    return _LINK.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """Return the names of a document's headings."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(path)):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        number = 0
        while (unique := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(unique)
    return found


def code_words(path: Path) -> list[str]:
    """Return what a document sets as code: words in a line, and lines of blocks."""
    indented = [line.strip() for line in prose(path).splitlines() if line.startswith("    ")]
    fenced = [line for fence in read_fences(path) for line in fence.text.splitlines()]
    return [*_CODE.findall(prose(path)), *indented, *fenced]


def table(path: Path, heading: str) -> list[str]:
    """Return the first cells of the table that begins with a header cell, without backticks."""
    lines = path.read_text("utf-8").splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    cells = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        cells.append(line.split("|")[1].strip().strip("`"))
    return cells
