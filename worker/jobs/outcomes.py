"""The only place where what a job returned or raised becomes its fate in the queue.

Retry counts an attempt; snooze does not. A lost lease settles nothing: the job is not ours.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from worker.errors import (
    GrantInvalid,
    GrantMoved,
    LeaseLost,
    Misconfigured,
    ProviderContract,
    ScopeMissing,
    SyncError,
    Throttled,
    Transient,
    Unauthorized,
    Unavailable,
)
from worker.redaction import redact_text
from worker.store.jobs import Job, Settlement


if TYPE_CHECKING:
    from worker.clock import Clock
    from worker.traffic import Meter


SHORTEST_SNOOZE: Final = timedelta(milliseconds=200)
CONFIGURATION_PAUSE: Final = timedelta(minutes=5)
_TRACEBACK_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Done:
    """The job finished; `partial` says what could not be read.

    Its last page may have `settled` it already.
    """

    partial: str | None = None
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Yielded:
    """A slice ended; the walk goes on after others had their turn."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """An operator, or the model's status, stopped the job."""


Result = Done | Yielded | Cancelled


def settle_result(job: Job, result: Result, meter: Meter) -> Settlement:
    """Return how a job that returned is settled."""
    stats = meter_stats(meter)
    match result:
        case Done(partial=None):
            return Settlement(job, "done", state="succeeded", stats=stats)
        case Done(partial=reason):
            error = {"kind": "partial", "message": str(reason)}
            return Settlement(job, "done", state="partial", error=error, stats=stats)
        case Yielded():
            return Settlement(job, "yield", stats=stats)
        case Cancelled():
            error = {"kind": "cancelled", "message": "stopped on request"}
            return Settlement(job, "cancelled", error=error, stats=stats)


def settle_error(job: Job, error: BaseException, meter: Meter, clock: Clock) -> Settlement | None:
    """Return how a job that raised is settled; None when its lease is lost."""
    if isinstance(error, LeaseLost):
        return None
    outcome, wait = _fate(error, clock)
    return Settlement(
        job,
        outcome,
        retry_in=wait,
        error=_describe(error),
        stats=meter_stats(meter),
    )


def _fate(  # noqa: PLR0911 - one return for each way of recovering
    error: BaseException, clock: Clock
) -> tuple[str, timedelta | None]:
    match error:
        case Throttled():
            return "snooze", max(error.until - clock.now(), SHORTEST_SNOOZE)
        case GrantMoved():
            return "snooze", error.retry_after or SHORTEST_SNOOZE
        case Transient():
            return "retry", error.retry_after
        case GrantInvalid():
            # The model is marked; its jobs leave the queue until the creator reconnects.
            return "fail", None
        case Misconfigured():
            # Ours to mend: nobody's attempt is spent on it.
            return "snooze", error.retry_after or CONFIGURATION_PAUSE
        case ScopeMissing() | Unavailable():
            return "dead", None
        case Unauthorized() | ProviderContract() | SyncError():
            return "retry", error.retry_after
        case _:
            return "dead", None


def _describe(error: BaseException) -> dict[str, str]:
    if isinstance(error, SyncError):
        return error.describe()
    lines = traceback.format_exception(error)[-_TRACEBACK_LINES:]
    return {
        "kind": "bug",
        "message": redact_text(f"{type(error).__name__}: {error}"),
        "remedy": "report it: this is a fault of the engine",
        "trace": redact_text("".join(lines)),
    }


def meter_stats(meter: Meter) -> dict[str, int]:
    """Return what a job's calls cost, as the run's record keeps it."""
    return {
        "requests": meter.requests,
        "throttled": meter.throttled,
        "waited_ms": meter.waited_ms,
    }
