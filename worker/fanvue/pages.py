"""Reads the envelope of a page: its rows, and where the list goes on.

Knows every style of paging. Rows are passed on as they came, and their order is for the domain to
judge.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations at run time
from typing import TYPE_CHECKING, Any

from worker.errors import ProviderContract
from worker.fanvue.wire import Moment, Wire, parse


if TYPE_CHECKING:
    from worker.fanvue.calls import Reply


# Lists that count pages instead of handing out cursors get a cursor of this form from us.
PAGE_CURSOR = "page:"


class DateFilter(Wire):
    """How a page of messages by dates says where each direction goes on; null: nowhere."""

    sent_before: Moment | None = None
    received_before: Moment | None = None

    @property
    def newest(self) -> datetime | None:
        """Return the bound below which both directions go on; None at the end of both."""
        given = [moment for moment in (self.sent_before, self.received_before) if moment]
        return max(given, default=None)


def read_dates(reply: Reply) -> tuple[list[Any], DateFilter] | None:
    """Return the rows and bounds of a page of messages, None when it is not paged by dates."""
    rows = _rows_of(reply)
    if "dateFilter" not in reply.body:
        return None
    bounds = parse(DateFilter, reply.body["dateFilter"], at="dateFilter")
    if not {"sent_before", "received_before"} & bounds.model_fields_set:
        raise ProviderContract("a page does not say whether more follow", json_path="dateFilter")
    return rows, bounds


def _rows_of(reply: Reply) -> list[Any]:
    if not isinstance(reply.body, dict):
        raise ProviderContract("a page is not an object", json_path="$")
    rows = reply.body.get("data")
    if not isinstance(rows, list):
        raise ProviderContract("a page has no list of rows", json_path="data")
    return rows


def read_envelope(reply: Reply) -> tuple[list[Any], str | None]:
    """Return the rows and the position of the next page, by cursor or by number."""
    rows, body = _rows_of(reply), reply.body
    if "nextCursor" in body:
        return rows, _next_cursor(body["nextCursor"])
    if "pagination" in body:
        following = _next_page(body["pagination"])
        if following is not None and not rows:
            raise ProviderContract("an empty page promises more", json_path="pagination.hasMore")
        return rows, following
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


def position(cursor: str | None) -> dict[str, str]:
    """Return the parameters that ask for the page at a cursor."""
    if cursor is None:
        return {}
    if cursor.startswith(PAGE_CURSOR):
        return {"page": cursor.removeprefix(PAGE_CURSOR)}
    return {"cursor": cursor}
