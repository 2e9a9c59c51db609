"""The benchmarks run: each prints its rows at a size at which the figures mean nothing."""

from __future__ import annotations

from io import StringIO
from math import isfinite
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from benchmarks.page import write_tables
from benchmarks.stage import TINY
from benchmarks.suite import BENCHMARKS, run_benchmarks
from benchmarks.table import as_table, compare


if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

ROWS = {
    "calls": 3,
    "commit": 5,
    "drain": 2,
    "claim": 1,
    "settle": 6,
    "tick": 1,
    "outage": 3,
    "callers": 1,
    "throughput": 1,
    "webhook": 18,
    "pixels": 12,
    "reads": 7,
    "memory": 1,
}
# Each relation that a member or an operator reads is a row: these at the least.
AT_LEAST = {"scale": 80}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_prints_its_ratios(engine: Engine, stack: dict[str, str], name: str) -> None:
    (rows,) = run_benchmarks(stack, TINY, [name])
    paper = StringIO()

    Console(file=paper, width=200).print(as_table(rows))

    assert {row.benchmark for row in rows} == {name}
    assert len(rows) >= AT_LEAST[name] if name in AT_LEAST else len(rows) == ROWS[name]
    # What one hop adds to another is a difference: of so few measurements it may be negative.
    assert all(isfinite(row.figure) and row.baseline > 0 for row in rows)
    printed = paper.getvalue()
    for row in rows:
        assert row.measured in printed
        assert f"{row.ratio:.2f}" in printed
    if name == "calls":
        # The only figures that mean something at any size: a poll costs one call.
        calls = {row.measured: (row.figure, row.baseline) for row in rows}
        assert calls["poll without news"] == (1, 3)
        assert calls["poll after 7 sales"][0] <= 2


def test_a_table_is_replaced_and_what_people_wrote_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Results\n\nWhat it means.\n")
    first, second = (
        compare("scale", "tick", "small", path="SQL", unit="ms", figures=[f], baselines=[2])
        for f in (3.0, 4.0)
    )
    other = compare("claim", "long", "short", path="SQL", unit="ms", figures=[1], baselines=[1])

    write_tables(page, [first])
    write_tables(page, [other, second])

    text = page.read_text()
    assert text.startswith("# Results\n\nWhat it means.\n\n## Scale\n\n<!-- scale -->\n")
    assert "| tick | small | 1.50 | 3 : 2 ms |" not in text
    assert text.count("| tick | small | 2.00 | 4 : 2 ms |") == 1
    assert text.index("<!-- /scale -->") < text.index("## Claim")
