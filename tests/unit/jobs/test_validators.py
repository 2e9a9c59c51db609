"""A poll asks only for what changed, where Fanvue offered the means; never for less than that."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.clock import NOON
from tests.unit.jobs.house import fan, post
from tests.unit.jobs.stream_bench import StreamBench
from tests.unit.jobs.walk_bench import walking
from worker.errors import ProviderContract
from worker.jobs.outcomes import Done


if TYPE_CHECKING:
    from tests.unit.jobs.walk_bench import WalkBench


def polled(sync_type: str = "subscribers") -> StreamBench:
    bench = StreamBench(sync_type)
    bench.house.validators = True
    bench.house.lists = {
        "/subscribers": [fan(n) for n in range(80)],
        "/posts": [post(n) for n in range(80)],
        "/insights/top-spenders": [{"gross": 1, "net": 1, "user": fan(n)} for n in range(3)],
    }
    return bench


@pytest.mark.parametrize("sync_type", ["subscribers", "posts", "top_fans"])
async def test_a_list_that_did_not_change_is_not_sent_again(sync_type: str) -> None:
    b = polled(sync_type)
    await b.run()
    b.house.statuses.clear()

    assert await b.run() == Done()

    assert b.house.statuses == [304]
    assert b.book.pages[-1]["not_modified"]
    assert b.book.pages[-1]["rows"] == []


async def test_the_validator_outlives_polls_without_news() -> None:
    b = polled()
    await b.run()
    await b.run()
    b.house.statuses.clear()

    await b.run()

    assert b.house.statuses == [304]


async def test_a_list_that_changed_is_read() -> None:
    b = polled()
    await b.run()
    b.house.lists["/subscribers"].insert(0, fan(500))

    await b.run()

    assert len(b.book.rows) == 81


async def test_nothing_changed_is_no_answer_to_a_question_that_was_not_asked() -> None:
    b = polled()
    b.house.tamper = lambda *_: httpx.Response(304)

    with pytest.raises(ProviderContract, match="304"):
        await b.run()


async def test_only_the_first_page_of_a_poll_asks_on_a_condition() -> None:
    b = polled()
    await b.run()
    b.house.lists["/subscribers"].insert(0, fan(500))
    b.house.statuses.clear()
    b.book.kind = "full"

    await b.run()

    assert b.house.statuses == [200, 200]
    assert all(page["validator"] is None for page in b.book.pages[-2:])


async def test_chats_that_did_not_change_are_not_sent_again() -> None:
    b = StreamBench("messages")
    b.house.validators = True
    b.house.talk(1, 1, 2, 3)
    await b.run()
    b.house.statuses.clear()

    assert await b.run() == Done()
    assert b.house.statuses == [304]


async def test_another_day_is_another_request() -> None:
    b = polled("top_fans")
    await b.run()
    b.book.day = "2026-11-23"
    b.house.statuses.clear()

    await b.run()

    assert b.house.statuses == [200]


async def test_texts_that_are_to_be_kept_from_now_on_are_read_although_nothing_changed() -> None:
    b = polled("posts")
    b.book.keep_text = False
    await b.run()
    b.book.keep_text = True
    b.house.statuses.clear()

    await b.run()

    assert b.house.statuses[0] == 200
    assert {row["body"] is None for row in b.book.pages[-1]["rows"]} == {False}


async def test_a_page_with_unreadable_rows_is_not_taken_for_known() -> None:
    b = polled()
    b.house.lists["/subscribers"][3] = {"uuid": "?"}

    await b.run()

    assert b.book.pages[0]["validator"] is None


def tag_everything(w: WalkBench) -> list[str | None]:
    """Let Fanvue tag its answers, and return the tags it was asked with."""
    asked: list[str | None] = []
    plain = w.api._answer

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("if-none-match"))
        served = request.url.path.startswith("/v1") == w.api.v1
        if served and asked[-1] == '"same"' and request.url.path.endswith("/earnings"):
            return httpx.Response(304, headers={"etag": '"same"'})
        found = plain(request)
        found.headers["etag"] = '"same"'
        return found

    w.api.http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return asked


async def test_earnings_that_did_not_change_cost_a_call_and_no_page() -> None:
    w = walking(30, floor=NOON - timedelta(days=3))
    asked = tag_everything(w)

    await w.run()
    assert await w.run() == Done()

    assert asked == [None, '"same"']
    assert (w.book.pages[-1]["not_modified"], w.book.pages[-1]["complete"]) == (True, True)
    w.assert_exact()


async def test_a_first_page_vouches_for_nothing_where_more_pages_follow() -> None:
    w = walking(120, floor=NOON - timedelta(days=3))
    tag_everything(w)

    await w.run()

    assert all(page["validator"] is None for page in w.book.pages)


async def test_a_floor_that_moved_is_another_request() -> None:
    w = walking(30, floor=NOON - timedelta(days=3))
    asked = tag_everything(w)
    await w.run()
    w.book.floor = NOON - timedelta(days=2)

    await w.run()

    assert asked == [None, None]


async def test_reversals_kept_apart_are_looked_at_when_due_although_no_sale_changed() -> None:
    w = walking(30, floor=NOON - timedelta(days=3))
    w.api.v1 = False
    tag_everything(w)
    await w.run()
    w.book.aside_due = True
    w.api.calls.clear()

    assert await w.run() == Done()

    assert [page["phase"] for page in w.book.pages[-2:]] == ["rows", "aside"]
    assert not w.book.pages[-2]["not_modified"]
    assert w.api.paths[-1] == "/insights/spending"
