"""The simulator's time: the machine's time plus an offset, or frozen at an instant.

Everything the simulator dates, expires or refills asks this clock, so a test can move an
hour in no time. It must stay the only module that reads the machine's time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def stamp(milliseconds: int) -> str:
    """Render an instant the way Fanvue does: UTC, milliseconds, a final Z."""
    seconds, millis = divmod(milliseconds, 1000)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def to_millis(moment: datetime) -> int:
    """Convert an aware datetime to whole milliseconds since 1970."""
    delta = moment - datetime.fromtimestamp(0, tz=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


class SimulatedClock:
    """Answers what time it is; can be moved, set, frozen and thawed while running."""

    def __init__(self, *, frozen_at: datetime | None = None) -> None:
        self._offset_ms = 0
        self._frozen_ms = None if frozen_at is None else to_millis(frozen_at)

    @property
    def frozen(self) -> bool:
        """Tell whether time stands still."""
        return self._frozen_ms is not None

    @staticmethod
    def machine_seconds() -> float:
        """Return the machine's own time, for parties who do not share this clock."""
        return time.time()

    def now_ms(self) -> int:
        """Return milliseconds since 1970."""
        if self._frozen_ms is not None:
            return self._frozen_ms
        return time.time_ns() // 1_000_000 + self._offset_ms

    def now(self) -> datetime:
        """Return an aware UTC datetime with millisecond precision."""
        seconds, millis = divmod(self.now_ms(), 1000)
        return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=millis * 1000)

    def advance(self, seconds: float) -> None:
        """Move time by so many seconds; frozen time stays frozen at the new instant."""
        millis = round(seconds * 1000)
        if self._frozen_ms is None:
            self._offset_ms += millis
        else:
            self._frozen_ms += millis

    def set(self, moment: datetime) -> None:
        """Jump to an instant; time keeps running from there unless it is frozen."""
        target = to_millis(moment)
        if self._frozen_ms is None:
            self._offset_ms += target - self.now_ms()
        else:
            self._frozen_ms = target

    def freeze(self) -> None:
        """Stop time at the present instant."""
        self._frozen_ms = self.now_ms()

    def thaw(self) -> None:
        """Let time run on from where it was frozen."""
        if self._frozen_ms is not None:
            frozen, self._frozen_ms = self._frozen_ms, None
            self._offset_ms += frozen - self.now_ms()
