"""The result: rows that compare one figure with another, printed as a table or as JSON.

Knows nothing of how a figure was measured.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.table import Table


if TYPE_CHECKING:
    from collections.abc import Sequence


CAPTION = (
    "ratio: the figure as a multiple of what it is compared with; both are medians of "
    "several measurements, and belong to this machine alone.\n"
    "path SQL: the engine's functions, called straight in a database without fsync. "
    "REST: a whole worker over HTTP, beside a simulated Fanvue without a rate limit. "
    "HTTP: requests to the Edge Functions in Deno, signed webhooks or a user's reads. "
    "page: from a signed webhook on to what the dashboard shows in Chromium. "
    "worker: a worker's loop alone, with no server."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison; `path` says what lies between the benchmark and the engine's functions."""

    benchmark: str
    measured: str
    against: str
    path: str
    unit: str
    figure: float
    baseline: float
    rounds: int

    @property
    def ratio(self) -> float:
        """The figure as a multiple of what it is compared with."""
        return self.figure / self.baseline

    def as_json(self) -> dict[str, Any]:
        """Return the row with its ratio, for programs."""
        return {**asdict(self), "ratio": round(self.ratio, 4)}


def compare(  # noqa: PLR0913 - the columns of a row
    benchmark: str,
    measured: str,
    against: str,
    *,
    path: str,
    unit: str,
    figures: Sequence[float],
    baselines: Sequence[float],
) -> Row:
    """Compare the medians of two series."""
    return Row(
        benchmark,
        measured,
        against,
        path,
        unit,
        figure=median(figures),
        baseline=median(baselines),
        rounds=len(figures),
    )


def as_table(rows: Sequence[Row]) -> Table:
    """Lay the rows out for people."""
    table = Table(title="Benchmarks", caption=CAPTION, caption_justify="left")
    table.add_column("what", no_wrap=True)
    table.add_column("measured")
    table.add_column("compared with")
    table.add_column("ratio", justify="right", style="bold")
    table.add_column("medians", justify="right")
    table.add_column("path", no_wrap=True)
    last = ""
    for row in rows:
        if row.benchmark != last and last:
            table.add_section()
        table.add_row(
            row.benchmark if row.benchmark != last else "",
            row.measured,
            row.against,
            f"{row.ratio:.2f}",
            f"{short(row.figure)} : {short(row.baseline)} {row.unit}",
            row.path,
        )
        last = row.benchmark
    return table


def short(value: float) -> str:
    """Print a figure with three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits are enough
