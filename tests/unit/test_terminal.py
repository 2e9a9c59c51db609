"""Names and other people's words are data: a terminal shows them and obeys none of them."""

from __future__ import annotations

import json

import pytest

from worker.commands.terminal import print_json, print_table, say


NAMES = ["Stars [vip]", "x[/b]", "[link=https://elsewhere.test]press[/link]", "日本 🔑", "a\u200db"]
HARM = {
    "an escape sequence": "\x1b[31mred\x1b[0m",
    "an eight-bit escape sequence": "\x9b31mred",
    "a bell": "ding\x07",
    "a text that runs from right to left": "safe\u202egnp.exe",
    "an isolate": "\u2066a\u2069",
    "half of a pair": "\ud83d",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"agency {name}")
    print_table(("agency", "creators"), [(name, 3)])

    said, _, row = capsys.readouterr().out.splitlines()
    assert said == f"agency {name}"
    assert row.startswith(name)
    assert row.split()[-1] == "3"


@pytest.mark.parametrize("text", HARM.values(), ids=HARM)
def test_what_could_change_the_terminal_is_hidden(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say(text)
    print_table(("name",), [(text,)])

    shown = capsys.readouterr().out
    assert "\ufffd" in shown
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


@pytest.mark.parametrize("text", [*NAMES, *HARM.values()])
def test_json_says_the_same_and_does_the_terminal_no_harm(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_json({text: [text]})

    line = capsys.readouterr().out
    assert json.loads(line) == {text: [text]}
    assert all(letter.isprintable() or letter in "\n\u200d" for letter in line)


def test_a_name_of_two_lines_stays_in_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "state"), [("one\ntwo\tthree", "idle")])

    assert capsys.readouterr().out.splitlines()[1].split() == ["one", "two", "three", "idle"]
