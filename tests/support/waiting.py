"""Waits for a sign that something happened; the limit only ends a test in which it never does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final


if TYPE_CHECKING:
    from collections.abc import Callable


# On a machine so busy that everything takes ten times as long, this is still a hang.
PATIENCE_SECONDS: Final = 300
# Looking takes time from what is waited for.
LOOK_SECONDS: Final = 0.03


def _rest() -> None:
    time.sleep(LOOK_SECONDS)


def wait_until(
    condition: Callable[[], object],
    what: str = "what the test waits for",
    rest: Callable[[], object] = _rest,
) -> None:
    """Look again and again until it is so; `rest` lets happen what is waited for."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends, f"waited in vain: {what}"
        rest()
