"""What a demo's calls are measured against: Fanvue's sizes, its log, and our finished runs."""

from __future__ import annotations

from local.demo.calls import (
    Calls,
    Readings,
    Sizes,
    count_calls,
    judge_calls,
    read_readings,
    sizes_of,
)
from simulator.truths import AccountTruth, Audience, ChatTruth, RequestCounts


def audience(*, subscribers: int = 0, chats: tuple[int, ...] = ()) -> Audience:
    return Audience(
        creator="c1",
        now="2026-01-01T00:00:00.000Z",
        subscribers=[f"f{number}" for number in range(subscribers)],
        followers=[],
        chats={
            f"f{number}": ChatTruth([f"m{number}-{one}" for one in range(size)], "", 0)
            for number, size in enumerate(chats)
        },
        messages=sum(chats),
        posts={},
        top_spenders=[],
        account=AccountTruth("active", 0, 0, None, 0, subscribers),
    )


def test_a_list_takes_a_page_for_fifty_rows_and_one_when_it_is_empty() -> None:
    sizes = sizes_of({"c1": 101}, {"c1": audience(subscribers=100)})

    pages = sizes.pages["c1"]
    assert (pages["earnings"], pages["subscribers"], pages["followers"]) == (3, 2, 1)


def test_chats_take_their_list_their_newest_pages_and_the_rest_as_history() -> None:
    sizes = sizes_of({"c1": 0}, {"c1": audience(chats=(10, 50, 51, 120))})

    assert sizes.pages["c1"]["messages"] == 1 + 4
    assert sizes.pages["c1"]["message_history"] == 1 + 2
    assert (sizes.chats, sizes.messages) == (4, 231)


def test_calls_for_money_are_told_from_all_others_and_connecting_is_neither() -> None:
    counts = RequestCounts(
        last=20,
        total=20,
        by=("template",),
        counts={
            ("/v1/insights/earnings",): 5,
            ("/v1/creators/{creatorUserUuid}/insights/earnings/summary",): 2,
            ("/insights/spending",): 1,
            ("/v1/insights/top-spenders",): 3,
            ("/v1/creators/{creatorUserUuid}/chats",): 4,
            ("/v1/users/account",): 2,
            ("/v1/users/me",): 2,
            ("/v1/creators",): 1,
        },
    )

    assert count_calls(counts) == (8, 9)


def test_a_complete_reading_costs_its_pages_and_a_poll_one_call() -> None:
    readings = read_readings(
        [{"creator": "c1", "sync_type": "subscribers", "complete": 2, "polls": 3}]
    )
    sizes = Sizes(sales=0, messages=0, chats=0, pages={"c1": {"subscribers": 4}})

    _, other = judge_calls(Calls(money=0, other=11, sizes=sizes, readings=readings))

    assert readings == {"c1": {"subscribers": Readings(complete=2, polls=3)}}
    assert other.holds
    assert other.figure == "11 calls; least 11 (8 pages, 3 polls), most 11"


def test_a_chat_with_news_may_cost_one_more_call() -> None:
    sizes = Sizes(sales=0, messages=0, chats=2, pages={"c1": {"messages": 3}})
    readings = {"c1": {"messages": Readings(complete=1, polls=1)}}

    verdicts = [
        judge_calls(Calls(0, used, sizes, readings, news=3))[1].holds for used in (3, 4, 9, 10)
    ]

    assert verdicts == [False, True, True, False]
