"""Every style of paging says where the list goes on; a broken answer is no end of a list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from worker.errors import ProviderContract
from worker.fanvue.calls import Family, Reply
from worker.fanvue.pages import position, read_dates, read_envelope


SENT, RECEIVED = "2026-11-20T20:59:00.000Z", "2026-11-21T18:00:00.000Z"


def answer(body: Any) -> Reply:
    return Reply(200, body, {}, None, None, Family.V1)


def test_a_cursor_says_where_the_list_goes_on_and_null_that_it_ends() -> None:
    assert read_envelope(answer({"data": [1], "nextCursor": "c1"})) == ([1], "c1")
    assert read_envelope(answer({"data": [], "nextCursor": None})) == ([], None)


def test_a_list_that_counts_pages_gets_a_cursor_from_us() -> None:
    more = {"data": [1], "pagination": {"page": 1, "size": 1, "hasMore": True}}
    last = {"data": [2], "pagination": {"page": 2, "size": 1, "hasMore": False}}

    assert read_envelope(answer(more)) == ([1], "page:2")
    assert read_envelope(answer(last)) == ([2], None)


def test_a_cursor_is_asked_for_in_the_style_of_its_list() -> None:
    assert position(None) == {}
    assert position("c1") == {"cursor": "c1"}
    assert position("page:2") == {"page": "2"}


def test_a_page_of_messages_by_dates_goes_on_below_the_newer_of_its_bounds() -> None:
    dates = {"sentBefore": SENT, "receivedBefore": RECEIVED}

    page = read_dates(answer({"data": [1], "dateFilter": dates}))

    assert page is not None
    rows, bounds = page
    assert rows == [1]
    assert bounds.newest == datetime(2026, 11, 21, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    "dates", [{"sentBefore": None, "receivedBefore": None}, {"sentBefore": None}]
)
def test_messages_end_where_no_direction_goes_on(dates: dict[str, Any]) -> None:
    page = read_dates(answer({"data": [1], "dateFilter": dates}))

    assert page is not None
    assert page[1].newest is None


def test_numbered_messages_are_told_from_those_by_dates() -> None:
    assert read_dates(answer({"data": [], "pagination": {"page": 1, "hasMore": False}})) is None


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        None,
        {"nextCursor": None},
        {"data": {}, "nextCursor": None},
        {"data": []},
        {"data": [], "nextCursor": 5},
        {"data": [], "nextCursor": ""},
        {"data": [], "pagination": None},
        {"data": [], "pagination": {"page": 1}},
        {"data": [], "pagination": {"page": "1", "hasMore": True}},
        {"data": [], "pagination": {"page": 1, "hasMore": True}},
    ],
)
def test_an_envelope_out_of_contract_is_no_end_of_the_list(body: object) -> None:
    with pytest.raises(ProviderContract):
        read_envelope(answer(body))


@pytest.mark.parametrize("dates", [None, [], {}, {"other": 1}, {"sentBefore": 5}])
def test_bounds_out_of_contract_are_no_end_of_the_chat(dates: object) -> None:
    with pytest.raises(ProviderContract):
        read_dates(answer({"data": [], "dateFilter": dates}))
