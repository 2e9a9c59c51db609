"""A long reading that stays incomplete is repeated at a price one can bear, and hides nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.streams import Creator, crowd, fans


if TYPE_CHECKING:
    from tests.database.engine import Engine


UNREADABLE = "1 rows could not be read"
PAGES = 40


def partly(creator: Creator, stream: str, pages: int = PAGES) -> dict[str, Any]:
    """Read so many pages, one row of which cannot be read; return how the walk began."""
    reading = creator.begin(stream)
    for number in range(pages - 1):
        reading.commit(cursor=f"c{number}", position=creator.at(days=number + 1), mode="cursor")
    reading.commit(complete=True, partial=UNREADABLE)
    reading.settle()
    return reading.state


def poll(creator: Creator, stream: str, **more: Any) -> dict[str, Any]:
    """Read one page to its end; return how the walk began."""
    reading = creator.begin(stream)
    reading.commit(complete=True, **more)
    reading.settle()
    return reading.state


def sold(creator: Creator, **ago: float) -> None:
    """Store a sale of the API."""
    creator.engine.rows(
        "insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount, category,"
        " origin, fanvue_created_at) values (%s, %s, 't1', 5, 'tip', 'api', %s)",
        creator.agency_id,
        creator.model_id,
        creator.at(**ago),
    )


@pytest.mark.parametrize("stream", ["earnings", "followers", "messages"])
def test_history_that_stays_incomplete_is_read_again_after_a_minute_for_each_page(
    engine: Engine, stream: str
) -> None:
    creator = Creator(engine, "earnings", "followers", "messages")
    assert partly(creator, stream)["kind"] == "full"

    engine.move_clock(minutes=PAGES - 1)
    assert poll(creator, stream)["kind"] == "incremental"

    engine.move_clock(minutes=2)
    assert poll(creator, stream)["kind"] == "full"


def test_polls_meanwhile_begin_at_the_newest_row_and_move_no_high_water_mark(
    engine: Engine,
) -> None:
    creator = Creator(engine, "earnings")
    partly(creator, "earnings")
    sold(creator, minutes=5)

    begun = poll(creator, "earnings")

    state = creator.state("earnings")
    assert begun["floor"] is not None
    assert state["high_water"] is None
    assert state["last_error"]["message"] == UNREADABLE
    assert state["consecutive_failures"] == 1


def test_a_poll_meanwhile_is_live_work(engine: Engine) -> None:
    creator = Creator(engine, "earnings")
    partly(creator, "earnings")
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")

    engine.call("enqueue_due")

    assert engine.claim()[0]["priority"] == 10


def test_the_long_look_back_is_not_repeated_at_every_poll_either(engine: Engine) -> None:
    creator = Creator(engine, "earnings")
    poll(creator, "earnings")
    engine.move_clock(hours=25)
    assert partly(creator, "earnings")["kind"] == "deep"

    engine.move_clock(minutes=16)

    assert poll(creator, "earnings")["kind"] == "incremental"


def test_once_everything_could_be_read_nothing_is_held_back_any_more(engine: Engine) -> None:
    creator = Creator(engine, "earnings")
    partly(creator, "earnings")
    engine.move_clock(minutes=PAGES + 1)

    assert poll(creator, "earnings")["kind"] == "full"

    state = creator.state("earnings")
    assert (state["whole_after"], state["last_error"]) == (None, None)
    assert state["high_water"] is not None
    assert poll(creator, "earnings")["kind"] == "incremental"


def test_who_asks_for_everything_gets_it_at_once(engine: Engine) -> None:
    creator = Creator(engine, "earnings")
    partly(creator, "earnings")

    assert creator.begin("earnings", full=True).state["kind"] == "full"


def test_a_long_list_that_was_not_believed_is_still_to_be_read_whole(engine: Engine) -> None:
    creator = Creator(engine, "followers")
    partly(creator, "followers")

    poll(creator, "followers")

    assert creator.state("followers")["full_requested"] is True


def test_a_lively_figure_has_a_long_list_read_no_more_than_a_call_a_minute(
    engine: Engine,
) -> None:
    creator = Creator(engine, "account", "followers")
    creator.read("followers", fans(*crowd(1000)))
    for hour in range(1, 4):
        engine.move_clock(minutes=9)
        row = {"status": "active", "followers": 1000 + 7 * hour, "subscribers": 0}
        reading = creator.begin("account")
        reading.commit(row, complete=True)
        reading.settle()
        assert creator.state("followers")["full_requested"] is (hour == 3)


def test_an_account_is_read_without_asking_for_changes_once_a_day_and_on_request(
    engine: Engine,
) -> None:
    creator = Creator(engine, "account")
    offered = {"request": "r", "etag": "1", "last_modified": None}
    reading = creator.begin("account")
    reading.commit({"status": "active", "followers": 1}, complete=True, validator=offered)
    reading.settle()

    engine.move_clock(hours=1)
    assert poll(creator, "account", not_modified=True)["validator"] == offered
    assert creator.begin("account", full=True).state["validator"] is None
    engine.rows("delete from public.sync_jobs")
    engine.rows("update public.sync_state set walk_id = null, walk_kind = null")
    engine.move_clock(hours=24)
    assert creator.begin("account").state["validator"] is None


def test_a_model_given_to_another_agency_is_scheduled_by_its_settings(engine: Engine) -> None:
    old, new = engine.agency(), engine.agency()
    Creator(engine, "followers", "posts", "subscribers")
    never_on = (
        "insert into private.sync_overrides (agency_id, sync_type, enabled) values (%s, %s, %s)"
    )
    engine.rows(never_on, old, "posts", False)
    creator = Creator(engine, "followers", agency_id=old)
    engine.rows(never_on, old, "followers", False)
    engine.rows(never_on, new, "subscribers", False)

    engine.rows("update public.models set agency_id = %s where id = %s", new, creator.model_id)

    assert creator.names("next_sync_at is not null", "sync_state", "sync_type") >= {
        "followers",
        "posts",
    }
    assert creator.state("subscribers")["next_sync_at"] is None
    assert creator.state("followers")["next_sync_at"] - creator.now() <= timedelta(minutes=30)


def test_money_that_is_withheld_for_the_same_reason_again_is_looked_for_once_a_day(
    engine: Engine,
) -> None:
    creator = Creator(engine, "earnings", "followers", "messages")
    poll(creator, "earnings", partial=UNREADABLE)
    assert poll(creator, "earnings", partial=UNREADABLE)["kind"] == "full"

    engine.move_clock(hours=23)
    assert poll(creator, "earnings")["kind"] == "incremental"

    engine.move_clock(hours=2)
    assert poll(creator, "earnings")["kind"] == "full"
    assert creator.state("earnings")["last_error"] is None
