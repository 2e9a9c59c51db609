"""What `fanvue-sync status` says first: all is well, or what needs a person and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from worker.commands.attention import find_attention, headline


NOW = "2026-11-02T10:00:00+00:00"


def engine(**changes: Any) -> dict[str, Any]:
    """Return what `engine_status` says of an engine that is well, some of it changed."""
    return {
        "now": NOW,
        "models": {"active": 2, "paused": 1, "reauth_required": 0},
        "jobs": {"queued": 3, "running": 1, "dead": 0, "due": 1, "oldest_due_seconds": 4},
        "streams": {"fresh": 14},
        "runs_24h": {"succeeded": 90, "failed": 2},
        "scheduler": {"pg_cron": {"last_tick_at": "2026-11-02T09:59:20+00:00", "enqueued": 2}},
        "webhooks": {"parked": 0, "failed": 0},
        "drift": None,
    } | changes


def stream(health: str, handle: str | None = "ana", **more: Any) -> dict[str, Any]:
    return {
        "model_id": "3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a10",
        "handle": handle,
        "health": health,
        "consecutive_failures": 0,
        "last_error": None,
    } | more


def jobs(**changes: Any) -> dict[str, Any]:
    return {**engine()["jobs"], **changes}


def test_an_engine_that_works_is_well() -> None:
    found = find_attention(engine(), [stream("fresh"), stream("paused"), stream("syncing")])

    assert found == []
    assert headline(found) == "All is well."


def test_an_engine_without_creators_is_well_though_nothing_ever_ticked() -> None:
    empty = engine(models={"active": 0, "paused": 0, "reauth_required": 0}, scheduler=None)

    assert find_attention(empty | {"streams": None, "webhooks": None}, []) == []


@pytest.mark.parametrize(
    ("changes", "streams", "what", "remedy"),
    [
        (
            {"models": {"active": 1, "reauth_required": 2}},
            [stream("the creator must connect again"), stream("the creator must connect again")],
            "2 creators must connect again (ana)",
            "fanvue-sync connect --replace",
        ),
        (
            {"jobs": jobs(running=0, due=7, oldest_due_seconds=900)},
            [],
            "7 jobs due, the oldest for 15 min, and no worker takes it",
            "fanvue-sync run",
        ),
        (
            {"jobs": jobs(due=40, oldest_due_seconds=900)},
            [],
            "the workers do not keep up",
            "start another: fanvue-sync run",
        ),
        (
            {"scheduler": {"pg_cron": {"last_tick_at": "2026-11-02T09:30:00+00:00"}}},
            [],
            "the schedule last ran 30 min ago",
            "fanvue-sync doctor",
        ),
        ({"scheduler": None}, [], "the schedule never ran", "fanvue-sync doctor"),
        (
            {"jobs": jobs(dead=1)},
            [stream("gave up; tried again when due", handle=None)],
            "1 job gave up (3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a10)",
            "fanvue-sync jobs retry ID",
        ),
        (
            {},
            [stream("failing", consecutive_failures=3, last_error={"message": "HTTP 502"})],
            "1 stream failing again and again (ana): HTTP 502",
            "fanvue-sync doctor",
        ),
        (
            {"streams": {"partial": 1}},
            [stream("partial", last_error={"kind": "partial", "message": "the list shrank"})],
            "1 stream read but not wholly believed (ana): the list shrank",
            "ops.accept_shrink",
        ),
        ({"drift": {"missing": 2, "summary": 1}}, [], "3 findings", "ops.drift"),
        ({"webhooks": {"failed": 1}}, [], "1 announcement of Fanvue", "ops.replay_webhook"),
        ({"webhooks": {"parked": 4}}, [], "4 announcements about creators", "connect them"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_needs_a_person_is_one_sentence_with_its_remedy(
    changes: dict[str, Any], streams: list[dict[str, Any]], what: str, remedy: str
) -> None:
    found = find_attention(engine(**changes), streams)

    assert headline(found) == "1 thing needs attention:"
    assert what in found[0].what
    assert remedy in found[0].remedy


def test_what_failed_once_is_left_to_the_next_attempt() -> None:
    once = stream("failing", consecutive_failures=1, last_error={"message": "HTTP 502"})

    assert find_attention(engine(), [once]) == []


def test_many_things_are_counted_and_many_creators_are_abridged() -> None:
    gone = [stream("the creator must connect again", handle=f"c{n}") for n in range(5)]
    found = find_attention(
        engine(models={"active": 0, "reauth_required": 5}, drift={"missing": 1}), gone
    )

    assert headline(found) == "2 things need attention:"
    assert "(c0, c1, c2 and 2 more)" in found[0].what
