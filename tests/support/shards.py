"""Deals the files of a suite out to parts that take about as long, the same way every time.

How long a file takes is read from durations.json; `python -m tests.support.shards REPORT...`
writes that table anew from JUnit reports. A file that is not in it counts by its tests.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


TABLE = Path(__file__).with_name("durations.json")
SECONDS_PER_TEST = 0.7
# Its files share one running instance.
TOGETHER = ("tests/local/",)


def read_table() -> dict[str, float]:
    """Return the seconds that each file took when they were last measured."""
    table: dict[str, float] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def deal(tests: Iterable[str], table: Mapping[str, float], parts: int) -> dict[str, int]:
    """Return each file's part, counted from 1; `tests` names a file once per test in it."""
    weights: dict[str, float] = defaultdict(float)
    members: dict[str, list[str]] = defaultdict(list)
    for file, count in sorted(Counter(tests).items()):
        bundle = _bundle(file)
        weights[bundle] += table.get(file, count * SECONDS_PER_TEST)
        members[bundle].append(file)
    loads = dict.fromkeys(range(1, parts + 1), 0.0)
    dealt: dict[str, int] = {}
    for bundle in sorted(weights, key=lambda name: (-weights[name], name)):
        part = min(loads, key=lambda number: (loads[number], number))
        loads[part] += weights[bundle]
        dealt |= dict.fromkeys(members[bundle], part)
    return dealt


def read_shard(text: str) -> tuple[int, int]:
    """Read `2/3`: the second of three parts."""
    number, _, parts = text.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise ValueError(f"{text!r} is no part of a suite: write 2/3 for the second of three")
    return int(number), int(parts)


def measured(reports: Iterable[Path]) -> dict[str, float]:
    """Add up the seconds of each file in JUnit reports of our own test runs."""
    seconds: dict[str, float] = defaultdict(float)
    for report in reports:
        for case in ET.parse(report).iter("testcase"):  # noqa: S314 - written by pytest here
            file = case.attrib["classname"].replace(".", "/") + ".py"
            seconds[file] += float(case.attrib["time"])
    return {file: round(seconds[file], 1) for file in sorted(seconds)}


def _bundle(file: str) -> str:
    return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def main() -> None:
    """Write the table anew."""
    table = json.dumps(measured(map(Path, sys.argv[1:])), indent=2)
    TABLE.write_text(table + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
