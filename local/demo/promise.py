"""One line of the verdict: what was promised, the figure, and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise, judged."""

    text: str
    figure: str
    holds: bool
