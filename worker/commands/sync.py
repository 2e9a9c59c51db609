"""`fanvue-sync sync`: one creator's stream now, with a progress bar, wherever it runs.

The work goes through the queue like any other: if another worker has the stream, it is watched.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.app import open_engine
from worker.commands.progress import SyncProgress
from worker.commands.session import begin, wait_for
from worker.commands.terminal import AsJson, counted, error_text, print_json, say
from worker.errors import SyncError
from worker.streams.registry import STREAMS


if TYPE_CHECKING:
    from collections.abc import Coroutine

    from worker.app import Engine
    from worker.settings import Settings


EXAMPLES: Final = """
\b
Examples:
  fanvue-sync sync nova
  fanvue-sync sync nova --full
  fanvue-sync sync nova --type messages
  fanvue-sync sync 3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a10 --type subscribers --json
"""
STREAM_NAMES: Final = ", ".join(STREAMS)
LOOK_EVERY: Final = timedelta(milliseconds=400)
LOOK_ELSEWHERE_EVERY: Final = timedelta(seconds=1)
# A rate limit is waited for; after a failure, longer pauses are the queue's own affair.
LONGEST_RETRY: Final = timedelta(seconds=20)


class SyncFailedError(SyncError):
    """The stream did not finish."""

    code = "sync_failed"


@dataclass(slots=True)
class Watch:
    """What is known about the stream so far."""

    model_id: str
    sync_type: str
    view: SyncProgress
    jobs: list[int] = field(default_factory=list)

    def saw(self, job_id: int) -> None:
        """Remember a job whose end is the result."""
        if job_id not in self.jobs:
            self.jobs.append(job_id)


def sync(
    model_id: Annotated[
        str, typer.Argument(help="The creator's handle or model id, as `creators` lists them.")
    ],
    *,
    sync_type: Annotated[
        str, typer.Option("--type", help=f"Which stream: {STREAM_NAMES}.")
    ] = "earnings",
    full: Annotated[
        bool, typer.Option("--full", help="Read everything again, from the beginning.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Sync one creator now and wait until it is done."""
    settings = begin()
    result = wait_for(_sync(settings, model_id, sync_type, full=full, quiet=as_json))
    if as_json:
        print_json(result)
    else:
        say(
            f"{result['state']}: {result['rows_inserted']:,} new, {result['rows_updated']:,} "
            f"changed, {counted(result['rows_unchanged'], 'unchanged row')} in "
            f"{counted(result['pages'], 'page')}, {counted(result['requests'], 'call')} to Fanvue"
        )
    if result["state"] != "succeeded":
        reason = error_text(result["error"]) or f"the sync was {result['state']}"
        remedy = (result["error"] or {}).get("remedy") or "see fanvue-sync jobs list"
        raise SyncFailedError(reason, remedy=remedy, model_id=result["model_id"])


async def _sync(
    settings: Settings, who: str, sync_type: str, *, full: bool, quiet: bool
) -> dict[str, Any]:
    async with open_engine(settings) as engine:
        model_id = (await engine.books.overview.find_model(who))["model_id"]
        job = await engine.books.jobs.enqueue(model_id, sync_type, full=full)
        with SyncProgress(sync_type, quiet=quiet) as view:
            watch = Watch(model_id, sync_type, view)
            watch.saw(int(job["id"]))
            return await follow(engine, watch)


async def follow(engine: Engine, watch: Watch) -> dict[str, Any]:
    """Run or await a stream's work until nothing is left of it; return how it ended."""
    while await _advance(engine, watch):
        pass
    return await _result(engine, watch)


async def _advance(engine: Engine, watch: Watch) -> bool:
    """Run or await the next piece of the stream's work; False when nothing is left of it."""
    claim = await engine.books.jobs.claim_one(watch.model_id, watch.sync_type)
    if claim.jobs:
        job = claim.jobs[0]
        watch.saw(job.id)
        await _while_watching(engine, watch, engine.runner.run_one(job))
        return True
    if claim.running_by is None and claim.next_due is None:
        return False
    jobs = await _look(engine, watch)
    if claim.running_by is not None:
        watch.view.elsewhere(claim.running_by)
        # The worker that has it may be gone; then its lease ends and the job comes back.
        await engine.books.jobs.reap()
        await engine.clock.sleep(LOOK_ELSEWHERE_EVERY)
        return True
    wait = claim.next_due or LOOK_EVERY
    _explain_wait(watch, jobs, wait)
    await engine.clock.sleep(min(wait, LOOK_EVERY))
    return True


async def _while_watching(
    engine: Engine, watch: Watch, work: Coroutine[object, object, None]
) -> None:
    async def look_forever() -> None:
        while True:
            await engine.clock.sleep(LOOK_EVERY)
            await _look(engine, watch)

    looking, working = asyncio.create_task(look_forever()), asyncio.create_task(work)
    try:
        # Not awaited itself: a cancelled job hands its lease back and would end the Ctrl-C there.
        await asyncio.wait({working})
    finally:
        looking.cancel()
        working.cancel()
        await asyncio.gather(looking, working, return_exceptions=True)
    await working
    await _look(engine, watch)


async def _look(engine: Engine, watch: Watch) -> list[dict[str, Any]]:
    jobs = await engine.books.overview.stream_jobs(watch.model_id, watch.sync_type)
    for job in jobs:
        if job["state"] != "dead":
            watch.saw(int(job["id"]))
            watch.view.show(job["progress"] or {})
    return jobs


def _explain_wait(watch: Watch, jobs: list[dict[str, Any]], wait: timedelta) -> None:
    waiting = next((job for job in jobs if job["state"] == "queued"), None)
    error = (waiting or {}).get("last_error") or {}
    throttled = error.get("kind") in {None, "throttled"}
    if not throttled and wait > LONGEST_RETRY:
        raise SyncFailedError(
            f"the sync has not succeeded: {error_text(error)}",
            remedy=_and_meanwhile(f"it is tried again by itself at {_clock_time(waiting)}", error),
            model_id=watch.model_id,
        )
    watch.view.waiting(wait, "for the rate limit" if throttled else f"after {error_text(error)}")


def _and_meanwhile(text: str, error: dict[str, Any]) -> str:
    remedy = str(error.get("remedy") or "nothing")
    return text if remedy.startswith("nothing") else f"{text}; {remedy}"


def _clock_time(job: dict[str, Any] | None) -> str:
    if job is None:
        return "the next tick"
    return datetime.fromisoformat(job["run_at"]).astimezone(UTC).strftime("%H:%M:%S UTC")


async def _result(engine: Engine, watch: Watch) -> dict[str, Any]:
    """Return how the last job of the stream that was seen ended."""
    for job_id in reversed(watch.jobs):
        run = await engine.books.overview.last_run(job_id)
        if run is not None:
            return {
                "model_id": watch.model_id,
                "sync_type": watch.sync_type,
                "job_id": job_id,
            } | run
    raise SyncFailedError(
        "the job left the queue without a result",
        remedy="see fanvue-sync status",
        model_id=watch.model_id,
    )
