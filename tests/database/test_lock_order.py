"""Things that happen to one model at once wait for each other; they never dead-lock.

Each test holds one lock by hand, so that the others meet in the worst order every time.
"""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.database.books import Sale
from tests.database.engine import WAIT
from tests.database.streams import Creator
from tests.database.test_webhook_storage import slow_to_book
from tests.support.waiting import wait_until


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.database.engine import Engine, Worker


SALE = Sale(instant=0, cents=500, order_id="A", fan="f1", source="tip").listed()
# What a page commit takes last.
_HOLD_STATE = "select from public.sync_state where model_id = %s for update"


def test_pausing_a_model_while_its_page_commits_lets_both_succeed(engine: Engine) -> None:
    model_id = engine.model(engine.agency(), due=False)
    job = engine.running_job(model_id)
    walk = engine.begin(job)
    worker, operator, blocker = engine.another(), engine.another(), engine.another()

    with blocker.connection.transaction():
        blocker.connection.execute(_HOLD_STATE, [model_id])
        commit = worker.start(
            "commit_sync_page", job["id"], job["lease_id"], 0, engine.page(walk, "p1", SALE)
        )
        engine.wait_until_blocked(worker)
        pause = operator.run(
            operator.connection.execute,
            "update public.models set status = 'paused' where id = %s",
            [model_id],
        )
        engine.wait_until_blocked(operator)

    assert commit.result(WAIT)["inserted"] == 1
    assert pause.result(WAIT).rowcount == 1


def test_disconnecting_an_account_while_creators_are_attached_lets_both_succeed(
    engine: Engine,
) -> None:
    place = engine.call("connect_agency", "Atlas", uuid.uuid4(), "f" * 64)
    connection = place["connection_id"]
    engine.call("store_connection", connection, 0, "access", "refresh", 3600, "f" * 64)
    boss = uuid.uuid4()
    engine.rows(
        "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, 'owner')",
        place["agency_id"],
        boss,
    )
    listed = [{"uuid": str(uuid.uuid4())} for _ in range(3)]
    attached = engine.call("attach_creators", connection, listed)
    attaching, owner, blocker = engine.another(), engine.another(), engine.another()
    owner.connection.execute("reset role")
    claims = f'{{"sub": "{boss}", "role": "authenticated"}}'
    owner.connection.execute("select set_config('request.jwt.claims', %s, false)", [claims])

    with blocker.connection.transaction():
        last = max(one["model_id"] for one in attached)
        blocker.connection.execute(
            "select from public.models where id = %s for no key update", [last]
        )
        attach = attaching.start("attach_creators", connection, listed)
        engine.wait_until_blocked(attaching)
        gone = owner.run(
            owner.connection.execute, "select public.disconnect_account(%s) as r", [connection]
        )
        engine.wait_until_blocked(owner)

    assert [one["outcome"] for one in attach.result(WAIT)] == ["unchanged"] * 3
    assert gone.result(WAIT).fetchone()["r"] == {"changed": True}
    assert engine.value("select count(*) from public.models where status = 'active'") == 0


def test_a_stored_grant_while_its_page_commits_lets_both_succeed(engine: Engine) -> None:
    model_id = engine.model(engine.agency(), due=False, fanvue_access_token=None)
    job = engine.running_job(model_id)
    walk = engine.begin(job)
    worker, refresher, blocker = engine.another(), engine.another(), engine.another()
    grant = refresher.call("begin_token_refresh", model_id, "w2")

    with blocker.connection.transaction():
        blocker.connection.execute(_HOLD_STATE, [model_id])
        commit = worker.start(
            "commit_sync_page", job["id"], job["lease_id"], 0, engine.page(walk, "p1", SALE)
        )
        engine.wait_until_blocked(worker)
        stored = refresher.start(
            "finish_token_refresh", model_id, grant["fence"], 0, "access-1", "refresh-1", 3600
        )
        engine.wait_until_blocked(refresher)

    assert commit.result(WAIT)["inserted"] == 1
    assert stored.result(WAIT)["state"] == "stored"


def test_a_heartbeat_and_a_settle_of_the_same_jobs_let_each_other_through(engine: Engine) -> None:
    agency_id = engine.agency()
    jobs = [engine.running_job(engine.model(agency_id, due=False)) for _ in range(3)]
    first, second, third = sorted(jobs, key=lambda job: uuid.UUID(job["model_id"]).bytes)
    beating, settling, blocker = engine.another(), engine.another(), engine.another()
    leases = [{"id": job["id"], "lease_id": job["lease_id"]} for job in (second, third, first)]

    with blocker.connection.transaction():
        blocker.connection.execute(
            "select from public.sync_jobs where id = %s for update", [third["id"]]
        )
        beat = beating.start("heartbeat_sync_jobs", "w0", leases)
        engine.wait_until_blocked(beating)
        settle = settling.start(
            "settle_sync_jobs",
            "w0",
            [
                {"id": job["id"], "lease_id": job["lease_id"], "outcome": "yield"}
                for job in (first, second)
            ],
        )
        engine.wait_until_blocked(settling)

    assert {row["id"] for row in beat.result(WAIT)} >= {third["id"]}
    assert sorted(settle.result(WAIT)) == sorted([first["id"], second["id"]])


def test_two_schedulers_at_once_queue_a_stream_once_even_when_it_is_claimed_meanwhile(
    engine: Engine,
) -> None:
    agency_id = engine.agency()
    early, late = engine.model(agency_id), engine.model(agency_id)
    low, high = sorted((early, late), key=lambda model_id: model_id.bytes)
    engine.rows(
        "update public.sync_state set next_sync_at = next_sync_at - interval '1 hour'"
        " where model_id = %s",
        high,
    )
    slow, quick, blocker = engine.another(), engine.another(), engine.another()

    with blocker.connection.transaction(force_rollback=True):
        blocker.connection.execute(
            "insert into public.sync_jobs (agency_id, model_id, sync_type)"
            " values (%s, %s, 'earnings')",
            [agency_id, low],
        )
        first = slow.start("enqueue_due", "slow")
        engine.wait_until_blocked(slow)
        second = quick.run(lambda: (quick.call("enqueue_due", "quick", 1), engine.claim()))
        while not (second.done() or engine.is_blocked(quick)):
            pass
    first.result(WAIT)
    second.result(WAIT)
    for job in engine.claim():
        engine.settle(job, "yield")

    assert engine.value("select count(*) from public.sync_jobs") == 2


def dead_jobs(engine: Engine, count: int) -> list[uuid.UUID]:
    """Let the job of several models die, and their streams be due; return the models in order."""
    agency_id = engine.agency()
    models = sorted(
        (engine.model(agency_id, due=False) for _ in range(count)), key=lambda one: one.bytes
    )
    for model_id in models:
        engine.settle(engine.running_job(model_id), "dead")
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    return models


def test_a_job_that_somebody_queues_for_a_dead_stream_does_not_fail_the_tick(
    engine: Engine,
) -> None:
    models = dead_jobs(engine, 3)
    scheduler, somebody = engine.another(), engine.another()

    with somebody.connection.transaction():
        somebody.call("enqueue_sync", models[1], "earnings")
        tick = scheduler.start("enqueue_due", "scheduler")
        engine.wait_until_blocked(scheduler)

    assert tick.result(WAIT)["revived"] == 2
    jobs = engine.rows("select model_id, state from public.sync_jobs order by model_id")
    assert [row["model_id"] for row in jobs] == models
    assert {row["state"] for row in jobs} == {"queued"}


def test_retrying_what_is_dead_while_the_schedule_ticks(engine: Engine) -> None:
    models = dead_jobs(engine, 3)
    numbers = [
        row["id"] for row in engine.rows("select id from public.sync_jobs order by model_id")
    ]
    operator, scheduler, blocker = engine.another(), engine.another(), engine.another()

    with blocker.connection.transaction():
        blocker.connection.execute(
            "select from public.sync_jobs where model_id = %s for update", [models[1]]
        )
        retry = operator.run(operator.connection.execute, "select ops.retry_dead_jobs() as done")
        engine.wait_until_blocked(operator)
        tick = scheduler.start("enqueue_due", "scheduler")
        engine.wait_until_blocked(scheduler)

    assert retry.result(WAIT).fetchone()["done"]["message"].startswith("3 jobs run again")
    assert tick.result(WAIT) == {"enqueued": 0, "revived": 0}
    jobs = engine.rows("select id, state from public.sync_jobs order by model_id")
    # under the numbers that the operator has on the screen
    assert jobs == [{"id": number, "state": "queued"} for number in numbers]


# Members, invitations and links -------------------------------------------------------------------

_HOLD_AGENCY = "select from public.agencies where id = %s for no key update"


def owner(engine: Engine, *agencies: uuid.UUID) -> str:
    """Make a person who owns agencies, and whose address is their id."""
    user_id = str(uuid.uuid4())
    engine.rows(
        "insert into auth.users (id, email, email_confirmed_at) values (%s, %s, now())",
        user_id,
        f"{user_id}@example.test",
    )
    for agency_id in agencies:
        engine.rows(
            "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, 'owner')",
            agency_id,
            user_id,
        )
    return user_id


def signed_in(worker: Worker, user_id: str) -> Worker:
    """Let a connection act as a signed-in person."""
    claims = json.dumps({"sub": user_id, "role": "authenticated"})
    worker.connection.execute("select set_config('request.jwt.claims', %s, false)", [claims])
    worker.connection.execute("set role authenticated")
    return worker


GOING = {
    "dropped by an operator": "select public.drop_member(%(agency)s::text, %(user)s)",
    "made an admin by an operator": "select public.add_member(%(agency)s::text,"
    " %(user)s || '@example.test', 'admin')",
    "deleted in Auth": "delete from auth.users where id = %(user)s::uuid",
}


@pytest.mark.parametrize("how", GOING)
def test_a_member_who_is_changed_twice_at_once(engine: Engine, how: str) -> None:
    agency_id = engine.agency()
    ana, bo = owner(engine, agency_id), owner(engine, agency_id)
    member, other, blocker = signed_in(engine.another(), ana), engine.another(), engine.another()
    other.connection.execute("reset role")

    with blocker.connection.transaction():
        blocker.connection.execute(_HOLD_AGENCY, [agency_id])
        changed = member.start("set_member_role", agency_id, bo, "member")
        engine.wait_until_blocked(member)
        gone = other.run(
            other.connection.execute, GOING[how], {"agency": str(agency_id), "user": bo}
        )
        engine.wait_until_blocked(other)

    assert changed.result(WAIT) == {"changed": True}
    gone.result(WAIT)
    roles = engine.rows("select role from public.agency_members where user_id = %s", bo)
    assert roles == ([{"role": "admin"}] if "admin" in how else [])


def test_whoever_accepts_takes_the_agency_before_the_invitation(engine: Engine) -> None:
    agency_id = engine.agency()
    invite = ("invite_member", agency_id, "bo@example.test", "owner")
    ana = signed_in(engine.another(), owner(engine, agency_id))
    invitation_id = ana.call(*invite)["id"]
    bo = owner(engine)
    engine.rows("update auth.users set email = 'bo@example.test' where id = %s", bo)
    # then the first owner who accepts is noted in the agency's row
    engine.rows("alter table public.agencies disable trigger user")
    engine.rows("update public.agencies set owner_id = null")
    engine.rows("alter table public.agencies enable trigger user")
    invited, blocker = signed_in(engine.another(), bo), engine.another()

    with blocker.connection.transaction():
        blocker.connection.execute(_HOLD_AGENCY, [agency_id])
        accepted = invited.start("accept_invitation", invitation_id)
        engine.wait_until_blocked(invited)
        # as who renews it does, with the agency's row in hand
        blocker.connection.execute("select from public.invitations for update nowait")

    assert accepted.result(WAIT)["role"] == "owner"


def test_a_link_that_is_taken_back_while_a_grant_is_stored_through_it(engine: Engine) -> None:
    agency_id = engine.agency()
    ana = signed_in(engine.another(), owner(engine, agency_id))
    link_id = ana.call("create_connect_link", agency_id)["id"]
    engine.rows(
        "insert into private.connection_attempts (state_hash, agency_id, link_id, verifier,"
        " started_at, expires_at, held, confirmed_at, nonce_hash)"
        " values ('state', %s, %s, 'v', now(), private.engine_now() + interval '1 hour', '{}',"
        " now(), 'nonce')",
        agency_id,
        link_id,
    )
    storing, blocker = engine.another(), engine.another()

    with blocker.connection.transaction():
        blocker.connection.execute("select from private.connection_attempts for update")
        stored = storing.run(
            storing.connection.execute, "select private.finish_connection('nonce')"
        )
        engine.wait_until_blocked(storing)
        revoked = ana.start("revoke_connect_link", link_id)
        engine.wait_until_blocked(ana)

    stored.result(WAIT)
    # used: there is nothing left to take back
    assert revoked.result(WAIT) == {"changed": False}
    assert engine.value("select used_at is not null from public.connect_links")


@pytest.mark.parametrize("of", ["two creators", "one creator"])
def test_late_webhooks_are_applied_while_the_schedule_ticks(engine: Engine, of: str) -> None:
    pair = [
        Creator(engine, "earnings", "messages") for _ in range(2 if of == "two creators" else 1)
    ]
    low, *others = sorted(pair, key=lambda one: one.model_id.bytes)
    high = others[0] if others else low
    fan = {"uuid": "f1"}
    wrote = high.event("message.received", uuid="m-1", sender="fan", text="x", fan=fan)
    paid = low.event("payment.succeeded", id="FV-1", gross=500, source="tip", purchaser=fan)
    # what waits longest is what the schedule queues last
    for event in (wrote, paid):
        engine.call("receive_webhook_event", event, p_apply=False)
    engine.rows(
        "update public.sync_state set next_sync_at = private.engine_now()"
        " where sync_type in ('earnings', 'messages')"
    )
    retrying, ticking = engine.another(), engine.another()

    with slow_to_book(engine, 1):
        retry = retrying.start("retry_webhook_events")
        engine.wait_until_blocked(retrying)
        tick = ticking.start("enqueue_due", "scheduler")
        wait_until(lambda: tick.done() or engine.is_blocked(ticking))

    assert tick.result(WAIT)["enqueued"] == 2 * len(pair)
    assert retry.result(WAIT) == {"applied": 2, "failed": 0, "more": True}


@contextmanager
def slow_to_queue(engine: Engine, stream: str) -> Iterator[None]:
    """Let whoever queues a job of this stream wait with it in hand."""
    engine.rows(
        "create function private.wait_here() returns trigger language plpgsql as $$ begin"
        " perform pg_advisory_xact_lock_shared(4711); return null; end $$;"
        " create trigger wait_here after insert on public.sync_jobs"
        f" for each row when (new.sync_type = '{stream}') execute function private.wait_here()"
    )
    holder = engine.another()
    try:
        with holder.connection.transaction():
            holder.connection.execute("select pg_advisory_xact_lock(4711)")
            yield
    finally:
        engine.rows("drop function private.wait_here() cascade")


APPLYING = {
    "page": "select private.apply_parked(%(creator)s, private.engine_now())",
    "replay": "select ops.replay_webhooks(null, 'parked')",
    "grant": "select public.store_grant(%(model)s, 0, 'access', 'refresh', 3600)",
    "account": "select public.attach_creators(%(connection)s,"
    " jsonb_build_array(jsonb_build_object('uuid', %(creator)s::text)), true)",
}


# Whoever connects has the first poll queued as well.
@pytest.mark.parametrize(
    ("how", "events"), [("page", 2), ("replay", 2), ("grant", 1), ("grant", 2), ("account", 1)]
)
def test_parked_webhooks_are_applied_while_the_schedule_ticks(
    engine: Engine, how: str, events: int
) -> None:
    creator = Creator(engine, "earnings", "messages")
    fan = {"uuid": "f1"}
    wrote = creator.event("message.received", uuid="m-1", sender="fan", text="x", fan=fan)
    paid = creator.event("payment.succeeded", id="FV-1", gross=500, source="tip", purchaser=fan)
    # what came first is what the schedule queues last
    for event in (wrote, paid)[:events]:
        engine.call("receive_webhook_event", event, p_apply=False)
    engine.rows("update public.webhook_events set status = 'parked', retry_at = null")
    engine.rows(
        "update public.sync_state set next_sync_at = private.engine_now()"
        " where sync_type in ('earnings', 'messages')"
    )
    account = engine.call("connect_agency", str(creator.agency_id), uuid.uuid4(), "f" * 64)
    connection = account["connection_id"]
    engine.call("store_connection", connection, 0, "access", "refresh", 3600, "f" * 64)
    whose = {"creator": creator.uuid, "model": creator.model_id, "connection": connection}
    applying, ticking = engine.another(), engine.another()

    with slow_to_queue(engine, "messages"):
        applied = applying.run(applying.connection.execute, APPLYING[how], whose)
        engine.wait_until_blocked(applying)
        tick = ticking.start("enqueue_due", "scheduler")
        engine.wait_until_blocked(ticking)

    applied.result(WAIT)
    tick.result(WAIT)
    assert engine.rows("select status, count(*) from public.webhook_events group by 1") == [
        {"status": "applied", "count": events}
    ]
    assert engine.rows("select sync_type from public.sync_jobs order by 1") == [
        {"sync_type": "earnings"},
        {"sync_type": "messages"},
    ]


def test_a_replay_waits_for_a_creator_who_is_being_connected(engine: Engine) -> None:
    creator = str(uuid.uuid4())
    paid = {"id": "FV-1", "gross": 500, "source": "tip", "creator": {"uuid": creator}}
    paid["created_at"] = engine.value("select private.engine_now()").isoformat()
    event = {"id": "E-1", "type": "creator.payment.succeeded", "data": paid}
    engine.call("receive_webhook_event", event, p_apply=False)
    event_id = engine.value("select id from public.webhook_events")
    operator, connecting = engine.another(), engine.another()

    with connecting.connection.transaction():
        connecting.call("connect_model", "Agency N", uuid.UUID(creator))
        replay = operator.run(
            operator.connection.execute, "select ops.replay_webhook(%s) as done", [event_id]
        )
        wait_until(lambda: replay.done() or engine.is_blocked(operator))

    assert replay.result(WAIT).fetchone()["done"]["status"] == "applied"


def test_creators_who_change_places_while_a_page_commits(engine: Engine) -> None:
    there, back = Creator(engine, "earnings"), Creator(engine, "earnings")
    engine.rows(
        "insert into private.erased_fans (fan_hash, agency_id, erased_at)"
        " values (private.fan_hash(gen_random_uuid()::text), %s, now())",
        there.agency_id,
    )
    reading = back.begin("earnings", full=True)
    page = reading.page(SALE, complete=True)
    swap = "update public.models set agency_id = case id when %s then %s::uuid else %s::uuid end"
    places = [there.model_id, back.agency_id, there.agency_id]
    moving, worker, blocker = engine.another(), engine.another(), engine.another()

    with blocker.connection.transaction():
        blocker.connection.execute(
            "select from public.models where id = %s for no key update", [back.model_id]
        )
        moved = moving.run(moving.connection.execute, swap, places)
        engine.wait_until_blocked(moving)
        commit = worker.run(reading.send, page, reading.version, by=worker)
        engine.wait_until_blocked(worker)

    assert commit.result(WAIT)["inserted"] == 1
    with pytest.raises(psycopg.Error, match="leave and enter agency"):
        moved.result(WAIT)
    for creator, agency_id in zip((there, back), places[1:], strict=True):
        engine.rows(
            "update public.models set agency_id = %s where id = %s", agency_id, creator.model_id
        )
