"""The fenced blocks of a Markdown document, by the heading that they stand under.

`sh` blocks are meant to be run as they stand; `console` blocks only show what a person does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fence:
    """One block: where it stands, its language, its text."""

    heading: str
    language: str
    text: str
    line: int


def read_fences(path: Path) -> list[Fence]:
    """Return a document's blocks in their order."""
    found: list[Fence] = []
    heading, began = "", 0
    language: str | None = None
    body: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if language is None:
            if line.startswith("```"):
                language, began, body = line.removeprefix("```").strip(), number, []
            elif line.startswith("#"):
                heading = line.lstrip("#").strip()
        elif line == "```":
            found.append(Fence(heading, language, "\n".join(body) + "\n", began))
            language = None
        else:
            body.append(line)
    assert language is None, f"{path.name}:{began}: a block has no end"
    return found
