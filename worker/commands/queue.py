"""`fanvue-sync enqueue` and `fanvue-sync jobs`: the schedule's tick by hand, and the queue."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.app import open_books
from worker.clock import SystemClock
from worker.commands.session import begin, wait_for
from worker.commands.terminal import (
    AsJson,
    ago,
    counted,
    error_text,
    print_json,
    print_table,
    say,
    short_id,
)


if TYPE_CHECKING:
    from worker.settings import Settings


ENQUEUE_EXAMPLES: Final = """
\b
Examples:
  fanvue-sync enqueue
  fanvue-sync enqueue --json
"""
LIST_EXAMPLES: Final = """
\b
Examples:
  fanvue-sync jobs list
  fanvue-sync jobs list --state dead --json
"""
RETRY_EXAMPLES: Final = """
\b
Example:
  fanvue-sync jobs retry 4711
"""
CANCEL_EXAMPLES: Final = """
\b
Example:
  fanvue-sync jobs cancel 4711
"""
HIGHEST_ID: Final = 2**63 - 1

JobId = Annotated[
    int, typer.Argument(help="The job, as `jobs list` shows it.", min=1, max=HIGHEST_ID)
]


class JobState(StrEnum):
    """What a job in the queue can be."""

    QUEUED = "queued"
    RUNNING = "running"
    DEAD = "dead"


def enqueue(*, as_json: AsJson = False) -> None:
    """Run one scheduling tick: queue every stream that is due."""
    done = wait_for(_enqueue(begin({"supabase"})))
    if as_json:
        print_json(done)
    else:
        say(f"{done['enqueued']} queued, {done['revived']} brought back to life")


def list_jobs(
    *,
    state: Annotated[JobState | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List the queue: what runs, what gave up, what waits; finished jobs are in sync_runs."""
    # One more than is shown tells whether there are more.
    found = wait_for(_list(begin({"supabase"}), None if state is None else state.value, limit + 1))
    jobs = found[:limit]
    if len(found) > limit:
        say(f"there are more than {limit}; --limit and --state choose others", err=True)
    if as_json:
        print_json(jobs)
        return
    if not jobs:
        say("no jobs")
        return
    now = SystemClock().now()
    print_table(
        ("job", "creator", "stream", "state", "run", "try", "note"),
        [
            (
                job["id"],
                job["handle"] or short_id(job["model_id"]),
                job["sync_type"],
                job["state"],
                ago(job["run_at"], now),
                f"{job['attempt']}/{job['max_attempts']}",
                _note_on(job),
            )
            for job in jobs
        ],
        shrink=("creator", "note"),
    )


def retry(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Run a dead or waiting job now, with all its attempts back."""
    job = wait_for(_retry(begin({"supabase"}), job_id))
    if as_json:
        print_json(job)
    else:
        say(f"job {job['id']} ({job['sync_type']}) is {job['state']}")


def cancel(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Cancel a waiting or dead job at once, a running one at its next page."""
    job = wait_for(_cancel(begin({"supabase"}), job_id))
    if as_json:
        print_json(job)
    elif job.get("cancel_requested"):
        say(f"job {job['id']} ({job['sync_type']}) stops at its next page")
    else:
        say(f"job {job['id']} ({job['sync_type']}) is {job['state']}")


async def _enqueue(settings: Settings) -> dict[str, int]:
    async with open_books(settings) as books:
        return await books.jobs.enqueue_due("operator")


async def _list(settings: Settings, state: str | None, limit: int) -> list[dict[str, Any]]:
    async with open_books(settings) as books:
        return await books.overview.jobs(state, limit)


async def _retry(settings: Settings, job_id: int) -> dict[str, Any]:
    async with open_books(settings) as books:
        return await books.jobs.retry(job_id)


async def _cancel(settings: Settings, job_id: int) -> dict[str, Any]:
    async with open_books(settings) as books:
        return await books.jobs.cancel(job_id)


def _note_on(job: dict[str, Any]) -> str:
    if job["cancel_requested"]:
        return "to be cancelled"
    progress = job["progress"] or {}
    if job["state"] == "running":
        return f"{counted(progress.get('pages', 0), 'page')} by {job['claimed_by']}"
    return error_text(job["last_error"])
