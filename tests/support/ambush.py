"""Workers killed at a chosen call: before it takes effect, or after, while its answer is awaited.

Chance would hit the moments that the machine's speed favours. Between two calls nothing changes
that anybody else can see, so whoever dies on either side of each has died at every moment.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.flaky_rest import FlakyRest, flaky
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from multiprocessing.process import BaseProcess as SpawnProcess


@dataclass(frozen=True, slots=True)
class Moment:
    """The nth call of a name that the worker makes; `after` it took effect, or before."""

    call: str
    nth: int = 1
    after: bool = False


@dataclass(frozen=True, slots=True)
class Ambush:
    """Stands between workers and what they call: the database's RPCs, and Fanvue."""

    rest: FlakyRest
    fanvue: FlakyRest

    def settings(self) -> dict[str, str]:
        """Return the settings that lead a worker into it."""
        return {
            "SUPABASE_URL": self.rest.url,
            "FANVUE_API_URL": self.fanvue.url,
            "FANVUE_AUTH_URL": self.fanvue.url,
        }

    def kill(self, moment: Moment, worker: AbstractContextManager[SpawnProcess]) -> bool:
        """Run a worker, which its context kills, to the moment; say whether it came so far.

        Returns when all that the dead worker asked for has been done: a claim that takes effect
        later would give a job to nobody.
        """
        reached, dead = threading.Event(), threading.Event()

        def hold() -> None:
            reached.set()
            dead.wait(PATIENCE_SECONDS)

        # Only RPCs have names of several words.
        side = self.rest if "_" in moment.call else self.fanvue
        side.strand(moment.call, hold, moment.nth, after=moment.after)
        try:
            with worker as process:
                wait_until(lambda: reached.is_set() or not process.is_alive(), str(moment))
        finally:
            dead.set()
            side.forget([moment.call])
        self.rest.finish()
        self.fanvue.finish()
        return reached.is_set()


@contextmanager
def ambush(environment: Mapping[str, str]) -> Iterator[Ambush]:
    """Lie in wait between workers and what they call while the block runs."""
    with (
        flaky(environment["SUPABASE_URL"]) as rest,
        flaky(environment["FANVUE_API_URL"]) as fanvue,
    ):
        yield Ambush(rest, fanvue)
