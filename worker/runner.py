"""The worker's loop: claim, run with bounded concurrency, heartbeat, settle, stop gracefully.

Holds no state that matters: whatever is lost with this process comes back when its leases end.
Knows nothing about Fanvue; a `Handler` does the work of a job.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from worker.errors import DatabaseUnavailable, LeaseLost, SchemaMissing, SyncError, Throttled
from worker.fanvue.calls import RequestMeter
from worker.jobs.outcomes import Done, meter_stats, settle_error, settle_result
from worker.metrics import Metric, Metrics, unheard
from worker.store.jobs import Settlement
from worker.tally import Tally
from worker.traffic import lane_of


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from worker.clock import Clock
    from worker.jobs.outcomes import Result
    from worker.store.jobs import Claim, Job, JobStore


IDLE_WAIT: Final = timedelta(seconds=2)
# While the database tells of due work: no later is found what a missed hint would have told.
TOLD_WAIT: Final = timedelta(seconds=20)
SHORTEST_WAIT: Final = timedelta(milliseconds=50)
DATABASE_PAUSE: Final = timedelta(seconds=2)
SETTLE_BATCH: Final = 100
SETTLE_DELAY: Final = timedelta(milliseconds=20)
# A drain waits for work that is due this soon: rate limits and short retries are part of the work.
DRAIN_HORIZON: Final = timedelta(minutes=3)

log = structlog.get_logger(__name__)


class Handler(Protocol):
    """Does the work of one job."""

    async def __call__(self, job: Job, meter: RequestMeter, stopping: Callable[[], bool]) -> Result:
        """Run the job; `stopping` turns true when the worker wants it back soon."""
        ...


@dataclass(slots=True)
class _Running:
    job: Job
    task: asyncio.Task[None]
    meter: RequestMeter = field(default_factory=RequestMeter)
    told_to_stop: bool = False
    lease_lost: bool = False


class Runner:
    """Runs jobs until it is told to stop, or until nothing is left."""

    def __init__(  # noqa: PLR0913 - settings of one loop
        self,
        store: JobStore,
        handler: Handler,
        clock: Clock,
        *,
        concurrency: int,
        lease: timedelta,
        shutdown: timedelta,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._handler = handler
        self._clock = clock
        self._concurrency = concurrency
        self._lease = lease
        self._shutdown = shutdown
        self._metrics = metrics or unheard()
        self._metrics.set(Metric.ROOM, concurrency)
        # By when each loop is to have gone round once more, but for the time its calls take.
        self._beats: dict[str, float] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._running: dict[int, _Running] = {}
        self._settlements: asyncio.Queue[Settlement] = asyncio.Queue()
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._told = False
        self._draining = False
        # Whether the last claim left due work behind: then what ends here may make room for it.
        self._left_behind = True
        self.tally = Tally()

    @property
    def busy(self) -> int:
        """Return how many jobs run here now."""
        return len(self._running)

    @property
    def stopping(self) -> bool:
        """Tell whether no more jobs are claimed."""
        return self._stop.is_set()

    def stuck(self, patience: timedelta) -> str | None:
        """Name a loop that ended or stands still, None while all go round."""
        for task in self._loops:
            if task.done():
                return f"{task.get_name()} ended"
        now = self._clock.monotonic()
        for name, expected in self._beats.items():
            if now - expected > patience.total_seconds():
                return f"{name} stand still for {now - expected:.0f} s"
        return None

    def wake(self) -> None:
        """Make an idle loop look for work now."""
        self._wake.set()

    def told(self, *, told: bool) -> None:
        """Note whether somebody tells of due work: then an idle loop looks for it more seldom."""
        if told != self._told:
            self._told = told
            self._wake.set()

    def stop(self) -> None:
        """Stop claiming; running jobs finish their page and go back to the queue."""
        self.tally.interrupted = True
        self._stop.set()
        self._wake.set()

    async def run(
        self,
        *,
        drain: bool = False,
        alone: bool = False,
        horizon: timedelta = DRAIN_HORIZON,
    ) -> Tally:
        """Work until `stop`, or with `drain` until no job runs anywhere and none is due.

        It waits for what is due within the horizon, and for other workers unless it is `alone`.
        """
        self._draining = drain
        async with self._attended():
            await self._claim_forever(horizon, alone=alone)
        return self.tally

    async def run_one(self, job: Job) -> None:
        """Run one job that was claimed elsewhere, heartbeats and settlement included."""
        async with self._attended():
            await self._start(job).task

    @asynccontextmanager
    async def _attended(self) -> AsyncIterator[None]:
        beats = asyncio.create_task(self._beat(), name="heartbeats")
        settles = asyncio.create_task(self._settle_forever(), name="settlements")
        self._loops = [beats, settles]
        try:
            yield
        finally:
            # What is left is waited for in its own time: nothing goes round any more.
            self._beats.clear()
            await self._hand_back()
            await self._settlements.join()
            self._loops = []
            beats.cancel()
            settles.cancel()
            await asyncio.gather(beats, settles, return_exceptions=True)

    async def _claim_forever(self, horizon: timedelta, *, alone: bool) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            self._beats["claims"] = self._clock.monotonic()
            free = self._concurrency - len(self._running)
            if free <= 0:
                await self._idle(IDLE_WAIT)
                continue
            # What ends while the claim is under way was not there for it.
            self._left_behind = True
            try:
                if self._draining and not self._running:
                    # What ended here is settled first: it may be due again.
                    await self._settlements.join()
                claim = await self._store.claim(free, drain=self._draining)
                for job in claim.jobs:
                    self._start(job)
                if len(claim.jobs) == free:
                    continue
                if (
                    self._draining
                    and not (claim.jobs or self._running)
                    and await self._is_drained(claim, horizon, alone=alone)
                ):
                    return
            except (DatabaseUnavailable, SchemaMissing) as error:
                log.warning(error.code, reason=error.operator_message)
                await self._idle(DATABASE_PAUSE)
                continue
            self._left_behind = claim.next_due == timedelta(0)
            await self._idle(self._pause(claim.next_due))

    def _look_again(self, *, requeued: bool = False) -> None:
        """Claim at once where an end here may have brought work, or ended a drain."""
        if requeued or self._left_behind or (self._draining and not self._running):
            self._wake.set()

    def _pause(self, next_due: timedelta | None) -> timedelta:
        if next_due == timedelta(0):
            # Due, yet not to be had: nobody tells when an agency has room again.
            return IDLE_WAIT
        longest = TOLD_WAIT if self._told else IDLE_WAIT
        return longest if next_due is None else min(longest, next_due)

    async def _is_drained(self, claim: Claim, horizon: timedelta, *, alone: bool) -> bool:
        if claim.next_due is not None and claim.next_due <= horizon:
            if not claim.next_due:
                # Due, yet not to be had: its twin may run under a dead worker's lease.
                await self._store.reap()
            return False
        if claim.running and not alone:
            # Another worker's jobs: finished by it, or given back when its lease ends.
            await self._store.reap()
            return False
        return True

    async def _idle(self, wait: timedelta) -> None:
        self._beats["claims"] = self._clock.monotonic() + wait.total_seconds()
        waiting = asyncio.create_task(self._wake.wait())
        sleeping = asyncio.create_task(self._clock.sleep(max(wait, SHORTEST_WAIT)))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()
            await asyncio.gather(waiting, sleeping, return_exceptions=True)

    def _start(self, job: Job) -> _Running:
        self.tally.claimed += 1
        self.tally.pickup.add(job.waited)
        self._metrics.count(Metric.CLAIMS, sync_type=job.sync_type)
        waited = job.waited.total_seconds()
        self._metrics.observe(Metric.PICKUP, waited, lane=lane_of(job.priority).value)
        for earlier in self._running.values():
            if earlier.job.id == job.id:
                # Given to us anew: our first lease on it ended while we could not extend it.
                self._lose(earlier)
        task = asyncio.create_task(self._work(job), name=f"job-{job.id}")
        running = self._running[job.lease_id] = _Running(job, task)
        self._metrics.set(Metric.RUNNING, self.busy)
        return running

    async def _work(self, job: Job) -> None:
        running = self._running[job.lease_id]
        meter, settled = running.meter, False
        settlement: Settlement | None = None
        started = self._clock.monotonic()
        with structlog.contextvars.bound_contextvars(**_names(job)):
            try:
                result = await self._handler(
                    job, meter, lambda: self._stop.is_set() or running.told_to_stop
                )
                settlement = settle_result(job, result, meter)
                settled = isinstance(result, Done) and result.settled
            except asyncio.CancelledError:
                # Our own shutdown or a lost lease; what was committed stays committed.
                if not running.lease_lost:
                    settlement = _handed_back(job, meter)
            except Exception as error:  # noqa: BLE001 - outcomes.py decides what every error means
                settlement = settle_error(job, error, meter, self._clock)
                _log_error(error)
            finally:
                self._running.pop(job.lease_id, None)
                self._metrics.set(Metric.RUNNING, self.busy)
                took = self._clock.monotonic() - started
                self._metrics.observe(Metric.JOB_SECONDS, took, sync_type=job.sync_type)
                self.tally.requests += meter.requests
                self.tally.throttled += meter.throttled
                if settlement is None:
                    self._count_lost()
                elif settled:
                    self._count_settled(settlement)
                else:
                    self._settlements.put_nowait(settlement)
                self._look_again()

    async def _beat(self) -> None:
        while True:
            pause = self._lease / 4
            self._beats["heartbeats"] = self._clock.monotonic() + pause.total_seconds()
            await self._clock.sleep(pause)
            jobs = [running.job for running in self._running.values()]
            if not jobs:
                continue
            try:
                held = await self._store.heartbeat(jobs)
            except SyncError as error:
                log.warning("heartbeat_failed", reason=error.message)
                continue
            for job in jobs:
                self._heed(job, held)

    def _heed(self, job: Job, held: dict[int, bool]) -> None:
        running = self._running.get(job.lease_id)
        if running is None:
            return
        if job.id not in held:
            # The commit of a last page ends the lease, or hears itself that it is lost.
            if not running.meter.ending:
                self._lose(running)
        elif held[job.id]:
            running.told_to_stop = True

    @staticmethod
    def _lose(running: _Running) -> None:
        log.warning("lease_lost", job_id=running.job.id)
        running.lease_lost = True
        running.task.cancel()

    async def _settle_forever(self) -> None:
        while True:
            batch = [await self._settlements.get()]
            if self._running:
                # What ends meanwhile is settled with it.
                await self._clock.sleep(SETTLE_DELAY)
            while len(batch) < SETTLE_BATCH and not self._settlements.empty():
                batch.append(self._settlements.get_nowait())
            try:
                await self._settle(batch)
            finally:
                for _ in batch:
                    self._settlements.task_done()
                self._look_again(requeued=any(one.outcome != "done" for one in batch))

    async def _settle(self, batch: Sequence[Settlement]) -> None:
        try:
            accepted = await self._store.settle(batch, leaving=self.stopping)
        except SyncError as error:
            # The leases end by themselves and the jobs run again: idempotent, only later.
            log.warning("settle_failed", reason=error.message, jobs=[one.job.id for one in batch])
            return
        for one in batch:
            if one.job.id not in accepted:
                self._count_lost()
                continue
            self._count_settled(one)

    def _count_settled(self, one: Settlement) -> None:
        outcome = one.outcome
        if outcome == "retry" and one.job.attempt >= one.job.max_attempts:
            outcome = "dead"
        ended = one.state if outcome == "done" and one.state else outcome
        self.tally.outcomes[ended] += 1
        self._metrics.count(Metric.SETTLED, sync_type=one.job.sync_type, outcome=ended)
        log.info("job_settled", **_names(one.job), outcome=outcome, state=one.state)

    def _count_lost(self) -> None:
        self.tally.lost += 1
        self._metrics.count(Metric.LOST)

    async def _hand_back(self) -> None:
        """Let running jobs reach the end of their page, then take what is left back."""
        tasks = [running.task for running in self._running.values()]
        if not tasks:
            return
        self._stop.set()
        waiting = asyncio.ensure_future(asyncio.wait(tasks))
        sleeping = asyncio.create_task(self._clock.sleep(self._shutdown))
        await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, waiting, sleeping, return_exceptions=True)


def _names(job: Job) -> dict[str, object]:
    """Return what every event of a job is found by, from its cause to its end."""
    return {
        "cause": job.cause,
        "job_id": job.id,
        "model_id": job.model_id,
        "sync_type": job.sync_type,
    }


def _handed_back(job: Job, meter: RequestMeter) -> Settlement:
    return Settlement(job, "snooze", retry_in=timedelta(0), stats=meter_stats(meter))


def _log_error(error: Exception) -> None:
    if isinstance(error, LeaseLost | Throttled):
        log.info("job_interrupted", kind=error.code, reason=error.message)
    elif isinstance(error, SyncError):
        log.warning("job_failed", kind=error.code, reason=error.message)
    else:
        log.error("job_crashed", exc_info=error)
