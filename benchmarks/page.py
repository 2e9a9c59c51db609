"""The page of results: each benchmark's table between two marks, replaced at the next measuring.

What people wrote around the tables stays.
"""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from benchmarks.table import short


if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.table import Row


def write_tables(page: Path, rows: Sequence[Row]) -> None:
    """Replace the tables of the benchmarks that were measured; append those that the page lacks."""
    text = page.read_text(encoding="utf-8") if page.exists() else "# Benchmarks\n"
    for name, measured in groupby(rows, key=attrgetter("benchmark")):
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        block = f"{begin}\n{_machine()}\n\n{_table(list(measured))}\n{end}"
        old = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if old.search(text):
            text = old.sub(block.replace("\\", r"\\"), text)
        else:
            text = f"{text.rstrip()}\n\n## {name.capitalize()}\n\n{block}\n"
    page.write_text(text, encoding="utf-8")


def _machine() -> str:
    """Say when and on what it was measured, and how busy that was."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    load = os.getloadavg()[1]
    return (
        f"Measured {today}: {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, load average {load:.0f}."
    )


def _table(rows: Sequence[Row]) -> str:
    lines = ["| measured | compared with | ratio | medians |", "| --- | --- | ---: | ---: |"]
    lines += [
        f"| {row.measured} | {row.against} | {row.ratio:.2f}"
        f" | {short(row.figure)} : {short(row.baseline)} {row.unit} |"
        for row in rows
    ]
    return "\n".join(lines)
