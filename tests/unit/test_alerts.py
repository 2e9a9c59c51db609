"""Troubles are told in one message per tick; failures are tried again and give no secret away."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
import structlog
from pydantic import SecretStr

from worker.alerts import MOST_LINES_OF_A_KIND, Alerts, message
from worker.errors import DatabaseUnavailable
from worker.metrics import Metrics
from worker.store.alerts import Alert


if TYPE_CHECKING:
    from collections.abc import Sequence


ADDRESS = "https://chat.test/services/T0/B0/made-up-secret"
RECONNECT = Alert(
    kind="reauth_required",
    subject="model-1",
    raised=True,
    mark=0,
    problem="Creator model-1 must connect to Fanvue again.",
    remedy="let them connect in the dashboard",
    lasted=timedelta(minutes=35),
)


@dataclass
class Book:
    """What is to be told, and what the worker said of it."""

    waiting: list[Alert] = field(default_factory=list)
    settled: list[tuple[int, bool]] = field(default_factory=list)
    down: bool = False
    compared: int = 0

    async def claim(self) -> list[Alert]:
        if self.down:
            raise DatabaseUnavailable("away")
        return self.waiting

    async def compare(self) -> None:
        self.compared += 1

    async def settle(self, alerts: Sequence[Alert], *, sent: bool) -> None:
        self.settled.append((len(alerts), sent))


@dataclass
class Bench:
    """An address that takes messages, or does not."""

    answer: httpx.Response | Exception = field(default_factory=lambda: httpx.Response(200))
    book: Book = field(default_factory=Book)
    taken: list[bytes] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self._take))
        self.alerts = Alerts(self.book, http, SecretStr(ADDRESS), metrics=self.metrics)

    def _take(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == ADDRESS
        self.taken.append(request.content)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_what_changed_is_told_in_one_message_and_noted() -> None:
    b = Bench(book=Book([RECONNECT, replace(RECONNECT, subject="model-2", raised=False)]))

    await b.alerts.tell()

    (body,) = b.taken
    assert httpx.Response(200, content=body).json()["text"].count("\n") == 1
    assert b.book.settled == [(2, True)]
    assert b'fanvue_sync_alert_messages_total{result="sent"} 1.0' in b.metrics.text()


async def test_without_an_address_troubles_are_noted_and_nobody_is_told() -> None:
    b = Bench(book=Book([RECONNECT]))
    silent = Alerts(b.book, httpx.AsyncClient(), None)

    await silent.tell()

    assert (b.book.compared, b.taken, b.book.settled) == (1, [], [])


async def test_where_nothing_changed_nothing_is_sent() -> None:
    b = Bench()

    await b.alerts.tell()

    assert (b.taken, b.book.settled) == ([], [])


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(403),
        httpx.Response(302),
        httpx.ConnectError(f"cannot reach {ADDRESS}"),
        httpx.ReadTimeout("too slow"),
    ],
)
async def test_a_message_that_was_not_taken_is_noted_and_the_address_stays_secret(
    answer: httpx.Response | Exception,
) -> None:
    b = Bench(answer, Book([RECONNECT]))

    with structlog.testing.capture_logs() as logged:
        await b.alerts.tell()

    assert b.book.settled == [(1, False)]
    assert [event["event"] for event in logged] == ["alerts_not_sent"]
    assert "made-up-secret" not in str(logged)
    assert b'fanvue_sync_alert_messages_total{result="failed"} 1.0' in b.metrics.text()


async def test_a_database_that_is_away_costs_a_tick_and_no_more() -> None:
    b = Bench(book=Book([RECONNECT], down=True))

    await b.alerts.tell()
    b.book.down = False
    await b.alerts.tell()

    assert b.book.settled == [(1, True)]


def test_a_trouble_is_told_with_its_remedy_and_its_end_with_its_length() -> None:
    assert message([RECONNECT]) == (
        ":rotating_light: Creator model-1 must connect to Fanvue again. "
        "Remedy: let them connect in the dashboard"
    )
    assert message([replace(RECONNECT, raised=False)]) == (
        ":white_check_mark: Over after 35 min: Creator model-1 must connect to Fanvue again."
    )


@pytest.mark.parametrize(
    ("lasted", "said"),
    [
        (timedelta(seconds=5), "1 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=50), "50 h"),
    ],
)
def test_a_length_is_said_as_people_say_it(lasted: timedelta, said: str) -> None:
    assert f"after {said}:" in message([replace(RECONNECT, raised=False, lasted=lasted)])


def test_hundreds_of_troubles_of_a_kind_are_a_few_lines() -> None:
    many = [replace(RECONNECT, subject=f"model-{number}") for number in range(500)]
    drift = replace(RECONNECT, kind="drift", problem="Creator model-1: 1 differences.")

    lines = message([*many, drift]).splitlines()

    assert len(lines) == MOST_LINES_OF_A_KIND + 2
    assert "differences" in lines[0]
    assert lines[-1].startswith("… and 492 more of this kind")
