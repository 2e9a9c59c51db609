"""A reconcile job with everything real around it but the two servers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from tests.property.ledger import money_of
from tests.support.clock import ManualClock
from tests.support.fanvue_stub import RecordingBudget, fanvue_settings
from tests.unit.jobs.earnings_api import EarningsApi
from tests.unit.jobs.grant_bench import Bench as GrantBench
from tests.unit.jobs.run_book import RunBook
from tests.unit.jobs.test_outcomes import JOB
from tests.unit.jobs.walk_book import rows_every
from worker.fanvue.calls import RequestMeter
from worker.fanvue.client import FanvueClient
from worker.jobs.outcomes import Yielded
from worker.jobs.pages import PageReader
from worker.jobs.reconcile import Reconciliation
from worker.jobs.walk import Slice
from worker.store.reconcile import ReconcileStore
from worker.traffic import Lane


if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.jobs.outcomes import Result
    from worker.sync.rows import LedgerRow


PATIENT = Slice(pages=1000, duration=timedelta(hours=9))
SUMMARY = "/insights/earnings/summary"
EARNINGS = "/insights/earnings"


def proving(number: int = 120, *, days: int = 40, ids: bool = True, **book: Any) -> ReconcileBench:
    """Return a bench with so many sales, six hours apart, to be proved over so many days."""
    clock = ManualClock(skips=True)
    rows = rows_every(timedelta(hours=6), number, until=clock.now(), ids=ids)
    start = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    ranges = [{"start": start.isoformat(), "end": None}]
    return ReconcileBench(clock, rows, RunBook(ranges, **book))


@dataclass
class ReconcileBench:
    """One creator's run."""

    clock: ManualClock
    rows: list[LedgerRow]
    book: RunBook
    stopping: Callable[[], bool] = lambda: False
    meter: RequestMeter = field(default_factory=RequestMeter)
    lease_id: int = JOB.lease_id
    attempt: int = 1
    path_prefix: str = JOB.path_prefix
    # Per answer of the summary: cents more (or less) on days; the last one stays.
    surplus: list[dict[str, int]] = field(default_factory=lambda: [{}])

    def __post_init__(self) -> None:
        self.budget = RecordingBudget()
        self.api = EarningsApi(self.clock, self.rows)
        self.api.tamper = self.answer
        self.grants = GrantBench(self.clock)
        self.grants.connect()
        self.stub = self.grants.stub
        self.stub.functions |= {
            "begin_reconcile": self.book.begin,
            "commit_reconcile_page": self.book.commit,
            "reconcile_sums": self.book.sums,
            "finish_reconcile": self.book.finish,
        }

    def answer(self, path: str, number: int, body: Any) -> Any:
        """Give the summary its nets, and what it says wrongly."""
        if not path.endswith(SUMMARY) or not isinstance(body, dict):
            return body
        wrong = self.surplus[min(number, len(self.surplus)) - 1]
        for entry in body["overTime"]:
            entry["gross"] += wrong.get(entry["periodStart"][:10], 0)
            entry["net"] = entry["gross"]
        return body

    async def run(self, limits: Slice = PATIENT) -> Result:
        """Run the job once, as a worker that knows nothing of earlier runs."""
        client = FanvueClient(
            self.api.http,
            self.budget,
            self.clock,
            Random(1),  # noqa: S311 - jitter is no secret
            fanvue_settings(),
        )
        job = replace(
            JOB,
            lease_id=self.lease_id,
            attempt=self.attempt,
            sync_type="reconcile",
            path_prefix=self.path_prefix,
        )
        reader = PageReader(client, self.grants.keeper, job, Lane.LOW, self.meter)
        store = ReconcileStore(self.stub.database, timedelta(seconds=60))
        return await Reconciliation(job, store, reader, self.clock, limits, self.stopping).run()

    async def run_in_slices(self, limits: Slice) -> Result:
        """Run again and again until the run ends."""
        while isinstance(result := await self.run(limits), Yielded):
            self.lease_id += 1
            assert self.lease_id < JOB.lease_id + 100, "the run does not end"
        return result

    def day(self, ago: int) -> str:
        """Return a day so long ago."""
        return (self.clock.now() - timedelta(days=ago)).date().isoformat()

    def calls(self, path: str) -> int:
        return self.api.paths.count(f"/v1{path}") + self.api.paths.count(path)

    @property
    def differing(self) -> list[str]:
        """Return the days that the verdict says differ."""
        (verdict,) = self.book.verdicts
        (sums,) = verdict["sums"]
        return [found["day"] for found in sums["differ"]]

    def assert_exact(self) -> None:
        assert self.book.ledger.contents() == money_of(self.rows)
