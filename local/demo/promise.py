"""One line of the verdict: a promise with its figure and whether it holds, or a figure alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise, judged."""

    text: str
    figure: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured, which tells of the machine as much as of the engine: nobody judges it."""

    text: str
    figure: str
