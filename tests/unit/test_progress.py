"""What a long command says of its progress."""

from __future__ import annotations

import pytest

from worker.commands.progress import phase_text


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        (None, ""),
        ("rows", ""),
        ("talk", "messages of chats with news"),
        ("history", "older messages"),
        ("aside", "reversals"),
        ("a phase of tomorrow", "a phase of tomorrow"),
    ],
)
def test_a_phase_is_said_in_words(phase: str | None, text: str) -> None:
    assert phase_text(phase) == text
