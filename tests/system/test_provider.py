"""What Fanvue does wrong for longer than a moment: refusals, retired paths, lost answers, skew.

A refusal is told to an operator with what to do; the books are exact as soon as Fanvue is well.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.flaky_rest import flaky


if TYPE_CHECKING:
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

EARNINGS = "/insights/earnings$"
SUMMARY = "/insights/earnings/summary$"
SPOILT_SUMMARIES: list[dict[str, Any]] = [
    *({"kind": "status", "status": status} for status in (403, 404, 410, 400, 502)),
    {"kind": "html"},
]
SHAPES = [
    b"[]",
    b'{"overTime": {}}',
    b'{"overTime": [[]]}',
    b'{"overTime": [{"periodStart": "2026-11-01", "gross": 5}]}',
    b'{"overTime": [{"periodStart": "2026-11-01T00:00:00.000Z", "gross": []}]}',
    b'{"overTime": [{"periodStart": "2026-11-01T00:00:00.000Z", "gross": 1e400}]}',
    b'{"overTime": [{"periodStart": "2026-11-01T00:00:00.000Z", "gross": null}]}',
    b'{"overTime": [{"periodStart": "0001-01-01T00:00:00+14:00", "gross": 1}]}',
]


def test_missing_scope_is_told_with_its_remedy_and_touches_nobody_else(engine: Engine) -> None:
    other = engine.creator(40)
    creator = engine.fanvue.add_creators(transactions=40)[0]["uuid"]
    engine.connect(creator, scopes=["read:self", "offline_access"])

    engine.drain()

    state, error = _job(engine, creator)
    assert state == "dead"
    assert error["kind"] == "scope_missing"
    assert "connect the creator again" in error["remedy"]
    assert _model(engine, creator) == ("active", None)
    engine.assert_exact(other)
    assert engine.run_states(other) == ["succeeded"]


def test_refusals_of_everything_end_when_fanvue_gives_in(engine: Engine) -> None:
    refused = {}
    for status, kind in ((403, "scope_missing"), (404, "not_found"), (410, "misconfigured")):
        refused[engine.creator(120)] = kind
        engine.fanvue.add_fault("status", creator=[*refused][-1], status=status)

    engine.drain()

    for creator, kind in refused.items():
        _, error = _job(engine, creator)
        assert error["kind"] == kind
        assert error["remedy"]
        assert _model(engine, creator) == ("active", None)

    engine.fanvue.clear_faults()
    _next_poll(engine)
    for creator in refused:
        engine.assert_exact(creator)
    assert _jobs(engine) == []


def test_hostile_answers_end_their_call_and_nothing_else(engine: Engine) -> None:
    other = engine.creator(40)
    kinds = ("gzip_bomb", "gzipped_twice", "unknown_coding", "huge_body")
    hostile = {engine.creator(40): kind for kind in kinds}
    for creator, kind in hostile.items():
        engine.fanvue.add_fault(kind, creator=creator)

    engine.drain()

    for creator in hostile:
        _, error = _job(engine, creator)
        assert error["kind"] == "provider_contract"
        assert error["message"].startswith("Fanvue's answer is ")
    engine.assert_exact(other)

    engine.fanvue.clear_faults()
    _next_poll(engine)
    for creator in hostile:
        engine.assert_exact(creator)


def test_retired_version_is_nobody_s_fault_and_costs_no_attempt(engine: Engine) -> None:
    engine.fanvue.turn(v1="sunset", unversioned="sunset")
    creator = engine.creator(60)

    for _ in range(3):
        engine.drain()
        engine.pass_time(301)

    attempt = engine.database.execute("select state, attempt from public.sync_jobs").fetchone()
    assert attempt == ("queued", 0)
    assert "2025-06-26" in str(_job(engine, creator)[1]["remedy"])

    engine.fanvue.turn(v1="served")
    engine.drain()
    engine.assert_exact(creator)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cursor_expired"},
        {"kind": "timeout", "moment": "after"},
        {"kind": "reset", "moment": "after"},
        {"kind": "invalid_page_order"},
    ],
    ids=str,
)
def test_one_fault_at_any_call_of_a_walk_costs_no_row(
    engine: Engine, fault: dict[str, Any]
) -> None:
    engine.fanvue.turn(rate_limit=100_000, v1="missing", ids="absent")
    creators = []
    for nth in range(1, 6):
        uuid = engine.fanvue.add_creators(transactions=110)[0]["uuid"]
        _reverse_in_tens(engine, uuid, 60)
        engine.fanvue.add_fault(path="^/(v1/)?insights/", creator=uuid, nth=nth, **fault)
        engine.connect(uuid)
        creators.append(uuid)

    # The worker waits for nothing but the answer that never comes, and gives that up soon.
    patience = "3" if fault["kind"] == "timeout" else "120"
    engine.drain(FANVUE_TIMEOUT_SECONDS=patience)
    engine.pass_time(120)
    engine.drain(FANVUE_TIMEOUT_SECONDS=patience)

    assert [rule["hits"] for rule in engine.fanvue.faults()] == [1] * 5
    engine.fanvue.clear_faults()
    for creator in creators:
        engine.assert_exact(creator)
        assert engine.run_states(creator)[-1] == "succeeded"


@pytest.mark.parametrize("knobs", [{}, {"dates_truncated_to_day": True, "ids": "absent"}], ids=str)
def test_cursor_that_expired_while_the_walk_rested_is_done_without(
    engine: Engine, knobs: dict[str, Any]
) -> None:
    engine.fanvue.turn(rate_limit=100_000, **knobs)
    creator = engine.creator(400, days=3)
    with flaky(engine.environment["FANVUE_API_URL"]) as fanvue:
        refused = b'{"errors": ["cursor is invalid or has expired"]}'
        rules = [fanvue.refuse("earnings", nth, status=400, body=refused) for nth in (3, 6)]
        engine.drain(FANVUE_API_URL=fanvue.url, WORKER_SLICE_PAGES="2")

    assert [rule.hits for rule in rules] == [1, 1]
    engine.assert_exact(creator)
    # where dates are days, a day that was not shown in one go is not proved, and that is said
    assert set(engine.run_states(creator)) <= {"succeeded", *(["partial"] if knobs else [])}


def test_summary_that_is_refused_or_broken_holds_no_proof_for_ever(engine: Engine) -> None:
    for fault in SPOILT_SUMMARIES:
        creator = engine.creator(120)
        engine.fanvue.add_fault(path=SUMMARY, creator=creator, **fault)
    engine.drain(wait_seconds=0)
    engine.database.execute("select public.enqueue_reconcile(null, 30)")

    for _ in range(3):
        engine.drain(wait_seconds=0)
        engine.pass_time(60)

    assert _proofs(engine) == ["partial"] * len(engine.models)
    for creator in engine.models:
        engine.assert_exact(creator)
    assert _jobs(engine) == []


def test_summary_of_another_shape_is_taken_for_none(engine: Engine) -> None:
    for _ in SHAPES:
        engine.creator(60)
    engine.drain()
    engine.database.execute("select public.enqueue_reconcile(null, 30)")
    with flaky(engine.environment["FANVUE_API_URL"]) as fanvue:
        spoilt = [fanvue.spoil_answer("summary", body, nth) for nth, body in enumerate(SHAPES, 1)]
        engine.drain(FANVUE_API_URL=fanvue.url)

    assert [rule.hits for rule in spoilt] == [1] * len(SHAPES)
    assert _proofs(engine) == ["partial"] * len(SHAPES)
    for creator in engine.models:
        engine.assert_exact(creator)


@pytest.mark.parametrize("skew", [-60, 60])
def test_minute_between_fanvue_s_clock_and_ours_costs_no_row(engine: Engine, skew: int) -> None:
    engine.fanvue.advance(skew)
    creator = engine.creator(120)
    engine.drain()

    for _ in range(3):
        engine.pass_time(900)
        now = datetime.fromisoformat(engine.fanvue.clock()["now"]).astimezone(UTC)
        engine.fanvue.add_sales(
            creator, 3, since=(now - timedelta(seconds=2)).isoformat(), until=now.isoformat()
        )
        engine.sync(creator)
        engine.assert_exact(creator)

    assert set(engine.run_states(creator)) == {"succeeded"}


@pytest.mark.parametrize("skew", [-60, 60])
def test_rate_limit_is_waited_out_by_fanvue_s_clock(engine: Engine, skew: int) -> None:
    engine.fanvue.advance(skew)
    engine.fanvue.turn(rate_limit=2)
    creator = engine.creator(120)

    for _ in range(3):
        engine.drain(wait_seconds=0)
        engine.pass_time(63)

    assert engine.fanvue.stats()["creators"][creator].get("throttled", 0) <= 1
    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["succeeded"]


def _reverse_in_tens(engine: Engine, creator: str, count: int) -> None:
    """Take sales back, ten in an instant, so that no instant lies on two pages of fifty.

    Of two equal rows without ids, one on each side, nobody can tell whether one was repeated.
    """
    now = datetime.fromisoformat(engine.fanvue.clock()["now"])
    for seconds in range(count // 10):
        at = (now - timedelta(seconds=seconds)).isoformat()
        engine.fanvue.add_reversals(creator, 10, at=at)


def _next_poll(engine: Engine) -> None:
    engine.pass_time(3600)
    engine.database.execute("select public.enqueue_due('test')")
    engine.drain()


def _job(engine: Engine, creator: str) -> tuple[str, dict[str, str]]:
    row = engine.database.execute(
        "select state, last_error from public.sync_jobs"
        " where model_id = %s and sync_type = 'earnings'",
        (engine.models[creator],),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _jobs(engine: Engine) -> list[tuple[Any, ...]]:
    return engine.database.execute("select sync_type, state from public.sync_jobs").fetchall()


def _model(engine: Engine, creator: str) -> tuple[str, str | None]:
    row = engine.database.execute(
        "select status, status_reason from public.models where id = %s", (engine.models[creator],)
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _proofs(engine: Engine) -> list[str]:
    rows = engine.database.execute(
        "select state from public.sync_runs where sync_type = 'reconcile'"
    ).fetchall()
    return [row[0] for row in rows]
