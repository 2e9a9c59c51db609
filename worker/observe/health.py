"""Whether this worker lives, and whether it is ready for work: two questions, two answers.

Alive: its loops go round; if not, it is to be started anew. Ready: the database answers and the
worker is not on its way out; if not, waiting helps more than a new start.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from worker.observe.gauges import FRESH_FOR_READINESS


if TYPE_CHECKING:
    from collections.abc import Awaitable


# A loop that asks a database which does not answer gives up after a minute and a half.
PATIENCE: Final = timedelta(minutes=2)


class Loops(Protocol):
    """The worker's loop, as far as its health cares."""

    @property
    def stopping(self) -> bool:
        """Tell whether no more jobs are claimed."""
        ...

    @property
    def busy(self) -> int:
        """Return how many jobs run here now."""
        ...

    def stuck(self, patience: timedelta) -> str | None:
        """Name a loop that ended or stands still, None while all go round."""
        ...


class Figures(Protocol):
    """The engine's figures; reading them proves that the database answers."""

    def refresh(self, fresh: timedelta, /) -> Awaitable[str | None]:
        """Return why there are none, None if there are."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What whoever asks is told."""

    good: bool
    said: dict[str, Any]


class Health:
    """Judges one worker."""

    def __init__(self, loops: Loops, figures: Figures) -> None:
        self._loops = loops
        self._figures = figures

    def alive(self) -> Answer:
        """Tell whether the loops go round; that it answers at all says the same of the process."""
        problem = self._loops.stuck(PATIENCE)
        said = {"status": "ok" if problem is None else "stuck", "jobs_running": self._loops.busy}
        return Answer(problem is None, said | ({"problem": problem} if problem else {}))

    async def ready(self) -> Answer:
        """Tell whether work given to it would be done. A worker starts with complete settings."""
        if self._loops.stopping:
            return Answer(good=False, said={"status": "stopping"})
        problem = await self._figures.refresh(FRESH_FOR_READINESS)
        if problem is not None:
            return Answer(good=False, said={"status": "waiting", "problem": problem})
        return Answer(good=True, said={"status": "ok"})
