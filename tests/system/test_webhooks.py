"""Money announced by webhook: real deliveries to the real function, books exact in the end.

The simulated Fanvue signs and sends; the function runs in Deno behind the stack's one origin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

FAST_RETRIES = {"webhook_retry_seconds": [0.05] * 20 + [1] * 20}


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
@pytest.mark.parametrize(
    "knobs",
    [
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
    ],
    ids=str,
)
def test_books_are_exact_after_the_next_poll_when_webhooks_come(
    announced: Engine, ids: str, knobs: dict[str, Any]
) -> None:
    announced.fanvue.turn(webhook_ids=ids, **({"ids": "absent"} if ids == "none" else {}), **knobs)
    creator = announced.creator(20)
    announced.drain()

    announced.fanvue.add_sales(creator, 12)
    announced.fanvue.add_reversals(creator, 2)
    _deliver(announced)
    announced.sync(creator)
    announced.assert_exact(creator)

    announced.fanvue.add_sales(creator, 4)
    announced.sync(creator)
    _deliver(announced)
    announced.sync(creator)
    announced.assert_exact(creator)
    left = announced.database.execute(
        "select count(*) from public.fanvue_transactions where origin = 'webhook'"
    ).fetchone()
    assert left == (0,)


def test_nothing_is_lost_or_doubled_when_the_database_stops_during_deliveries(
    announced: Engine, pieces: Stack
) -> None:
    creator = announced.creator(0)
    announced.drain()
    _tip(announced, creator, 5)
    _deliver(announced)

    pieces.stop_postgres()
    try:
        _tip(announced, creator, 10)
        _until_refused(announced)
    finally:
        pieces.start_postgres()
    _deliver(announced)
    announced.reconnect()

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


def test_forged_and_stale_deliveries_store_nothing(announced: Engine) -> None:
    announced.fanvue.turn(webhook_forged_probability=1, webhook_retry_seconds=[])
    creator = announced.creator(0)
    announced.drain()

    _tip(announced, creator, 4)
    announced.fanvue.flush_webhooks()

    assert announced.ledger(creator).count == 0
    stored = announced.database.execute("select count(*) from public.webhook_events").fetchone()
    assert stored == (0,)


def test_burst_of_500_costs_at_most_one_confirming_poll_a_minute(announced: Engine) -> None:
    creator = announced.creator(0)
    announced.drain()
    announced.fanvue.clear_requests()

    announced.fanvue.add_sales(creator, 500)
    _deliver(announced)
    announced.drain(wait_seconds=1)
    assert announced.calls(creator) == []

    announced.pass_time(61)
    announced.drain(wait_seconds=1)
    runs = announced.run_states(creator)
    assert runs == ["succeeded", "succeeded"]
    announced.assert_exact(creator)


def _tip(engine: Engine, creator: str, count: int) -> None:
    """Let fans tip: rewards that no fan paid are not announced."""
    rows = [{"source": "tip", "gross_cents": 500 + 100 * number} for number in range(count)]
    engine.fanvue.add_sales(creator, rows=rows)


def _deliver(engine: Engine) -> None:
    outcome = engine.fanvue.flush_webhooks(timeout_seconds=60)
    assert outcome["done"], outcome


def _until_refused(engine: Engine) -> None:
    """Wait until a delivery was refused at least once."""
    for _ in range(600):
        if engine.fanvue.flush_webhooks(timeout_seconds=0.1)["refused"] > 0:
            return
    raise AssertionError("no delivery was refused")
