"""How many calls to Fanvue the data costs at least, and whether many more were made. Pure.

Fanvue's own log says how many were made; its sizes at the start and our finished runs say how
many were needed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from local.demo.promise import Promise


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from simulator.truths import Audience, RequestCounts


PAGE_SIZE: Final = 50
UNAUTHORIZED: Final = 401
TOO_MANY: Final = 429
EARNINGS: Final = "earnings"
MONEY_PATHS: Final = ("/insights/earnings", "/insights/spending")
# Who an account is and whom it manages: asked when somebody connects, not by a stream.
CONNECTING_PATHS: Final = ("/users/me", "/creators")
# A first walk looks once more for reversals and at Fanvue's summary.
CALLS_BESIDE_A_HISTORY: Final = 2
MOST_CALLS_OF_A_MONEY_POLL: Final = 2


@dataclass(frozen=True, slots=True)
class Readings:
    """How often one creator's stream was read to its end, and how often only polled."""

    complete: int
    polls: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """What there is to read when the demo begins."""

    sales: int
    messages: int
    chats: int
    # By creator and stream: the pages of a complete reading.
    pages: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Calls:
    """What was called, and what for."""

    money: int
    other: int
    sizes: Sizes
    readings: Mapping[str, Mapping[str, Readings]]
    # How many chats, fans and posts had news meanwhile, at most.
    news: int = 0
    # What a machine that stood still costs beside: calls that were refused, because they came too
    # late, and the pages of what was tried again.
    late: int = 0


def sizes_of(transactions: Mapping[str, int], truths: Mapping[str, Audience]) -> Sizes:
    """Measure what Fanvue says of each creator."""
    return Sizes(
        sales=sum(transactions.values()),
        messages=sum(truth.messages for truth in truths.values()),
        chats=sum(len(truth.chats) for truth in truths.values()),
        pages={
            creator: _pages_of(transactions[creator], truth) for creator, truth in truths.items()
        },
    )


def _pages_of(transactions: int, truth: Audience) -> dict[str, int]:
    lengths = [len(chat.message_uuids) for chat in truth.chats.values()]
    return {
        EARNINGS: _pages(transactions),
        "subscribers": _pages(len(truth.subscribers)),
        "followers": _pages(len(truth.followers)),
        "posts": _pages(len(truth.posts)),
        # The list of chats and each chat's newest page; the history is the rest.
        "messages": _pages(len(lengths)) + len(lengths),
        "message_history": sum(_pages(length) - 1 for length in lengths),
        "top_fans": 1,
        "account": 1,
    }


def count_refused(counts: RequestCounts) -> int:
    """Return how many calls came with a token that had ended, or beyond the rate limit."""
    return counts.sum(status=UNAUTHORIZED) + counts.sum(status=TOO_MANY)


def count_calls(counts: RequestCounts) -> tuple[int, int]:
    """Return how many calls were for money, and how many for everything else."""
    by_path: defaultdict[str, int] = defaultdict(int)
    for (path, *_), count in counts.counts.items():
        by_path[str(path)] += count
    money = sum(count for path, count in by_path.items() if any(p in path for p in MONEY_PATHS))
    connecting = sum(count for path, count in by_path.items() if path.endswith(CONNECTING_PATHS))
    return money, sum(by_path.values()) - money - connecting


def read_readings(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Readings]]:
    """Read finished runs: creator, sync_type, complete, polls."""
    found: dict[str, dict[str, Readings]] = {}
    for row in rows:
        readings = Readings(int(row["complete"]), int(row["polls"]))
        found.setdefault(row["creator"], {})[row["sync_type"]] = readings
    return found


def judge_calls(calls: Calls) -> list[Promise]:
    """Bound what was called by what the data costs at least, plus what is known to be needed."""
    money = _needed(calls, lambda stream: stream == EARNINGS)
    other = _needed(calls, lambda stream: stream != EARNINGS)
    beside_money = len(calls.sizes.pages) * CALLS_BESIDE_A_HISTORY
    beside_money += money.polls * (MOST_CALLS_OF_A_MONEY_POLL - 1)
    # Where a chat begins, its oldest page may not tell; what has news is one more page to read.
    beside_other = calls.sizes.chats + calls.news
    return [
        _judge(
            *("few calls for money beside the least possible", calls.money, money),
            beside_money + calls.late,
        ),
        _judge(
            *("few calls for all else beside the least", calls.other, other),
            beside_other + calls.late,
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Needed:
    pages: int
    polls: int


def _needed(calls: Calls, concerns: Callable[[str], bool]) -> _Needed:
    pages = polls = 0
    for creator, streams in calls.readings.items():
        for stream, readings in streams.items():
            if concerns(stream):
                pages += readings.complete * calls.sizes.pages.get(creator, {}).get(stream, 0)
                polls += readings.polls
    return _Needed(pages, polls)


def _judge(text: str, used: int, needed: _Needed, beside: int) -> Promise:
    least = needed.pages + needed.polls
    figure = (
        f"{used} calls; least {least} ({needed.pages} pages, {needed.polls} polls), "
        f"most {least + beside}"
    )
    return Promise(text, figure, least <= used <= least + beside)


def _pages(rows: int) -> int:
    return max(1, ceil(rows / PAGE_SIZE))
