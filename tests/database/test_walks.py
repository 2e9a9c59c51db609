"""A walk's pages: rows, cursor, counters and lease move together, or nothing moves."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.database.books import FIRST, Sale, books, totals
from tests.database.engine import WAIT


if TYPE_CHECKING:
    from tests.database.engine import Engine, Worker


CEILING = (FIRST + timedelta(hours=1)).isoformat()


def sale(instant: int, cents: int = 500) -> Sale:
    return Sale(instant, cents, f"O{instant}", "f1", "tip")


class Walk:
    """One job's walk over one creator's earnings."""

    def __init__(self, engine: Engine, model_id: uuid.UUID) -> None:
        self.engine = engine
        self.model_id = model_id
        self.job = engine.running_job(model_id)
        self.state = engine.begin(self.job)
        self.version = self.state["version"]

    def commit(self, key: str, *sales: Sale, **more: Any) -> dict[str, Any]:
        """Commit the next page."""
        reply = self.again(key, self.version, *sales, **more)
        self.version = reply["version"]
        return reply

    def ends(self, **item: Any) -> dict[str, Any]:
        """Return how the job ends with a page that ends the walk."""
        stream = {"model_id": str(self.model_id), "sync_type": "earnings"}
        return stream | {"stats": {"requests": 1}, **item}

    def again(
        self,
        key: str,
        version: int,
        *sales: Sale,
        worker: Worker | None = None,
        settle: dict[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Commit a page on a version of the caller's choice."""
        position = min((one.at.isoformat() for one in sales), default=None)
        page = self.engine.page(
            self.state,
            key,
            *(one.listed() for one in sales),
            **{"position": position, "ceiling": CEILING, **more},
        )
        return dict(
            (worker or self.engine).call(
                "commit_sync_page",
                *(self.job["id"], self.job["lease_id"], version, page),
                p_settle=settle,
            )
        )

    def stored(self) -> dict[str, Any]:
        """Return the state row."""
        (row,) = self.engine.rows(
            "select * from public.sync_state where model_id = %s", self.model_id
        )
        return row


@pytest.fixture
def walk(engine: Engine) -> Walk:
    return Walk(engine, engine.model(engine.agency(), due=False))


def ledger_size(engine: Engine) -> int:
    return int(engine.value("select count(*) from public.fanvue_transactions"))


def test_a_page_moves_rows_cursor_progress_and_lease_together(walk: Walk) -> None:
    walk.engine.move_clock(seconds=50)
    reply = walk.commit("p1", sale(9), sale(8), cursor="c1")

    assert (reply["version"], reply["inserted"], reply["amount"]) == (1, 2, "10.00")
    state = walk.stored()
    assert (state["last_cursor"], state["walk_pages"], state["walk_rows"]) == ("c1", 1, 2)
    assert state["walk_position"] == sale(8).at
    (job,) = walk.engine.rows(
        "select pages, rows_inserted, progress, lease_until > private.engine_now()"
        " + interval '55 seconds' as extended from public.sync_jobs"
    )
    assert (job["pages"], job["rows_inserted"], job["extended"]) == (1, 2, True)
    assert job["progress"]["rows"] == 2


def test_pages_that_come_as_one_count_as_what_they_are(walk: Walk) -> None:
    walk.commit("p1", sale(9), cursor="c1")
    walk.commit("p2 to p5", sale(8), sale(7), sale(6), sale(5), complete=True, pages=4)

    state = walk.stored()
    assert (state["version"], state["walk_pages"], state["walk_rows"]) == (2, 5, 5)
    assert state["high_water"] == sale(9).at
    (job,) = walk.engine.rows("select pages, progress from public.sync_jobs")
    assert (job["pages"], job["progress"]["pages"], job["progress"]["rows"]) == (5, 5, 5)


def test_a_commit_whose_reply_was_lost_gets_its_first_answer(walk: Walk) -> None:
    first = walk.commit("p1", sale(9), cursor="c1")

    again = walk.again("p1", 0, sale(9), cursor="c1")

    assert again == first
    assert walk.stored()["version"] == 1
    assert walk.engine.value("select pages from public.sync_jobs") == 1


def test_a_last_commit_whose_reply_was_lost_gets_its_first_answer(walk: Walk) -> None:
    first = walk.commit("p1", sale(9), complete=True)

    assert walk.again("p1", 0, sale(9), complete=True) == first


def test_another_page_on_an_old_version_is_refused_and_writes_nothing(walk: Walk) -> None:
    walk.commit("p1", sale(9), cursor="c1")

    with pytest.raises(psycopg.Error) as refused:
        walk.again("p2", 0, sale(5), cursor="c2")

    assert refused.value.sqlstate == "PT410"
    assert ledger_size(walk.engine) == 1
    assert walk.stored()["last_cursor"] == "c1"


def test_a_page_of_another_walk_is_refused(walk: Walk) -> None:
    walk.state["walk_id"] = str(uuid.uuid4())

    with pytest.raises(psycopg.Error) as refused:
        walk.commit("p1", sale(9))

    assert refused.value.sqlstate == "PT410"
    assert ledger_size(walk.engine) == 0


def test_a_page_without_an_open_walk_is_refused(walk: Walk) -> None:
    walk.commit("p1", sale(9), complete=True)
    walk.state["walk_id"] = None

    with pytest.raises(psycopg.Error) as refused:
        walk.commit("p2", sale(10), complete=True)

    assert refused.value.sqlstate == "PT410"
    assert ledger_size(walk.engine) == 1


def test_a_stale_lease_commits_nothing(walk: Walk) -> None:
    walk.job["lease_id"] -= 1

    with pytest.raises(psycopg.Error) as refused:
        walk.commit("p1", sale(9))

    assert refused.value.sqlstate == "PT410"
    assert ledger_size(walk.engine) == 0


def test_the_high_water_mark_moves_only_when_the_walk_is_complete(walk: Walk) -> None:
    walk.commit("p1", sale(9), cursor="c1")
    assert walk.stored()["high_water"] is None

    walk.commit("p2", sale(3), complete=True)

    assert walk.stored()["high_water"] == sale(9).at
    assert walk.stored()["walk_id"] is None


def test_the_high_water_mark_never_passes_the_ceiling_of_the_first_page(walk: Walk) -> None:
    ceiling = sale(5).at
    walk.commit("p1", sale(9), cursor="c1", ceiling=ceiling.isoformat())

    walk.commit("p2", sale(3), complete=True, ceiling=(FIRST + timedelta(days=9)).isoformat())

    assert walk.stored()["high_water"] == ceiling


def test_the_high_water_mark_of_a_creator_without_sales_is_the_ceiling(walk: Walk) -> None:
    walk.commit("p1", complete=True)

    assert walk.stored()["high_water"].isoformat() == CEILING


def test_rows_that_are_read_aside_do_not_move_the_high_water_mark(walk: Walk) -> None:
    walk.commit("p1", sale(3), next_phase="aside")

    walk.commit("p2", sale(9), phase="aside", complete=True, aside_checked=True)

    assert walk.stored()["high_water"] == sale(3).at
    assert walk.stored()["aside_checked_at"] is not None


def test_the_high_water_mark_never_moves_back(walk: Walk) -> None:
    walk.commit("p1", sale(9), complete=True)
    walk.engine.settle(walk.job, "done")
    second = Walk(walk.engine, walk.model_id)

    second.commit("p1", sale(3), complete=True)

    assert second.stored()["high_water"] == sale(9).at


def test_a_walk_resumes_where_its_last_slice_ended(walk: Walk) -> None:
    walk.commit("p1", sale(9), cursor="c1")
    walk.engine.settle(walk.job, "yield")

    resumed = Walk(walk.engine, walk.model_id)

    assert resumed.state["walk_id"] == walk.state["walk_id"]
    assert (resumed.state["cursor"], resumed.version) == ("c1", 1)
    resumed.commit("p2", sale(3), complete=True)
    assert resumed.stored()["high_water"] == sale(9).at


def test_the_first_walk_is_full_and_the_next_looks_back_a_little(walk: Walk) -> None:
    assert (walk.state["kind"], walk.state["floor"]) == ("full", None)
    walk.commit("p1", sale(9), complete=True)
    walk.engine.settle(walk.job, "done")

    second = Walk(walk.engine, walk.model_id)

    assert second.state["kind"] == "incremental"
    assert second.state["floor"] is not None


def test_a_wish_for_all_history_replaces_an_open_incremental_walk(walk: Walk) -> None:
    walk.commit("p1", sale(9), complete=True)
    walk.engine.settle(walk.job, "done")
    second = Walk(walk.engine, walk.model_id)
    second.engine.settle(second.job, "yield")

    walk.engine.call("enqueue_sync", walk.model_id, "earnings", p_full=True)
    third = Walk(walk.engine, walk.model_id)

    assert third.state["kind"] == "full"
    assert third.state["walk_id"] != second.state["walk_id"]


def test_a_finished_walk_sets_the_next_visit_within_the_interval(walk: Walk) -> None:
    walk.commit("p1", sale(9), complete=True)

    wait = walk.stored()["next_sync_at"] - walk.engine.value("select private.engine_now()")
    assert timedelta(0) < wait <= timedelta(minutes=15)


def test_two_streams_of_one_model_committing_at_once_lose_nothing(engine: Engine) -> None:
    engine.rows("update private.sync_streams set enabled = true where sync_type = 'followers'")
    model_id = engine.model(engine.agency(), due=False)
    listed = {
        "earnings": [sale(n).listed() for n in range(30)],
        "followers": [{"fan_uuid": str(uuid.uuid4())} for _ in range(30)],
    }
    done = []
    for stream, rows in listed.items():
        worker = engine.another()
        engine.call("enqueue_sync", model_id, stream)
        (job,) = engine.call("claim_model_job", "w0", model_id, stream)["jobs"]
        done.append(worker.run(commit_all, worker, job, engine.begin(job), rows))

    assert [future.result(WAIT) for future in done] == [30, 30]

    assert ledger_size(engine) == 30
    counted = engine.value("select (revenue_total, followers_count)::text from public.models")
    assert counted == "(150.00,30)"


def commit_all(
    worker: Any, job: dict[str, Any], state: dict[str, Any], rows: list[dict[str, Any]]
) -> int:
    """Commit each row as a page of its own and count what was new."""
    inserted = 0
    for version, one in enumerate(rows):
        page = {"walk_id": state["walk_id"], "key": str(version), "rows": [one]}
        reply = worker.call("commit_sync_page", job["id"], job["lease_id"], version, page)
        inserted += reply["inserted"]
    return inserted


@st.composite
def cut_books(draw: st.DrawFn) -> tuple[list[Sale], list[list[Sale]]]:
    """Draw a book and its pages, newest first, cut anywhere, even inside an instant."""
    book = sorted(draw(books), key=lambda one: -one.instant)
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(book) - 1)))))
    edges = [0, *[cut for cut in cuts if cut < len(book)], len(book)]
    pages = [book[low:high] for low, high in itertools.pairwise(edges)]
    return book, pages


@pytest.mark.property
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(drawn=cut_books())
def test_a_full_walk_in_any_pages_by_cursor_makes_the_ledger_equal_to_the_books(
    engine: Engine, drawn: tuple[list[Sale], list[list[Sale]]]
) -> None:
    book, pages = drawn
    # Without an id, twins that a page border parts cannot be told from one row read twice.
    book = [one for one in book if one.order_id is not None]
    walk = Walk(engine, engine.model(engine.agency(), due=False))

    for number, page in enumerate(pages):
        named = [one for one in page if one.order_id is not None]
        position = (page[-1] if page else sale(0)).at.isoformat()
        walk.commit(f"p{number}", *named, cursor=f"c{number}", position=position)
    walk.commit("end", complete=True)

    rows = engine.rows(
        "select fanvue_created_at, amount, source, fan_uuid from public.fanvue_transactions"
        " where model_id = %s",
        walk.model_id,
    )
    assert Counter(tuple(row.values()) for row in rows) == totals(book)


@pytest.mark.parametrize(
    ("mode", "cursor", "rows"),
    [("cursor", "c1", 2), ("days", "c1", 2), ("days", None, 1), ("window", None, 1)],
)
def test_a_row_beyond_a_cursor_is_another_one_and_beyond_a_date_the_same(
    walk: Walk, mode: str, cursor: str | None, rows: int
) -> None:
    # A worker of the release before follows cursors by days, too.
    walk.commit("p1", sale(9, 500), mode=mode, cursor=cursor)

    walk.commit("p2", sale(9, 900), mode=mode, cursor=None)

    assert ledger_size(walk.engine) == rows
