"""Pages are read beside the commit of those before them, a few are committed as one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.property.fanvue_list import Dates
from tests.support.fanvue_stub import json_answer
from tests.unit.jobs.house import fan
from tests.unit.jobs.test_list_walk import listing
from tests.unit.jobs.walk_bench import PATIENT, WalkBench, walking
from tests.unit.jobs.walk_book import rows_every
from worker.errors import LeaseLost, ScopeMissing
from worker.jobs.outcomes import Cancelled, Done, Yielded
from worker.jobs.walk import CERTAIN, Slice


if TYPE_CHECKING:
    from collections.abc import Sized

    from tests.support.clock import ManualClock


def late(commit: Any, clock: ManualClock, calls: Sized) -> tuple[Any, list[int]]:
    """Let commits wait until nobody has anything else to do; count the calls made by then."""
    heard: list[int] = []

    async def commit_late(asked: dict[str, Any]) -> Any:
        await clock.settle()
        heard.append(len(calls))
        return commit(asked)

    return commit_late, heard


def watched(w: WalkBench) -> list[int]:
    functions: dict[str, Any] = w.stub.functions
    functions["commit_sync_page"], heard = late(w.book.commit, w.clock, w.api.calls)
    return heard


def with_an_endless_call(w: WalkBench, number: int) -> asyncio.Event:
    """Leave one call without an answer; return what tells that it was cancelled."""
    cancelled = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        reply = w.api._answer(request)
        if len(w.api.calls) == number:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
        return reply

    w.api.http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return cancelled


def tasks_left() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def test_a_page_is_committed_while_the_next_ones_are_read() -> None:
    w = walking(120, kind="full")
    heard = watched(w)

    assert await w.run() == Done()

    # The third page is the last one, and only then Fanvue's summary is asked for.
    assert heard == [3, 3, 4]
    assert [asked["p_version"] for asked in w.stub.named("commit_sync_page")] == [0, 1, 2]
    w.assert_exact()


async def test_a_page_that_shows_rows_again_is_committed_by_itself() -> None:
    """Equal rows without ids on one page are two, and on two pages one."""
    w = walking(300, kind="full")
    w.rows[:] = rows_every(timedelta(minutes=45), 300, until=w.rows[-1].at, ids=False)
    w.api.list.__post_init__()

    def cut_dates(_: str, number: int, body: Any) -> Any:
        if number == 3:
            # The third page begins above the rows that the second one brought.
            w.api.list.dates = Dates.TO_THE_DAY
        return body

    w.api.tamper = cut_dates

    assert await w.run() == Done()

    w.assert_exact()


async def test_what_fails_ahead_is_told_once_when_all_before_it_is_committed() -> None:
    w = walking(300, kind="full")
    w.api.tamper = lambda _, number, body: json_answer({}, 403) if number == 4 else body

    with pytest.raises(ScopeMissing):
        await w.run()

    assert [page["pages"] for page in w.book.pages] == [1, 2]
    assert len(w.api.calls) == w.meter.requests == 4


async def test_a_poll_of_one_page_asks_for_no_other() -> None:
    w = walking(30)
    heard = watched(w)

    assert await w.run() == Done()

    assert heard == [1]


@pytest.mark.parametrize(("kind", "expected"), [("full", [4, 4]), ("incremental", [1, 2])])
async def test_a_poll_of_a_list_waits_whether_the_database_knows_its_page(
    kind: str, expected: list[int]
) -> None:
    b = listing("followers", 180)
    if kind == "incremental":
        await b.run()
        b.house.lists["/followers"].insert(0, fan(180))
        b.book.kind = kind
        b.house.calls.clear()
    book: Any = b.book
    book.commit, heard = late(book.commit, b.clock, b.house.calls)

    assert await b.run() == Done()

    assert heard == expected


async def test_the_last_page_of_a_slice_asks_for_no_other() -> None:
    w = walking(300, kind="full")
    heard = watched(w)

    assert await w.run(Slice(pages=2, duration=PATIENT.duration)) == Yielded()

    assert heard == [2, 2]


async def test_what_was_asked_for_before_a_stop_is_committed() -> None:
    w = walking(300, kind="full")
    w.stopping = lambda: len(w.api.calls) >= 2
    heard = watched(w)

    assert await w.run() == Yielded()

    assert heard == [2, 2]
    assert len(w.book.pages) == 2


async def test_a_page_that_took_long_is_committed_before_more_is_asked_for() -> None:
    w = walking(120, kind="full")
    w.api.takes = CERTAIN
    heard = watched(w)

    assert await w.run() == Done()

    assert heard == [1, 2, 3, 4]


async def test_a_refused_commit_ends_the_call_under_way() -> None:
    w = walking(300, kind="full")
    watched(w)
    cancelled = with_an_endless_call(w, 3)
    w.book.lost_at = 1

    with pytest.raises(LeaseLost):
        await w.run()

    assert cancelled.is_set()
    assert tasks_left() == set()
    assert len(w.book.pages) == 1


async def test_a_cancelled_walk_ends_the_call_under_way() -> None:
    w = walking(300, kind="full", cancel=True)
    watched(w)
    cancelled = with_an_endless_call(w, 2)

    assert await w.run() == Cancelled()

    assert cancelled.is_set()
    assert tasks_left() == set()


@pytest.mark.parametrize("endless_call", [2, 3])
async def test_an_interrupted_walk_leaves_no_task_behind(endless_call: int) -> None:
    """While a page is committed, and while the one ahead is waited for."""
    w = walking(300, kind="full")
    cancelled = with_an_endless_call(w, endless_call)
    if endless_call == 2:
        # The first commit is never answered.
        w.stub.functions["commit_sync_page"] = lambda _: asyncio.Event().wait()
    walk = asyncio.create_task(w.run())
    await w.clock.settle()
    assert len(w.api.calls) == endless_call

    walk.cancel()
    with pytest.raises(asyncio.CancelledError):
        await walk

    assert cancelled.is_set()
    assert tasks_left() == set()
