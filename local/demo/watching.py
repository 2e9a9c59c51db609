"""What somebody who watches got: the messages, the figures and the page. Judges it; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.demo.promise import Promise


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Figures:
    """What `dashboard-stats` said of an agency."""

    agency_id: str
    transactions: int
    # US dollars, as text.
    gross: str
    # What the x-cache header said, each time it was asked.
    caches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """What a member saw, beside what there was to see."""

    # Messages to the agencies' topics since the member listened, and how many never came.
    told: int
    unheard: int
    figures: Sequence[Figures]
    # Our daily sums by agency: count and gross.
    daily: Mapping[str, tuple[int, str]]
    # How the dashboard's first page answered, or why it is not there.
    page: str


def judge_watching(watched: Watched) -> list[Promise]:
    """Judge what a member saw."""
    return [_pushes(watched), _figures(watched), _page(watched)]


def _pushes(watched: Watched) -> Promise:
    figure = f"{watched.told - watched.unheard:,} of {watched.told:,} messages"
    return Promise(
        "members hear every change as it happens", figure, not watched.unheard and watched.told > 0
    )


def _figures(watched: Watched) -> Promise:
    wrong = [
        one.agency_id
        for one in watched.figures
        if (one.transactions, one.gross) != watched.daily.get(one.agency_id)
    ]
    kept = sum("hit" in one.caches[1:] for one in watched.figures)
    figure = (
        f"{len(watched.figures) - len(wrong)} of {len(watched.figures)} agencies, "
        f"{kept} from the cache when asked again"
    )
    # A function that waited for Redis for too long goes on without it: that is the machine's doing.
    never = [one for one in watched.figures if set(one.caches[1:]) <= {"miss"}]
    holds = not wrong and not never and len(watched.figures) > 0
    return Promise("dashboard-stats equals the books", figure, holds)


def _page(watched: Watched) -> Promise:
    return Promise("the dashboard is served", watched.page, watched.page == "answered 200")
