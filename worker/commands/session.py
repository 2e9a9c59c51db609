"""What every command begins with: settings, quiet logs, and the event loop.

`run` configures its own logging; all others keep logs to errors, because their result is the text.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from worker.logs import configure_logging
from worker.settings import EVERYTHING, load_settings


if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

    from worker.logs import LogLevel
    from worker.settings import Need, Settings


_T = TypeVar("_T")


def begin(need: Collection[Need] = EVERYTHING) -> Settings:
    """Load the settings a command needs, and log only what went wrong unless asked for more."""
    settings = load_settings(need=need)
    level: LogLevel = "debug" if settings.worker.log_level == "debug" else "error"
    configure_logging(level, "console", secrets=settings.secrets())
    return settings


def wait_for(work: Coroutine[object, object, _T]) -> _T:
    """Run a command's work to its end; Ctrl-C cancels it and lets it clean up."""
    return asyncio.run(work)
