"""Runs the job of any registered stream: picks the walk that its declaration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.errors import ScopeMissing
from worker.jobs.chat_walk import ChatWalk
from worker.jobs.earnings_walk import EarningsWalk
from worker.jobs.list_walk import ListWalk
from worker.jobs.pages import PageReader
from worker.jobs.walk import Walk
from worker.streams.stream import ChatStream, ListStream, MoneyStream


if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.clock import Clock
    from worker.fanvue.calls import RequestMeter
    from worker.fanvue.client import FanvueClient
    from worker.jobs.grants import GrantKeeper
    from worker.jobs.outcomes import Result
    from worker.jobs.walk import Slice, Turn
    from worker.store.jobs import Job
    from worker.store.walks import WalkStore
    from worker.streams.stream import Stream
    from worker.traffic import Lane


class StreamJob:
    """Handles the jobs of one stream."""

    def __init__(  # noqa: PLR0913, PLR0917 - each one is a party to the walk
        self,
        stream: Stream,
        client: FanvueClient,
        grants: GrantKeeper,
        walks: WalkStore,
        clock: Clock,
        limits: Slice,
        lane_of: Callable[[int], Lane],
    ) -> None:
        self._stream = stream
        self._client = client
        self._grants = grants
        self._walks = walks
        self._clock = clock
        self._limits = limits
        self._lane_of = lane_of

    async def __call__(self, job: Job, meter: RequestMeter, stopping: Callable[[], bool]) -> Result:
        """Walk until the end, the end of the slice, or a reason to stop."""
        lane = self._lane_of(job.priority)
        reader = PageReader(self._client, self._grants, job, lane, meter)
        walk = Walk(job, self._walks, self._clock, self._limits, stopping, meter)
        try:
            async with reader.asking():
                return await walk.run(self._turns(job, reader))
        except ScopeMissing as error:
            agency = ("read:creator",) if job.path_prefix else ()
            scopes = " ".join((*self._stream.scopes, *agency))
            raise ScopeMissing(
                error.message,
                remedy=f"{self._stream.sync_type} takes {scopes}: {error.remedy}",
                sync_type=job.sync_type,
            ) from error

    def _turns(self, job: Job, reader: PageReader) -> Turn:
        match self._stream:
            case MoneyStream():
                return EarningsWalk(job, self._walks, reader).turn
            case ChatStream() as chats:
                return ChatWalk(job, chats, reader).turn
            case ListStream() as rows:
                return ListWalk(job, rows, reader).turn
