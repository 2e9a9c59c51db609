"""One simulated time for Fanvue, the database and the workers, moved instead of waited for.

Fanvue and the database stand still between moves, so that what happens is dated alike in every
run, however long the machine takes for it. Only the workers' clocks run on: they bound waits.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from worker.clock import SystemClock


if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from simulator.client import SimulatorControl


# What a worker waits for others to join a batch costs a day of minutes a good part of its time.
LONGEST_NAP = timedelta(milliseconds=50)
NAP = timedelta(milliseconds=3)


class ShiftedClock(SystemClock):
    """The machine's clock, moved ahead or back; naps are short, waiting takes as long as ever."""

    def __init__(self, shift: timedelta = timedelta(0)) -> None:
        self.shift = shift

    def now(self) -> datetime:
        return super().now() + self.shift

    def monotonic(self) -> float:
        return super().monotonic() + self.shift.total_seconds()

    async def sleep(self, delay: timedelta) -> None:
        await super().sleep(NAP if NAP < delay < LONGEST_NAP else delay)


@dataclass(slots=True)
class DayClock:
    """Moves the three clocks alike."""

    control: SimulatorControl
    database: psycopg.Connection[Any]
    instant: datetime
    worker: ShiftedClock = field(default_factory=ShiftedClock)

    def move_to(self, instant: datetime) -> None:
        """Let it be an instant everywhere."""
        self.instant = instant
        self.control.set_clock(instant)
        self.worker.shift = instant - datetime.now(UTC)
        self.database.execute(
            """
            insert into private.engine_clock (shift) values (%s - timestamptz 'epoch')
            on conflict (singleton) do update set shift = excluded.shift
            """,
            (instant,),
        )

    def pass_seconds(self, seconds: float) -> None:
        """Let it be so much later everywhere."""
        self.move_to(self.instant + timedelta(seconds=seconds))


@contextmanager
def stopped_database(database: psycopg.Connection[Any]) -> Iterator[None]:
    """Let the engine's clock in the database stand where a `DayClock` puts it."""
    row = database.execute(
        "select pg_get_functiondef('private.engine_now()'::regprocedure)"
    ).fetchone()
    assert row is not None
    running: str = row[0]
    stopped = running.replace("clock_timestamp()", "timestamptz 'epoch'")
    assert stopped != running
    database.execute(stopped.encode())
    try:
        yield
    finally:
        database.execute(running.encode())
