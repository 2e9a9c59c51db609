"""Which code does the work of which job type.

A job of a type that this program does not know waits: a newer worker may know it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from worker.errors import Misconfigured
from worker.fanvue.calls import RequestMeter
from worker.jobs.outcomes import Result
from worker.store.jobs import Job


if TYPE_CHECKING:
    from collections.abc import Mapping


# Does the work of one job; the last argument turns true when the worker wants it back soon.
Handler: TypeAlias = Callable[[Job, RequestMeter, Callable[[], bool]], Awaitable[Result]]


class Dispatch:
    """Hands a job to the handler of its type."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = dict(handlers)

    async def __call__(self, job: Job, meter: RequestMeter, stopping: Callable[[], bool]) -> Result:
        """Run the job, or raise `Misconfigured` when its type is unknown here."""
        handler = self._handlers.get(job.sync_type)
        if handler is None:
            raise Misconfigured(
                f"this worker knows no job type {job.sync_type}",
                remedy="start the newest worker, or cancel the job",
                sync_type=job.sync_type,
            )
        return await handler(job, meter, stopping)
