"""A day's outcome as tables for people. Knows nothing of how it was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.day import Shape
    from tests.support.day_run import Outcome


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
