"""The demo's verdict: a sound run keeps every promise, and each kind of damage breaks its own."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from local.demo.audience import Content
from local.demo.books import GrantBooks, ModelBooks
from local.demo.calls import Calls, Readings, Sizes
from local.demo.pace import Pace, pace_of
from local.demo.promises import Records, check_promises, take_figures
from local.demo.watching import Figures, Watched


GROSS, NET = Decimal("120.50"), Decimal("96.40")
MODEL = ModelBooks(
    creator="c1",
    handle="nova",
    status="active",
    count=120,
    gross=GROSS,
    net=NET,
    daily=(120, GROSS, NET),
    revenue_total=GROSS,
)
CONTENT = Content(
    subscribers=frozenset({"f1"}),
    followers=frozenset({"f2", "f3"}),
    chats=frozenset({"f1"}),
    messages=frozenset({"m1", "m2"}),
    posts=frozenset({("p1", 5, 1)}),
)
GRANT = GrantBooks(account="a1", name="Studio Calla", status="active", token_version=3)
# Three pages and two polls of money; two pages of subscribers, read to the end twice, one poll.
CALLS = Calls(
    money=7,
    other=6,
    sizes=Sizes(sales=120, messages=2, chats=1, pages={"c1": {"earnings": 3, "subscribers": 2}}),
    readings={"c1": {"earnings": Readings(1, 2), "subscribers": Readings(2, 1)}},
    news=1,
)
SOUND = Records(
    ours={"c1": MODEL},
    theirs={"c1": {"count": 120, "gross_cents": 12_050, "net_cents": 9_640}},
    our_content={"c1": CONTENT},
    their_content={"c1": CONTENT},
    grants=[GRANT],
    calls=CALLS,
    proof={"models": [{"state": "succeeded", "rows": 120}], "mended": [], "open": 0},
    stats={
        "total": {"throttled": 0, "grace_hits": 0, "chain_kills": 0},
        "creators": {"a1": {"refreshes": 3}},
        "buckets": {"b": {"max_used": 7}},
    },
    runs={
        "outcomes": {"succeeded": 3},
        "streams": {"finished": 8, "all": 8},
        "ticks": 1,
        "webhooks": {"applied": 1, "duplicate_of_api": 1},
        "arrival": {"rows": 2, "p50": 0.1, "p95": 0.2},
    },
    workers=[{"claimed": 3, "pickup_ms": {"p50": 200, "p95": 400}}],
    shift=[{"claimed": 2, "pickup_ms": {"p50": 200, "p95": 400}}],
    deliveries={"deliveries": 2, "delivered": 2},
    queue={"running": 0, "due": 0, "queued": 0, "dead": 0},
    news={"sales": 2, "messages": 1},
    watched=Watched(
        told=4,
        unheard=0,
        figures=[Figures("agency", 120, "120.50", ("miss", "hit"))],
        daily={"agency": (120, "120.50")},
        page="answered 200",
    ),
    pace=Pace(trips=60, p50=0.01, p95=0.03, slowest=0.2),
    announced=12,
    booked=12,
)
# The same run on a machine that is ten times oversubscribed.
SLOW = replace(
    SOUND,
    pace=Pace(trips=60, p50=0.8, p95=4.0, slowest=9.0, stalls=5),
    runs={**SOUND.runs, "arrival": {"rows": 2, "p50": 31.0, "p95": 59.0}},
    shift=[{"claimed": 2, "pickup_ms": {"p50": 20_000, "p95": 90_000}}],
)


def broken(records: Records) -> list[str]:
    return [promise.text for promise in check_promises(records) if not promise.holds]


def with_model(**changes: Any) -> Records:
    return replace(SOUND, ours={"c1": replace(MODEL, **changes)})


def with_total(**changes: int) -> Records:
    return replace(SOUND, stats={**SOUND.stats, "total": {**SOUND.stats["total"], **changes}})


def with_content(**changes: Any) -> Records:
    return replace(SOUND, our_content={"c1": replace(CONTENT, **changes)})


def with_calls(**changes: Any) -> Records:
    return replace(SOUND, calls=replace(CALLS, **changes))


def with_watched(**changes: Any) -> Records:
    return replace(SOUND, watched=replace(SOUND.watched, **changes))


def with_proof(**changes: Any) -> Records:
    return replace(SOUND, proof={**SOUND.proof, **changes})


def with_grant(**changes: Any) -> Records:
    return replace(SOUND, grants=[replace(GRANT, **changes)])


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
        (replace(SOUND, caught_up=False), "everything that happened meanwhile arrived"),
        (with_watched(unheard=1), "members hear every change as it happens"),
        (with_watched(told=0), "members hear every change as it happens"),
        (with_watched(daily={"agency": (120, "120.51")}), "dashboard-stats equals the books"),
        (with_watched(daily={}), "dashboard-stats equals the books"),
        (with_watched(figures=[]), "dashboard-stats equals the books"),
        (
            with_watched(figures=[Figures("agency", 120, "120.50", ("hit", "miss", "miss"))]),
            "dashboard-stats equals the books",
        ),
        (with_watched(page="answered 500"), "the dashboard is served"),
        *(
            (records, "fans, chats, messages and posts equal Fanvue's")
            for records in (
                with_content(subscribers=frozenset()),
                with_content(followers=frozenset({"f2", "f4"})),
                with_content(chats=frozenset({"f1", "f2"})),
                with_content(messages=frozenset({"m1", "m3"})),
                with_content(posts=frozenset({("p1", 4, 1)})),
                replace(SOUND, our_content={}),
                replace(SOUND, their_content={}),
            )
        ),
        (with_model(daily=(120, GROSS, NET + 1)), "daily sums and totals equal the rows"),
        (with_model(revenue_total=GROSS + 1), "daily sums and totals equal the rows"),
        (with_calls(money=10), "few calls for money beside the least possible"),
        (with_calls(money=4), "few calls for money beside the least possible"),
        (with_calls(other=8), "few calls for all else beside the least"),
        (with_calls(other=4), "few calls for all else beside the least"),
        (with_proof(open=1), "reconciliation finds no drift"),
        (with_proof(mended=[{"what": "added"}]), "reconciliation finds no drift"),
        (with_proof(models=[]), "reconciliation finds no drift"),
        (with_runs(streams={"finished": 7, "all": 8}), "every stream finished"),
        (with_runs(streams={"finished": 0, "all": 0}), "every stream finished"),
        (with_total(throttled=1), "the rate limit is never broken"),
        (with_total(grace_hits=1), "each expiry costs one refresh, stored"),
        (with_grant(token_version=2), "each expiry costs one refresh, stored"),
        (with_total(chain_kills=1), "no grant is lost"),
        (with_model(status="reauth_required"), "no grant is lost"),
        (with_grant(status="reauth_required"), "no grant is lost"),
        (with_runs(outcomes={"succeeded": 2, "failed": 1}), "every job succeeds"),
        (replace(SOUND, queue={**SOUND.queue, "dead": 1}), "every job succeeds"),
        (replace(SOUND, workers=[]), "all due work is picked up and settled"),
        *(
            (
                replace(SOUND, queue={**SOUND.queue, state: 1}),
                "all due work is picked up and settled",
            )
            for state in ("due", "running")
        ),
        (with_runs(ticks=0), "pg_cron keeps the schedule"),
        (with_runs(webhooks={"parked": 2}), "every webhook is taken and applied"),
        (
            replace(SOUND, deliveries={"deliveries": 2, "delivered": 1}),
            "every webhook is taken and applied",
        ),
        (replace(SOUND, booked=11), "a sale is in the books by its webhook alone"),
        (replace(SOUND, announced=0, booked=0), "a sale is in the books by its webhook alone"),
    ],
)
def test_damage_breaks_the_promise_it_concerns(records: Records, promise: str) -> None:
    assert promise in broken(records)


@pytest.mark.parametrize(
    "records",
    [
        SLOW,
        # A call left in time and arrived in the next window; a new pair of tokens was stored late;
        # time ran out on a page, which was read again; the cache was passed by.
        replace(SLOW, stats=with_total(throttled=1).stats),
        replace(SLOW, stats=with_total(grace_hits=1).stats),
        replace(SLOW, calls=replace(CALLS, money=12, other=10, late=5)),
        replace(
            SLOW,
            watched=replace(
                SOUND.watched,
                figures=[
                    Figures("agency", 120, "120.50", ("miss", "bypass", "answered 504", "bypass"))
                ],
            ),
        ),
    ],
)
def test_a_slow_machine_breaks_no_promise(records: Records) -> None:
    assert broken(records) == []


@pytest.mark.parametrize(
    ("damage", "promise"),
    [
        ({"booked": 11}, "a sale is in the books by its webhook alone"),
        ({"ours": {"c1": replace(MODEL, count=119)}}, "books of nova equal Fanvue's"),
        ({"queue": {**SOUND.queue, "dead": 1}}, "every job succeeds"),
        ({"grants": [replace(GRANT, token_version=2)]}, "each expiry costs one refresh, stored"),
        ({"stats": with_total(throttled=500).stats}, "the rate limit is never broken"),
        ({"calls": replace(CALLS, money=10)}, "few calls for money beside the least possible"),
    ],
)
def test_a_slow_machine_excuses_no_wrong_engine(damage: dict[str, Any], promise: str) -> None:
    assert promise in broken(replace(SLOW, **damage))


def test_how_fast_it_was_is_told_beside_what_nothing_took() -> None:
    told = {one.text: one.figure for one in take_figures(SLOW)}

    assert told == {
        "from a sale to its row in the books": "p50 31.00 s, p95 59.00 s of 2 rows",
        "from due to claimed": "p50 20.00 s, p95 90.00 s of 2 claims",
        "a call that does nothing, meanwhile": "p50 0.80 s, p95 4.00 s of 60, slowest 9.00 s",
    }


def test_a_machine_stalls_when_a_single_call_that_does_nothing_took_seconds() -> None:
    assert not pace_of([0.1] * 59 + [1.9]).stalled
    assert pace_of([0.1] * 59 + [2.1]) == Pace(60, 0.1, 0.1, 2.1, 1)
    assert pace_of([0.1] * 59 + [2.1]).stalled
    assert pace_of([]).trips == 0


def test_an_account_whose_token_was_never_refreshed_is_noticed() -> None:
    records = replace(SOUND, stats={**SOUND.stats, "creators": {}})

    assert "tokens are refreshed while they are used" in broken(records)


def test_a_creator_whose_money_could_not_be_proved_is_named_with_the_reason() -> None:
    unproved = {"handle": "nova", "state": "failed", "rows": 0, "error": {"message": "away"}}

    verdicts = {one.text: one for one in check_promises(with_proof(models=[unproved]))}

    promise = verdicts["reconciliation finds no drift"]
    assert not promise.holds
    assert "nova: {'message': 'away'}" in promise.figure
