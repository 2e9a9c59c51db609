"""Walks the pages of one list, and knows whether the enumeration is complete.

Checks the envelope only: rows are passed on as they came, and their order is for the domain to
judge. After an error the walk stands where it was, so the same page can be asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.errors import ProviderContract


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.fanvue.calls import Access, Family, Reply, RequestMeter
    from worker.fanvue.client import FanvueClient, Parameter


LARGEST_SIZE = 50
# Lists that count pages instead of handing out cursors get a cursor of this form from us.
PAGE_CURSOR = "page:"


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it came; `next_cursor` is None on the last one."""

    rows: list[Any] = field(repr=False)
    requested_cursor: str | None
    next_cursor: str | None
    date: datetime | None
    family: Family
    number: int

    @property
    def first(self) -> bool:
        """Tell whether this page is the top of the list."""
        return self.requested_cursor is None

    @property
    def last(self) -> bool:
        """Tell whether the list ends with this page."""
        return self.next_cursor is None


class PageWalk:
    """Iterates over pages; `access` may be replaced between pages, after a token refresh."""

    def __init__(  # noqa: PLR0913 - each one names a part of the request
        self,
        client: FanvueClient,
        path: str,
        params: Mapping[str, Parameter] | None = None,
        *,
        access: Access,
        cursor: str | None = None,
        size: int = LARGEST_SIZE,
        size_name: str = "size",
        meter: RequestMeter | None = None,
    ) -> None:
        self.access = access
        self._client = client
        self._path = path
        self._params: dict[str, Parameter] = {**(params or {}), size_name: size}
        self._cursor = cursor
        self._meter = meter
        self._seen: set[str] = set() if cursor is None else {cursor}
        self._count = 0
        self._complete = False

    @property
    def complete(self) -> bool:
        """Tell whether the last page of the list was read."""
        return self._complete

    @property
    def cursor(self) -> str | None:
        """Return the cursor of the page that comes next."""
        return self._cursor

    def __aiter__(self) -> PageWalk:
        return self

    async def __anext__(self) -> Page:
        if self._complete:
            raise StopAsyncIteration
        reply = await self._client.get(
            self._path,
            {**self._params, **_position(self._cursor)},
            auth=self.access,
            meter=self._meter,
        )
        rows, following = read_envelope(reply)
        if following is not None and following in self._seen:
            raise ProviderContract("the cursor does not advance", json_path="nextCursor")
        self._count += 1
        page = Page(
            rows=rows,
            requested_cursor=self._cursor,
            next_cursor=following,
            date=reply.date,
            family=reply.family,
            number=self._count,
        )
        if following is None:
            self._complete = True
        else:
            self._seen.add(following)
        self._cursor = following
        return page


def read_envelope(reply: Reply) -> tuple[list[Any], str | None]:
    """Return the rows and the position of the next page, in either style of paging."""
    body = reply.body
    if not isinstance(body, dict):
        raise ProviderContract("a page is not an object", json_path="$")
    rows = body.get("data")
    if not isinstance(rows, list):
        raise ProviderContract("a page has no list of rows", json_path="data")
    if "nextCursor" in body:
        return rows, _next_cursor(body["nextCursor"])
    if "pagination" in body:
        return rows, _next_page(body["pagination"])
    # Without this the end of a list and a broken answer would look the same.
    raise ProviderContract("a page does not say whether more follow", json_path="nextCursor")


def _next_cursor(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ProviderContract("the cursor is neither a text nor null", json_path="nextCursor")


def _next_page(pagination: object) -> str | None:
    fields = pagination if isinstance(pagination, dict) else {}
    number, more = fields.get("page"), fields.get("hasMore")
    if not isinstance(more, bool):
        raise ProviderContract("hasMore is not a truth value", json_path="pagination.hasMore")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ProviderContract("page is not a page number", json_path="pagination.page")
    return f"{PAGE_CURSOR}{number + 1}" if more else None


def _position(cursor: str | None) -> dict[str, Parameter]:
    if cursor is None:
        return {}
    if cursor.startswith(PAGE_CURSOR):
        return {"page": cursor.removeprefix(PAGE_CURSOR)}
    return {"cursor": cursor}
