"""What a commit tells those who watch: one small message, to its own agency, after the commit.

Messages are read where Realtime reads them: in realtime.messages, grouped by the transaction.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.books import Sale


if TYPE_CHECKING:
    from tests.database.engine import Engine


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
_INSERT = """
insert into public.fanvue_transactions
  (agency_id, model_id, fanvue_id, amount, category, fanvue_created_at)
select m.agency_id, m.id, %s || n, %s, 'tip', %s::timestamptz + n * interval '1 second'
from public.models m, generate_series(1, %s) n where m.id = %s
"""


class Ear:
    """Hears what was sent since it was made."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        engine.rows("delete from realtime.messages")

    def heard(self, topic: str | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Return events and payloads in the order of their sending; without Realtime's own id."""
        rows = self.engine.rows(
            "select event, payload - 'id' as payload from realtime.messages"
            " where %s::text is null and topic <> 'workers' or topic = %s order by inserted_at, id",
            topic,
            topic,
        )
        return [(row["event"], row["payload"]) for row in rows]

    def most_per_commit(self) -> int:
        """Return the greatest number of messages that one commit sent to one topic."""
        return int(
            self.engine.value(
                "select coalesce(max(n), 0) from (select count(*) as n from realtime.messages"
                " group by xmin::text, topic) x"
            )
        )


@pytest.fixture
def agency(engine: Engine) -> uuid.UUID:
    return engine.agency()


@pytest.fixture
def model(engine: Engine, agency: uuid.UUID) -> uuid.UUID:
    return engine.model(agency, due=False)


@pytest.fixture
def ear(engine: Engine, model: uuid.UUID) -> Ear:
    assert model.int
    return Ear(engine)


def add(
    engine: Engine, model: uuid.UUID, count: int, amount: str = "5.00", prefix: str = "T"
) -> None:
    engine.rows(_INSERT, prefix, Decimal(amount), NOON, count, model)


def scheduled_job(engine: Engine, model: uuid.UUID) -> dict[str, Any]:
    """Claim a job that nobody waits for, as the schedule makes them."""
    engine.call("enqueue_sync", model, "earnings", p_priority=20)
    (job,) = engine.claim()
    return job


def topic(agency: uuid.UUID) -> str:
    return f"agency:{agency}"


def test_a_statement_with_many_sales_is_told_once(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    add(engine, model, 500)

    assert ear.heard(topic(agency)) == [
        (
            "transactions",
            {
                "model_id": str(model),
                "inserted": 500,
                "updated": 0,
                "deleted": 0,
                "amount": "2500.00",
                "latest_at": "2026-11-20T12:08:20+00:00",
                "changed": ["transactions"],
            },
        )
    ]


def test_statements_of_one_transaction_add_up(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    with engine.owner.transaction():
        add(engine, model, 2, "5.00", "A")
        add(engine, model, 1, "0.10", "B")
        engine.rows("update public.fanvue_transactions set amount = 7 where fanvue_id = 'A1'")
        engine.rows("delete from public.fanvue_transactions where fanvue_id = 'A2'")

    ((event, payload),) = ear.heard(topic(agency))
    assert event == "transactions"
    told = {name: payload[name] for name in ("inserted", "updated", "deleted", "amount")}
    assert told == {"inserted": 3, "updated": 1, "deleted": 1, "amount": "7.10"}


def test_what_is_rolled_back_is_not_told(engine: Engine, model: uuid.UUID, ear: Ear) -> None:
    with engine.owner.transaction(force_rollback=True):
        add(engine, model, 3)

    assert ear.heard() == []
    assert engine.value("select count(*) from private.pushes") == 0


def test_what_a_savepoint_takes_back_is_not_counted(
    engine: Engine, model: uuid.UUID, ear: Ear
) -> None:
    with engine.owner.transaction():
        add(engine, model, 1, "5.00", "A")
        with engine.owner.transaction(force_rollback=True):
            add(engine, model, 9, "5.00", "B")

    ((_, payload),) = ear.heard()
    assert (payload["inserted"], payload["amount"]) == (1, "5.00")


def test_each_agency_hears_of_its_own_models_alone(engine: Engine, agency: uuid.UUID) -> None:
    other = engine.agency()
    mine, theirs = engine.model(agency, due=False), engine.model(other, due=False)
    ear = Ear(engine)

    with engine.owner.transaction():
        add(engine, mine, 1, "5.00")
        add(engine, theirs, 1, "900.00")

    ((_, payload),) = ear.heard(topic(agency))
    assert (payload["model_id"], payload["amount"]) == (str(mine), "5.00")
    ((_, payload),) = ear.heard(topic(other))
    assert (payload["model_id"], payload["amount"]) == (str(theirs), "900.00")


def test_several_models_in_one_commit_are_items_of_one_message(
    engine: Engine, agency: uuid.UUID, ear: Ear
) -> None:
    models = sorted(str(engine.model(agency, due=False)) for _ in range(3))
    ear = Ear(engine)

    with engine.owner.transaction():
        for model in models:
            add(engine, uuid.UUID(model), 1)

    ((event, payload),) = ear.heard(topic(agency))
    assert event == "transactions"
    assert [item["model_id"] for item in payload["items"]] == models


def test_beyond_fifty_the_message_says_many_and_stays_small(
    engine: Engine, agency: uuid.UUID
) -> None:
    engine.models(agency, 51, due=False)
    ear = Ear(engine)

    engine.rows("update public.models set status = 'paused' where agency_id = %s", agency)

    ((event, payload),) = ear.heard(topic(agency))
    assert event == "model"
    assert (payload["items"], payload["many"]) == ([], True)


def test_a_page_of_a_backfill_is_one_message_with_the_progress_of_its_job(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    job = engine.running_job(model)
    state = engine.begin(job)
    ear = Ear(engine)
    for number in range(1, 6):
        sales = [
            Sale(100 * number + n, 500, f"O{number}-{n}", "f1", "tip").listed() for n in range(10)
        ]
        page = engine.page(
            state, f"p{number}", *sales, position=sales[-1]["at"], complete=number == 5
        )
        state |= engine.call("commit_sync_page", job["id"], job["lease_id"], number - 1, page)

    heard = ear.heard(topic(agency))
    assert [event for event, _ in heard] == ["transactions"] * 5
    assert ear.most_per_commit() == 1
    for number, (_, payload) in enumerate(heard, start=1):
        assert payload["inserted"] == 10
        assert payload["job"]["job_id"] == job["id"]
        assert payload["job"]["progress"]["pages"] == number
    assert heard[-1][1]["changed"] == ["transactions", "job", "sync_state"]


def test_a_page_committed_again_is_told_once(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    job = engine.running_job(model)
    state = engine.begin(job)
    ear = Ear(engine)
    page = engine.page(state, "p1", Sale(1, 500, "O1", "f1", "tip").listed(), complete=True)
    for _ in range(3):
        engine.call("commit_sync_page", job["id"], job["lease_id"], 0, page)

    assert [event for event, _ in ear.heard(topic(agency))] == ["transactions"]


def test_polls_that_find_nothing_are_told_every_ten_minutes_at_most(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    def poll() -> None:
        job = scheduled_job(engine, model)
        state = engine.begin(job)
        page = engine.page(state, str(uuid.uuid4()), complete=True)
        engine.call("commit_sync_page", job["id"], job["lease_id"], state["version"], page)
        engine.settle(job, "done", state="succeeded")
        engine.move_clock(minutes=5)

    poll()
    ear = Ear(engine)
    poll()
    assert ear.heard(topic(agency)) == []
    engine.move_clock(minutes=6)
    poll()
    ((event, payload),) = ear.heard(topic(agency))
    assert event == "sync_state"
    assert (payload["model_id"], payload["sync_type"]) == (str(model), "earnings")
    assert payload["failures"] == 0


def test_a_failure_and_the_success_after_it_are_told(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    job = scheduled_job(engine, model)
    ear = Ear(engine)
    engine.settle(job, "fail", error={"kind": "gone", "message": "Fanvue says 410"})

    ((event, payload),) = ear.heard(topic(agency))
    assert (event, payload["failures"]) == ("sync_state", 1)

    job = scheduled_job(engine, model)
    state = engine.begin(job)
    ear = Ear(engine)
    page = engine.page(state, "p1", complete=True)
    engine.call("commit_sync_page", job["id"], job["lease_id"], state["version"], page)

    ((_, payload),) = ear.heard(topic(agency))
    assert "sync_state" in payload["changed"]


def test_a_sync_that_somebody_asked_for_is_told_from_queue_to_end(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    engine.call("enqueue_sync", model, "earnings")
    (job,) = engine.claim()
    state = engine.begin(job)
    page = engine.page(state, "p1", complete=True)
    engine.call("commit_sync_page", job["id"], job["lease_id"], 0, page)
    engine.settle(job, "done", state="succeeded")

    told = [payload["state"] for event, payload in ear.heard(topic(agency)) if event == "job"]
    assert told[:2] == ["queued", "running"]
    assert told[-1] == "succeeded"
    assert ear.most_per_commit() == 1


def test_scheduled_polls_are_not_told_as_jobs(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    engine.rows("update public.sync_state set next_sync_at = now() - interval '1 minute'")
    engine.call("enqueue_due", "worker")
    (job,) = engine.claim()
    engine.settle(job, "snooze")

    assert ear.heard(topic(agency)) == []


def test_a_dead_job_is_told(engine: Engine, agency: uuid.UUID, model: uuid.UUID) -> None:
    job = scheduled_job(engine, model)
    ear = Ear(engine)
    engine.settle(job, "dead", error={"kind": "bug", "message": "cannot go on"})

    ((event, payload),) = ear.heard(topic(agency))
    assert (event, payload["state"]) == ("job", "dead")
    assert payload["changed"] == ["job", "sync_state"]


def test_a_model_that_must_connect_again_is_told_first(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    engine.rows("update public.models set status = 'reauth_required' where id = %s", model)

    ((event, payload),) = ear.heard(topic(agency))
    assert event == "model"
    assert (payload["model_id"], payload["status"]) == (str(model), "reauth_required")


def test_a_model_that_moves_is_removed_for_the_one_and_new_for_the_other(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    add(engine, model, 2)
    other = engine.agency()
    ear = Ear(engine)

    engine.rows("update public.models set agency_id = %s where id = %s", other, model)

    (left,) = [payload for event, payload in ear.heard(topic(agency)) if event == "model"]
    assert (left["model_id"], left["status"]) == (str(model), "removed")
    assert [p["model_id"] for _, p in ear.heard(topic(other))] == [str(model)]


def test_work_that_becomes_due_wakes_the_workers_and_work_for_later_does_not(
    engine: Engine, model: uuid.UUID, ear: Ear
) -> None:
    engine.call("enqueue_sync", model, "earnings")
    assert ear.heard("workers") == [("due", {"jobs": 1, "changed": ["due"]})]

    ear = Ear(engine)
    (job,) = engine.claim()
    engine.settle(job, "retry", retry_in_s=600)
    engine.settle(job, "yield")
    assert ear.heard("workers") == []


def test_no_message_holds_a_secret(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    engine.rows(
        "update public.models set fanvue_refresh_token = 'a secret', status = 'paused'"
        " where id = %s",
        model,
    )
    engine.rows("update public.models set status = 'active' where id = %s", model)

    assert ear.heard(topic(agency))
    assert "secret" not in str(engine.rows("select payload from realtime.messages"))


# Realtime out of order ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "harm",
    [
        "drop table realtime.messages cascade",
        "drop schema realtime cascade",
        "alter function realtime.send(jsonb, text, text, boolean) rename to sent",
        (
            "create or replace function realtime.send(payload jsonb, event text, topic text,"
            " private boolean default true) returns void language plpgsql"
            " as $$ begin raise exception 'broken'; end $$"
        ),
    ],
    ids=["no messages", "no schema", "no function", "a function that fails"],
)
def test_money_is_committed_whatever_is_wrong_with_realtime(
    engine: Engine, model: uuid.UUID, harm: str
) -> None:
    with engine.owner.transaction(force_rollback=True):
        engine.rows(harm)
        with engine.owner.transaction():
            add(engine, model, 3)
            engine.rows("set constraints all immediate")
        assert engine.value("select count(*) from public.fanvue_transactions") == 3


def test_a_day_without_a_partition_loses_the_hint_alone(
    engine: Engine, model: uuid.UUID, ear: Ear
) -> None:
    with engine.owner.transaction(force_rollback=True):
        for row in engine.rows(
            "select inhrelid::regclass::text as name from pg_inherits"
            " where inhparent = 'realtime.messages'::regclass"
        ):
            engine.rows(f"drop table {row['name']}")
        add(engine, model, 3)
        engine.rows("set constraints all immediate")
        assert engine.value("select count(*) from public.fanvue_transactions") == 3
        assert ear.heard() == []


def test_hints_leave_nothing_behind(engine: Engine, model: uuid.UUID) -> None:
    for number in range(20):
        add(engine, model, 1, "1.00", f"N{number}-")

    assert engine.value("select count(*) from private.pushes") == 0
