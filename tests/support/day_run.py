"""Plays a day from its first connection to the last comparison, and says what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.day import new_day
from tests.support.day_costs import CostMeter, judge_costs
from tests.support.day_figures import (
    SENT,
    as_json,
    count_calls,
    judge_calls,
    judge_exactness,
    judge_freshness,
    judge_health,
    judge_pushes,
    pages_of,
)
from tests.support.day_grants import connect
from tests.support.digest import digest
from tests.support.exactness import audience_differences, money_differences
from tests.support.news import News


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.support.day import Day, Shape
    from tests.support.day_costs import Costs
    from tests.support.day_figures import Calls, Figure
    from tests.support.day_killer import RandomKiller
    from tests.support.freshness import Freshness


@dataclass(slots=True)
class Outcome:
    """What came of a day."""

    figures: list[Figure] = field(default_factory=list)
    calls: Sequence[Calls] = ()
    freshness: Sequence[Freshness] = ()
    digest: Mapping[str, str] = field(default_factory=dict)
    happenings: int = 0
    costs: Costs | None = None

    @property
    def broken(self) -> list[Figure]:
        """Return the promises that did not hold."""
        return [figure for figure in self.figures if not figure.held]

    def as_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {
            "figures": [
                {"promise": one.promise, "figure": one.figure, "ok": one.held}
                for one in self.figures
            ],
            "happenings": self.happenings,
            "digest": dict(self.digest),
            "costs": self.costs.as_json() if self.costs else None,
            **as_json(self.calls, self.freshness),
        }


def _silence(_: str) -> None:
    return None


async def play(
    stack: dict[str, str],
    shape: Shape,
    *,
    killer: RandomKiller | None = None,
    told: Callable[[str], None] = _silence,
) -> Outcome:
    """Play a day; with a killer only what must hold all the same is judged."""
    outcome = Outcome()
    with new_day(stack, shape) as day:
        async with day.engine() as engine:
            told("connecting")
            await connect(day, engine)
            told("reading everything for the first time")
            await day.catch_up(engine)
            await day.begin(engine)
            day.sent_before = day.count(SENT)
            truths = day.truths()
            books = {creator: day.control.books(creator) for creator in day.creators}
            pages = pages_of(truths, books)
            news = News(truths, shape.seed, shape.pace)
            meter = CostMeter(day, engine)

            def passed(minute: int) -> None:
                meter.minute(minute)
                told(_progress(day, minute))

            await day.live(engine, news, passed, killer)
            outcome.calls = count_calls(day, pages)
            outcome.freshness = day.watch.figures(day.intervals(), day.clock.instant)
            outcome.happenings = sum(one.count + one.missing for one in outcome.freshness)
            outcome.costs = meter.result(outcome.happenings)
            outcome.figures += [*judge_health(day), judge_pushes(day)]
            if killer is None:
                outcome.figures += judge_freshness(outcome.freshness)
                outcome.figures += judge_calls(day, outcome.calls)
                outcome.figures += judge_costs(outcome.costs, shape.minutes)
            told("reading everything for the last time")
            await day.read_everything(engine)
        outcome.figures += _exact(day)
        outcome.digest = digest(day.database)
    return outcome


def _exact(day: Day) -> list[Figure]:
    money = money_differences(day.database, day.control.all_books()["creators"])
    audience = audience_differences(day.database, day.truths())
    return [
        judge_exactness(money, "money is exact to the cent"),
        judge_exactness(audience, "fans, chats, messages, posts and figures are exact"),
    ]


def _progress(day: Day, minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02} of {day.shape.minutes // 60} h"
