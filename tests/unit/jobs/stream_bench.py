"""A stream's job with everything real around it but the two servers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from tests.support.clock import ManualClock
from tests.support.fanvue_stub import RecordingBudget, fanvue_settings
from tests.unit.jobs.grant_bench import Bench as GrantBench
from tests.unit.jobs.house import House
from tests.unit.jobs.stream_book import StreamBook
from tests.unit.jobs.test_outcomes import JOB
from worker.fanvue.calls import RequestMeter
from worker.fanvue.client import FanvueClient
from worker.jobs.outcomes import Yielded
from worker.jobs.stream_job import StreamJob
from worker.jobs.walk import Slice
from worker.store.walks import WalkStore
from worker.streams.registry import STREAMS
from worker.traffic import lane_of


if TYPE_CHECKING:
    from worker.jobs.outcomes import Result


PATIENT = Slice(pages=1000, duration=timedelta(hours=9))


@dataclass
class StreamBench:
    """One creator's stream."""

    sync_type: str
    kind: str = "incremental"
    v1: bool = True
    attempt: int = 1
    path_prefix: str = ""
    limits: Slice = PATIENT
    clock: ManualClock = field(default_factory=lambda: ManualClock(skips=True))

    def __post_init__(self) -> None:
        self.house = House(self.clock, v1=self.v1)
        self.book = StreamBook(self.sync_type, self.kind)
        self.budget = RecordingBudget()
        self.grants = GrantBench(self.clock)
        self.grants.connect()
        self.meter = RequestMeter()
        rng = Random(1)  # noqa: S311 - jitter is no secret
        self.client = FanvueClient(self.house.http, self.budget, self.clock, rng, fanvue_settings())

    def job(self, book: StreamBook) -> StreamJob:
        """Return the handler of the stream, as a worker that knows nothing of earlier runs."""
        stub = self.grants.stub
        stub.functions |= {"begin_sync_walk": book.begin, "commit_sync_page": book.commit}
        store = WalkStore(stub.database, timedelta(seconds=60))
        stream = STREAMS[book.sync_type]
        return StreamJob(
            stream, self.client, self.grants.keeper, store, self.clock, self.limits, lane_of
        )

    async def run(self, limits: Slice = PATIENT, book: StreamBook | None = None) -> Result:
        """Run the job once."""
        self.limits = limits
        book = book or self.book
        job = replace(
            JOB, sync_type=book.sync_type, attempt=self.attempt, path_prefix=self.path_prefix
        )
        return await self.job(book)(job, self.meter, lambda: False)

    async def run_in_slices(self, limits: Slice) -> tuple[Result, int]:
        """Run again and again until the walk ends; count the runs."""
        runs = 1
        while isinstance(result := await self.run(limits), Yielded):
            runs += 1
            assert runs < 200, "the walk does not end"
        return result, runs

    def history(self) -> StreamBook:
        """Return the book of the older messages of the same chats."""
        return StreamBook(
            "message_history",
            keep_text=self.book.keep_text,
            messages=self.book.messages,
            chats=self.book.chats,
        )

    def messages_in_house(self) -> set[str]:
        return {message.uuid for chat in self.house.chats.values() for message in chat}

    def calls_to(self, suffix: str) -> list[dict[str, Any]]:
        return [params for path, params in self.house.calls if path.endswith(suffix)]
