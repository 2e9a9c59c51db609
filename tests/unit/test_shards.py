"""A suite's parts hold every file once, are dealt alike every time, and take about as long."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shards import SECONDS_PER_TEST, deal, measured, read_shard


if TYPE_CHECKING:
    from pathlib import Path


FILES = st.lists(st.sampled_from([f"tests/system/test_{name}.py" for name in "abcdefgh"]))
REPORT = """
<testsuites><testsuite>
  <testcase classname="tests.system.test_a" name="one" time="1.25"/>
  <testcase classname="tests.system.test_a" name="two" time="2.5"/>
  <testcase classname="tests.local.test_b" name="one" time="0.04"/>
</testsuite></testsuites>
"""


@given(tests=FILES, parts=st.integers(1, 4))
def test_every_file_is_in_one_part_and_the_order_of_collection_changes_nothing(
    tests: list[str], parts: int
) -> None:
    dealt = deal(tests, {}, parts)

    assert set(dealt) == set(tests)
    assert set(dealt.values()) <= set(range(1, parts + 1))
    assert deal(reversed(tests), {}, parts) == dealt


@given(tests=FILES, parts=st.integers(1, 4))
def test_no_part_is_longer_than_another_by_more_than_one_file(tests: list[str], parts: int) -> None:
    loads = dict.fromkeys(range(1, parts + 1), 0)
    for file, part in deal(tests, {}, parts).items():
        loads[part] += tests.count(file)

    longest = max(Counter(tests).values(), default=0)
    assert max(loads.values()) - min(loads.values()) <= longest


def test_measured_seconds_weigh_and_an_unknown_file_counts_by_its_tests() -> None:
    table = {"tests/system/test_a.py": 10 * SECONDS_PER_TEST, "tests/system/test_b.py": 0.1}
    tests = ["tests/system/test_a.py", "tests/system/test_b.py", *["tests/system/test_new.py"] * 9]

    dealt = deal(tests, table, 2)

    assert dealt["tests/system/test_new.py"] == dealt["tests/system/test_b.py"] == 2
    assert dealt["tests/system/test_a.py"] == 1


def test_tests_that_share_an_instance_stay_together() -> None:
    local = [f"tests/local/test_{name}.py" for name in "abcd"]

    dealt = deal([*local, "tests/system/test_a.py"], {}, 3)

    assert len({dealt[file] for file in local}) == 1


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "a/b", "-1/3", "1/3/5"])
def test_what_names_no_part_is_refused(text: str) -> None:
    assert read_shard("2/3") == (2, 3)
    with pytest.raises(ValueError, match="no part of a suite"):
        read_shard(text)


def test_durations_are_read_from_reports(tmp_path: Path) -> None:
    report = tmp_path / "system-1.xml"
    report.write_text(REPORT, encoding="utf-8")

    assert measured([report]) == {"tests/local/test_b.py": 0.0, "tests/system/test_a.py": 3.8}
