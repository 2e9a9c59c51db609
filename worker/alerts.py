"""Tells an engineer what began, became worse or is over: one message per tick, each change once.

The database decides what is to be told and remembers what was; several workers tell nothing twice.
Texts bear ids, never names or secrets; the address itself is a secret and appears in no log.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, Protocol

import httpx
import structlog

from worker.errors import SyncError
from worker.metrics import Metric, Metrics, unheard


if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from pydantic import SecretStr

    from worker.store.alerts import Alert


# An agency's trouble may be that of hundreds of creators; the first of them tell enough.
MOST_LINES_OF_A_KIND: Final = 8
TIMEOUT_SECONDS: Final = 10.0

log = structlog.get_logger(__name__)


class AlertBook(Protocol):
    """What is to be told, and what was."""

    async def compare(self) -> None:
        """Bring ops.alerts up to date, and tell nobody."""
        ...

    async def claim(self) -> list[Alert]:
        """Take the changes that nobody told yet."""
        ...

    async def settle(self, alerts: Sequence[Alert], *, sent: bool) -> None:
        """Note that they were sent, or that they are to be tried again later."""
        ...


class Alerts:
    """Sends what changed to one address that takes Slack's messages; without one, it is noted."""

    def __init__(
        self,
        book: AlertBook,
        http: httpx.AsyncClient,
        address: SecretStr | None,
        *,
        metrics: Metrics | None = None,
    ) -> None:
        self._book = book
        self._http = http
        self._address = address
        self._metrics = metrics or unheard()

    async def tell(self) -> None:
        """Send what changed since the last time; a failure is tried again at a later tick."""
        try:
            if self._address is None:
                await self._book.compare()
                return
            alerts = await self._book.claim()
            if not alerts:
                return
            problem = await self._post(self._address, message(alerts))
            await self._book.settle(alerts, sent=problem is None)
        except SyncError as error:
            # What was claimed comes back when its lease ends.
            log.warning("alerts_unavailable", reason=error.message)
            return
        self._metrics.count(Metric.ALERTS_SENT, result="failed" if problem else "sent")
        if problem is None:
            log.info("alerts_sent", alerts=len(alerts))
        else:
            log.warning("alerts_not_sent", reason=problem, alerts=len(alerts))

    async def _post(self, address: SecretStr, text: str) -> str | None:
        """Return why it was not taken, None if it was."""
        try:
            answer = await self._http.post(
                address.get_secret_value(), json={"text": text}, timeout=TIMEOUT_SECONDS
            )
        except httpx.HTTPError as error:
            # Its text may repeat the address.
            return f"no answer ({type(error).__name__})"
        return None if answer.is_success else f"it was answered {answer.status_code}"


def message(alerts: Sequence[Alert]) -> str:
    """Write one message: what began first, then what is over; of many alike the first few."""
    lines: list[str] = []
    ordered = sorted(alerts, key=lambda one: (not one.raised, one.kind, one.subject))
    for (raised, _), group in groupby(ordered, key=lambda one: (one.raised, one.kind)):
        alike = list(group)
        lines += [_line(alert) for alert in alike[:MOST_LINES_OF_A_KIND]]
        more = len(alike) - MOST_LINES_OF_A_KIND
        if more > 0:
            where = "they stand in ops.alerts" if raised else "they are over, too"
            lines.append(f"… and {more} more of this kind; {where}.")
    return "\n".join(lines)


def _line(alert: Alert) -> str:
    if alert.raised:
        # Nothing after it: a remedy is to be copied as it stands.
        return f":rotating_light: {alert.problem} Remedy: {alert.remedy}"
    return f":white_check_mark: Over after {_span(alert.lasted)}: {alert.problem}"


def _span(lasted: timedelta) -> str:
    minutes = round(lasted.total_seconds() / 60)
    if minutes < 120:  # noqa: PLR2004 - two hours are said in minutes
        return f"{max(minutes, 1)} min"
    return f"{round(minutes / 60)} h"
