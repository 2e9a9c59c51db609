"""Earnings rows and reversals: the key-set cursor over the ledger, newest first.

The hottest endpoints: a page costs a bisection and the rows it shows, nothing more.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from simulator.call import BAD_CURSOR, Call, cursor_instant, write_cursor
from simulator.endpoint import Endpoint
from simulator.knobs import GrossMeaning, OrderIds, Ties
from simulator.order_ids import order_id
from simulator.paging import CURSOR_SIZE, listed
from simulator.replies import Invalid, NotFound, Reply
from simulator.transactions import (
    EVERYTHING,
    REVERSAL_SOURCES,
    REVERSALS,
    SALE_SOURCES,
    SALES,
    Transaction,
    sort_key,
)


if TYPE_CHECKING:
    from simulator.people import Fan


UNVERSIONED_SOURCES = frozenset(SALE_SOURCES) - {"fanExperience"}
V1_SOURCES = frozenset(SALE_SOURCES) | REVERSAL_SOURCES
MAX_SERIAL = 1 << 60


def earnings(call: Call) -> Reply:
    """Answer /insights/earnings: v1 with reversals, unversioned without."""
    allowed = V1_SOURCES if call.v1 else UNVERSIONED_SOURCES
    indexes = _indexes(call, allowed, EVERYTHING if call.v1 else SALES)
    wanted = call.words("transactionOrderIds") if call.knobs.order_id_filter else []
    if wanted:
        return _by_order_ids(call, wanted, indexes)
    return _page(call, indexes, v1_row if call.v1 else unversioned_row)


def spending(call: Call) -> Reply:
    """Answer /insights/spending: the reversals, without any id."""
    if call.v1 and not call.knobs.v1_spending:
        raise NotFound
    return _page(call, _indexes(call, REVERSAL_SOURCES, REVERSALS), spending_row)


def unversioned_row(call: Call, row: Transaction) -> dict[str, Any]:
    """Render a row as the unversioned family does, before or since order ids exist."""
    paid = call.knobs.unversioned_gross is GrossMeaning.PAID
    shown: dict[str, Any] = {
        "date": row.date,
        "gross": row.total if paid else row.gross,
        "net": row.net,
        "currency": row.currency,
        "source": row.source,
    }
    _add_content(call, row, shown)
    if call.knobs.ids is not OrderIds.ABSENT:
        shown["transactionOrderId"] = order_id(call.knobs, row)
        shown["transactionOrderStatus"] = row.status(call.now)
    shown["user"] = _fan(row.fan)
    return shown


def v1_row(call: Call, row: Transaction) -> dict[str, Any]:
    """Render a row as the v1 family does, reversals included."""
    shown: dict[str, Any] = {"date": row.date}
    if call.knobs.v1_total:
        shown["total"] = row.total
    shown |= {
        "gross": row.gross,
        "net": row.net,
        "currency": row.currency,
        "source": row.source,
    }
    _add_content(call, row, shown)
    shown_id = order_id(call.knobs, row)
    if shown_id is not None:
        shown["transactionOrderId"] = shown_id
    if row.reverses is not None and call.knobs.ids is not OrderIds.ABSENT:
        shown["reversedTransactionOrderId"] = order_id(call.knobs, row.reverses)
    shown["transactionOrderStatus"] = row.status(call.now)
    shown["user"] = _fan(row.fan)
    return shown


def spending_row(call: Call, row: Transaction) -> dict[str, Any]:
    """Render a reversal the way /insights/spending does."""
    shown: dict[str, Any] = {
        "date": row.date,
        "gross": row.gross,
        "net": row.net,
        "currency": row.currency,
        "source": row.source,
    }
    _add_content(call, row, shown)
    shown["user"] = _fan(row.fan)
    return shown


def _page(call: Call, indexes: list[str], render: Any) -> Reply:
    size = call.size(CURSOR_SIZE)
    start, end = call.window()
    if call.knobs.ties is Ties.OFFSET or call.knobs.swap_every:
        return _page_by_offset(call, indexes, render, size)
    border = None if end is None else (end, 0)
    resumed = _resume(call)
    if resumed is not None:
        border = resumed if border is None else min(border, resumed)
    walk = call.creator.ledger.newest_before(border, start, indexes)
    if call.list_share < 1:
        admitted = _admitted(call, indexes, start, end)
        walk = (row for row in walk if row.serial in admitted)
    found = list(islice(walk, size + 1))
    rows = found[:size]
    following = found[size] if len(found) > size else None
    if following is not None and call.knobs.ties is Ties.SKIP:
        # A date leads nowhere when nothing is older, whatever else shares that date.
        older = (row for row in chain([following], walk) if row.at < rows[-1].at)
        following = next(older, None)
    return _sheet(call, rows, render, None if following is None else _next(call, rows, following))


def _page_by_offset(call: Call, indexes: list[str], render: Any, size: int) -> Reply:
    """Answer from the whole list, in which some rows may stand too late."""
    rows = list(call.creator.ledger.newest_before(None, None, indexes))
    every = call.knobs.swap_every
    for place in range(every, len(rows), every) if every else ():
        rows.insert(place - 1 + call.knobs.late_by, rows.pop(place - 1))
    start, end = call.window()
    rows = [
        row for row in rows if (start is None or row.at >= start) and (end is None or row.at < end)
    ]
    content = call.cursor() or {"offset": 0}
    offset = content.get("offset")
    if not isinstance(offset, int):
        raise Invalid(BAD_CURSOR)
    beyond = offset + size
    following = write_cursor({"offset": beyond}) if beyond < len(rows) else None
    return _sheet(call, rows[offset:beyond], render, following)


def _sheet(call: Call, rows: list[Transaction], render: Any, following: str | None) -> Reply:
    data = [render(call, row) for row in rows]
    if call.knobs.pages_shuffled:
        call.world.random.shuffle(data)
    return Reply({"data": data, "nextCursor": following})


def _admitted(call: Call, indexes: list[str], start: int | None, end: int | None) -> set[int]:
    """Return which rows of the window a list that is not whole shows."""
    border = None if end is None else (end, 0)
    whole = list(call.creator.ledger.newest_before(border, start, indexes))
    return {row.serial for row in listed(call, whole)}


def _resume(call: Call) -> tuple[int, int] | None:
    """Return the border below which the page starts, as the cursor says it."""
    content = call.cursor()
    if content is None:
        return None
    at = cursor_instant(content)
    serial = content.get("id")
    if serial is None:
        return (at + 1, 0) if call.knobs.ties is Ties.REPEAT else (at, 0)
    if not isinstance(serial, int):
        raise Invalid(BAD_CURSOR)
    return (at, serial)


def _next(call: Call, rows: list[Transaction], following: Transaction) -> str:
    """Return the cursor of the next page.

    A date alone loses ties (the last row's date, exclusive) or repeats them (the next row's
    date, inclusive). A tie wider than a page would never end, so that one is exact.
    """
    last = rows[-1]
    ties = call.knobs.ties
    if ties is Ties.SKIP:
        return write_cursor({"date": last.date})
    if ties is Ties.REPEAT and following.at != rows[0].at:
        return write_cursor({"date": following.date})
    return write_cursor({"date": last.date, "id": last.serial})


def _by_order_ids(call: Call, wanted: list[str], indexes: list[str]) -> Reply:
    found = [call.creator.ledger.find(order_id) for order_id in dict.fromkeys(wanted)]
    rows = [
        row
        for row in found
        if row is not None
        and (
            EVERYTHING in indexes
            or row.source in indexes
            or (SALES in indexes and not row.is_reversal)
        )
    ]
    rows.sort(key=sort_key, reverse=True)
    render = v1_row if call.v1 else unversioned_row
    return Reply({"data": [render(call, row) for row in rows], "nextCursor": None})


def _indexes(call: Call, allowed: frozenset[str], everything: str) -> list[str]:
    words = call.words("source")
    unknown = [word for word in words if word != "all" and word not in allowed]
    if unknown:
        known = ", ".join(["all", *sorted(allowed)])
        raise Invalid(f"each value in source must be one of the following values: {known}")
    if not words or "all" in words:
        return [everything]
    return list(dict.fromkeys(words))


def _add_content(call: Call, row: Transaction, shown: dict[str, Any]) -> None:
    if row.message_uuid is not None or call.knobs.null_optionals:
        shown["messageUuid"] = row.message_uuid
    if row.post_uuid is not None or call.knobs.null_optionals:
        shown["postUuid"] = row.post_uuid


def _fan(fan: Fan | None) -> dict[str, Any] | None:
    if fan is None:
        return None
    return {
        "uuid": fan.uuid,
        "handle": fan.handle,
        "displayName": fan.display_name,
        "nickname": fan.nickname,
        "isTopSpender": fan.is_top_spender,
    }


ENDPOINTS = [
    Endpoint("/insights/earnings", ("read:insights",), earnings),
    Endpoint("/insights/spending", ("read:insights",), spending, twin=False),
]
