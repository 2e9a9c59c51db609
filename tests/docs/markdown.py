"""What a Markdown document points at: links, anchors, and the code that it names."""

from __future__ import annotations

import os
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs.fences import read_tokens
from tests.support.postgres import PROJECT


if TYPE_CHECKING:
    from markdown_it.token import Token


FOREIGN = {"node_modules", ".git", ".venv", ".local", ".pytest_cache"}
_CODE = {"code_inline", "code_block", "fence"}


def documents() -> list[Path]:
    """Return every Markdown document of the project."""
    found: list[Path] = []
    for folder, folders, names in os.walk(PROJECT):
        folders[:] = [name for name in folders if name not in FOREIGN]
        found += [Path(folder, name) for name in names if name.endswith(".md")]
    return sorted(found)


@cache
def _parts(path: Path) -> tuple[Token, ...]:
    return tuple(read_tokens(path))


def _pieces(path: Path) -> list[Token]:
    return [piece for part in _parts(path) for piece in part.children or [part]]


def links(path: Path) -> list[str]:
    """Return where a document's links lead."""
    return [str(piece.attrs["href"]) for piece in _pieces(path) if piece.type == "link_open"]


def anchors(path: Path) -> set[str]:
    """Return the names of a document's headings, which GitHub makes this way."""
    found: set[str] = set()
    for begin, title in pairwise(_parts(path)):
        if begin.type != "heading_open":
            continue
        text = "".join(piece.content for piece in title.children or ())
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = 0
        while (unique := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(unique)
    return found


def code_words(path: Path) -> list[str]:
    """Return what a document sets as code: words in a line, and lines of blocks."""
    code = [piece for piece in _pieces(path) if piece.type in _CODE]
    return [line.strip() for piece in code for line in piece.content.splitlines()]


def table(path: Path, heading: str) -> list[str]:
    """Return the first cells of the table that begins with a header cell, without backticks."""
    parts = _parts(path)
    tables: list[list[str]] = []
    for begin, cell, text in zip(parts, parts[1:], parts[2:], strict=False):
        if begin.type == "tr_open":
            if cell.type == "th_open":
                tables.append([])
            tables[-1].append(text.content.strip("`"))
    return next(cells for first, *cells in tables if first == heading)
