"""The dashboard's build: only when something changed, and stopped as a whole."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from local import dashboard
from local.dashboard import Build, is_built


if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dashboard that is built, in a checkout of its own."""
    for name in ("scripts", "app", ".next", "node_modules"):
        (tmp_path / name).mkdir()
    for name in ("app/page.tsx", ".next/BUILD_ID", ".next/.setup-stamp"):
        (tmp_path / name).touch()
    monkeypatch.setattr(dashboard, "_HOME", tmp_path)
    monkeypatch.setattr(dashboard, "_STAMP", tmp_path / ".next" / ".setup-stamp")
    monkeypatch.setattr(dashboard, "PROJECT", tmp_path)
    return tmp_path


def age(path: Path, seconds: float) -> None:
    moment = path.stat().st_mtime + seconds
    os.utime(path, (moment, moment))


def setup_script(home: Path, text: str) -> None:
    script = home / "scripts" / "setup.sh"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    # Else the script would be a source that is newer than the build.
    age(script, -3600)


def test_it_is_built_again_when_a_source_is_newer_or_a_build_was_interrupted(home: Path) -> None:
    assert is_built()
    age(home / "app" / "page.tsx", 5)
    assert not is_built()
    age(home / "app" / "page.tsx", -10)
    (home / ".next" / ".setup-stamp").unlink()
    assert not is_built()


def test_what_set_up_finds_current_is_not_looked_at_again(home: Path) -> None:
    setup_script(home, "exit 0")
    age(home / ".next" / ".setup-stamp", -60)
    assert not is_built()

    assert Build(home / "build.log").run()
    assert is_built()


def test_what_is_built_starts_nothing(home: Path) -> None:
    setup_script(home, "exit 1")

    assert Build(home / "build.log").run()
    assert not (home / "build.log").exists()


def test_a_build_that_fails_has_the_last_word(home: Path) -> None:
    setup_script(home, 'echo "no room: $1" >&2; exit 1')
    (home / ".next" / ".setup-stamp").unlink()

    build = Build(home / "logs" / "build.log")

    assert not build.run()
    assert build.last_word() == "no room: dashboard"


def test_a_build_is_stopped_together_with_its_children(home: Path) -> None:
    fifo = home / "running"
    os.mkfifo(fifo)
    setup_script(home, f"sleep 600 > '{fifo}' & wait")
    (home / ".next" / ".setup-stamp").unlink()
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
