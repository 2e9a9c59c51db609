"""Fanvue's earnings endpoints behind httpx's transport seam, over a modelled list."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import httpx

from tests.property.fanvue_list import CursorRefused, Cursors, Dates, FanvueList
from tests.property.walker import LONG_AGO, wire
from tests.support.fanvue_stub import json_answer
from worker.sync.window import PAGE_SIZE, Span


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.clock import ManualClock
    from worker.sync.rows import LedgerRow


REVERSALS = {"refund", "chargeback"}


@dataclass
class EarningsApi:
    """What one creator's calls are answered with."""

    clock: ManualClock
    rows: list[LedgerRow]
    cursors: Cursors = Cursors.EXACT
    dates: Dates = Dates.TO_THE_INSTANT
    v1: bool = True
    # Changes an answer on its way out: (path, number of the call to it, body) -> body or response.
    tamper: Callable[[str, int, Any], Any] | None = None
    takes: timedelta = timedelta(0)
    tokens: set[str] = field(default_factory=lambda: {"access-0"})
    expired: set[str] = field(default_factory=set)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    extra_in_summary: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.list = FanvueList(self.rows, PAGE_SIZE, self.cursors, self.dates)
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.calls]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path, params = request.url.path, dict(request.url.params)
        self.calls.append((path, params))
        self.clock.jump(self.takes)
        if request.headers["authorization"].removeprefix("Bearer ") not in self.tokens:
            return json_answer({"error": "Unauthorized"}, 401)
        if path.startswith("/v1") != self.v1:
            return json_answer({"message": "Cannot GET"}, 404)
        body = self._body(path.removeprefix("/v1"), params)
        if self.tamper is not None:
            body = self.tamper(path.removeprefix("/v1"), self.paths.count(path), body)
        if isinstance(body, httpx.Response):
            return body
        now = format_datetime(self.clock.now(), usegmt=True)
        return json_answer(body, headers={"date": now})

    def _body(self, path: str, params: dict[str, str]) -> Any:
        if path.endswith("/summary"):
            return self._summary()
        if path.endswith("/spending"):
            found = [row for row in self.rows if row.category in REVERSALS]
            return {"data": [wire(row) for row in found], "nextCursor": None}
        if params.get("cursor") in self.expired:
            return json_answer({"errors": ["cursor is invalid or has expired"]}, 400)
        try:
            rows, following = self.list.page(
                _span(params), params.get("cursor"), int(params["size"])
            )
        except CursorRefused:
            return json_answer({"errors": ["cursor is invalid or has expired"]}, 400)
        return {"data": [wire(row) for row in rows], "nextCursor": following}

    def _summary(self) -> dict[str, Any]:
        days = Counter(self.extra_in_summary)
        for row in self.rows:
            if row.amount > 0:
                days[row.at.date().isoformat()] += int(row.amount * 100)
        return {
            "overTime": [
                {"periodStart": f"{day}T00:00:00.000Z", "gross": gross, "net": gross}
                for day, gross in sorted(days.items())
            ]
        }


def _span(params: dict[str, str]) -> Span:
    start, end = params.get("startDate"), params.get("endDate")
    return Span(
        LONG_AGO if start is None else datetime.fromisoformat(start),
        None if end is None else datetime.fromisoformat(end),
    )
