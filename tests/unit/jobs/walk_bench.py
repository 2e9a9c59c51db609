"""An earnings job with everything real around it but the two servers."""

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
from tests.unit.jobs.run_book import sums_of
from tests.unit.jobs.test_outcomes import JOB
from tests.unit.jobs.walk_book import WalkBook, rows_every
from worker.fanvue.calls import RequestMeter
from worker.fanvue.client import FanvueClient
from worker.jobs.earnings_walk import EarningsWalk
from worker.jobs.outcomes import Yielded
from worker.jobs.pages import PageReader
from worker.jobs.walk import Slice, Walk
from worker.store.walks import WalkStore
from worker.traffic import Lane


if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.jobs.outcomes import Result
    from worker.sync.rows import LedgerRow


PATIENT = Slice(pages=1000, duration=timedelta(hours=9))


def walking(number: int = 120, *, ids: bool = True, **book: Any) -> WalkBench:
    """Return a bench with so many sales, seven minutes apart."""
    clock = ManualClock(skips=True)
    until = clock.now() - timedelta(minutes=1)
    rows = rows_every(timedelta(minutes=7), number, until=until, ids=ids)
    return WalkBench(clock, rows, WalkBook(**book))


@dataclass
class WalkBench:
    """One creator's walk."""

    clock: ManualClock
    rows: list[LedgerRow]
    book: WalkBook
    stopping: Callable[[], bool] = lambda: False
    meter: RequestMeter = field(default_factory=RequestMeter)
    lease_id: int = JOB.lease_id
    path_prefix: str = JOB.path_prefix

    def __post_init__(self) -> None:
        self.budget = RecordingBudget()
        self.api = EarningsApi(self.clock, self.rows)
        self.grants = GrantBench(self.clock)
        self.grants.connect()
        self.stub = self.grants.stub
        self.stub.functions |= {
            "begin_sync_walk": self.book.begin,
            "commit_sync_page": self.book.commit,
            "reconcile_sums": lambda _: sums_of(self.book.ledger, self.book.known),
        }

    async def run(self, limits: Slice = PATIENT) -> Result:
        """Run the job once, as a worker that knows nothing of earlier runs."""
        client = FanvueClient(
            self.api.http,
            self.budget,
            self.clock,
            Random(1),  # noqa: S311 - jitter is no secret
            fanvue_settings(),
        )
        job = replace(JOB, lease_id=self.lease_id, path_prefix=self.path_prefix)
        reader = PageReader(client, self.grants.keeper, job, Lane.LIVE, self.meter)
        store = WalkStore(self.stub.database, timedelta(seconds=60))
        walk = Walk(job, store, self.clock, limits, self.stopping, self.meter)
        return await walk.run(EarningsWalk(job, store, reader).turn)

    async def run_in_slices(self, limits: Slice) -> tuple[Result, int]:
        """Run again and again until the walk ends; count the runs."""
        runs = 1
        while isinstance(result := await self.run(limits), Yielded):
            runs += 1
            self.lease_id += 1
            assert runs < 100, "the walk does not end"
        return result, runs

    def assert_exact(self) -> None:
        assert self.book.ledger.contents() == money_of(self.rows)
