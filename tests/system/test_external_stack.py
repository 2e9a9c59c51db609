"""A stack that was started elsewhere: what it must be, and the tests that run on it all the same.

The process's own stack plays it here, by another file, which says what such a stack says and no
more.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.hosted import problems_of
from tests.support.own_stack import free_port
from tests.support.postgres import PROJECT
from tests.support.stack import ADDRESSES, KEYS, SECRETS, VARIABLE, fanvue_place
from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

NAMES = (*ADDRESSES, *KEYS, *SECRETS)
# Keeps what it was asked, and runs the worker where it stands.
DOCKER = f"""#!/bin/bash
printf '%s\\n' "$@" > {{asked}}
while [ "$1" != the-image ]; do shift; done
shift
exec {sys.executable} -m worker "$@"
"""


@pytest.fixture
def external(engine: Engine, local_stack: Stack) -> dict[str, str]:
    """Return what a file about this stack says when somebody else started it."""
    fanvue = f"http://127.0.0.1:{free_port()}"
    addresses = {"FANVUE_API_URL": fanvue, "FANVUE_AUTH_URL": fanvue}
    stack = local_stack.env()
    return {**{name: stack[name] for name in NAMES}, **addresses}


def hosted(
    command: str, external: dict[str, str], directory: Path, *words: str, path: str = ""
) -> subprocess.CompletedProcess[str]:
    file = directory / "external.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in external.items()))
    kept = {name: value for name, value in os.environ.items() if name != VARIABLE}
    return subprocess.run(
        [sys.executable, "-m", "tests.hosted", command, str(file), *words],
        cwd=PROJECT,
        env={**kept, "NO_COLOR": "1", "PATH": f"{path}:{kept['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def test_tests_run_there_but_for_those_that_stop_a_part_of_it(
    external: dict[str, str], tmp_path: Path
) -> None:
    words = ("tests/system/test_failures.py", "-k", "database_restart or cut_off")

    done = hosted("run", external, tmp_path, "--empty", "--", *words)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b1 passed, [1-9]\d* deselected", done.stdout), done.stdout


def test_the_worker_s_image_keeps_exact_books_there(
    external: dict[str, str], tmp_path: Path
) -> None:
    docker, asked = tmp_path / "docker", tmp_path / "asked"
    docker.write_text(DOCKER.format(asked=asked))
    docker.chmod(0o755)

    done = hosted("image", external, tmp_path, "the-image", "--empty", path=str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "the-image: 500 rows, exact to the cent" in done.stdout
    words = asked.read_text().split()
    assert words[-3:] == ["the-image", "run", "--drain"]
    assert {f"--env={name}" for name in NAMES} | {"--read-only"} <= set(words)


def test_a_stack_that_holds_agencies_is_refused(
    engine: Engine, external: dict[str, str], tmp_path: Path
) -> None:
    engine.creator()

    done = hosted("run", external, tmp_path)

    assert done.returncode == 2
    assert "the stack holds 1 agencies and " in done.stderr
    assert "the tests empty it" in done.stderr
    assert list(problems_of(external, empty=True)) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SUPABASE_DB_URL", "postgresql://postgres@127.0.0.1:9/postgres", "cannot be reached"),
        ("SUPABASE_DB_URL", "nonsense", "cannot be reached"),
        ("SUPABASE_SECRET_KEY", "sb_secret_of_another", "answered 401 instead of 200"),
        ("FANVUE_WEBHOOK_SECRETS", "whsec_another", "answered 401 instead of 400"),
        ("UPSTASH_REDIS_REST_TOKEN", "another", "answered 401 instead of 200"),
        ("FANVUE_AUTH_URL", "http://127.0.0.1:9", "one simulated Fanvue serves both"),
    ],
)
def test_what_does_not_fit_is_named(
    external: dict[str, str], name: str, value: str, said: str
) -> None:
    (problem,) = problems_of({**external, name: value}, empty=True)

    assert name in problem
    assert said in problem


def test_an_address_that_is_not_of_this_machine_is_named(external: dict[str, str]) -> None:
    nobody = "http://192.0.2.1:54400"

    (problem,) = problems_of(
        {**external, "FANVUE_API_URL": nobody, "FANVUE_AUTH_URL": nobody}, empty=True
    )

    assert f"no Fanvue can be served at FANVUE_API_URL={nobody}" in problem


def test_behind_a_tunnel_this_machine_serves_where_the_tunnel_ends(
    external: dict[str, str],
) -> None:
    _, port = fanvue_place(external)
    public = "https://made-up-tunnel.test"
    behind = {**external, "FANVUE_API_URL": public, "FANVUE_AUTH_URL": public}

    (problem,) = problems_of(behind, empty=True)
    assert "FANVUE_LISTEN says where the tunnel ends" in problem

    behind["FANVUE_LISTEN"] = f"127.0.0.1:{port}"
    assert fanvue_place(behind) == ("127.0.0.1", port)
    assert list(problems_of(behind, empty=True)) == []


def test_every_name_that_is_missing_is_named(external: dict[str, str]) -> None:
    (problem,) = problems_of({"SUPABASE_URL": external["SUPABASE_URL"]}, empty=True)

    assert [name for name in NAMES if name in problem] == [n for n in NAMES if n != "SUPABASE_URL"]
