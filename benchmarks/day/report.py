"""A day's outcome as tables for people. Knows nothing of how it was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table

from benchmarks.day.plans import DASHBOARDS, OPEN_SECONDS, QUOTAS, month_of


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.day import Shape
    from tests.support.day_costs import Costs
    from tests.support.day_run import Outcome


# So many creators, for the reckoning of a month.
SIZES: Final = (10, 50, 200)


def as_tables(outcome: Outcome, shape: Shape) -> Iterator[Table]:
    """Lay out the promises, and beneath them the calls by stream."""
    promises = Table(title="A day of polling", title_justify="left")
    promises.add_column("promise")
    promises.add_column("figure")
    promises.add_column("", style="bold")
    for figure in outcome.figures:
        promises.add_row(figure.promise, figure.figure, "ok" if figure.held else "FAIL")
    yield promises
    if outcome.calls:
        yield _calls(outcome, shape)
    if outcome.costs:
        yield _costs(outcome.costs)
        yield _months(outcome.costs, messages=True)
        yield _months(outcome.costs, messages=False)


def _calls(outcome: Outcome, shape: Shape) -> Table:
    table = Table(
        title=f"Calls of {shape.creators} creators in {shape.minutes // 60} h",
        title_justify="left",
        caption=(
            "at least: one per poll that the schedule made, and one per chat with news. "
            "refetch: every page of the stream at each of those polls."
        ),
        caption_justify="left",
    )
    for name in ("stream", "polls", "calls", "at least", "refetch", "saved"):
        table.add_column(name, justify="left" if name == "stream" else "right")
    for one in outcome.calls:
        saved = 1 - one.made / one.refetch if one.refetch else 0
        table.add_row(
            one.stream,
            f"{one.polls:,}",
            f"{one.made:,}",
            f"{one.least:,}",
            f"{one.refetch:,}",
            f"{saved:.1%}",
        )
    return table


def _costs(costs: Costs) -> Table:
    table = Table(title="What a creator costs a day", title_justify="left")
    table.add_column("what")
    table.add_column("a day", justify="right")
    for name, value in costs.as_json().items():
        if isinstance(value, float | int):
            table.add_row(name.replace("_", " "), f"{value:,.2f}" if value < 1 else f"{value:,.0f}")
    for about, webhooks in costs.announced.items():
        table.add_row(f"announcements of {about}", f"{webhooks:,.0f}")
    table.add_row("the worker's calls", f"{costs.worker_calls:,.0f}")
    table.add_row("bytes of their answers", f"{costs.worker_bytes:,.0f}")
    for name, one in costs.answers.items():
        table.add_row(f"  {name}", f"{one.calls:,.0f} of {one.bytes / one.calls:,.0f} bytes")
    return table


def _months(costs: Costs, *, messages: bool) -> Table:
    announced = "all announced" if messages else "messages left to polls"
    hours = OPEN_SECONDS // 3600
    table = Table(
        title=f"A month with {DASHBOARDS} dashboards open {hours} hours a day, {announced}",
        title_justify="left",
        caption="share of the free plan / of the first paid one",
        caption_justify="left",
    )
    table.add_column("what")
    for creators in SIZES:
        table.add_column(f"{creators} creators", justify="right")
    months = [month_of(costs, creators, messages=messages) for creators in SIZES]
    for quota in QUOTAS:
        shown = []
        for month in months:
            used = month[quota.name]
            paid = f" / {used / quota.paid:.0%}" if quota.paid else ""
            shown.append(f"{used:,.0f} ({used / quota.free:.0%}{paid})")
        table.add_row(f"{quota.name} {quota.unit}".strip(), *shown)
    return table
