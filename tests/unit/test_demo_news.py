"""The demo's news: a little of everything, counted as it is ordered."""

from __future__ import annotations

from random import Random
from typing import Any

from local.demo.news import News


CREATORS = ["c1", "c2", "c3"]


def played(rounds: int) -> tuple[News, list[dict[str, Any]]]:
    ordered: list[dict[str, Any]] = []

    def happen(*orders: dict[str, Any]) -> None:
        ordered.extend(orders)

    news = News(happen, CREATORS, Random(1))  # noqa: S311 - whom something happens to is no secret
    for _ in range(rounds):
        news.next_round()
    return news, ordered


def test_each_round_two_creators_sell_and_somebody_writes() -> None:
    _, ordered = played(1)

    assert [order["do"] for order in ordered] == ["sales", "sales", "messages"]
    assert ordered[0]["creator"] != ordered[1]["creator"]


def test_a_minute_of_rounds_has_something_of_every_kind() -> None:
    news, ordered = played(20)

    assert set(news.counts) == {
        *("sales", "refunds", "messages", "messages bought", "follows", "subscriptions"),
        *("cancellations", "unfollows", "posts", "likes"),
    }
    assert {order["creator"] for order in ordered} == set(CREATORS)


def test_what_is_counted_is_what_was_ordered() -> None:
    news, ordered = played(20)

    sold = sum(order["count"] for order in ordered if order["do"] == "sales")
    assert news.counts["sales"] == sold
    assert news.counts["refunds"] == len([one for one in ordered if one["do"] == "reversals"])
    assert 0 < news.readable < sum(news.counts.values())
