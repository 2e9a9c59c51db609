"""A list that would end too many fans is not believed, until an operator says that it is right."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.database.streams import Creator, crowd, fans


if TYPE_CHECKING:
    from tests.database.engine import Engine


LISTS = {"subscribers": "is_subscriber", "followers": "is_follower"}


@pytest.fixture
def creator(engine: Engine) -> Creator:
    return Creator(engine, "subscribers", "followers")


both = pytest.mark.parametrize("stream", LISTS)


@both
def test_a_list_that_would_end_many_is_not_believed(creator: Creator, stream: str) -> None:
    everybody = crowd(20)
    creator.read(stream, fans(*everybody))

    reply = creator.read(stream, fans(*everybody[:14]), full=True)

    assert creator.names(LISTS[stream]) == set(everybody)
    assert reply["complete"] is True
    assert f"ops.accept_shrink('{creator.model_id}', '{stream}')" in reply["partial"]
    assert "6 fewer than the 20 known" in reply["partial"]
    state = creator.state(stream)
    assert state["last_error"]["message"] == reply["partial"]
    assert state["consecutive_failures"] == 1
    runs = creator.engine.rows("select state from public.sync_runs order by id")
    assert [run["state"] for run in runs] == ["succeeded", "partial"]


@both
def test_a_list_that_is_not_believed_is_read_to_its_end_again_at_its_own_rhythm(
    creator: Creator, stream: str
) -> None:
    everybody = crowd(20)
    creator.read(stream, fans(*everybody))
    creator.read(stream, fans(*everybody[:10]), full=True)

    wait = creator.state(stream)["next_sync_at"] - creator.now()
    assert timedelta(0) < wait <= timedelta(minutes=30)

    again = creator.begin(stream)
    assert again.state["kind"] == "full"
    assert again.commit(*fans(*everybody), complete=True)["partial"] is None
    state = creator.state(stream)
    assert (state["last_error"], state["consecutive_failures"]) == (None, 0)
    again.settle()
    assert creator.begin(stream).state["kind"] == "incremental"


@pytest.mark.parametrize(
    ("known", "left", "once", "twice"),
    [(20, 16, 16, 16), (20, 15, 20, 15), (10, 5, 10, 5), (5, 0, 5, 0), (6, 0, 6, 6)],
)
@both
def test_a_fifth_may_leave_at_once_and_up_to_five_when_they_are_missed_twice(  # noqa: PLR0913, PLR0917 - one line of a table
    creator: Creator, stream: str, known: int, left: int, once: int, twice: int
) -> None:
    everybody = crowd(known)
    creator.read(stream, fans(*everybody))

    creator.read(stream, fans(*everybody[:left]), full=True)
    assert len(creator.names(LISTS[stream])) == once

    creator.read(stream, fans(*everybody[:left]), full=True)
    assert len(creator.names(LISTS[stream])) == twice


def test_how_many_may_leave_is_said_per_agency_and_model(engine: Engine) -> None:
    agency_id = engine.agency()
    calm, wild = (Creator(engine, "followers", agency_id=agency_id) for _ in range(2))
    calm.override("followers", agency=True, most_ended_share="0.5")
    wild.override("followers", most_ended_share="1")
    everybody = crowd(20)
    for creator in (calm, wild):
        creator.read("followers", fans(*everybody))

    assert calm.read("followers", fans(*everybody[:10]), full=True)["partial"] is None
    assert calm.read("followers", [], full=True)["partial"] is not None
    assert wild.read("followers", [], full=True)["partial"] is None

    assert (len(calm.names("is_follower")), len(wild.names("is_follower"))) == (10, 0)


@pytest.mark.parametrize("pages", [1, 2])
@both
def test_a_shrink_that_an_operator_accepts_ends_them(
    creator: Creator, stream: str, pages: int
) -> None:
    everybody = crowd(20)
    creator.read(stream, fans(*everybody))
    shrunk = [fans("fan000", "fan001"), []][:pages]
    assert creator.read(stream, *shrunk, full=True)["partial"] is not None

    creator.engine.rows("select ops.accept_shrink(%s, %s)", creator.model_id, stream)
    assert creator.state(stream)["next_sync_at"] <= creator.now()
    for _ in range(pages):
        assert creator.read(stream, *shrunk)["partial"] is None

    assert creator.names(LISTS[stream]) == {"fan000", "fan001"}
    assert sum(creator.counters()) == 2
    # accepted once, not for ever
    assert creator.state(stream)["shrink_accepted_at"] is None
    assert not creator.state(stream)["full_requested"]


@both
def test_pages_that_were_committed_as_one_are_several_pages(creator: Creator, stream: str) -> None:
    """What one reading of several pages missed is looked for once more."""
    creator.read(stream, fans("a", "b"))

    for end in ({"a", "b"}, {"a"}):
        reading = creator.begin(stream, full=True)
        reading.commit(*fans("a"), complete=True, pages=3)
        reading.settle()
        assert creator.names(LISTS[stream]) == end


def test_an_accepted_shrink_does_not_put_a_paused_model_on_the_schedule(creator: Creator) -> None:
    creator.engine.rows("update public.models set status = 'paused'")

    creator.engine.rows("select ops.accept_shrink(%s, 'followers')", creator.model_id)

    assert creator.state("followers")["next_sync_at"] is None


@both
def test_a_reading_that_could_not_be_read_whole_ends_nobody_and_is_tried_again(
    creator: Creator, stream: str
) -> None:
    creator.read(stream, fans("a", "b"))
    reading = creator.begin(stream, full=True)

    reading.commit(*fans("a"), complete=True, partial="1 row unreadable")

    assert creator.names(LISTS[stream]) == {"a", "b"}
    assert creator.state(stream)["full_requested"]
    reading.settle()
