"""The small YAML reader reads what our files say, and refuses what it would have to guess."""

from __future__ import annotations

import pytest

from tests.docs.block_yaml import UnknownYamlError, parse_yaml


def test_maps_lists_and_scalars_are_read() -> None:
    text = """
# a comment
name: check   # another
on:
  push:
    branches:
      - main
  pull_request:
steps:
  - uses: a/b@c
    with:
      depth: 0
      keep: false
  - run: make check
port: "9464"
"""

    assert parse_yaml(text) == {
        "name": "check",
        "on": {"push": {"branches": ["main"]}, "pull_request": None},
        "steps": [{"uses": "a/b@c", "with": {"depth": 0, "keep": False}}, {"run": "make check"}],
        "port": "9464",
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: [1, 2]",
        "a: {b: c}",
        "a: |\n  text",
        "a: &anchor b",
        "a: 'b'",
        "\ta: b",
        "a: b\na: c",
        "a:\n    b: c\n  d: e",
        "- a\nb: c",
        'a: "b\\n"',
    ],
)
def test_what_it_does_not_know_is_an_error(text: str) -> None:
    with pytest.raises(UnknownYamlError):
        parse_yaml(text)
