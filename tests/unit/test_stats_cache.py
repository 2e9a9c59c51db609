"""Cached figures follow commits, rarely enough, and nothing that fails there reaches a job."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from tests.support.clock import ManualClock
from worker import stats_cache
from worker.cache import CacheUnavailable, DayRange
from worker.errors import DatabaseUnavailable
from worker.stats_cache import GATHERING, MOST_RANGES, PAUSE, UNREAD, StatsCache


if TYPE_CHECKING:
    from datetime import datetime

    import pytest


JUNE = DayRange("2026-06-01", "2026-06-30")
JULY = DayRange("2026-07-01", "2026-07-31")
SECOND = timedelta(seconds=1)


@dataclass
class Bench:
    """A shelf and figures in memory."""

    clock: ManualClock = field(default_factory=ManualClock)
    ranges: dict[str, list[DayRange]] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)
    replaced: list[tuple[str, DayRange]] = field(default_factory=list)
    shelf_fault: Exception | None = None
    figures_fault: Exception | None = None
    deaf: bool = False

    def __post_init__(self) -> None:
        self.cache = StatsCache(self, self.figures, self.clock)

    async def ranges_read(self, agency_id: str, _now: datetime) -> list[DayRange]:
        if self.deaf:
            await asyncio.Event().wait()
        if self.shelf_fault is not None:
            raise self.shelf_fault
        self.looked.append(agency_id)
        return self.ranges.get(agency_id, [])

    async def replace(self, agency_id: str, days: DayRange, stats: dict[str, Any]) -> None:
        assert stats == {"stamp": f"{agency_id} {days.first}"}
        self.replaced.append((agency_id, days))

    async def figures(self, agency_id: str, days: DayRange) -> dict[str, Any]:
        if self.figures_fault is not None:
            raise self.figures_fault
        return {"stamp": f"{agency_id} {days.first}"}


async def test_ranges_that_are_read_are_replaced_after_a_change() -> None:
    b = Bench(ranges={"a": [JUNE, JULY], "b": [JUNE]})
    async with b.cache.warming():
        b.cache.changed("a")
        await b.clock.advance(GATHERING - SECOND)
        assert b.looked == []
        await b.clock.advance(SECOND)

        assert b.replaced == [("a", JUNE), ("a", JULY)]


async def test_many_changes_are_one_refresh_of_each_agency_in_half_a_minute() -> None:
    b = Bench(ranges={"a": [JUNE], "b": [JULY]})
    async with b.cache.warming():
        for _ in range(120):
            b.cache.changed("a")
            b.cache.changed("b")
            await b.clock.advance(SECOND)

        assert [b.looked.count("a"), b.looked.count("b")] == [4, 4]


async def test_the_last_change_is_never_left_out() -> None:
    b = Bench(ranges={"a": [JUNE]})
    async with b.cache.warming():
        b.cache.changed("a")
        await b.clock.advance(GATHERING)
        b.cache.changed("a")
        await b.clock.advance(GATHERING)

        assert len(b.replaced) == 2


async def test_without_readers_the_database_is_not_asked() -> None:
    b = Bench(figures_fault=AssertionError("asked"))
    async with b.cache.warming():
        b.cache.changed("a")
        await b.clock.advance(GATHERING)

    assert b.looked == ["a"]


async def test_whether_somebody_reads_again_is_asked_five_minutes_later() -> None:
    b = Bench()
    async with b.cache.warming():
        for _ in range(2):
            b.cache.changed("a")
            await b.clock.advance(GATHERING)
        assert b.looked == ["a"]

        b.ranges["a"] = [JUNE]
        b.cache.changed("a")
        await b.clock.advance(UNREAD)
        assert b.looked == ["a"]
        b.cache.changed("a")
        await b.clock.advance(GATHERING)

    assert b.replaced == [("a", JUNE)]


async def test_only_the_ranges_read_last_are_refreshed() -> None:
    ranges = [DayRange(f"2026-06-{day:02}", "2026-06-30") for day in range(1, 20)]
    b = Bench(ranges={"a": ranges})
    async with b.cache.warming():
        b.cache.changed("a")
        await b.clock.advance(GATHERING)

    assert [days for _, days in b.replaced] == ranges[:MOST_RANGES]


async def test_a_failure_is_told_once_left_alone_for_a_while_and_recovered_from() -> None:
    b = Bench(ranges={"a": [JUNE]}, shelf_fault=CacheUnavailable("Redis is down"))
    with structlog.testing.capture_logs() as logs:
        async with b.cache.warming():
            for _ in range(3):
                b.cache.changed("a")
                await b.clock.advance(PAUSE)
            b.cache.changed("a")
            b.shelf_fault = None
            await b.clock.advance(PAUSE)
            b.cache.changed("a")
            await b.clock.advance(GATHERING)

    assert [entry["event"] for entry in logs] == ["stats_cache_failing", "stats_cache_recovered"]
    assert logs[0]["reason"] == "Redis is down"
    assert len(b.replaced) == 2


async def test_while_it_fails_nothing_is_asked() -> None:
    b = Bench(shelf_fault=CacheUnavailable("Redis is down"))
    async with b.cache.warming():
        b.cache.changed("a")
        await b.clock.advance(GATHERING)
        b.shelf_fault = None
        b.cache.changed("b")
        await b.clock.advance(PAUSE - SECOND)
        assert b.looked == []
        await b.clock.advance(SECOND)

        assert b.looked == ["b"]


async def test_a_database_that_is_away_and_a_fault_of_ours_are_failures_like_any() -> None:
    for fault in (DatabaseUnavailable("away"), KeyError("stamp")):
        b = Bench(ranges={"a": [JUNE]}, figures_fault=fault)
        with structlog.testing.capture_logs() as logs:
            async with b.cache.warming():
                b.cache.changed("a")
                await b.clock.advance(GATHERING)

        assert [entry["event"] for entry in logs] == ["stats_cache_failing"]


async def test_what_waits_when_the_worker_ends_is_done_at_once() -> None:
    b = Bench(ranges={"a": [JUNE], "b": [JULY]})
    async with b.cache.warming():
        b.cache.changed("a")
        b.cache.changed("b")

    assert b.replaced == [("a", JUNE), ("b", JULY)]


async def test_what_waits_is_dropped_when_the_cache_fails() -> None:
    b = Bench(shelf_fault=CacheUnavailable("Redis is down"))
    async with b.cache.warming():
        for agency in "abc":
            b.cache.changed(agency)

    assert b.looked == []


async def test_a_deaf_redis_does_not_keep_the_worker_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stats_cache, "FINISH_SECONDS", 0.01)
    b = Bench(deaf=True)
    with structlog.testing.capture_logs() as logs:
        async with b.cache.warming():
            b.cache.changed("a")
            b.cache.changed("b")

    assert [entry["event"] for entry in logs] == ["stats_cache_left"]
    assert b.replaced == []


async def test_a_refresh_underway_when_the_worker_ends_is_done_again_or_dropped() -> None:
    b = Bench(ranges={"a": [JUNE]}, deaf=True)
    async with b.cache.warming():
        b.cache.changed("a")
        await b.clock.advance(GATHERING)
        b.deaf = False

    assert b.replaced == [("a", JUNE)]
