"""The words in which outgoing calls are budgeted: lanes, and what a response said of its limit.

Shared by those who spend calls (`worker.fanvue`) and those who grant them (`worker.limits`),
which do not import each other. No logic beyond ordering lives here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol


if TYPE_CHECKING:
    from datetime import datetime


class Lane(StrEnum):
    """How urgent a call is; live work goes before backfill."""

    LIVE = "live"
    NORMAL = "normal"
    BACKFILL = "backfill"
    LOW = "low"

    @property
    def rank(self) -> int:
        """Return 0 for the most urgent lane."""
        return _RANKS[self]


_RANKS = {lane: rank for rank, lane in enumerate(Lane)}
# What a job's priority means for the rate budget; the numbers are documented on sync_jobs.priority.
_LANES = ((20, Lane.LIVE), (60, Lane.NORMAL), (120, Lane.BACKFILL))


def lane_of(priority: int) -> Lane:
    """Return the budget lane of a priority."""
    return next((lane for highest, lane in _LANES if priority <= highest), Lane.LOW)


@dataclass(frozen=True, slots=True)
class RateSeen:
    """What the rate-limit headers of one response said; `reset_at` is on our own clock."""

    limit: int
    remaining: int
    reset_at: datetime | None


class Meter(Protocol):
    """What the calls of one job cost, as far as its record cares."""

    requests: int
    throttled: int
    waited_ms: int
