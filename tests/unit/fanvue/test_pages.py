"""A walk goes from the first page to the end, and knows the end from a broken answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.fanvue_stub import ACCESS, bench, json_answer
from worker.errors import ProviderContract, Unauthorized
from worker.fanvue.pages import PageWalk


PATH = "/insights/earnings"


def page(rows: list[Any], following: str | None) -> dict[str, Any]:
    return {"data": rows, "nextCursor": following}


async def test_a_walk_follows_the_cursors_to_the_end() -> None:
    b = bench(
        json_answer(page([1, 2], "c1")), json_answer(page([3], "c2")), json_answer(page([], None))
    )
    walk = PageWalk(b.client, PATH, {"source": "all"}, access=ACCESS)

    pages = [page async for page in walk]

    assert [p.rows for p in pages] == [[1, 2], [3], []]
    assert [(p.first, p.last) for p in pages] == [(True, False), (False, False), (False, True)]
    assert [p.requested_cursor for p in pages] == [None, "c1", "c2"]
    assert [p.number for p in pages] == [1, 2, 3]
    assert walk.complete
    assert [dict(r.url.params) for r in b.fanvue.requests] == [
        {"source": "all", "size": "50"},
        {"source": "all", "size": "50", "cursor": "c1"},
        {"source": "all", "size": "50", "cursor": "c2"},
    ]


async def test_a_walk_that_is_left_early_is_not_complete() -> None:
    b = bench(json_answer(page([1], "c1")))
    walk = PageWalk(b.client, PATH, access=ACCESS)

    await anext(walk)

    assert not walk.complete
    assert walk.cursor == "c1"


async def test_a_walk_resumes_from_a_cursor() -> None:
    b = bench(json_answer(page([3], None)))

    pages = [page async for page in PageWalk(b.client, PATH, access=ACCESS, cursor="c9")]

    assert b.fanvue.requests[0].url.params["cursor"] == "c9"
    assert not pages[0].first
    assert pages[0].last


async def test_after_a_refused_token_the_same_page_is_read_with_the_new_one() -> None:
    b = bench(
        json_answer(page([1], "c1")),
        json_answer({"error": "Unauthorized"}, 401),
        json_answer(page([2], None)),
    )
    walk = PageWalk(b.client, PATH, access=ACCESS)

    await anext(walk)
    with pytest.raises(Unauthorized):
        await anext(walk)
    walk.access = replace(ACCESS, token="newer")
    last = await anext(walk)

    assert last.rows == [2]
    assert last.requested_cursor == "c1"
    assert b.fanvue.requests[-1].headers["authorization"] == "Bearer newer"


@pytest.mark.parametrize("cursors", [["c1", "c1"], ["c1", "c2", "c1"]])
async def test_a_cursor_that_does_not_advance_stops_the_walk(cursors: list[str]) -> None:
    b = bench(*(json_answer(page([1], cursor)) for cursor in cursors))

    with pytest.raises(ProviderContract, match="does not advance"):
        _ = [page async for page in PageWalk(b.client, PATH, access=ACCESS)]


async def test_lists_that_count_pages_are_walked_alike() -> None:
    b = bench(
        json_answer({"data": [1], "pagination": {"page": 1, "size": 1, "hasMore": True}}),
        json_answer({"data": [2], "pagination": {"page": 2, "size": 1, "hasMore": False}}),
    )
    walk = PageWalk(b.client, "/posts", access=ACCESS, size=15)

    pages = [page async for page in walk]

    assert [p.next_cursor for p in pages] == ["page:2", None]
    assert b.fanvue.requests[1].url.params["page"] == "2"
    assert walk.complete


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {"nextCursor": None},
        {"data": {}, "nextCursor": None},
        {"data": []},
        {"data": [], "nextCursor": 5},
        {"data": [], "nextCursor": ""},
        {"data": [], "pagination": None},
        {"data": [], "pagination": {"page": 1}},
        {"data": [], "pagination": {"page": "1", "hasMore": True}},
    ],
)
async def test_an_envelope_out_of_contract_is_no_end_of_the_list(body: object) -> None:
    b = bench(json_answer(body))
    walk = PageWalk(b.client, PATH, access=ACCESS)

    with pytest.raises(ProviderContract):
        await anext(walk)

    assert not walk.complete
