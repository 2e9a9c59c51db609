"""Hours of several creators in simulated time: how fresh, how dear and how exact polling is.

The figures are those of a whole day of fifty creators; `make day` plays that one.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from tests.support.day import Shape
from tests.support.day_killer import RandomKiller
from tests.support.day_run import Outcome, play


pytestmark = pytest.mark.system

EVENING = Shape(
    creators=4,
    minutes=120,
    start=datetime(2026, 11, 2, 17, tzinfo=UTC),
    transactions=200,
    messages=200,
    posts=20,
    subscribers=30,
    followers=60,
)
KILLS = 8


@pytest.fixture(scope="module")
def evening(stack: dict[str, str], silent_cron: None) -> Outcome:
    """Play the evening once; what came of it is judged by several tests."""
    return asyncio.run(play(stack, EVENING))


def test_evening_is_fresh_cheap_and_exact(evening: Outcome) -> None:
    assert not evening.broken


def test_chats_cost_a_poll_each_time_and_a_call_for_each_chat_with_news(evening: Outcome) -> None:
    messages = next(calls for calls in evening.calls if calls.stream == "messages")

    assert messages.made == messages.least


async def test_evening_ends_alike_when_workers_are_killed(
    stack: dict[str, str], silent_cron: None, evening: Outcome
) -> None:
    killer = RandomKiller(KILLS, EVENING.minutes)

    killed = await play(stack, EVENING, killer=killer)

    assert killer.kills == KILLS
    assert killer.interrupted >= KILLS / 3
    assert not killed.broken
    assert killed.digest == evening.digest
