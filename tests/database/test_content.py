"""Posts, top fans and the account's figures: what is kept, counted, dropped and asked for again."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.streams import Creator, crowd, fans


if TYPE_CHECKING:
    from tests.database.engine import Engine


MADE = "2026-03-01T12:00:00Z"


@pytest.fixture
def creator(engine: Engine) -> Creator:
    return Creator(engine, "posts", "top_fans", "account", "subscribers", "followers")


def posts(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"post_uuid": name, "at": MADE, "body": f"post {name}", **more} for name in names]


def live(creator: Creator) -> set[str]:
    return creator.names("deleted_at is null", "fanvue_posts", "post_uuid")


# Posts ----------------------------------------------------------------------------------------


def test_a_post_keeps_its_text_price_and_counters(creator: Creator) -> None:
    counters = {"likes": 3, "comments": 1, "tips": 2, "tips_gross": "12.50", "tips_net": "10.00"}

    creator.read("posts", posts("p", price="4.99", audience="subscribers", **counters))

    assert creator.rows("fanvue_posts", "body, price, likes, tips_gross, tips_net", "1") == [
        ("post p", Decimal("4.99"), 3, Decimal("12.50"), Decimal("10.00"))
    ]


def test_a_poll_of_known_posts_writes_none_and_ends_there(creator: Creator) -> None:
    creator.read("posts", posts("a", "b", likes=1))
    before = creator.rows("fanvue_posts", "xmin::text, ctid::text", "post_uuid")

    (reply,) = creator.poll("posts", posts("a", "b", likes=1), posts("never read"))

    assert (reply["complete"], reply["unchanged"]) == (True, 2)
    assert creator.rows("fanvue_posts", "xmin::text, ctid::text", "post_uuid") == before


def test_counters_follow_and_a_missing_one_stays(creator: Creator) -> None:
    creator.read("posts", posts("a", likes=1, comments=4))

    (reply,) = creator.poll("posts", posts("a", likes=2))

    assert (reply["inserted"], reply["updated"]) == (0, 1)
    assert creator.rows("fanvue_posts", "likes, comments", "1") == [(2, 4)]


def test_a_post_that_a_reading_of_one_page_does_not_name_is_deleted(creator: Creator) -> None:
    creator.read("posts", posts("a", "b"))

    creator.read("posts", posts("a"), full=True)

    assert live(creator) == {"a"}


def test_a_post_that_several_pages_do_not_name_is_deleted_at_the_second_miss(
    creator: Creator,
) -> None:
    creator.read("posts", posts("a", "b", "c"))

    creator.read("posts", posts("a"), posts("b"), full=True)
    assert live(creator) == {"a", "b", "c"}
    assert creator.state("posts")["full_requested"]

    creator.read("posts", posts("a"), posts("b"))
    assert live(creator) == {"a", "b"}
    assert not creator.state("posts")["full_requested"]


@pytest.mark.parametrize("kind", ["complete", "poll"])
def test_a_post_that_comes_back_is_there_again(creator: Creator, kind: str) -> None:
    creator.read("posts", posts("a", "b"))
    creator.read("posts", posts("a"), full=True)

    if kind == "poll":
        creator.poll("posts", posts("a", "b"))
    else:
        creator.read("posts", posts("a", "b"), full=True)

    assert live(creator) == {"a", "b"}
    assert creator.names("missed_at is not null", "fanvue_posts", "post_uuid") == set()


def test_many_posts_do_not_disappear_at_once_until_an_operator_says_so(creator: Creator) -> None:
    everything = crowd(20, "p")
    creator.read("posts", posts(*everything))

    assert creator.read("posts", posts("p000"), full=True)["partial"] is not None
    assert live(creator) == set(everything)

    creator.engine.rows("select ops.accept_shrink(%s, 'posts')", creator.model_id)
    assert creator.read("posts", posts("p000"))["partial"] is None
    assert live(creator) == {"p000"}


def test_a_post_that_was_made_during_the_reading_is_not_deleted_by_it(creator: Creator) -> None:
    creator.read("posts", posts("a"))
    reading = creator.begin("posts", full=True)
    reading.commit(*posts("new"), cursor="c1")

    reading.commit(*posts("a"), complete=True)

    assert live(creator) == {"a", "new"}


# Top fans -------------------------------------------------------------------------------------


def spender(name: str, rank: int, gross: str = "10.00", **more: Any) -> dict[str, Any]:
    return {"fan_uuid": name, "rank": rank, "gross": gross, "net": "8.00", **more}


def snapshot(creator: Creator) -> list[tuple[Any, ...]]:
    return creator.rows("fanvue_top_fans", "day::text, rank, fan_uuid, gross::text", "day, rank")


def test_a_snapshot_is_replaced_within_its_day(creator: Creator) -> None:
    noon = "2026-03-01T12:00:00Z"
    later = "2026-03-01T23:59:59Z"
    walk = creator.begin("top_fans")
    walk.commit(spender("a", 1), spender("b", 2), ceiling=noon, complete=True)
    walk.settle()

    reply = creator.begin("top_fans").commit(
        spender("c", 1), spender("a", 2, "9.00"), ceiling=later, complete=True
    )

    assert snapshot(creator) == [("2026-03-01", 1, "c", "10.00"), ("2026-03-01", 2, "a", "9.00")]
    # one came, one moved, one dropped out
    assert (reply["inserted"], reply["updated"], reply["unchanged"]) == (1, 2, 0)


def test_a_new_day_is_a_new_snapshot(creator: Creator) -> None:
    for day in ("2026-03-01", "2026-03-02"):
        walk = creator.begin("top_fans")
        walk.commit(spender("a", 1), ceiling=f"{day}T12:00:00Z", complete=True)
        walk.settle()

    assert [row[0] for row in snapshot(creator)] == ["2026-03-01", "2026-03-02"]


def test_the_same_snapshot_again_writes_nothing(creator: Creator) -> None:
    creator.read("top_fans", [spender("a", 1, handle="@a"), spender("b", 2)])
    before = creator.rows("fanvue_top_fans", "xmin::text", "fan_uuid")

    reply = creator.read("top_fans", [spender("a", 1), spender("b", 2)])

    assert (reply["inserted"], reply["updated"], reply["unchanged"]) == (0, 0, 2)
    assert creator.rows("fanvue_top_fans", "xmin::text", "fan_uuid") == before
    assert creator.state("top_fans")["quiet_runs"] == 1


def test_a_top_fan_who_changed_nothing_but_the_name_is_written(creator: Creator) -> None:
    creator.read("top_fans", [spender("a", 1, handle="@old")])

    creator.read("top_fans", [spender("a", 1, handle="@new")])

    assert creator.rows("fanvue_top_fans", "handle", "1") == [("@new",)]


def test_an_unmodified_snapshot_stays(creator: Creator) -> None:
    creator.read("top_fans", [spender("a", 1)])

    creator.begin("top_fans").commit(not_modified=True)

    assert len(snapshot(creator)) == 1


# Account --------------------------------------------------------------------------------------


def account(**figures: Any) -> dict[str, Any]:
    return {"status": "active", "total_gross": "100.00", "available_balance": "20.00", **figures}


def test_the_figures_of_an_account_are_the_newest(creator: Creator) -> None:
    creator.read("account", [account()])

    creator.read("account", [account(available_balance="0.00", last_payout_at=MADE)])

    assert creator.rows("fanvue_accounts", "total_gross, available_balance", "1") == [
        (Decimal("100.00"), Decimal("0.00"))
    ]


def test_the_same_account_again_writes_nothing(creator: Creator) -> None:
    creator.read("account", [account(followers=3, subscribers=1)])
    before = creator.rows("fanvue_accounts", "xmin::text", "1")

    assert creator.read("account", [account(followers=3, subscribers=1)])["unchanged"] == 1
    creator.begin("account").commit(not_modified=True)

    assert creator.rows("fanvue_accounts", "xmin::text", "1") == before


def test_names_follow_and_a_missing_one_stays(creator: Creator) -> None:
    creator.read("account", [account(handle="old", display_name="Old")])
    assert creator.engine.rows("select handle, display_name from public.models") == [
        {"handle": "old", "display_name": "Old"}
    ]

    creator.read("account", [account(handle="new")])

    assert creator.engine.rows("select handle, display_name from public.models") == [
        {"handle": "new", "display_name": "Old"}
    ]


def wishes(creator: Creator) -> set[str]:
    return creator.names("full_requested", "sync_state", "sync_type")


def test_the_first_figure_explains_itself(creator: Creator) -> None:
    creator.read("subscribers", fans("a", "b"))

    creator.read("account", [account(subscribers=5, followers=7)])

    assert wishes(creator) == set()


@pytest.mark.parametrize("stream", ["subscribers", "followers"])
def test_a_figure_that_moved_without_our_rows_has_that_list_read_to_its_end_once(
    creator: Creator, stream: str
) -> None:
    creator.read(stream, fans("a", "b", "c"))
    creator.read("account", [account(**{stream: 3})])

    creator.read("account", [account(**{stream: 2})])

    assert wishes(creator) == {stream}
    assert creator.state(stream)["next_sync_at"] <= creator.now()

    reading = creator.begin(stream)
    assert reading.state["kind"] == "full"
    reading.commit(*fans("a", "b"), complete=True)
    reading.settle()
    creator.read("account", [account(**{stream: 2})])
    assert wishes(creator) == set()


def test_a_figure_that_the_list_never_agrees_with_is_asked_about_once(creator: Creator) -> None:
    creator.read("followers", fans("a", "b"))
    creator.read("account", [account(followers=2)])
    creator.read("account", [account(followers=9)])
    assert wishes(creator) == {"followers"}

    creator.read("followers", fans("a", "b"))
    for _ in range(2):
        creator.read("account", [account(followers=9)])

    assert wishes(creator) == set()


def test_a_figure_that_moved_as_our_rows_did_asks_for_nothing(creator: Creator) -> None:
    creator.read("subscribers", fans("a"))
    creator.read("account", [account(subscribers=1)])
    creator.subscribed("b")

    creator.read("account", [account(subscribers=2)])

    assert wishes(creator) == set()


def test_a_figure_that_differs_by_as_much_as_before_asks_for_nothing(creator: Creator) -> None:
    creator.read("subscribers", fans("a"))
    creator.read("account", [account(subscribers=4)])
    creator.subscribed("b")

    creator.read("account", [account(subscribers=5)])

    assert wishes(creator) == set()


def test_a_figure_that_follows_our_rows_later_asks_for_nothing(creator: Creator) -> None:
    creator.read("subscribers", fans("a"))
    creator.read("account", [account(subscribers=4)])
    creator.subscribed("b")

    creator.read("account", [account(subscribers=4)])
    creator.read("account", [account(subscribers=5)])

    assert wishes(creator) == set()


def test_a_figure_that_is_left_out_once_is_remembered(creator: Creator) -> None:
    creator.read("subscribers", fans("a", "b"))
    creator.read("account", [account(subscribers=2)])

    creator.read("account", [account()])
    creator.read("account", [account(subscribers=1)])

    assert wishes(creator) == {"subscribers"}


def test_a_list_that_was_never_read_to_its_end_is_not_asked_for_again(creator: Creator) -> None:
    reading = creator.begin("subscribers")
    creator.read("account", [account(subscribers=3)])
    reading.commit(*fans("a", "b"), cursor="c1")

    creator.read("account", [account(subscribers=4)])

    assert wishes(creator) == set()


def test_a_list_that_is_not_believed_is_not_asked_for_at_each_look_at_the_account(
    creator: Creator,
) -> None:
    creator.read("followers", fans(*crowd(20)))
    creator.read("account", [account(followers=20)])
    creator.read("account", [account(followers=2)])
    creator.read("followers", fans("fan000"))
    planned = creator.state("followers")["next_sync_at"]

    creator.read("account", [account(followers=2)])

    assert creator.state("followers")["next_sync_at"] == planned > creator.now()


def test_a_list_that_is_switched_off_is_not_asked_for(creator: Creator) -> None:
    creator.read("followers", fans("a", "b"))
    creator.read("account", [account(followers=2)])
    creator.override("followers", enabled=False)

    creator.read("account", [account(followers=1)])

    assert wishes(creator) == set()
    assert creator.state("followers")["next_sync_at"] is None
