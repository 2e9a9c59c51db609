"""A Dockerfile taken apart: its instructions by stage, as far as tests need them."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class Stage:
    """What stands between one FROM and the next."""

    image: str
    name: str | None
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """Return what stands behind each instruction of a kind."""
        return [text for kind, text in self.steps if kind == instruction]

    def last(self, instruction: str) -> str:
        """Return the instruction of a kind that counts."""
        return self.all(instruction)[-1]

    def exec_form(self, instruction: str) -> list[str]:
        """Return an instruction in exec form: no shell stands before the program."""
        words: Any = json.loads(self.last(instruction))
        assert isinstance(words, list)
        return words

    def environment(self) -> dict[str, str]:
        """Return what ENV sets."""
        pairs = [word for text in self.all("ENV") for word in shlex.split(text)]
        return dict(pair.split("=", 1) for pair in pairs)

    def copied(self) -> list[str]:
        """Return what COPY takes from the build's context."""
        copies = [shlex.split(text) for text in self.all("COPY") if "--from=" not in text]
        return [source for words in copies for source in words[:-1]]


def read_stages(path: Path) -> list[Stage]:
    """Read a Dockerfile."""
    lines = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    stages: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        kind, _, text = line.partition(" ")
        if kind == "FROM":
            image, _, name = text.partition(" AS ")
            stages.append(Stage(image.strip(), name.strip() or None))
        else:
            stages[-1].steps.append((kind, " ".join(text.split())))
    return stages
