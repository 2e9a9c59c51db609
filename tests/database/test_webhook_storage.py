"""A signed event is stored, whatever happens as it is applied; the worker's tick applies it then.

Faults are put in by hand: a statement is cancelled, a session killed, the ledger refuses a row.
"""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from benchmarks.day.plans import BOOKED_BYTES, EVENT_BYTES
from tests.database.engine import WAIT
from tests.database.test_cost import buffers
from tests.database.test_webhook_money import NOON, Books, Sale


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.database.engine import Engine, Worker


SALE = Sale(1, 0, 2500, "fan-1", None)
RECEIVE = "receive_webhook_event"
_STORED = """
  select status, error, attempts, retry_at, model_id is not null as is_booked
  from public.webhook_events
"""
_PATIENCE = """
  select c from pg_proc p cross join unnest(p.proconfig) c
  where p.oid = 'private.apply_event'::regproc and c like 'lock_timeout=%%'
"""
_RIG = """
  create function private.refuse_rows() returns trigger language plpgsql as $$
  begin
    raise sqlstate '{state}' using message = 'put in by the test';
  end $$;
  create trigger refuse_rows before insert on public.fanvue_transactions
    for each row execute function private.refuse_rows();
"""
# Not the event's fault: a cancelled statement, a dead lock, a migration under way, no memory, ...
PASSING = ["57014", "40P01", "42P01", "53200", "54001", "55P03", "58030", "XX000"]


@pytest.fixture
def books(engine: Engine) -> Books:
    return Books(engine, engine.another())


@contextmanager
def ledger_that_refuses(engine: Engine, state: str) -> Iterator[None]:
    engine.rows(_RIG.format(state=state))
    try:
        yield
    finally:
        engine.rows("drop function private.refuse_rows() cascade")


@contextmanager
def patience(engine: Engine, wait: str) -> Iterator[None]:
    """Let an event wait so long for its creator, and no longer."""
    ((kept,),) = [tuple(row.values()) for row in engine.rows(_PATIENCE)]
    assert kept == "lock_timeout=1h"
    alter = (
        "alter function private.apply_event(public.webhook_events, private.webhook_facts, boolean,"
        " timestamptz) set lock_timeout = '{}'"
    )
    engine.rows(alter.format(wait))
    try:
        yield
    finally:
        engine.rows(alter.format("1h"))


@contextmanager
def model_held(books: Books) -> Iterator[Worker]:
    """Hold the creator's model, as a long page commit does."""
    holder = books.engine.another()
    with holder.connection.transaction():
        holder.connection.execute("select private.lock_model(%s)", [books.model_id])
        yield holder


def stored(books: Books) -> dict[str, Any]:
    (event,) = books.engine.rows(_STORED)
    return event


def tick(books: Books) -> dict[str, int]:
    done = dict(books.engine.call("retry_webhook_events"))
    # what was tried may have more behind it
    assert done.pop("more") == (done["applied"] + done["failed"] > 0)
    return done


def assert_booked_once(books: Books) -> None:
    """The sale is one row, also after the same event, another tick and the API's page."""
    assert stored(books)["status"] == "applied"
    books.tell(books.engine, SALE.event("matching", 0)).result(WAIT)
    assert tick(books) == {"applied": 0, "failed": 0}
    books.page(books.other, [SALE.row("matching")]).result(WAIT)
    books.assert_each_once([SALE])


@pytest.mark.parametrize("state", PASSING)
def test_what_is_not_the_events_fault_is_stored_and_applied_by_the_next_tick(
    books: Books, state: str
) -> None:
    with ledger_that_refuses(books.engine, state):
        answer = books.engine.call(RECEIVE, SALE.event("matching", 0))
        waiting = stored(books)
    assert answer == {"status": "parked"}
    assert (waiting["status"], waiting["attempts"]) == ("failed", 1)
    assert "put in by the test" in waiting["error"]
    assert "tries it again" in waiting["error"]
    assert waiting["retry_at"] is not None

    assert tick(books) == {"applied": 1, "failed": 0}

    done = stored(books)
    assert (done["error"], done["retry_at"], done["attempts"]) == (None, None, 2)
    assert_booked_once(books)


def test_a_poison_event_is_stored_and_left_to_a_person(books: Books) -> None:
    with ledger_that_refuses(books.engine, "P0001"):
        assert books.engine.call(RECEIVE, SALE.event("matching", 0)) == {"status": "parked"}

    assert tick(books) == {"applied": 0, "failed": 0}

    assert (stored(books)["status"], stored(books)["error"]) == ("failed", "put in by the test")


def test_what_an_operator_set_aside_is_not_tried_again(books: Books) -> None:
    books.engine.call(RECEIVE, SALE.event("matching", 0), p_apply=False)
    books.engine.rows("select ops.ignore_webhook(id, 'a trial') from public.webhook_events")

    assert tick(books) == {"applied": 0, "failed": 0}

    assert (stored(books)["status"], stored(books)["retry_at"]) == ("ignored", None)


def test_what_goes_on_failing_is_tried_ever_less_often(books: Books) -> None:
    engine = books.engine
    pauses = []
    with ledger_that_refuses(engine, "53200"):
        engine.call(RECEIVE, SALE.event("matching", 0))
        for _ in range(9):
            at = stored(books)["retry_at"]
            now = engine.value("select private.engine_now()")
            pauses.append(round(max(0.0, (at - now).total_seconds()) / 60))
            engine.move_clock(seconds=(at - now).total_seconds() + 1)
            assert tick(books) == {"applied": 0, "failed": 1}
            assert tick(books) == {"applied": 0, "failed": 0}

    assert pauses == [0, 1, 3, 7, 15, 31, 60, 60, 60]


@pytest.mark.parametrize("what", ["cancelled", "too long a wait"])
def test_an_event_whose_creator_is_held_is_stored_all_the_same(books: Books, what: str) -> None:
    engine = books.engine
    with model_held(books):
        if what == "cancelled":
            told = books.tell(books.other, SALE.event("matching", 0))
            engine.wait_until_blocked(books.other)
            engine.rows("select pg_cancel_backend(%s)", books.other.pid)
            answer = told.result(WAIT)
        else:
            with patience(engine, "10ms"):
                answer = books.tell(books.other, SALE.event("matching", 0)).result(WAIT)
        assert answer == {"status": "parked"}
        # who is busy is passed over, and waited for by nobody
        assert tick(books) == {"applied": 0, "failed": 0}
        waiting = stored(books)
    assert (waiting["status"], waiting["is_booked"]) == ("failed", False)
    assert waiting["retry_at"] is not None
    assert books.engine.value("select count(*) from public.fanvue_transactions") == 0

    assert tick(books) == {"applied": 1, "failed": 0}

    assert_booked_once(books)


def test_an_event_that_killed_its_session_is_stored_by_the_second_call(books: Books) -> None:
    event = SALE.event("matching", 0)
    victim = books.engine.another()
    with model_held(books):
        told = books.tell(victim, event)
        books.engine.wait_until_blocked(victim)
        books.engine.rows("select pg_terminate_backend(%s)", victim.pid)
        with pytest.raises(psycopg.OperationalError):
            told.result(WAIT)
        assert books.engine.value("select count(*) from public.webhook_events") == 0

        # it waits for nobody
        answer = books.engine.start(RECEIVE, event, p_apply=False).result(WAIT)

    assert answer == {"status": "parked"}
    payload = books.engine.value("select payload from public.webhook_events")
    assert payload["data"]["purchaser"] == {"uuid": "fan-1", "handle": None}
    assert tick(books) == {"applied": 1, "failed": 0}
    assert_booked_once(books)


def test_a_first_call_that_comes_back_late_books_nothing_beside_the_second(books: Books) -> None:
    event = SALE.event("matching", 0)
    with model_held(books):
        late = books.tell(books.other, event)
        books.engine.wait_until_blocked(books.other)
        second = books.engine.start(RECEIVE, event, p_apply=False)
        assert second.result(WAIT) == {"status": "parked"}

    assert late.result(WAIT) == {"status": "duplicate"}
    assert books.engine.value("select count(*) from public.fanvue_transactions") == 0
    assert tick(books) == {"applied": 1, "failed": 0}
    assert_booked_once(books)


def test_two_ticks_at_once_apply_an_event_once(books: Books) -> None:
    books.engine.call(RECEIVE, SALE.event("matching", 0), p_apply=False)

    ticks = [worker.start("retry_webhook_events") for worker in (books.engine, books.other)]

    assert sum(one.result(WAIT)["applied"] for one in ticks) == 1
    assert_booked_once(books)


def test_one_event_that_cannot_be_applied_holds_no_other_back(books: Books) -> None:
    engine = books.engine
    elsewhere = Books(engine, engine.another(), creator="8d1f0b52-9a44-4d0e-8a53-2f6f1f0f7a02")
    with model_held(books):
        for one in (books, elsewhere):
            engine.call(RECEIVE, SALE.event("matching", 0, one.creator), p_apply=False)

        assert tick(books) == {"applied": 1, "failed": 0}

    elsewhere.page(engine, [SALE.row("matching")]).result(WAIT)
    elsewhere.assert_each_once([SALE])
    assert tick(books) == {"applied": 1, "failed": 0}


def waiting_sales(books: Books, count: int, first: int = 1) -> None:
    for number in range(first, first + count):
        event = Sale(number, 0, 2500, f"fan-{number}", None).event("matching", 0, books.creator)
        books.engine.call(RECEIVE, event, p_apply=False)


@pytest.mark.parametrize("trouble", ["busy", "refused", "being connected"])
def test_a_creator_with_many_late_events_keeps_nobody_elses_waiting(
    books: Books, trouble: str
) -> None:
    engine = books.engine
    elsewhere = Books(engine, engine.another(), creator="8d1f0b52-9a44-4d0e-8a53-2f6f1f0f7a02")
    waiting_sales(books, 60)
    waiting_sales(elsewhere, 3, first=100)

    if trouble == "refused":
        with ledger_that_refuses(engine, "42P01"):
            engine.rows(
                "alter table public.fanvue_transactions disable trigger refuse_rows;"
                " drop trigger refuse_rows on public.fanvue_transactions;"
                " create trigger refuse_rows before insert on public.fanvue_transactions"
                f" for each row when (new.model_id = '{books.model_id}')"
                " execute function private.refuse_rows()"
            )
            # as many of each: the one's are tried, the other's are applied
            assert tick(books) == {"applied": 3, "failed": 25}
    elif trouble == "busy":
        with model_held(books):
            assert tick(books) == {"applied": 3, "failed": 0}
    else:
        # a grant that is being stored: an event must not turn parked behind its look
        with creator_being_connected(books):
            assert tick(books) == {"applied": 3, "failed": 0}

    engine.move_clock(minutes=1)
    while tick(books)["applied"]:
        pass
    assert _became(engine) == {"applied": 63}


@contextmanager
def creator_being_connected(books: Books) -> Iterator[None]:
    """Hold the creator as a grant does that is not committed."""
    granting = books.engine.another()
    with granting.connection.transaction():
        granting.connection.execute(
            "select pg_advisory_xact_lock(hashtextextended('fanvue-creator:' || %s, 0))",
            [books.creator],
        )
        yield


@pytest.mark.usefixtures("fresh_sessions")
def test_who_has_late_events_is_found_by_one_probe_each(books: Books) -> None:
    waiting_sales(books, 1)
    look = "select * from private.late_creators(now())"
    read = []
    for copies in (1_000, 20_000):
        books.engine.rows(
            "insert into public.webhook_events"
            " (event_id, topic, creator_uuid, payload, status, retry_at)"
            " select %s || n, 'x', %s, '{}', 'failed', now() from generate_series(1, %s) n",
            f"copy-{copies}-",
            books.creator,
            copies,
        )
        books.engine.rows("vacuum analyze public.webhook_events")
        # the first plans
        read.append([buffers(books.engine, look) for _ in range(2)][-1])

    assert read[1] <= read[0] + 6


@contextmanager
def slow_to_book(engine: Engine, number: int) -> Iterator[None]:
    """Let whoever books this sale wait in the middle of it."""
    engine.rows(
        "create function private.wait_here() returns trigger language plpgsql as $$ begin"
        " perform pg_advisory_xact_lock_shared(4711); return new; end $$;"
        " create trigger wait_here before insert on public.fanvue_transactions"
        f" for each row when (new.fanvue_id = 'FV-{number}')"
        " execute function private.wait_here()"
    )
    holder = engine.another()
    try:
        with holder.connection.transaction():
            holder.connection.execute("select pg_advisory_xact_lock(4711)")
            yield
    finally:
        engine.rows("drop function private.wait_here() cascade")


def test_who_cancels_a_replay_is_obeyed(books: Books) -> None:
    waiting_sales(books, 3)
    operator = books.engine.another()

    with slow_to_book(books.engine, 1):
        replay = operator.run(operator.connection.execute, "select ops.replay_webhooks()")
        books.engine.wait_until_blocked(operator)
        books.engine.rows("select pg_cancel_backend(%s)", operator.pid)
        with pytest.raises(psycopg.errors.QueryCanceled):
            replay.result(WAIT)

    assert _became(books.engine) == {"failed": 3}
    assert books.engine.value("select max(attempts) from public.webhook_events") == 0


def test_a_tick_that_runs_out_of_time_notes_which_event_took_it_and_ends(books: Books) -> None:
    waiting_sales(books, 3)

    with slow_to_book(books.engine, 2):
        retry = books.other.start("retry_webhook_events")
        books.engine.wait_until_blocked(books.other)
        books.engine.rows("select pg_cancel_backend(%s)", books.other.pid)
        assert retry.result(WAIT) == {"applied": 1, "failed": 1, "more": False}

    assert _became(books.engine) == {"applied": 1, "failed": 2}
    assert tick(books) == {"applied": 2, "failed": 0}


def test_parked_events_that_run_out_of_time_do_not_undo_what_applies_them(books: Books) -> None:
    waiting_sales(books, 3)
    books.engine.rows("update public.webhook_events set status = 'parked', retry_at = null")
    apply = "select private.apply_parked(%s, private.engine_now())"

    with slow_to_book(books.engine, 2):
        applied = books.other.run(books.other.connection.execute, apply, [books.creator])
        books.engine.wait_until_blocked(books.other)
        books.engine.rows("select pg_cancel_backend(%s)", books.other.pid)
        applied.result(WAIT)

    assert _became(books.engine) == {"applied": 1, "failed": 1, "parked": 1}


def test_an_event_with_more_uuids_than_locks_is_stored_without_names(books: Books) -> None:
    event = SALE.event("matching", 0)
    event["data"]["crowd"] = [str(uuid.uuid4()) for _ in range(1_000)]

    assert books.engine.call(RECEIVE, event)["status"] == "applied"

    assert books.engine.value(
        "select payload #>> '{data,purchaser}' from public.webhook_events"
    ) == json.dumps({"uuid": "fan-1", "handle": None})


# What it costs ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("books")
def test_a_payment_is_read_once_and_its_event_written_once(supabase: Engine) -> None:
    receive = "select public.receive_webhook_event(%s::jsonb)"
    with supabase.owner.transaction():
        supabase.rows("set local track_functions = 'all'")
        before = _counts(supabase)
        supabase.rows(receive, json.dumps(SALE.event("matching", 0)))
        after = _counts(supabase)

    assert {name: after[name] - before[name] for name in after} == {
        "parsed": 1,
        "inserted": 1,
        "updated": 0,
    }


def _counts(engine: Engine) -> dict[str, int]:
    (row,) = engine.rows(
        "select coalesce((select f.calls from pg_stat_xact_user_functions f"
        "                 where f.funcname = 'read_event'), 0) as parsed,"
        " t.n_tup_ins as inserted, t.n_tup_upd as updated"
        " from pg_stat_xact_user_tables t where t.relname = 'webhook_events'"
    )
    return row


def _refund_of_an_old_sale(number: int) -> dict[str, Any]:
    event = Sale(number, 0, 700, "fan-1", None).event("matching", 0)
    event["type"] = "creator.refund.created"
    event["id"] = f"refund-{number}"
    event["data"] |= {"id": f"R-{number}", "payment_id": "OLD-1", "amount": 700, "gross": None}
    event["data"] |= {"net": None}
    return event


@pytest.mark.usefixtures("fresh_sessions")
@pytest.mark.parametrize("analyzed", [True, False])
def test_a_refund_of_an_old_sale_costs_the_same_however_much_was_sold_since(
    books: Books, analyzed: bool
) -> None:
    engine = books.engine
    sell = (
        "insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount, category,"
        " source, fan_uuid, fanvue_created_at)"
        " select %s, %s, 'OLD-' || n, 7, 'tip', 'tip', 'fan-1',"
        " timestamptz '2021-01-01Z' + n * interval '1 hour' from generate_series(%s::integer, %s) n"
    )
    read = []
    for number, (first, last) in enumerate([(1, 500), (501, 20_000)], start=1):
        engine.rows(sell, books.agency_id, books.model_id, first, last)
        if analyzed:
            engine.rows("vacuum analyze public.fanvue_transactions")
        # what a session does at its first call is not the subject
        engine.rows("select public.receive_webhook_event(%s::jsonb)", _jsonb(10 * number))
        read.append(_buffers(engine, 10 * number + 1))

    assert read[1] <= read[0] * 1.25
    assert _became(engine) == {"applied": 4}


@pytest.mark.usefixtures("fresh_sessions")
@pytest.mark.parametrize("analyzed", [True, False])
def test_a_refund_costs_the_same_however_many_creators_have_a_payment_of_its_number(
    books: Books, analyzed: bool
) -> None:
    engine = books.engine
    sell = (
        "insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount, category,"
        " source, fan_uuid, reverses_fanvue_id, fanvue_created_at)"
        " select agency_id, id, x.name, x.amount, x.kind, x.kind, 'fan-1', x.sale, '2021-01-01Z'"
        " from public.models, (values ('OLD-1', 7, 'tip', null), ('R-11', -7, 'refund', 'OLD-1'),"
        " ('R-21', -7, 'refund', 'OLD-1')) x(name, amount, kind, sale) where "
    )
    announce = (
        "insert into public.webhook_events (event_id, topic, creator_uuid, payload, status,"
        " agency_id, model_id, payment_id, transaction_id) select t.fanvue_id, 'x',"
        " m.fanvue_user_uuid, '{}', 'applied', m.agency_id, m.id, t.fanvue_id, t.id"
        " from public.fanvue_transactions t join public.models m on m.id = t.model_id"
        " on conflict do nothing"
    )
    read = []
    for number, whose in enumerate(["id = %s and x.sale is null", "id <> %s"], start=1):
        engine.rows(sell + whose, books.model_id)
        engine.rows(announce)
        if analyzed:
            engine.rows("vacuum analyze public.fanvue_transactions, public.webhook_events")
        # what a session does at its first call is not the subject
        engine.rows("select public.receive_webhook_event(%s::jsonb)", _jsonb(10 * number))
        read.append(_buffers(engine, 10 * number + 1))
        engine.models(engine.agency(), 1_000, due=False)

    assert read[1] <= read[0] * 1.25, read
    assert _became(engine, "creator.refund.created") == {"applied": 4}


def _became(engine: Engine, topic: str = "%") -> dict[str, int]:
    query = "select status, count(*) from public.webhook_events where topic like %s group by 1"
    return {row["status"]: row["count"] for row in engine.rows(query, topic)}


def _jsonb(number: int) -> str:
    return json.dumps(_refund_of_an_old_sale(number))


def _buffers(engine: Engine, number: int) -> int:
    return buffers(engine, "select public.receive_webhook_event(%s::jsonb)", _jsonb(number))


# Whose event it is ------------------------------------------------------------------------------


def test_one_event_id_of_two_creators_is_two_events(engine: Engine) -> None:
    both = [
        Books(engine, engine.another(), creator=f"{n}c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01")
        for n in (1, 2)
    ]
    for books in both:
        event = SALE.event("matching", 0, books.creator) | {"id": "E-1"}
        assert engine.call(RECEIVE, event)["status"] == "applied"
        assert engine.call(RECEIVE, event)["status"] == "duplicate"

    assert engine.rows(
        "select model_id, sum(amount) as gross from public.fanvue_transactions"
        " group by 1 order by 1"
    ) == [
        {"model_id": model_id, "gross": Decimal("25.00")}
        for model_id in sorted(books.model_id for books in both)
    ]


def test_an_event_that_names_no_creator_is_stored_once(engine: Engine) -> None:
    event = {"id": "E-1", "type": "creator.payment.succeeded", "data": {"id": "P-1"}}

    told = [engine.call(RECEIVE, event)["status"] for _ in range(2)]

    assert told == ["parked", "duplicate"]


def test_a_second_refund_under_its_sales_number_is_a_row_of_its_own(books: Books) -> None:
    first = SALE.row("matching") | {
        "fanvue_id": "FV-1:refund",
        "source": "refund",
        "category": "refund",
        "amount": "-5.00",
        "net": "-4.00",
        "reverses_fanvue_id": "FV-1",
    }
    books.page(books.engine, [SALE.row("matching"), first]).result(WAIT)
    event = SALE.event("matching", 0)
    later = (NOON + timedelta(days=1)).isoformat()
    event |= {"id": "E-2", "type": "creator.refund.created", "timestamp": later}
    event["data"] |= {"gross": 1000, "net": 800, "paid_at": later}

    assert books.engine.call(RECEIVE, event)["status"] == "applied"

    assert books.engine.value("select sum(amount) from public.fanvue_transactions") == Decimal(
        "10.00"
    )


# Who reads it -----------------------------------------------------------------------------------


def test_members_see_what_became_of_an_event_and_not_what_it_said(books: Books) -> None:
    engine = books.engine
    user = uuid.uuid4()
    engine.rows(
        "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, 'owner')",
        books.agency_id,
        user,
    )
    engine.call(RECEIVE, SALE.event("matching", 0))
    member = engine.another()
    member.connection.execute("set role authenticated")
    claims = json.dumps({"sub": str(user), "role": "authenticated"})
    member.connection.execute("select set_config('request.jwt.claims', %s, false)", [claims])

    seen = member.connection.execute(
        "select event_id, topic, status, received_at is not null as came from public.webhook_events"
    ).fetchall()

    topic = "creator.payment.succeeded"
    event_id = SALE.event("matching", 0)["id"]
    assert seen == [{"event_id": event_id, "topic": topic, "status": "applied", "came": True}]
    for column in ("payload", "error", "payment_id", "*"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            member.connection.execute(f"select {column} from public.webhook_events")  # noqa: S608 - names from above


_SIZE = "select pg_total_relation_size('public.webhook_events')"
_COPY = """
  insert into public.webhook_events
    (event_id, topic, agency_id, model_id, creator_uuid, payment_id, transaction_id, payload,
     status, received_at, applied_at, attempts)
  select gen_random_uuid(), w.topic, w.agency_id, w.model_id, w.creator_uuid, 'FV-' || n,
         w.transaction_id, %s, w.status, private.engine_now(), private.engine_now(), 1
  from public.webhook_events w, generate_series(%s::integer, %s) n
  where w.payment_id = 'FV-1'
"""


def payload_of(engine: Engine) -> str:
    return json.dumps(engine.value("select payload from public.webhook_events"))


@pytest.mark.usefixtures("fresh_sessions")
def test_a_stored_event_takes_no_more_bytes_than_costs_are_reckoned_with(books: Books) -> None:
    engine = books.engine
    empty = engine.value(_SIZE)
    engine.call(RECEIVE, SALE.event("matching", 0))
    engine.rows(_COPY, payload_of(engine), 2, 2000)

    assert engine.value("select count(*) from public.webhook_events") == 2000
    assert (engine.value(_SIZE) - empty) / 2000 <= EVENT_BYTES


@pytest.mark.usefixtures("fresh_sessions")
def test_events_that_were_emptied_leave_their_room_to_new_ones(books: Books) -> None:
    engine = books.engine
    empty = engine.value(_SIZE)
    engine.call(RECEIVE, SALE.event("matching", 0))
    said = payload_of(engine)
    # as they come in twelve weeks, and are emptied after two
    for week in range(12):
        engine.rows(_COPY, said, 1000 * week + 2, 1000 * week + 1001)
        while engine.call("prune_history")["more"]:
            pass
        engine.rows("vacuum public.webhook_events")
        engine.move_clock(hours=24 * 7)

    (held,) = engine.rows(
        "select count(payload) as whole, count(*) - count(payload) as emptied"
        " from public.webhook_events"
    )
    assert held == {"whole": 2000, "emptied": 10_001}
    took = engine.value(_SIZE) - empty
    assert took <= held["whole"] * EVENT_BYTES + held["emptied"] * BOOKED_BYTES
