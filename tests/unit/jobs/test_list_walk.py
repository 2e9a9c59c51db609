"""Lists are read to the end or until nothing is new, and are not called whole when they are not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.fanvue_stub import json_answer
from tests.unit.jobs.house import fan, post, uuid_of
from tests.unit.jobs.stream_bench import StreamBench
from worker.errors import NotFound, ProviderContract, ScopeMissing, Throttled
from worker.jobs.list_walk import RESTARTS
from worker.jobs.outcomes import Done
from worker.jobs.walk import Slice
from worker.traffic import Lane


if TYPE_CHECKING:
    from collections.abc import Callable


ONE_PAGE = Slice(pages=1, duration=timedelta(hours=1))
LISTS = {"subscribers": "/subscribers", "followers": "/followers", "posts": "/posts"}


def listing(sync_type: str, number: int, *, kind: str = "full", v1: bool = True) -> StreamBench:
    bench = StreamBench(sync_type, kind, v1)
    make = post if sync_type == "posts" else fan
    bench.house.lists[LISTS[sync_type]] = [make(n) for n in range(number)]
    return bench


def names(sync_type: str, number: int) -> set[str]:
    return {uuid_of("post" if sync_type == "posts" else "fan", n) for n in range(number)}


@pytest.mark.parametrize("v1", [True, False], ids=["v1", "unversioned"])
@pytest.mark.parametrize("sync_type", list(LISTS))
async def test_a_full_walk_reads_every_row_with_a_call_for_each_fifty(
    sync_type: str, *, v1: bool
) -> None:
    b = listing(sync_type, 180, v1=v1)

    assert await b.run() == Done()

    assert set(b.book.rows) == names(sync_type, 180)
    assert len(b.calls_to(LISTS[sync_type])) == 4
    assert [(page["pages"], page["complete"]) for page in b.book.pages] == [(1, False), (3, True)]
    assert not any(page["until_known"] for page in b.book.pages)


@pytest.mark.parametrize("v1", [True, False], ids=["v1", "unversioned"])
async def test_a_poll_stops_at_the_first_page_that_brings_nothing_new(*, v1: bool) -> None:
    b = listing("followers", 180, v1=v1)
    await b.run()
    b.book.kind = "incremental"
    b.house.lists["/followers"][:0] = [fan(n) for n in range(180, 240)]
    b.house.calls.clear()
    b.book.pages.clear()

    assert await b.run() == Done()

    assert set(b.book.rows) == names("followers", 240)
    # The second page still had ten, the third none.
    assert [page["pages"] for page in b.book.pages] == [1, 1, 1]


async def test_a_poll_without_news_costs_one_call() -> None:
    b = listing("subscribers", 180)
    await b.run()
    b.book.kind = "incremental"
    b.house.calls.clear()

    assert await b.run() == Done()
    assert len(b.house.calls) == 1


async def test_a_walk_goes_on_where_its_slice_ended() -> None:
    b = listing("subscribers", 180)

    result, runs = await b.run_in_slices(ONE_PAGE)

    assert (result, runs) == (Done(), 4)
    assert len(b.house.calls) == 4


async def test_a_list_whose_cursor_expired_is_begun_again_within_the_same_walk() -> None:
    b = listing("subscribers", 180)
    await b.run(Slice(pages=2, duration=timedelta(hours=1)))
    b.house.expired = {"after-100"}
    b.house.calls.clear()

    b.house.tamper = b.house.heal
    assert await b.run() == Done()

    assert set(b.book.rows) == names("subscribers", 180)
    assert [params.get("cursor") for _, params in b.house.calls] == [
        "after-100",
        None,
        "after-50",
        "after-100",
        "after-150",
    ]


async def test_a_list_that_expires_again_and_again_ends_as_partial() -> None:
    b = listing("subscribers", 180)
    b.house.expired = {"after-50"}

    result = await b.run()

    assert isinstance(result, Done)
    assert result.partial == "the list was not read to its end: its cursor expired again and again"
    assert b.book.pages[-1]["complete"]
    assert sum(params.get("cursor") is None for _, params in b.house.calls) == RESTARTS + 1


async def test_a_long_list_that_was_begun_again_is_not_taken_for_endless() -> None:
    b = listing("subscribers", 2000)
    b.house.expired = {"after-1900"}
    begun = 0

    def heal_in_the_third_round(_: str, __: int, body: Any) -> Any:
        nonlocal begun
        begun += "cursor" not in b.house.calls[-1][1]
        if begun > RESTARTS:
            b.house.expired.clear()
        return body

    b.house.tamper = heal_in_the_third_round

    assert await b.run() == Done()

    assert set(b.book.rows) == names("subscribers", 2000)


def without_end(rows: list[Any]) -> Callable[[str, int, Any], Any]:
    """Show the same rows on page after page, each with a position that is new."""

    def tamper(_: str, number: int, body: Any) -> Any:
        if "pagination" in body:
            pagination = {"page": number, "size": len(rows), "hasMore": True}
            return {"data": rows, "pagination": pagination}
        return {"data": rows, "nextCursor": f"after-{1000 + number}"}

    return tamper


@pytest.mark.parametrize(
    ("sync_type", "rows"),
    [("subscribers", 0), ("subscribers", 50), ("followers", 0), ("followers", 50), ("posts", 50)],
)
async def test_pages_that_go_on_for_ever_end_as_partial(sync_type: str, rows: int) -> None:
    b = listing(sync_type, 180)
    b.house.tamper = without_end(b.house.lists[LISTS[sync_type]][:rows])

    result, _ = await b.run_in_slices(Slice(pages=7, duration=timedelta(hours=1)))

    assert isinstance(result, Done)
    assert result.partial is not None
    assert "go on and bring nothing new" in result.partial
    assert len(b.house.calls) < 30
    assert b.book.closed_as == [result.partial]


async def test_a_row_that_stays_unreadable_leaves_the_walk_partial_and_is_named_by_its_place() -> (
    None
):
    b = listing("subscribers", 60)
    b.house.lists["/subscribers"][7] = {"uuid": 7, "handle": "made-up-handle"}

    result = await b.run()

    assert isinstance(result, Done)
    assert result.partial is not None
    assert result.partial.startswith("1 rows could not be read, such as: Fan at data[7].uuid")
    assert "made-up-handle" not in result.partial
    assert len(b.book.rows) == 59


async def test_a_lost_detail_is_noted_and_leaves_the_walk_whole() -> None:
    b = listing("subscribers", 60)
    b.house.lists["/subscribers"][7]["handle"] = 5
    b.house.lists["/subscribers"][58]["registeredAt"] = "made-up"

    result = await b.run()

    assert isinstance(result, Done)
    assert result.partial is None
    assert len(b.book.rows) == 60
    notes = b.book.pages[-1]["notes"]
    assert (notes["details"], notes["details_example"]) == (2, "data[8].registeredAt")
    # A detail is not worth a second call.
    assert len(b.house.calls) == 2


async def test_a_page_that_breaks_its_shape_once_is_read_a_second_time() -> None:
    b = listing("subscribers", 60)
    b.house.tamper = lambda _, number, body: {"data": "?"} if number == 1 else body

    assert await b.run() == Done()
    assert len(b.house.calls) == 3


@pytest.mark.parametrize("attempt", [1, 2])
async def test_a_page_that_breaks_its_shape_twice_is_tried_again_later(attempt: int) -> None:
    b = listing("subscribers", 120)
    b.attempt = attempt
    b.house.tamper = lambda _, number, body: body if number == 1 else {"data": "?"}

    with pytest.raises(ProviderContract):
        await b.run()

    assert len(b.book.pages) == 1


async def test_a_list_that_cannot_be_read_whole_proves_nobodys_absence() -> None:
    b = listing("subscribers", 120)
    b.attempt = 3
    b.house.tamper = lambda _, number, body: body if number == 1 else {"data": "?"}

    result = await b.run()

    assert isinstance(result, Done)
    assert result.partial == "the list was not read to its end: a page has no list of rows"


async def test_a_list_that_cannot_be_read_at_all_is_no_partial_success() -> None:
    b = listing("subscribers", 120)
    b.attempt = 3
    b.house.tamper = lambda *_: {"data": "?"}

    with pytest.raises(ProviderContract):
        await b.run()


@pytest.mark.parametrize("circle", [["after-50"], ["x-1", "x-2", "x-3"] * 3])
async def test_a_cursor_that_leads_back_stops_the_walk(circle: list[str]) -> None:
    b = listing("subscribers", 500)
    b.house.lists["/subscribers"] = []
    cursors = iter([*circle, *circle])

    def lead_round(*_: Any) -> Any:
        return {"data": [fan(1)], "nextCursor": next(cursors)}

    b.house.tamper = lead_round

    with pytest.raises(ProviderContract, match="does not advance"):
        await b.run()


async def test_a_walk_that_begins_in_one_family_ends_in_the_other() -> None:
    b = listing("subscribers", 180)
    await b.run(ONE_PAGE)
    b.house.v1 = False

    assert await b.run() == Done()
    assert set(b.book.rows) == names("subscribers", 180)


async def test_an_empty_list_is_a_list() -> None:
    b = listing("followers", 0)

    assert await b.run() == Done()
    assert [page["rows"] for page in b.book.pages] == [[]]


async def test_top_fans_are_one_page_of_the_last_thirty_days_ranked_by_order() -> None:
    b = StreamBench("top_fans")
    b.house.lists["/insights/top-spenders"] = [
        {"gross": 9000 - n, "net": 7000 - n, "messages": n, "user": fan(n)} for n in range(70)
    ]

    assert await b.run() == Done()

    (path, params), *more = b.house.calls
    assert path == "/v1/insights/top-spenders"
    assert more == []
    assert params == {
        "startDate": "2026-10-24T00:00:00.000Z",
        "endDate": "2026-11-23T00:00:00.000Z",
        "size": "50",
    }
    assert [row["rank"] for row in b.book.pages[0]["rows"]] == list(range(1, 51))
    assert b.book.rows[uuid_of("fan", 0)]["gross"] == "90.00"


async def test_top_fans_are_looked_for_where_some_callers_find_them() -> None:
    b = StreamBench("top_fans")
    spender = {"gross": 1, "net": 1, "user": fan(1)}
    b.house.lists["/insights/fans/top-spenders"] = [spender]

    assert await b.run() == Done()
    assert b.house.paths == [
        "/v1/insights/top-spenders",
        "/v1/insights/fans/top-spenders",
    ]


async def test_an_unreadable_row_keeps_its_rank() -> None:
    b = StreamBench("top_fans")
    spenders = [{"gross": 10, "net": 5, "user": fan(n)} for n in range(3)]
    spenders[1]["user"] = {"handle": "nobody"}
    b.house.lists["/insights/top-spenders"] = spenders

    await b.run()

    assert [row["rank"] for row in b.book.pages[0]["rows"]] == [1, 3]


async def test_the_account_is_one_object() -> None:
    b = StreamBench("account")
    b.house.objects["/users/account"] = {
        "uuid": uuid_of("creator", 1),
        "handle": "nova",
        "account": {
            "status": "active",
            "earnings": {"total": 1834500, "availableBalance": 152305, "lastPayoutAt": None},
            "fans": {"followers": 1498, "subscribers": 203},
        },
    }

    assert await b.run() == Done()

    assert b.house.calls == [("/v1/users/account", {})]
    (row,) = b.book.pages[0]["rows"]
    assert (row["total_gross"], row["available_balance"]) == ("18345.00", "1523.05")
    assert (row["followers"], row["subscribers"], row["handle"]) == (1498, 203, "nova")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (403, {"error": "missing scope"}, ScopeMissing),
        (404, {"message": "creator not found"}, NotFound),
        (429, {"error": "slow down"}, Throttled),
    ],
)
async def test_a_refusal_ends_the_job_in_its_own_way(
    status: int, body: dict[str, str], error: type[Exception]
) -> None:
    b = listing("posts", 10)
    b.house.tamper = lambda *_: json_answer(body, status)

    with pytest.raises(error):
        await b.run()

    assert b.book.pages == []


async def test_a_missing_scope_is_called_by_its_name() -> None:
    b = listing("posts", 10)
    b.house.tamper = lambda *_: json_answer({"error": "forbidden"}, 403)

    with pytest.raises(ScopeMissing) as caught:
        await b.run()

    assert "posts takes read:post" in caught.value.remedy


async def test_an_agencys_grant_takes_one_scope_more() -> None:
    b = listing("posts", 10)
    b.path_prefix = "/creators/7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01"
    b.house.tamper = lambda *_: json_answer({"error": "forbidden"}, 403)

    with pytest.raises(ScopeMissing) as caught:
        await b.run()

    assert "posts takes read:post read:creator" in caught.value.remedy


async def test_a_refused_token_is_refreshed_and_the_page_read_with_the_new_one() -> None:
    b = listing("posts", 10)
    refuse: Callable[[str, int, Any], Any] = lambda _, number, body: (  # noqa: E731 - one line of Fanvue
        httpx.Response(401, json={"error": "Unauthorized"}) if number == 1 else body
    )
    b.house.tamper = refuse

    assert await b.run() == Done()
    assert len(b.book.rows) == 10


async def test_the_lane_comes_from_the_jobs_priority_and_a_backfill_says_that_it_calls_again() -> (
    None
):
    b = listing("subscribers", 60)

    await b.run()

    assert b.budget.acquired == [("app:creator", Lane.LIVE, 10)] * 2
