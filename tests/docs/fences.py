"""The fenced blocks of a Markdown document, by the heading that they stand under.

`sh` blocks are meant to be run as they stand; `console` blocks only show what a person does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt


if TYPE_CHECKING:
    from pathlib import Path

    from markdown_it.token import Token


@dataclass(frozen=True, slots=True)
class Fence:
    """One block: where it stands, its language, its text."""

    heading: str
    language: str
    text: str
    line: int


def read_tokens(path: Path) -> list[Token]:
    """Return a document's parts in their order."""
    return MarkdownIt("commonmark").enable("table").parse(path.read_text("utf-8"))


def read_fences(path: Path) -> list[Fence]:
    """Return a document's blocks in their order."""
    lines = path.read_text("utf-8").splitlines()
    found: list[Fence] = []
    heading, before = "", None
    for token in read_tokens(path):
        if before is not None and before.type == "heading_open":
            heading = token.content
        if token.type == "fence" and token.map is not None:
            began, end = token.map
            closed = end - began > 1 and lines[end - 1].strip() == token.markup
            assert closed, f"{path.name}:{began + 1}: a block has no end"
            found.append(Fence(heading, token.info.strip(), token.content, began + 1))
        before = token
    return found
