"""Counts of requests: by whom, of what and how answered, without reading the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulator.client import SimulatorControl
from simulator.journal import Entry, Journal
from simulator.server import running


if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.people import Creator
    from simulator.world import World


CHATS = "/v1/chats"
TWIN = "/creators/{creatorUserUuid}/chats"


@pytest.fixture
def control(world: World) -> Iterator[SimulatorControl]:
    with running(world, world.clock) as sim, SimulatorControl(sim.url) as control:
        yield control


def get(control: SimulatorControl, token: str, *paths: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "X-Fanvue-API-Version": "2025-06-26"}
    for path in paths:
        control._http.get(control.url + path, headers=headers)


def test_requests_are_counted_by_creator_template_and_status(
    control: SimulatorControl, creator: Creator, world: World
) -> None:
    own = control.grant(creator.handle).access_token
    agency = control.agency_grant(world.agencies[0].name).access_token
    get(control, own, CHATS, f"{CHATS}?size=2", f"{CHATS}?size=99")
    mark = control.request_counts().last
    get(control, agency, f"/creators/{creator.uuid}/chats", "/creators")

    counts = control.request_counts()
    later = control.request_counts(mark, by=("template", "bucket"))

    assert counts.total == 5
    assert counts.counts[creator.uuid, CHATS, 200] == 2
    assert counts.sum(status=400) == 1
    assert counts.sum(creator=creator.uuid) == 4
    assert later.total == 2
    bucket = f"simulator-client:{world.agencies[0].owner.uuid}"
    assert later.counts == {(TWIN, f"{bucket}:{creator.uuid}"): 1, ("/creators", bucket): 1}
    assert control.request_counts(path="/chats", by=("method",)).counts == {("GET",): 4}
    assert control.request_counts(creator=creator.handle, by=("fault",)).sum(fault=None) == 4


def test_unknown_facets_are_refused(control: SimulatorControl) -> None:
    with pytest.raises(RuntimeError, match="by must be some of"):
        control.request_counts(by=("weather",))


def entry(status: int = 200) -> Entry:
    return Entry(0, "GET", "/chats", {}, template="/chats", status=status)


def test_counts_outlive_the_entries_that_were_forgotten() -> None:
    journal = Journal(capacity=10)
    for _ in range(60_000):
        journal.write(entry())

    assert journal.counts(("status",)) == {(200,): 60_000}
    assert journal.counts(("status",), since=59_990) == {(200,): 10}
    assert [e.n for e in journal.read(since=59_998)] == [59_999, 60_000]
    with pytest.raises(ValueError, match="are forgotten"):
        journal.counts(("status",), since=0)


def test_cleared_journal_goes_on_numbering() -> None:
    journal = Journal()
    journal.write(entry())
    journal.clear()
    journal.write(entry(404))

    assert journal.last == 2
    assert journal.counts(("status",)) == {(404,): 1}
    assert [e.n for e in journal.read(limit=5)] == [2]
