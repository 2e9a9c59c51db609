"""Waiting for a signal: as long as it takes, with progress said, and with an end for a hang alone.

How fast a machine is decides how long something takes, never whether it comes. So what counts as a
hang is that nothing moves any more, not that much time went by.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Callable


HANG_SECONDS: Final = 300.0
LOOK_EVERY_SECONDS: Final = 0.5
SAY_EVERY_SECONDS: Final = 10.0


class InterruptedDemoError(Exception):
    """Somebody asked the demo to end."""


class Patience:
    """Waits, says for what, and ends at once when somebody interrupts."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._stop = threading.Event()

    @property
    def interrupted(self) -> bool:
        """Tell whether somebody wants the demo to end."""
        return self._stop.is_set()

    def interrupt(self) -> None:
        """End whatever is waited for."""
        self._stop.set()

    def heed(self) -> None:
        """Leave when somebody interrupted."""
        if self._stop.is_set():
            raise InterruptedDemoError

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self._stop.wait(max(0.0, seconds))
        self.heed()

    def until(
        self,
        condition: Callable[[], bool],
        what: str,
        *,
        moving: Callable[[], object] = lambda: None,
        hang: float = HANG_SECONDS,
    ) -> bool:
        """Wait until it holds; False when nothing moved for so long that it hangs.

        What moves is said, too, if it is a text.
        """
        began = moved = said = monotonic()
        seen = moving()
        while not condition():
            self.pause(LOOK_EVERY_SECONDS)
            now, present = monotonic(), moving()
            if present != seen:
                seen, moved = present, now
            if now - moved > hang:
                return False
            if now - said >= SAY_EVERY_SECONDS:
                said = now
                detail = f": {present}" if isinstance(present, str) else ""
                self._say(f"{now - began:4.0f} s  waiting for {what}{detail}")
        return True

    def need(self, condition: Callable[[], bool], what: str, where: str) -> None:
        """Wait until it holds; when it hangs, say what did not come and where to look."""
        if not self.until(condition, what):
            raise StackError(f"{what} did not come within {HANG_SECONDS:.0f} s; see {where}")
