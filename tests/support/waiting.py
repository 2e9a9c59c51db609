"""Waits for a sign that something happened; the limit only ends a test in which it never does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final


if TYPE_CHECKING:
    from collections.abc import Callable


PATIENCE_SECONDS: Final = 240
LOOK_SECONDS: Final = 0.02


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look until it is so."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends, f"waited in vain: {what}"
        time.sleep(LOOK_SECONDS)
