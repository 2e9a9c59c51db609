"""Reads one page of earnings for a walk: the call, the token, and a second look at a bad answer.

Nothing is committed here. A page that breaks its shape is asked for once more before it counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.errors import ProviderContract, Unauthorized
from worker.fanvue.calls import Access, Family, Reply, RequestMeter
from worker.fanvue.pages import read_envelope
from worker.fanvue.wire import EarningRow, parse_rows
from worker.sync.rows import LedgerRow, to_ledger
from worker.sync.window import PAGE_SIZE, Place, Span, Turn, query_span, turn_page


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.fanvue.client import FanvueClient, Parameter
    from worker.jobs.grants import GrantKeeper
    from worker.store.jobs import Job
    from worker.traffic import Lane


@dataclass(frozen=True, slots=True)
class EarningsList:
    """A list to walk down: its path, its filter, its range."""

    path: str
    span: Span
    source: str | None = None


@dataclass(frozen=True, slots=True)
class ReadPage:
    """A page as read: what may be committed, and what could not be understood."""

    turn: Turn
    family: Family
    date: datetime | None
    unreadable: list[str] = field(default_factory=list)


class PageReader:
    """Reads for one job; refreshes the token when Fanvue refuses it."""

    def __init__(
        self, client: FanvueClient, grants: GrantKeeper, job: Job, lane: Lane, meter: RequestMeter
    ) -> None:
        self._client = client
        self._grants = grants
        self._job = job
        self._lane = lane
        self._meter = meter

    async def get(
        self, path: str, params: Mapping[str, Parameter], *, hint: int | None = None
    ) -> Reply:
        """Call once; after a 401 refresh the token and call once more."""
        token = await self._grants.token(self._job.model_id)
        access = Access(token.value, self._job.bucket, self._lane, hint)
        try:
            return await self._client.get(path, params, auth=access, meter=self._meter)
        except Unauthorized:
            token = await self._grants.token(self._job.model_id, rejected=token.version)
            access = Access(token.value, self._job.bucket, self._lane, hint)
            return await self._client.get(path, params, auth=access, meter=self._meter)

    async def read(self, what: EarningsList, place: Place, *, hint: int | None) -> ReadPage:
        """Read the page at a place; what stays unreadable at the second look is named."""
        try:
            page = await self._read(what, place, hint)
        except ProviderContract:
            return await self._read(what, place, hint)
        if page.unreadable:
            return await self._read(what, place, hint)
        return page

    async def _read(self, what: EarningsList, place: Place, hint: int | None) -> ReadPage:
        span = query_span(what.span, place)
        params: dict[str, Parameter] = {
            "startDate": span.start,
            "endDate": span.end,
            "source": what.source,
            "cursor": place.cursor,
            "size": PAGE_SIZE,
        }
        reply = await self.get(what.path, params, hint=hint)
        raw, following = read_envelope(reply)
        if following is not None and following == place.cursor:
            raise ProviderContract("the cursor does not advance", json_path="nextCursor")
        rows, unreadable = _ledger_rows(raw)
        try:
            turn = turn_page(rows, following, place)
        except ValueError as error:
            raise ProviderContract(str(error), json_path="data") from error
        return ReadPage(turn, reply.family, reply.date, unreadable)


def _ledger_rows(raw: list[Any]) -> tuple[list[LedgerRow], list[str]]:
    good, bad = parse_rows(EarningRow, raw)
    return [to_ledger(row) for row in good], [error.message for error in bad]
