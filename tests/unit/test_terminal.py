"""Names and other people's words are data: a terminal shows them and obeys none of them."""

from __future__ import annotations

import json
import sys

import pytest
from rich.cells import cell_len

from worker.commands.reconcile import _print as print_reconciliation
from worker.commands.terminal import counted, print_json, print_table, say


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


def stand_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stdout be a terminal of 80 columns."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")


WIDE = [
    "nova",
    "a name that goes on and on and does not end before the line does",
    "日本語の名前" * 6,
]


def test_on_a_terminal_a_table_is_cut_to_a_line_for_each_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_on_a_terminal(monkeypatch)
    rows = [(number, name, "running", "because " * 30) for number, name in enumerate(WIDE)]

    print_table(("job", "creator", "state", "note"), rows, shrink=("creator", "note"))

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(rows)
    assert max(map(cell_len, lines)) <= 80
    assert all("running" in line for line in lines[1:])
    assert lines[1].split()[1] == "nova"


def test_a_column_that_wraps_loses_no_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_on_a_terminal(monkeypatch)
    words = " ".join(f"word{number}" for number in range(40))

    print_table(("creator", "what"), [(WIDE[1], words)], shrink=("creator",), wrap="what")

    shown = capsys.readouterr().out
    assert max(map(cell_len, shown.splitlines())) <= 80
    assert [word for word in words.split() if word not in shown] == []


def test_into_a_pipe_a_table_goes_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("creator", "what"), [(WIDE[2], "word " * 100)], shrink=("creator",), wrap="what")

    _, line = capsys.readouterr().out.splitlines()
    assert WIDE[2] in line
    assert line.count("word") == 100


def test_what_a_reconciliation_found_fits_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_on_a_terminal(monkeypatch)
    mended = {"inserted": 12_345, "changed": 7}
    models = [
        {"handle": name, "model_id": "3b2f0a52-0d3c", "state": "succeeded", "days": 4000}
        | {"rows": 123_456, "mended": mended, "drift": {"summary": 3}, "requests": 9_999}
        for name in [*WIDE, None]
    ]
    found = {"day": "2026-11-01", "model_id": "3b2f0a52-0d3c", "handle": WIDE[1]}
    change = {"category": "subscription", "transactions": 120, "what": "changed"} | {
        "changed_columns": ["amount", "net_amount", "status"],
        "ledger_gross": "123456.78",
        "fanvue_gross": "123465.78",
    }
    drift = {"id": 4711, "kind": "unconfirmed", "what": "a webhook announced " * 5}
    advice = {"what_to_do": "look it up"}

    unproved = {"model_id": "3b2f0a52-0d3c", "handle": WIDE[1], "reason": "Fanvue refuses " * 9}

    print_reconciliation(
        {"models": models, "mended": [found | change], "drift": [found | drift | advice]}
        | {"open": 1, "verdict": "not_proved", "not_proved": [unproved]}
    )

    lines = capsys.readouterr().out.splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert sum("succeeded" in line for line in lines) == len(models)
    assert any(line.startswith("3b2f0a52 ") for line in lines)


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1234, "1,234 rows")]
)
def test_one_is_one(count: int, said: str) -> None:
    assert counted(count, "row") == said
