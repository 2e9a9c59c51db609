"""Money announced by webhook: real deliveries to the real function, books exact in the end.

The simulated Fanvue signs and sends; the function runs in Deno behind the stack's one origin.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from tests.support.consent import mint
from tests.support.deliveries import deliver_all
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

# Fanvue's ten seconds for an answer, and the end of its patience, are not the subject.
FAST_RETRIES = {
    "webhook_retry_seconds": [0.05] * 20 + [1] * PATIENCE_SECONDS,
    "webhook_timeout_seconds": PATIENCE_SECONDS,
}
# How Fanvue may announce; each way is a creator's own.
WAYS: list[dict[str, Any]] = [
    {},
    {"webhook_duplicate_probability": 0.5, "webhook_reorder_seconds": 0.3},
    {"webhook_duplicate_probability": 0.5, "webhook_duplicates": "replay"},
    {"webhook_family": "legacy"},
    {"webhook_family": "both"},
    {"webhook_family": "checkout"},
    {"webhook_currency": "local"},
    {"webhook_gross": "paid"},
    {"webhook_optionals": "null"},
    {"webhook_optionals": "minimal"},
    {"webhook_signing": "both"},
    {"webhook_paid_skew_ms": 1500},
    {"webhook_forged_probability": 0.5},
    {"webhook_stale_probability": 0.5},
]
BURST = 200
_SLOW = """
  create function private.take_long() returns trigger language plpgsql as $$
  begin
    perform pg_sleep(600);
    return new;
  end $$;
  create trigger take_long before insert on public.fanvue_transactions
    for each row execute function private.take_long();
"""
_KILL = """
  select pg_terminate_backend(pid) from pg_stat_activity
  where wait_event_type = 'Lock' and query like '%receive_webhook_event%'
"""


@pytest.fixture
def announced(engine: Engine) -> Iterator[Engine]:
    """Return an engine whose Fanvue announces everything to the webhook function."""
    url = f"{engine.environment['SUPABASE_URL']}/functions/v1/fanvue-webhook"
    secret = engine.environment["FANVUE_WEBHOOK_SECRETS"].split(",")[0]
    engine.fanvue.turn(rate_limit=100_000, **FAST_RETRIES)
    engine.fanvue.set_webhook_target(url, secret)
    yield engine
    engine.fanvue.drop_webhook_target()


def test_a_sale_is_in_the_ledger_without_any_call_to_fanvue(announced: Engine) -> None:
    creator = announced.creator(0)
    announced.drain()
    announced.fanvue.clear_requests()

    _tip(announced, creator, 3)
    _deliver(announced)

    assert announced.fanvue.requests(creator=creator) == []
    announced.assert_exact(creator)
    statuses = announced.database.execute("select status from public.webhook_events").fetchall()
    assert statuses == [("applied",)] * 3


@pytest.mark.parametrize("ids", ["matching", "other", "none"])
def test_books_are_exact_after_the_next_poll_when_webhooks_come(
    announced: Engine, ids: str
) -> None:
    rows = {"ids": "absent"} if ids == "none" else {}
    creators = []
    for knobs in WAYS:
        creator = announced.fanvue.add_creators(transactions=20)[0]["uuid"]
        announced.fanvue.turn(creator, webhook_ids=ids, **rows, **knobs)
        announced.connect(creator)
        creators.append(creator)
    announced.drain()

    for creator in creators:
        announced.fanvue.add_sales(creator, 12)
        announced.fanvue.add_reversals(creator, 2)
    _deliver(announced)
    _poll(announced)
    _assert_exact(announced, creators)

    for creator in creators:
        announced.fanvue.add_sales(creator, 4)
    _poll(announced)
    _deliver(announced)
    _poll(announced)
    _assert_exact(announced, creators)
    left = announced.database.execute(
        "select count(*) from public.fanvue_transactions where origin = 'webhook'"
    ).fetchone()
    assert left == (0,)


def test_nothing_is_lost_or_doubled_when_the_database_stops_during_deliveries(
    announced: Engine, local_stack: Stack
) -> None:
    creator = announced.creator(0)
    announced.drain()
    _tip(announced, creator, 5)
    _deliver(announced)

    local_stack.stop_postgres()
    try:
        _tip(announced, creator, 10)
        _until_refused(announced)
    finally:
        local_stack.start_postgres()
    announced.reconnect()
    _deliver(announced)

    log = announced.fanvue.webhooks(creator)
    refused = [
        attempt["status"]
        for delivery in log["deliveries"]
        for attempt in delivery["attempts"]
        if attempt["status"] not in {200, None}
    ]
    assert refused
    assert set(refused) == {503}
    announced.assert_exact(creator)


@pytest.mark.parametrize("fault", ["the creator is held", "the session is killed"])
def test_what_cannot_be_applied_in_time_is_acknowledged_stored_and_applied_by_the_worker(
    announced: Engine, fault: str
) -> None:
    creator = announced.creator(0)
    announced.drain()
    announced.fanvue.clear_requests()
    holder = psycopg.connect(announced.environment["SUPABASE_DB_URL"])

    with holder, ThreadPoolExecutor(1) as thread:
        holder.execute("select private.lock_model(id) from public.models")
        _tip(announced, creator, 1)
        delivered = thread.submit(_acknowledge, announced)
        if fault == "the session is killed":
            wait_until(lambda: announced.database.execute(_KILL).fetchall())
        delivered.result(PATIENCE_SECONDS)
        (event,) = announced.database.execute(
            "select status, error from public.webhook_events where retry_at is not null"
        ).fetchall()
    assert event[0] == "failed"
    assert ("no answer" in event[1]) == (fault == "the session is killed")
    (delivery,) = announced.fanvue.webhooks(creator)["deliveries"]
    assert [attempt["status"] for attempt in delivery["attempts"]] == [200]
    assert announced.ledger(creator).count == 0

    with announced.worker():
        wait_until(lambda: announced.ledger(creator).count == 1)

    announced.assert_exact(creator)
    events = announced.database.execute("select status from public.webhook_events").fetchall()
    assert events == [("applied",)]


def test_a_ledger_that_takes_too_long_loses_no_announcement(announced: Engine) -> None:
    creator = announced.creator(0)
    announced.drain()

    announced.database.execute(_SLOW)
    try:
        _tip(announced, creator, 1)
        _acknowledge(announced)
        (event,) = announced.database.execute(
            "select status, error from public.webhook_events where retry_at is not null"
        ).fetchall()
    finally:
        announced.database.execute("drop function private.take_long() cascade")
    print(event)  # noqa: T201 - who gave up first, the database or its caller
    assert event[0] == "failed"

    announced.database.execute("select public.retry_webhook_events()")

    announced.assert_exact(creator)


def test_forged_and_stale_deliveries_store_nothing(announced: Engine) -> None:
    announced.fanvue.turn(webhook_forged_probability=1, webhook_retry_seconds=[])
    creator = announced.creator(0)
    announced.drain()

    _tip(announced, creator, 4)
    announced.fanvue.flush_webhooks()

    assert announced.ledger(creator).count == 0
    stored = announced.database.execute("select count(*) from public.webhook_events").fetchone()
    assert stored == (0,)


def test_a_member_reads_over_rest_that_an_event_came_and_not_what_it_said(
    announced: Engine,
) -> None:
    creator = announced.creator(0)
    _tip(announced, creator, 1)
    _deliver(announced)
    user = str(uuid.uuid4())
    announced.database.execute(
        "insert into public.agency_members (agency_id, user_id) select id, %s from public.agencies",
        [user],
    )
    environment = announced.environment
    url = f"{environment['SUPABASE_URL']}/rest/v1/webhook_events"
    headers = {
        "apikey": environment["SUPABASE_PUBLISHABLE_KEY"],
        "authorization": f"Bearer {mint(environment, user)}",
    }

    def read(columns: str) -> tuple[int, Any]:
        reply = httpx.get(
            url, params={"select": columns}, headers=headers, timeout=PATIENCE_SECONDS
        )
        return reply.status_code, reply.json()

    assert read("topic,status") == (
        200,
        [{"topic": "creator.payment.succeeded", "status": "applied"}],
    )
    for columns in ("payload", "payload->data->purchaser", "error", "*"):
        status, refusal = read(columns)
        assert (status, refusal["code"]) == (403, "42501")


def test_a_burst_costs_one_confirming_poll_a_minute_after_the_last_one(announced: Engine) -> None:
    creator = announced.creator(0)
    announced.drain()
    announced.fanvue.clear_requests()

    announced.fanvue.add_sales(creator, BURST)
    _deliver(announced)

    polls = announced.database.execute(
        "select j.run_at >= s.last_sync_at + interval '1 minute'"
        " from public.sync_jobs j join public.sync_state s using (model_id, sync_type)"
    ).fetchall()
    assert polls == [(True,)]
    announced.pass_time(61)
    announced.drain()
    assert announced.run_states(creator) == ["succeeded", "succeeded"]
    announced.assert_exact(creator)


def _tip(engine: Engine, creator: str, count: int) -> None:
    """Let fans tip: rewards that no fan paid are not announced."""
    rows = [{"source": "tip", "gross_cents": 500 + 100 * number} for number in range(count)]
    engine.fanvue.add_sales(creator, rows=rows)


def _deliver(engine: Engine) -> None:
    deliver_all(engine.fanvue, engine.database)


def _acknowledge(engine: Engine) -> None:
    outcome = engine.fanvue.flush_webhooks(PATIENCE_SECONDS)
    assert outcome["done"], outcome


def _poll(engine: Engine) -> None:
    """Read everybody's earnings now."""
    engine.database.execute("select public.enqueue_sync(id, 'earnings') from public.models")
    engine.drain()


def _assert_exact(engine: Engine, creators: list[str]) -> None:
    for way, creator in zip(WAYS, creators, strict=True):
        print(way)  # noqa: T201 - shown when it fails
        engine.assert_exact(creator)


def _until_refused(engine: Engine) -> None:
    """Wait until a delivery was refused at least once."""
    wait_until(lambda: engine.fanvue.flush_webhooks(timeout_seconds=0.1)["refused"] > 0)
