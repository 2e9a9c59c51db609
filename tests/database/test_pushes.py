"""What a commit tells those who watch: one small message, to its own agency, after the commit.

Money and models here; jobs and streams in test_push_jobs.py.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.database.ear import Ear, add, topic


if TYPE_CHECKING:
    from tests.database.engine import Engine


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


def test_refunds_are_counted_among_what_is_new(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    with engine.owner.transaction():
        add(engine, model, 2, "5.00", "A")
        add(engine, model, 1, "-5.00", "B")
        add(engine, model, 1, "-0.10", "C")

    ((_, payload),) = ear.heard(topic(agency))

    told = {name: payload[name] for name in ("inserted", "refunds", "amount")}
    assert told == {"inserted": 4, "refunds": 2, "amount": "4.90"}


def test_messages_are_private_broadcasts_in_universal_time(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    engine.rows("set timezone = 'Pacific/Kiritimati'")

    add(engine, model, 2)

    assert ear.kinds() == {("broadcast", True)}
    ((_, payload),) = ear.heard(topic(agency))
    assert payload["latest_at"] == "2026-11-20T12:00:02+00:00"


def test_the_newest_sale_of_a_commit_is_told_whichever_came_first(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    with engine.owner.transaction():
        add(engine, model, 9, prefix="A")
        add(engine, model, 2, prefix="B")

    ((_, payload),) = ear.heard(topic(agency))
    assert payload["latest_at"] == "2026-11-20T12:00:09+00:00"


def test_a_row_that_is_handed_over_leaves_the_one_and_comes_to_the_other(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    other = engine.agency()
    heir = engine.model(other, due=False)
    add(engine, model, 2, "5.00")
    ear = Ear(engine)

    engine.rows(
        "update public.fanvue_transactions set agency_id = %s, model_id = %s"
        " where fanvue_id = 'T1'",
        other,
        heir,
    )

    ((_, left),) = ear.heard(topic(agency))
    ((_, came),) = ear.heard(topic(other))
    assert (left["model_id"], left["deleted"], left["amount"]) == (str(model), 1, "-5.00")
    assert (came["model_id"], came["inserted"], came["amount"]) == (str(heir), 1, "5.00")


def test_an_emptied_ledger_is_told_to_everybody(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear
) -> None:
    assert model.int
    engine.rows("truncate public.fanvue_transactions cascade")

    ((event, payload),) = ear.heard(topic(agency))
    assert (event, payload["many"]) == ("transactions", True)


@pytest.mark.parametrize(
    "change",
    [
        "status = 'paused'",
        "status_reason = 'asked to wait'",
        "handle = 'renamed'",
        "display_name = 'New'",
    ],
)
def test_what_people_see_of_a_model_is_told(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID, ear: Ear, change: str
) -> None:
    engine.rows(f"update public.models set {change} where id = %s", model)  # noqa: S608 - our own text

    ((event, payload),) = ear.heard(topic(agency))
    assert (event, payload["model_id"]) == ("model", str(model))


def test_a_model_that_is_deleted_is_told_as_removed(
    engine: Engine, agency: uuid.UUID, model: uuid.UUID
) -> None:
    add(engine, model, 3)
    ear = Ear(engine)

    engine.rows("delete from public.models where id = %s", model)

    ((event, payload),) = ear.heard(topic(agency))
    assert (event, payload["status"]) == ("model", "removed")


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
    engine.models(agency, 80, due=False)
    ear = Ear(engine)

    with engine.owner.transaction():
        engine.rows("update public.models set status = 'paused' where agency_id = %s", agency)
        assert engine.value("select count(*) from private.pushes where kind = 'model'") == 51

    ((event, payload),) = ear.heard(topic(agency))
    assert event == "model"
    assert (payload["items"], payload["many"]) == ([], True)


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
    supabase: Engine, model: uuid.UUID, harm: str
) -> None:
    with supabase.owner.transaction(force_rollback=True):
        supabase.rows(harm)
        with supabase.owner.transaction():
            add(supabase, model, 3)
            supabase.rows("set constraints all immediate")
        assert supabase.value("select count(*) from public.fanvue_transactions") == 3


def test_a_locked_messages_table_costs_the_hint_and_no_commit(
    engine: Engine, model: uuid.UUID, ear: Ear
) -> None:
    holder = engine.another().connection
    with holder.transaction():
        holder.execute("reset role")
        holder.execute("lock table realtime.messages in access exclusive mode")

        add(engine, model, 3)

        assert engine.value("select count(*) from public.fanvue_transactions") == 3
    assert ear.heard() == []


def test_a_day_without_a_partition_loses_the_hint_alone(supabase: Engine, model: uuid.UUID) -> None:
    ear = Ear(supabase)
    with supabase.owner.transaction(force_rollback=True):
        for row in supabase.rows(
            "select inhrelid::regclass::text as name from pg_inherits"
            " where inhparent = 'realtime.messages'::regclass"
        ):
            supabase.rows(f"drop table {row['name']}")
        add(supabase, model, 3)
        supabase.rows("set constraints all immediate")
        assert supabase.value("select count(*) from public.fanvue_transactions") == 3
        assert ear.heard() == []


def test_hints_leave_nothing_behind(engine: Engine, model: uuid.UUID) -> None:
    for number in range(20):
        add(engine, model, 1, "1.00", f"N{number}-")

    assert engine.value("select count(*) from private.pushes") == 0
