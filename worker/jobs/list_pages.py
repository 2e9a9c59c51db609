"""Reads one page of a stream's list and maps its rows; a bad page is looked at twice.

The first page of a poll is asked for with what it was offered last time, so that a list which
did not change costs a call and no body.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.errors import Misconfigured, ProviderContract, Unavailable
from worker.fanvue.pages import position, read_envelope
from worker.fanvue.wire import Complaints, parse, parse_rows
from worker.jobs.unreadable import second_look
from worker.streams.stream import Extent, Seen
from worker.sync.listing import next_landmark


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from worker.fanvue.calls import Reply
    from worker.fanvue.client import Parameter
    from worker.jobs.pages import PageReader
    from worker.store.walks import OfferedValidator, WalkState
    from worker.streams.stream import ListStream, Row


# A walk that reads to the end knows that it will call again; a poll expects a single page.
CALLS_AHEAD = 10


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page as read; `following` is None on the last one."""

    rows: list[Row] = field(repr=False)
    following: str | None
    date: datetime | None
    complaints: Complaints = field(default_factory=Complaints)
    not_modified: bool = False
    validator: OfferedValidator | None = None


class ListPages:
    """Reads the pages of one stream for one job."""

    def __init__(self, stream: ListStream[Any], reader: PageReader) -> None:
        self._stream = stream
        self._reader = reader

    async def read(self, state: WalkState, cursor: str | None) -> ListPage:
        """Read the page at a cursor, the list's first one without."""
        return await second_look(lambda: self._read(state, cursor))

    async def _read(self, state: WalkState, cursor: str | None) -> ListPage:
        reply, offered = await self._ask(state, cursor)
        if reply.not_modified:
            return ListPage([], None, reply.date, not_modified=True, validator=offered)
        if self._stream.extent is Extent.OBJECT:
            complaints = Complaints()
            item = parse(self._stream.shape, reply.body, details=complaints.details)
            row = self._stream.row(item, Seen(0, keep_text=state.keep_text))
            return ListPage([row], None, reply.date, complaints, validator=offered)
        raw, following = read_envelope(reply)
        if self._stream.extent is Extent.FIRST_PAGE:
            following = None
        rows, complaints = self._map(raw, keep_text=state.keep_text)
        whole = not complaints.records
        return ListPage(
            rows, following, reply.date, complaints, validator=offered if whole else None
        )

    async def _ask(
        self, state: WalkState, cursor: str | None
    ) -> tuple[Reply, OfferedValidator | None]:
        first = state.kind == "incremental" and state.pages == 0 and cursor is None
        hint = 1 if state.kind == "incremental" else CALLS_AHEAD
        params = self._params(state, cursor)
        missing: list[Unavailable] = []
        for path in self._stream.paths:
            try:
                if not first:
                    return await self._reader.get(path, params, hint=hint), None
                return await self._reader.get_if_changed(
                    path, params, state.validator, hint=hint, keep_text=state.keep_text
                )
            except Unavailable as error:
                missing.append(error)
        raise missing[0]

    def _params(self, state: WalkState, cursor: str | None) -> Mapping[str, Parameter]:
        size = {} if self._stream.extent is Extent.OBJECT else {"size": self._stream.page_size}
        return {**self._stream.window(_day_of(state)), **size, **position(cursor)}

    def _map(self, raw: list[Any], *, keep_text: bool) -> tuple[list[Row], Complaints]:
        rows: list[Row] = []
        complaints = Complaints()
        for place, item in enumerate(raw):
            good, bad = parse_rows(self._stream.shape, [item], first=place)
            rows += [self._stream.row(row, Seen(place, keep_text=keep_text)) for row in good]
            complaints += bad
        return rows, complaints


def _day_of(state: WalkState) -> date:
    if state.day is None:
        raise Misconfigured(
            "the database does not say which day it is",
            remedy="apply the migrations: supabase db push --remote",
        )
    return state.day


def advance(following: str, asked: str | None, state: WalkState) -> dict[str, str]:
    """Return what the walk notes of a cursor; one that leads back breaks the contract."""
    try:
        return next_landmark(following, asked, state.pages + 1, state.notes)
    except ValueError as error:
        raise ProviderContract(str(error), json_path="nextCursor") from error
