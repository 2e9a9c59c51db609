"""Every way in which a job can end has one fate, decided here for each error there is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.clock import NOON, ManualClock
from worker.errors import (
    CursorExpired,
    DatabaseUnavailable,
    Gone,
    GrantError,
    GrantInvalid,
    GrantMoved,
    LeaseLost,
    Misconfigured,
    NotFound,
    ProviderContract,
    Rejected,
    SchemaMissing,
    ScopeMissing,
    SealBroken,
    SyncError,
    Throttled,
    Transient,
    Unauthorized,
    Unavailable,
    UsageError,
)
from worker.fanvue.calls import RequestMeter
from worker.fanvue.verdicts import EmptyRefusal, VersionRetired
from worker.jobs.outcomes import (
    CONFIGURATION_PAUSE,
    SHORTEST_SNOOZE,
    Cancelled,
    Done,
    Result,
    Yielded,
    settle_error,
    settle_result,
)
from worker.store.database import DatabaseBroken
from worker.store.jobs import Job


JOB = Job(
    id=7,
    lease_id=70,
    agency_id="agency",
    model_id="model",
    sync_type="earnings",
    attempt=1,
    max_attempts=8,
    priority=20,
    bucket="app:creator",
    creator_uuid=None,
    handle=None,
    waited=timedelta(0),
)
METER = RequestMeter(requests=3, throttled=1, waited_ms=40)
STATS = {"requests": 3, "throttled": 1, "waited_ms": 40}

# retry counts an attempt, snooze does not, fail leaves the queue, dead waits for a person.
FATES: dict[type[SyncError], tuple[str, timedelta | None] | None] = {
    SyncError: ("retry", None),
    Transient: ("retry", None),
    Throttled: ("snooze", timedelta(seconds=23)),
    CursorExpired: ("retry", None),
    EmptyRefusal: ("retry", None),
    DatabaseUnavailable: ("retry", None),
    DatabaseBroken: ("retry", None),
    GrantError: ("retry", None),
    Unauthorized: ("retry", None),
    GrantMoved: ("snooze", SHORTEST_SNOOZE),
    GrantInvalid: ("fail", None),
    ScopeMissing: ("dead", None),
    ProviderContract: ("retry", None),
    Unavailable: ("dead", None),
    NotFound: ("dead", None),
    Gone: ("dead", None),
    VersionRetired: ("dead", None),
    Rejected: ("retry", None),
    LeaseLost: None,
    Misconfigured: ("snooze", CONFIGURATION_PAUSE),
    SchemaMissing: ("snooze", CONFIGURATION_PAUSE),
    SealBroken: ("snooze", CONFIGURATION_PAUSE),
    UsageError: ("retry", None),
}


def every_error() -> list[type[SyncError]]:
    found, waiting = [], [SyncError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return sorted(
        (kind for kind in found if _may_reach_a_job(kind.__module__)),
        key=lambda kind: kind.__name__,
    )


def _may_reach_a_job(module: str) -> bool:
    return module.startswith("worker.") and not module.startswith("worker.commands")


def build(kind: type[SyncError], message: str) -> SyncError:
    if kind is Throttled:
        return Throttled(message, until=NOON + timedelta(seconds=23))
    return kind(message)


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_decided_fate(kind: type[SyncError]) -> None:
    assert kind in FATES, f"decide what becomes of a job that raises {kind.__name__}"

    settled = settle_error(JOB, build(kind, "it broke"), METER, ManualClock())

    fate = None if settled is None else (settled.outcome, settled.retry_in)
    assert fate == FATES[kind]


def test_no_decision_is_left_over() -> None:
    assert set(FATES) == set(every_error())


def test_a_bug_is_dead_and_keeps_its_trace() -> None:
    settled = settle_error(JOB, _raised(ZeroDivisionError("by zero")), METER, ManualClock())

    assert settled is not None
    assert (settled.outcome, settled.retry_in) == ("dead", None)
    assert settled.error is not None
    assert settled.error["kind"] == "bug"
    assert settled.error["message"] == "ZeroDivisionError: by zero"
    assert "in _raised" in settled.error["trace"]


def test_a_long_trace_is_cut() -> None:
    def deeper(levels: int) -> None:
        if levels == 0:
            raise KeyError("deep")
        deeper(levels - 1)

    with pytest.raises(KeyError) as caught:
        deeper(300)
    settled = settle_error(JOB, caught.value, METER, ManualClock())

    assert settled is not None
    assert settled.error is not None
    assert len(settled.error["trace"]) < 5000


@pytest.mark.parametrize(
    "secret",
    [
        "Bearer abcdef.123456",
        "fse1.k1.AAAABBBBCCCC",
        "eyJhbGciOi.eyJzdWIiOi.signature",
        "ory_rt_verysecret",
        "sb_secret_verysecret",
    ],
)
@pytest.mark.parametrize("kind", [*every_error(), RuntimeError], ids=lambda kind: kind.__name__)
def test_no_error_carries_a_secret_into_the_job(kind: type[Exception], secret: str) -> None:
    message = f"failed with {secret} in hand"
    error = build(kind, message) if issubclass(kind, SyncError) else kind(message)

    settled = settle_error(JOB, _raised(error), METER, ManualClock())

    shown = "" if settled is None else json.dumps(settled.as_item())
    assert secret not in shown
    assert secret.removeprefix("Bearer ") not in shown


def test_a_cause_with_a_secret_is_scrubbed_in_the_trace_too() -> None:
    error = RuntimeError("outside")
    error.__cause__ = ValueError("refresh_token=verysecret42")

    settled = settle_error(JOB, _raised(error), METER, ManualClock())

    assert settled is not None
    assert settled.error is not None
    assert "refresh_token" in settled.error["trace"]
    assert "verysecret42" not in json.dumps(settled.as_item())


@pytest.mark.parametrize("kind", [Transient, CursorExpired, DatabaseUnavailable, ProviderContract])
def test_a_retry_waits_as_long_as_the_other_side_asked(kind: type[SyncError]) -> None:
    error = kind("later")
    error.retry_after = timedelta(seconds=90)

    settled = settle_error(JOB, error, METER, ManualClock())

    assert settled is not None
    assert settled.as_item()["retry_in_s"] == 90


def test_a_throttle_that_is_over_still_pauses_a_moment() -> None:
    past = Throttled("empty", until=datetime(2020, 1, 1, tzinfo=UTC))

    settled = settle_error(JOB, past, METER, ManualClock())

    assert settled is not None
    assert settled.retry_in == SHORTEST_SNOOZE


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Done(), {"outcome": "done", "state": "succeeded"}),
        (
            Done(partial="2 rows"),
            {
                "outcome": "done",
                "state": "partial",
                "error": {"kind": "partial", "message": "2 rows"},
            },
        ),
        (Yielded(), {"outcome": "yield"}),
        (
            Cancelled(),
            {
                "outcome": "cancelled",
                "error": {"kind": "cancelled", "message": "stopped on request"},
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_result_settles_with_what_it_cost(result: Result, expected: dict[str, Any]) -> None:
    item = settle_result(JOB, result, METER).as_item()

    stream = {"model_id": JOB.model_id, "sync_type": JOB.sync_type}
    assert item == {"id": 7, "lease_id": 70, "stats": STATS, **stream, **expected}


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught
