"""Rules that make chosen requests go wrong, and the book that decides which.

A rule matches requests by method, path and creator, and picks some of the matches. How a
fault looks on the wire is in `mishaps`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


if TYPE_CHECKING:
    from random import Random


class FaultKind(StrEnum):
    """What goes wrong."""

    STATUS = "status"
    HTML = "html"
    TRUNCATED_JSON = "truncated_json"
    TIMEOUT = "timeout"
    RESET = "reset"
    EMPTY_400 = "empty_400"
    SLOW = "slow"
    INVALID_PAGE_ORDER = "invalid_page_order"
    MISSING_FIELD = "missing_field"
    UNKNOWN_ENUM = "unknown_enum"
    EMPTY_LIST = "empty_list"
    EARLY_END = "early_end"
    CURSOR_EXPIRED = "cursor_expired"
    GZIP_BOMB = "gzip_bomb"
    GZIPPED_TWICE = "gzipped_twice"
    UNKNOWN_CODING = "unknown_coding"
    HUGE_BODY = "huge_body"


class Moment(StrEnum):
    """Whether the request took effect before it went wrong (the answer is lost)."""

    BEFORE = "before"
    AFTER = "after"


class Match(BaseModel):
    """Which requests a rule looks at."""

    model_config = ConfigDict(extra="forbid")

    path: str = ".*"
    method: str | None = None
    creator: str | None = None

    @field_validator("path")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"path is not a regular expression: {error}") from error
        return value


class Fault(BaseModel):
    """A rule: of the matching requests, which go wrong and how.

    Without `nth`, `probability` or `next_n` every match is hit; `times` bounds the hits.
    """

    model_config = ConfigDict(extra="forbid")

    match: Match = Match()
    kind: FaultKind
    moment: Moment = Moment.BEFORE
    nth: int | None = Field(default=None, ge=1)
    probability: float | None = Field(default=None, ge=0, le=1)
    next_n: int | None = Field(default=None, ge=1)
    times: int | None = Field(default=None, ge=1)
    status: int = 503
    ms: int = Field(default=0, ge=0)
    field: str = "date"
    value: str = "hologram"

    @model_validator(mode="before")
    @classmethod
    def _number_is_a_status(cls, values: Any) -> Any:
        """Read a kind such as 404 or "503" as that status."""
        if isinstance(values, dict) and str(values.get("kind", "")).isdecimal():
            return values | {"kind": FaultKind.STATUS, "status": int(values["kind"])}
        return values


class ArmedFault:
    """A rule together with how often it matched and hit."""

    def __init__(self, number: int, fault: Fault) -> None:
        self.number = number
        self.fault = fault
        self.matched = 0
        self.hits = 0
        self._path = re.compile(fault.match.path)

    def strikes(self, method: str, path: str, creator: str | None, rng: Random) -> bool:
        """Decide whether this request goes wrong, and count."""
        rule, match = self.fault, self.fault.match
        if match.method is not None and match.method.upper() != method:
            return False
        if match.creator is not None and match.creator != creator:
            return False
        if self._path.search(path) is None:
            return False
        self.matched += 1
        if rule.times is not None and self.hits >= rule.times:
            return False
        if not self._chosen(rng):
            return False
        self.hits += 1
        return True

    def _chosen(self, rng: Random) -> bool:
        rule = self.fault
        if rule.nth is not None:
            return self.matched == rule.nth
        if rule.next_n is not None:
            return self.matched <= rule.next_n
        if rule.probability is not None:
            return rng.random() < rule.probability
        return True


class FaultBook:
    """All armed rules; the first that strikes wins."""

    def __init__(self) -> None:
        self._armed: list[ArmedFault] = []
        self._count = 0

    def arm(self, fault: Fault) -> ArmedFault:
        """Add a rule."""
        self._count += 1
        armed = ArmedFault(self._count, fault)
        self._armed.append(armed)
        return armed

    def clear(self) -> None:
        """Remove all rules."""
        self._armed.clear()

    def armed(self) -> list[ArmedFault]:
        """Return the rules in force."""
        return list(self._armed)

    def pick(self, method: str, path: str, creator: str | None, rng: Random) -> Fault | None:
        """Return the fault this request suffers, if any."""
        for armed in self._armed:
            if armed.strikes(method, path, creator, rng):
                return armed.fault
        return None
