"""The dashboard's build beside the demo: how it fails, and that it is stopped as a whole."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from local import dashboard
from local.dashboard import Build


if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own, whose set-up a test writes."""
    (tmp_path / "scripts").mkdir()
    monkeypatch.setattr(dashboard, "PROJECT", tmp_path)
    return tmp_path


def setup_script(home: Path, text: str) -> None:
    script = home / "scripts" / "setup.sh"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)


def test_a_build_that_fails_has_the_last_word(home: Path) -> None:
    setup_script(home, 'echo "no room: $1" >&2; exit 1')

    build = Build(home / "logs" / "build.log")

    assert not build.run()
    assert build.last_word() == "no room: dashboard"


def test_a_build_is_stopped_together_with_its_children(home: Path) -> None:
    fifo = home / "running"
    os.mkfifo(fifo)
    setup_script(home, f"sleep 600 > '{fifo}' & wait")
    build = Build(home / "build.log")
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(build.run()))

    thread.start()
    with fifo.open("rb") as running:
        build.stop()
        # It ends when the child that holds the other end is gone.
        assert running.read() == b""
    thread.join()

    assert results == [False]
