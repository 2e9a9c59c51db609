"""What needs a person, as the console's front page (ops.health) judges it: one line each.

Pure: it asks nobody and prints nothing. The judgement is the database's, so that the command line
and Studio never disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that does not mend itself."""

    question: str
    what: str
    remedy: str
    where_to_look: str

    def as_json(self) -> dict[str, str]:
        """Return it as `--json` prints it."""
        return {
            "question": self.question,
            "what": self.what,
            "remedy": self.remedy,
            "where_to_look": self.where_to_look,
        }

    def line(self) -> str:
        """Say it on one line: the question, its answer, what to do, where the rest stands."""
        remedy = self.remedy.rstrip("; ")
        return f"{self.question} {self.what}; {remedy} ({self.where_to_look})"


def read_attention(reply: list[dict[str, Any]]) -> list[Attention]:
    """Take what the database answered."""
    return [
        Attention(
            question=str(one["question"]),
            what=_one_line(one["what"]),
            remedy=_one_line(one["remedy"]),
            where_to_look=str(one["where_to_look"]),
        )
        for one in reply
    ]


def headline(found: list[Attention]) -> str:
    """Say in one line whether there is anything to do."""
    if not found:
        return "All is well."
    if len(found) == 1:
        return "1 thing needs attention:"
    return f"{len(found)} things need attention:"


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
