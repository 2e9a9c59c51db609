"""Waiting for what another thread or process does: for as long as it takes, short of a hang."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Callable


# On a machine so busy that everything takes ten times as long, this is still a hang.
PATIENCE_SECONDS = 300
# Looking takes time from what is waited for.
PAUSE_SECONDS = 0.05


def wait_for(condition: Callable[[], bool]) -> None:
    """Look again and again until it is so."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(PAUSE_SECONDS)
