"""How fast the machine was meanwhile: a round trip that does nothing, taken again and again.

It goes the way of every call of the worker, through the gateway to the database and back. Beside
it a reader tells a slow machine from a slow engine.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


EVERY_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 120.0
# A granted call may leave so much later: who is held up for longer breaks rules without knowing.
STALLED_SECONDS: Final = 2.0
# What may be under way when the machine stands still: a call or two of each of the accounts.
EXCUSED_PER_STALL: Final = 24
NOTHING: Final = "/rest/v1/agencies?select=id&limit=0"


@dataclass(frozen=True, slots=True)
class Pace:
    """What the round trips took, in seconds."""

    trips: int
    p50: float
    p95: float
    slowest: float
    stalls: int = 0

    @property
    def stalled(self) -> bool:
        """Tell whether the machine stood still for so long that time limits mean nothing."""
        return self.stalls > 0

    def excuses(self, count: int) -> bool:
        """Tell whether so many breaks of a rule are explained by how often it stood still."""
        return count <= EXCUSED_PER_STALL * self.stalls


def pace_of(seconds: Sequence[float]) -> Pace:
    """Sum up what single round trips took."""
    ordered = sorted(seconds) or [0.0]

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    stalls = sum(one >= STALLED_SECONDS for one in seconds)
    return Pace(len(seconds), at(0.5), at(0.95), ordered[-1], stalls)


class Pacer:
    """Takes the round trips in the background."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._url = settings["SUPABASE_URL"] + NOTHING
        self._headers = {"apikey": settings["SUPABASE_SECRET_KEY"]}
        self._seconds: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pace", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; the trip underway is let go."""
        self._ended.set()

    def pace(self) -> Pace:
        """Return what was measured so far."""
        return pace_of(list(self._seconds))

    def _run(self) -> None:
        with httpx.Client(headers=self._headers, timeout=PATIENCE_SECONDS) as http:
            # When the next one is to begin: a machine that stands still in between is late for it.
            due = time.monotonic() + EVERY_SECONDS
            while not self._ended.wait(max(0.0, due - time.monotonic())):
                try:
                    answered = http.get(self._url).is_success
                except httpx.HTTPError:
                    # That it did not come back is as slow as it is.
                    answered = True
                if self._ended.is_set():
                    return
                # A refusal that came at once says nothing of the way there and back.
                if answered:
                    self._seconds.append(time.monotonic() - due)
                due = time.monotonic() + EVERY_SECONDS
