"""The demo's verdict: a sound run keeps every promise, and each kind of damage breaks its own."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from local.demo.books import ModelBooks
from local.demo.promises import Records, check_promises


GROSS, NET = Decimal("120.50"), Decimal("96.40")
MODEL = ModelBooks(
    creator="c1",
    handle="nova",
    status="active",
    token_version=3,
    count=120,
    gross=GROSS,
    net=NET,
    daily=(120, GROSS, NET),
    revenue_total=GROSS,
)
SOUND = Records(
    ours={"c1": MODEL},
    theirs={"c1": {"count": 120, "gross_cents": 12_050, "net_cents": 9_640}},
    histories={"c1": 118},
    stats={
        "total": {"calls": 7, "throttled": 0, "grace_hits": 0, "chain_kills": 0},
        "creators": {"c1": {"refreshes": 2}},
        "buckets": {"b": {"max_used": 7}},
    },
    runs={
        "outcomes": {"succeeded": 3},
        "syncs": 3,
        "ticks": 1,
        "webhooks": {"applied": 1, "duplicate_of_api": 1},
        "arrival": {"rows": 2, "p50": 0.1, "p95": 0.2},
    },
    workers=[{"claimed": 3, "pickup_ms": {"p50": 200, "p95": 400}}],
    deliveries={"deliveries": 2, "delivered": 2},
    queue={"running": 0, "due": 0, "queued": 0, "dead": 0},
    sold=2,
    refunded=0,
)


def broken(records: Records) -> list[str]:
    return [promise.text for promise in check_promises(records) if not promise.holds]


def with_model(**changes: Any) -> Records:
    return replace(SOUND, ours={"c1": replace(MODEL, **changes)})


def with_total(**changes: int) -> Records:
    return replace(SOUND, stats={**SOUND.stats, "total": {**SOUND.stats["total"], **changes}})


def with_runs(**changes: Any) -> Records:
    return replace(SOUND, runs={**SOUND.runs, **changes})


def test_a_sound_run_keeps_every_promise() -> None:
    promises = check_promises(SOUND)

    assert broken(SOUND) == []
    assert all(promise.figure for promise in promises)


@pytest.mark.parametrize(
    ("records", "promise"),
    [
        (with_model(count=119, daily=(119, GROSS, NET)), "books of nova equal Fanvue's"),
        (with_model(net=NET + 1, daily=(120, GROSS, NET + 1)), "books of nova equal Fanvue's"),
        (replace(SOUND, ours={}), "books of c1 equal Fanvue's"),
        (replace(SOUND, caught_up=False), "everything sold meanwhile arrived"),
        (with_model(daily=(120, GROSS, NET + 1)), "daily sums and totals equal the rows"),
        (with_model(revenue_total=GROSS + 1), "daily sums and totals equal the rows"),
        (with_total(calls=11), "few calls beside the least possible"),
        (with_total(throttled=1), "the rate limit is never broken"),
        (with_total(grace_hits=1), "each expiry costs one refresh, stored"),
        (with_model(token_version=2), "each expiry costs one refresh, stored"),
        (with_total(chain_kills=1), "no grant is lost"),
        (with_model(status="reauth_required"), "no grant is lost"),
        (with_runs(outcomes={"succeeded": 2, "failed": 1}), "every job succeeds"),
        (replace(SOUND, queue={**SOUND.queue, "dead": 1}), "every job succeeds"),
        (
            replace(SOUND, workers=[{"claimed": 3, "pickup_ms": {"p50": 200, "p95": 9000}}]),
            "due work is picked up at once",
        ),
        (with_runs(ticks=0), "pg_cron keeps the schedule"),
        (with_runs(webhooks={"parked": 2}), "every webhook is taken and applied"),
        (
            replace(SOUND, deliveries={"deliveries": 2, "delivered": 1}),
            "every webhook is taken and applied",
        ),
        (
            with_runs(arrival={"rows": 2, "p50": 31.0, "p95": 59.0}),
            "a sale is in the books within seconds",
        ),
    ],
)
def test_damage_breaks_the_promise_it_concerns(records: Records, promise: str) -> None:
    assert promise in broken(records)


def test_a_creator_whose_token_was_never_refreshed_is_noticed() -> None:
    records = replace(SOUND, stats={**SOUND.stats, "creators": {}})

    assert "tokens are refreshed while they are used" in broken(records)
