"""What `doctor` found: one line each, with what to do when something is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check ended; only `fail` makes the program exit with 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's answer."""

    check: str
    verdict: Verdict
    text: str

    def as_json(self) -> dict[str, str]:
        """Return it as `--json` prints it."""
        return {"check": self.check, "verdict": self.verdict.value, "text": self.text}


def ok(check: str, text: str) -> Finding:
    """Note that all is well."""
    return Finding(check, Verdict.OK, text)


def warn(check: str, text: str) -> Finding:
    """Note something that works, but should be looked at."""
    return Finding(check, Verdict.WARN, text)


def fail(check: str, text: str) -> Finding:
    """Note something that does not work: what is wrong; what to do."""
    return Finding(check, Verdict.FAIL, text)
