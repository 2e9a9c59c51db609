"""Settings of streams: whose count, when they take effect, and how quiet streams slow down."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.streams import Creator, fans
from tests.database.test_cost import reading
from tests.database.test_schedule import ask


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.database.engine import Engine


@pytest.fixture
def settings(engine: Engine) -> Iterator[None]:
    """Give the defaults back after a test that changes them."""
    before = engine.rows("select * from private.sync_streams")
    yield
    for row in before:
        columns = [name for name in row if name != "sync_type"]
        pairs = ", ".join(f"{name} = %s" for name in columns)
        engine.rows(
            f"update private.sync_streams set {pairs} where sync_type = %s",  # noqa: S608 - column names
            *(row[name] for name in columns),
            row["sync_type"],
        )


@pytest.fixture
def creator(engine: Engine, settings: None) -> Creator:
    return Creator(engine, "followers", "subscribers")


def wait(creator: Creator, stream: str = "followers") -> timedelta:
    """Return how long until a stream is due."""
    due = creator.state(stream)["next_sync_at"]
    return timedelta(seconds=(due - creator.now()).total_seconds())


def change(creator: Creator, **settings: Any) -> None:
    """Change the defaults of the list of followers."""
    pairs = ", ".join(f"{name} = %s" for name in settings)
    creator.engine.rows(
        f"update private.sync_streams set {pairs} where sync_type = 'followers'",  # noqa: S608 - names from the tests
        *settings.values(),
    )


# Whose settings -------------------------------------------------------------------------------


def in_force(creator: Creator) -> dict[str, Any]:
    (row,) = creator.engine.rows(
        "select t.* from private.stream_settings(%s, %s, 'followers') t",
        creator.agency_id,
        creator.model_id,
    )
    return row


def test_a_models_setting_goes_before_its_agencys_and_that_before_the_default(
    creator: Creator,
) -> None:
    default = in_force(creator)
    creator.override("followers", agency=True, every="40 minutes", slowest="3 hours", priority=30)
    creator.override("followers", every="20 minutes")

    assert in_force(creator) == default | {
        "every": timedelta(minutes=20),
        "slowest": timedelta(hours=3),
        "priority": 30,
    }


def test_another_agencys_settings_do_not_count(creator: Creator) -> None:
    default = in_force(creator)

    Creator(creator.engine).override("followers", agency=True, every="2 minutes")

    assert in_force(creator) == default


def test_a_stream_that_does_not_exist_has_no_settings(creator: Creator) -> None:
    assert creator.engine.value(
        "select t.sync_type is null from private.stream_settings(%s, %s, 'gossip') t",
        creator.agency_id,
        creator.model_id,
    )


def test_an_override_is_for_an_agency_or_a_model_and_there_once(creator: Creator) -> None:
    creator.override("followers", every="20 minutes")
    insert = "insert into private.sync_overrides (agency_id, model_id, sync_type) values"

    for values in ("(%s, %s, 'followers')", "(null, %s, 'followers')"):
        ids = [creator.agency_id, creator.model_id][-values.count("%s") :]
        with pytest.raises(psycopg.errors.IntegrityError):
            creator.engine.rows(f"{insert} {values}", *ids)


def test_an_overridden_priority_is_that_of_the_queued_job(creator: Creator) -> None:
    creator.read("followers", fans("a"))
    creator.override("followers", priority=33)
    creator.engine.move_clock(hours=2)

    creator.engine.call("enqueue_due")

    assert (
        creator.engine.value("select priority from public.sync_jobs where sync_type = 'followers'")
        == 33
    )


# At once --------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["default", "agency", "model"])
def test_a_stream_that_is_switched_off_leaves_the_schedule_and_comes_back(
    creator: Creator, whose: str
) -> None:
    def switch(*, on: bool) -> None:
        if whose == "default":
            change(creator, enabled=on)
        elif on:
            creator.engine.rows("delete from private.sync_overrides")
        else:
            creator.override("followers", agency=whose == "agency", enabled=False)

    creator.read("followers", fans("a"))
    other = creator.state("subscribers")

    switch(on=False)
    assert creator.state("followers")["next_sync_at"] is None
    assert creator.state("subscribers") == other

    switch(on=True)
    assert timedelta(0) < wait(creator) <= timedelta(minutes=30)


def test_a_stream_that_was_never_on_is_due_at_once_when_switched_on(creator: Creator) -> None:
    creator.override("posts", enabled=True)

    assert wait(creator, "posts") <= timedelta(0)


def test_a_faster_rhythm_counts_at_once(creator: Creator) -> None:
    creator.read("followers", fans("a"))

    creator.override("followers", every="1 minute")

    assert timedelta(0) < wait(creator) <= timedelta(minutes=1)


def test_a_slower_rhythm_counts_after_the_poll_that_is_planned(creator: Creator) -> None:
    creator.read("followers", fans("a"))
    planned = creator.state("followers")["next_sync_at"]

    creator.override("followers", every="5 hours", slowest="5 hours")
    assert creator.state("followers")["next_sync_at"] == planned

    creator.engine.move_clock(hours=1)
    creator.poll("followers", fans("a"))
    first = creator.state("followers")["next_sync_at"]
    creator.engine.move_clock(seconds=wait(creator).total_seconds() + 1)
    creator.poll("followers", fans("a"))

    assert creator.state("followers")["next_sync_at"] - first == timedelta(hours=5)


def test_an_override_that_moves_to_another_model_frees_the_first(creator: Creator) -> None:
    other = Creator(creator.engine, "followers")
    creator.override("followers", enabled=False)

    creator.engine.rows("update private.sync_overrides set model_id = %s", other.model_id)

    assert creator.state("followers")["next_sync_at"] is not None
    assert other.state("followers")["next_sync_at"] is None


@pytest.mark.parametrize("status", ["paused", "reauth_required"])
def test_a_stopped_model_has_nothing_due_whatever_is_switched(
    creator: Creator, status: str
) -> None:
    creator.engine.rows("update public.models set status = %s", status)

    creator.override("followers", every="1 minute")
    creator.override("posts", enabled=True)
    change(creator, every="2 minutes")
    creator.subscribed("a")

    due = "next_sync_at is not null"
    assert creator.names(due, "sync_state", "sync_type") == set()
    assert creator.engine.value("select count(*) from public.sync_jobs") == 0


def test_a_job_of_a_stream_that_is_switched_off_is_its_last(creator: Creator) -> None:
    reading_ = creator.begin("followers")
    creator.override("followers", enabled=False)

    reading_.commit(*fans("a"), complete=True)
    reading_.settle()

    assert creator.state("followers")["next_sync_at"] is None


# Quiet streams --------------------------------------------------------------------------------


def quiet(creator: Creator, runs: int) -> None:
    """Read a list for the first time, and then poll it so often without news."""
    creator.read("followers", fans("a"))
    for _ in range(runs):
        creator.poll("followers", fans("a"))


def interval(creator: Creator) -> timedelta:
    """Return the interval in force."""
    value = creator.engine.value(
        "select private.current_interval(t, s.quiet_runs) from public.sync_state s,"
        " private.stream_settings(s.agency_id, s.model_id, s.sync_type) t"
        " where s.model_id = %s and s.sync_type = 'followers'",
        creator.model_id,
    )
    assert isinstance(value, timedelta)
    return value


def test_a_quiet_stream_slows_down_step_by_step_to_its_slowest(creator: Creator) -> None:
    change(creator, slow_after=2, every="10 minutes", slowest="1 hour")
    creator.read("followers", fans("a"))

    intervals = []
    for _ in range(6):
        creator.poll("followers", fans("a"))
        intervals.append(interval(creator).total_seconds() / 60)
        assert timedelta(0) < wait(creator) <= timedelta(minutes=intervals[-1])

    assert intervals == [10, 20, 40, 60, 60, 60]


def test_a_stream_never_gets_faster_by_being_quiet(creator: Creator) -> None:
    change(creator, slow_after=1, every="8 hours", slowest="1 hour")

    quiet(creator, 3)

    assert interval(creator) == timedelta(hours=8)


def test_news_give_a_quiet_stream_its_rhythm_back(creator: Creator) -> None:
    change(creator, slow_after=1)
    quiet(creator, 3)
    assert interval(creator) == timedelta(hours=2)

    creator.poll("followers", fans("a", "new"))

    assert interval(creator) == timedelta(minutes=30)
    assert wait(creator) <= timedelta(minutes=30)


def test_an_event_gives_a_quiet_stream_its_rhythm_back(creator: Creator) -> None:
    change(creator, slow_after=1)
    quiet(creator, 3)

    creator.followed("new")

    assert interval(creator) == timedelta(minutes=30)
    assert wait(creator) <= timedelta(minutes=30)
    assert creator.state("subscribers")["quiet_runs"] == 0


def test_sync_now_gives_a_quiet_stream_its_rhythm_back(creator: Creator) -> None:
    change(creator, slow_after=1)
    quiet(creator, 3)
    member = creator.engine.value("select gen_random_uuid()")
    creator.engine.rows(
        "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, 'owner')",
        creator.agency_id,
        member,
    )

    ask(creator.engine, member, creator.model_id, "followers")

    assert interval(creator) == timedelta(minutes=30)


def test_a_list_that_is_not_believed_is_no_quiet_one(creator: Creator) -> None:
    names = [f"f{n}" for n in range(20)]
    creator.read("followers", fans(*names))
    runs = creator.state("followers")["quiet_runs"]

    creator.read("followers", fans("f0"), full=True)

    assert creator.state("followers")["quiet_runs"] == runs


# Cost -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("fresh_sessions")
def test_a_tick_does_not_look_at_paused_models_nor_at_streams_that_are_off(
    engine: Engine, settings: None
) -> None:
    engine.rows("update private.sync_streams set enabled = true where not on_demand")
    agency_id = engine.agency()
    engine.models(agency_id, 100)
    engine.rows("update public.models set status = 'paused'")
    due = [engine.model(engine.agency(), due=False) for _ in range(3)]
    engine.rows("update private.sync_streams set enabled = sync_type in ('earnings', 'posts')")
    # what the change itself left to the ticks
    engine.rows("select private.follow_settings_changes(10000, private.engine_now())")
    engine.rows(
        "update public.sync_state set next_sync_at = private.engine_now()"
        " where model_id = any (%s)",
        due,
    )
    engine.rows(
        "update public.sync_state set next_sync_at = null where sync_type <> 'earnings'"
        " and sync_type <> 'posts'"
    )

    with reading(engine, "sync_state", "models", "sync_jobs") as meter:
        queued = engine.value("select public.enqueue_due('test')")

    assert queued["enqueued"] == 2 * len(due)
    assert meter.rows <= 50


def test_a_change_for_everybody_holds_the_rows_of_few_creators(
    engine: Engine, settings: None
) -> None:
    engine.models(engine.agency(), 1_200, due=False)
    other = engine.another()
    planned = "select count(*) from public.sync_state where next_sync_at < now() + interval '1 day'"

    with engine.owner.transaction():
        engine.rows(
            "update private.sync_streams set every = '5 minutes' where sync_type = 'earnings'"
        )
        free = other.connection.execute(
            "select count(*) as rows from"
            " (select from public.sync_state where sync_type = 'earnings'"
            " for update skip locked) s"
        ).fetchone()

    assert free is not None
    assert free["rows"] == 700
    assert engine.value(planned) == 500
    engine.call("enqueue_due")
    assert engine.value(planned) == 1_200
    assert engine.value("select count(*) from private.settings_changes") == 0


def test_a_change_of_what_the_schedule_is_not_made_of_plans_nothing(
    engine: Engine, settings: None
) -> None:
    engine.models(engine.agency(), 3, due=False)
    before = engine.rows("select id, xmin::text, xmax::text from public.sync_state order by id")

    engine.rows("update private.sync_streams set priority = 51 where sync_type = 'earnings'")

    after = engine.rows("select id, xmin::text, xmax::text from public.sync_state order by id")
    assert after == before
