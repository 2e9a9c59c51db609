"""What `fanvue-sync status` says first: all is well, or what needs a person and what to do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from worker.commands.attention import headline, read_attention
from worker.commands.status import glance


TROUBLE = {
    "question": "Did any job give up?",
    "what": "3 jobs\nare dead",
    "remedy": "select ops.retry_job(4711);",
    "where_to_look": "ops.dead_jobs",
}


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "All is well."),
        (1, "1 thing needs attention:"),
        (2, "2 things need attention:"),
    ],
)
def test_the_first_line_says_whether_there_is_anything_to_do(count: int, said: str) -> None:
    assert headline(read_attention([TROUBLE] * count)) == said


def test_each_thing_is_one_line_with_its_remedy_and_where_to_look() -> None:
    (found,) = read_attention([TROUBLE])

    assert found.line() == (
        "Did any job give up? 3 jobs are dead; select ops.retry_job(4711) (ops.dead_jobs)"
    )


def test_programs_get_the_same_words() -> None:
    (found,) = read_attention([TROUBLE])

    assert found.as_json() == TROUBLE | {"what": "3 jobs are dead"}


@pytest.mark.parametrize(
    ("newer", "said"),
    [({}, "7 fresh"), ({"at_least": {"streams": ["fresh"], "runs_24h": None}}, "at least 7 fresh")],
)
def test_figures_of_a_schema_older_than_the_worker_are_shown(
    newer: dict[str, object], said: str
) -> None:
    engine = {
        "models": {"active": 1},
        "jobs": {"running": 0, "due": 0, "queued": 0, "dead": 0, "oldest_due_seconds": None},
        "streams": {"fresh": 7},
        **dict.fromkeys(("scheduler", "runs_24h", "webhooks", "drift")),
        **newer,
    }

    lines = glance(engine, datetime(2026, 11, 20, 12, tzinfo=UTC))

    assert f"streams   {said}" in lines
