"""A stack that was started elsewhere: what it must be, and the tests that run on it all the same.

The process's own stack plays it here: by another file, which says what such a stack says and no
more, and by the role that owns a hosted project's tables.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from psycopg.conninfo import make_conninfo

from tests.hosted import problems_of
from tests.support.monitoring import free_port
from tests.support.postgres import PROJECT
from tests.support.program import IMAGE, Program
from tests.support.stack import ADDRESSES, KEYS, SECRETS, VARIABLE
from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

NAMES = (*ADDRESSES, *KEYS, *SECRETS)
# Keeps what it was asked, and runs the command where it stands.
DOCKER = """#!/bin/bash
printf '%s\\n' "$@" > asked
while [ "$1" != the-image ]; do shift; done
shift
exec "$PYTHON" -m worker "$@"
"""


@pytest.fixture
def given(stack: dict[str, str]) -> dict[str, str]:
    """Return what a file about this stack says when somebody else started it."""
    owner = make_conninfo(stack["SUPABASE_DB_URL"], user="migrator")
    fanvue = f"http://127.0.0.1:{free_port()}"
    own = {"SUPABASE_DB_URL": owner, "FANVUE_API_URL": fanvue, "FANVUE_AUTH_URL": fanvue}
    return {**{name: stack[name] for name in NAMES}, **own}


def run_on(given: dict[str, str], directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    file = directory / "elsewhere.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    return subprocess.run(
        [sys.executable, "-m", "tests.hosted", "run", str(file), "--", *words],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name != VARIABLE},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def test_tests_run_there_but_for_those_that_stop_its_parts(
    engine: Engine, given: dict[str, str], tmp_path: Path
) -> None:
    done = run_on(given, tmp_path, "tests/system/test_failures.py", "-k", "restart or cut_off")

    assert done.returncode == 0, done.stdout + done.stderr
    # The restart of the database is one of them.
    assert "1 passed, 12 deselected" in done.stdout


def test_a_project_that_holds_agencies_is_refused(
    engine: Engine, given: dict[str, str], tmp_path: Path
) -> None:
    engine.creator()

    done = run_on(given, tmp_path)

    assert done.returncode == 2
    assert "the project holds 1 agencies, and the tests empty it" in done.stderr
    assert list(problems_of(given, empty=True)) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SUPABASE_DB_URL", "postgresql://postgres@127.0.0.1:9/postgres", "SUPABASE_DB_URL"),
        ("SUPABASE_SECRET_KEY", "sb_secret_of_another", "answered 401 instead of 200"),
        ("FANVUE_WEBHOOK_SECRETS", "whsec_another", "answered 401 instead of 400"),
        ("UPSTASH_REDIS_REST_TOKEN", "another", "answered 401 instead of 200"),
        # An address of nobody's.
        ("FANVUE_API_URL", "http://192.0.2.1:54400", "no Fanvue can be served"),
    ],
)
def test_what_does_not_fit_is_named(
    engine: Engine, given: dict[str, str], name: str, value: str, said: str
) -> None:
    (problem,) = problems_of({**given, name: value}, empty=True)

    assert name in problem
    assert said in problem


def test_every_name_that_is_missing_is_named(given: dict[str, str]) -> None:
    (problem,) = problems_of(
        {"SUPABASE_URL": given["SUPABASE_URL"], "FANVUE_API_URL": ""}, empty=True
    )

    assert [name for name in NAMES if name in problem] == [n for n in NAMES if n != "SUPABASE_URL"]


def test_commands_run_in_the_image_that_is_named(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:{os.environ['PATH']}")
    monkeypatch.setenv(IMAGE, "the-image")
    program = Program(engine, tmp_path)

    assert program("status", "--json", PYTHON=sys.executable).returncode == 0

    asked = (tmp_path / "asked").read_text().split()
    assert asked[-3:] == ["the-image", "status", "--json"]
    assert {f"--env={name}" for name in NAMES} <= set(asked)
    assert "--read-only" in asked
