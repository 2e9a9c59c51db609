"""What a day cost and how fresh it was: figures, each with what it must be.

Calls are counted from Fanvue's own request log, polls from the runs that the schedule made.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from simulator.truths import Audience, Books
    from tests.support.day import Day
    from tests.support.freshness import Freshness


PAGE: Final = 50
# How much of the full refetch is saved at least, and how late a happening may be seen.
SAVED_AT_LEAST: Final = 0.97
LATE_AT_MOST: Final = 1.2
# Fewer happenings of a kind than this say nothing about a 95th percentile: the oldest is judged.
TELLING: Final = 20
OLDEST_OF_FEW: Final = 2
LEAVING: Final = ("cancellations", "unfollows")
DAY: Final = 86_400
SENT: Final = "select count(*) from realtime.messages where topic like 'agency:%'"
# What polling may cost beside polls and news: whole lists once a day, and when somebody left.
OVERHEAD_AT_MOST: Final = 0.15
STREAMS: Final = (
    *("earnings", "messages", "subscribers", "followers", "posts", "top_fans", "account"),
)
_STREAM_OF: Final = (
    (r"/insights/(earnings|spending)", "earnings"),
    (r"/chats", "messages"),
    (r"/subscribers$", "subscribers"),
    (r"/followers$", "followers"),
    (r"/posts$", "posts"),
    (r"/top-spenders$", "top_fans"),
    (r"/account$", "account"),
    (r"/oauth2/token$", "token"),
)


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one stream: made, needed at least, and what refetching would have made."""

    stream: str
    polls: int
    made: int
    least: int
    refetch: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One promise: what it says, what came of it, whether it held."""

    promise: str
    figure: str
    held: bool


def count_calls(day: Day, pages: Mapping[str, int]) -> list[Calls]:
    """Count the day's calls by stream; `pages`: those of every creator's whole lists."""
    counts = day.control.request_counts(by=("template",)).counts
    made: Counter[str] = Counter()
    for (template,), count in counts.items():
        made[_stream_of(str(template))] += count
    polls = day.polls()
    return [
        Calls(
            stream=stream,
            polls=polls[stream],
            made=made[stream],
            least=polls[stream] + (day.watch.talks if stream == "messages" else 0),
            refetch=round(polls[stream] * pages[stream] / len(day.creators)),
        )
        for stream in STREAMS
    ]


def pages_of(truths: Iterable[Audience], books: Mapping[str, Books]) -> Mapping[str, int]:
    """Return how many pages the lists of all creators have together, by stream."""
    pages: Counter[str] = Counter()
    for truth in truths:
        pages["earnings"] += _pages(books[truth.creator].count)
        pages["messages"] += _pages(len(truth.chats))
        pages["messages"] += sum(_pages(len(one.message_uuids)) for one in truth.chats.values())
        pages["subscribers"] += _pages(len(truth.subscribers))
        pages["followers"] += _pages(len(truth.followers))
        pages["posts"] += _pages(len(truth.posts))
        pages["top_fans"] += _pages(len(truth.top_spenders))
        pages["account"] += 1
    return pages


def judge_freshness(figures: Iterable[Freshness]) -> list[Figure]:
    """Say of every kind of happening how old it was when it was first seen here."""
    return [_judge_leaving(one) if one.kind in LEAVING else _judge(one) for one in figures]


def _judge(one: Freshness) -> Figure:
    return Figure(
        f"{one.kind} seen within {one.interval * LATE_AT_MOST / 60:.0f} min (p95)",
        _ages(one),
        one.p95 <= one.interval * LATE_AT_MOST
        if one.count >= TELLING
        else one.oldest <= one.interval * OLDEST_OF_FEW,
    )


def _judge_leaving(one: Freshness) -> Figure:
    """No list says who left: the account's figures hint at it, a daily reading proves it."""
    return Figure(
        f"{one.kind} seen within {one.interval * LATE_AT_MOST / 60:.0f} min (p50), all in a day",
        _ages(one),
        (one.count < TELLING or one.median <= one.interval * LATE_AT_MOST) and one.oldest <= DAY,
    )


def _ages(one: Freshness) -> str:
    return (
        f"p50 {one.median / 60:.1f}, p95 {one.p95 / 60:.1f}, max {one.oldest / 60:.1f} min"
        f" of {one.count}"
    )


def judge_calls(day: Day, calls: Sequence[Calls]) -> list[Figure]:
    """Say what the day's calls were and would have been."""
    made, least = sum(one.made for one in calls), sum(one.least for one in calls)
    refetch = sum(one.refetch for one in calls)
    share = 1440 / day.shape.minutes / len(day.creators)
    saved, overhead = 1 - made / refetch, made / least - 1
    return [
        Figure(
            f"at least {SAVED_AT_LEAST:.0%} fewer calls than refetching every page",
            f"{saved:.2%}: {made * share:,.0f} instead of {refetch * share:,.0f}"
            " per creator and day",
            saved >= SAVED_AT_LEAST,
        ),
        Figure(
            f"at most {OVERHEAD_AT_MOST:.0%} more calls than polls and news need",
            f"{overhead:.1%}: {made * share:,.1f} for {least * share:,.1f} per creator and day",
            overhead <= OVERHEAD_AT_MOST,
        ),
    ]


def judge_health(day: Day) -> list[Figure]:
    """Say whether anything was refused, failed or died."""
    refused = day.control.request_counts(by=("status",)).sum(status=429)
    dead = day.count("select count(*) from public.sync_jobs where state = 'dead'")
    failed = day.count("select count(*) from public.sync_runs where state <> 'succeeded'")
    active = day.count("select count(*) from public.models where status = 'active'")
    return [
        Figure("no call is refused for its rate", f"{refused} answers 429", not refused),
        Figure("no job dies", f"{dead} dead, {failed} runs not succeeded", not dead and not failed),
        Figure(
            "every grant lives on",
            f"{active} of {len(day.creators)} creators active",
            active == len(day.creators),
        ),
    ]


def judge_pushes(day: Day) -> Figure:
    """Say how many messages were sent, and whether any commit sent two to one topic."""
    told = day.count(SENT) - day.sent_before
    most = day.count(
        "select coalesce(max(x.messages), 0) from (select count(*) as messages"
        " from realtime.messages where topic like 'agency:%' group by xmin::text, topic) x"
    )
    share = 1440 / day.shape.minutes / len(day.creators)
    return Figure(
        "a commit sends one message at most",
        f"{told:,} messages, {told * share:,.0f} per creator and day; at most {most} per commit",
        most <= 1,
    )


def judge_exactness(differences: Sequence[str], what: str) -> Figure:
    """Say whether our tables are the truth."""
    told = "no difference" if not differences else "; ".join(differences[:3])
    return Figure(what, told, not differences)


def as_json(calls: Sequence[Calls], freshness: Sequence[Freshness]) -> dict[str, Any]:
    """Return the plain figures for programs."""
    return {
        "calls": [asdict(one) for one in calls],
        "freshness": [asdict(one) for one in freshness],
    }


def _pages(rows: int) -> int:
    return max(1, -(-rows // PAGE))


def _stream_of(template: str) -> str:
    return next((stream for pattern, stream in _STREAM_OF if re.search(pattern, template)), "other")
