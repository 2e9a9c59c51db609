"""Reads pages for one job: the call, the token, and a second look at a bad answer.

Nothing is committed here. A page that breaks its shape is asked for once more before it counts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from worker.errors import NotFound, ProviderContract, Unauthorized
from worker.fanvue.calls import Access, Family, Reply, RequestMeter, Validator
from worker.fanvue.pages import read_envelope
from worker.fanvue.paths import creators_path
from worker.fanvue.wire import Complaints, EarningRow, parse_rows
from worker.jobs.unreadable import second_look
from worker.store.walks import OfferedValidator
from worker.sync.rows import to_ledger
from worker.sync.window import PAGE_SIZE, Place, Span, Turn, query_span, turn_page


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from worker.fanvue.client import FanvueClient, Parameter, Parameters
    from worker.jobs.grants import GrantKeeper, Token
    from worker.store.jobs import Job
    from worker.traffic import Lane


NOT_MANAGED: Final = (
    "the agency's account does not manage this creator (any more): let it manage them again on "
    "Fanvue, or connect them with a grant of their own"
)


# So many pages of one single instant are held together at most.
LONGEST_CROWD: Final = 20


@dataclass(frozen=True, slots=True)
class EarningsList:
    """A list to walk down: its path, its filter, its range."""

    path: str
    span: Span
    source: str | None = None


@dataclass(frozen=True, slots=True)
class ReadPage:
    """A page as read: what may be committed, and what could not be understood.

    `not_modified`: Fanvue sent no page, because it is the same as last time.
    """

    turn: Turn
    family: Family
    date: datetime | None
    complaints: Complaints = field(default_factory=Complaints)
    not_modified: bool = False
    validator: OfferedValidator | None = None


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
        self,
        path: str,
        params: Parameters,
        *,
        hint: int | None = None,
        validator: Validator | None = None,
    ) -> Reply:
        """Call once; after a 401 refresh the token and call once more."""
        return await self._with_token(
            lambda token: self._call(path, params, token, hint, validator)
        )

    async def get_of_account(self, path: str, params: Parameters) -> Reply:
        """Call once on a path that is no creator's, from the budget of the grant's own account."""

        async def call(token: str) -> Reply:
            access = Access(token, self._job.account_bucket, self._lane)
            return await self._client.get(path, params, auth=access, meter=self._meter)

        return await self._with_token(call)

    async def _with_token(self, call: Callable[[str], Awaitable[Reply]]) -> Reply:
        token = await self._token()
        try:
            return await call(token.value)
        except Unauthorized:
            token = await self._token(rejected=token.version)
            return await call(token.value)

    async def _token(self, rejected: int | None = None) -> Token:
        job = self._job
        return await self._grants.token(job.model_id, grant_id=job.grant_id, rejected=rejected)

    async def _call(
        self,
        path: str,
        params: Parameters,
        token: str,
        hint: int | None,
        validator: Validator | None,
    ) -> Reply:
        access = Access(token, self._job.bucket, self._lane, hint)
        prefix = self._job.path_prefix
        sent = creators_path(prefix, path)
        try:
            return await self._client.get(
                sent, params, auth=access, meter=self._meter, validator=validator
            )
        except NotFound as error:
            if not prefix:
                raise
            # Never the personal path instead: it would show the administrator's own data.
            raise NotFound(f"{error.message} ({sent})", remedy=NOT_MANAGED) from error

    async def get_if_changed(
        self,
        path: str,
        params: Mapping[str, Parameter],
        known: OfferedValidator | None,
        *,
        hint: int | None = None,
        **kept: object,
    ) -> tuple[Reply, OfferedValidator | None]:
        """Call once, with what the same request was offered last time; return what it is now.

        `kept` is what else decides about the rows that come of the answer: after a change of it
        the same answer has to be read again.
        """
        name = self._name(path, params, kept)
        validator = None
        if known is not None and known.request == name:
            validator = Validator(known.etag, known.last_modified)
        reply = await self.get(path, params, hint=hint, validator=validator)
        if reply.not_modified and validator is None:
            raise ProviderContract("Fanvue answered 304 although nothing was known")
        if reply.validator is None:
            return reply, known if reply.not_modified else None
        offered = reply.validator
        return reply, OfferedValidator(name, offered.etag, offered.last_modified)

    def _name(self, path: str, params: Mapping[str, Parameter], kept: Mapping[str, object]) -> str:
        """Name a request alike at every poll: its account, its path and all that it asks for."""
        facts = [
            self._job.bucket,
            path,
            sorted((name, str(value)) for name, value in params.items()),
            sorted((name, str(value)) for name, value in kept.items()),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    async def read(
        self,
        what: EarningsList,
        place: Place,
        *,
        hint: int | None,
        known: OfferedValidator | None = None,
    ) -> ReadPage:
        """Read the page at a place; what stays unreadable at the second look is named.

        Rows without an id are counted among their equals, so an instant that fills a page is read
        on until it is whole, and is one page to whoever commits it.
        """
        page = await second_look(lambda: self._read(what, place, hint, known))
        for _ in range(LONGEST_CROWD):
            onward = page.turn.after
            if onward is None or not _is_within_an_instant(page.turn):
                break
            page = _joined(page, await self._read_on(what, onward, hint))
        return page

    async def _read_on(self, what: EarningsList, place: Place, hint: int | None) -> ReadPage:
        return await second_look(lambda: self._read(what, place, hint, None))

    async def _read(
        self, what: EarningsList, place: Place, hint: int | None, known: OfferedValidator | None
    ) -> ReadPage:
        span = query_span(what.span, place)
        params: dict[str, Parameter] = {
            "startDate": span.start,
            "endDate": span.end,
            "source": what.source,
            "cursor": place.cursor,
            "size": PAGE_SIZE,
        }
        reply, offered = await self.get_if_changed(what.path, params, known, hint=hint)
        if reply.not_modified:
            return ReadPage(Turn(), reply.family, reply.date, not_modified=True, validator=offered)
        raw, following = read_envelope(reply)
        if following is not None and following == place.cursor:
            raise ProviderContract("the cursor does not advance", json_path="nextCursor")
        good, complaints = parse_rows(EarningRow, raw)
        rows = [to_ledger(row) for row in good]
        try:
            turn = turn_page(rows, following, place)
        except ValueError as error:
            raise ProviderContract(str(error), json_path="data") from error
        # One page vouches for the whole list only where it is the whole list.
        whole = following is None and not complaints.records
        return ReadPage(
            turn, reply.family, reply.date, complaints, validator=offered if whole else None
        )


def _is_within_an_instant(turn: Turn) -> bool:
    """Tell whether a list goes on by cursor because the page was one instant, of unnamed rows."""
    onward = turn.after
    by_cursor = onward is not None and onward.mode == "window" and onward.cursor is not None
    return by_cursor and any(row.fanvue_id is None for row in turn.rows)


def _joined(page: ReadPage, more: ReadPage) -> ReadPage:
    turn = Turn([*page.turn.rows, *more.turn.rows], more.turn.after)
    return ReadPage(turn, page.family, page.date, page.complaints + more.complaints)
