"""The tests that are written in TypeScript: of the Edge Functions, and of the dashboard's parts."""

from __future__ import annotations

import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest

from local.programs import find_node_tool
from tests.support.postgres import PROJECT


if TYPE_CHECKING:
    from collections.abc import Sequence


pytestmark = pytest.mark.functions
FUNCTIONS = "supabase/functions"
DASHBOARD = "examples/dashboard"
NPM = str(PROJECT / ".venv" / "bin" / "npm")


def test_the_edge_functions_pass_their_tests_without_a_network() -> None:
    allowed = ("--allow-read", "--allow-env")

    done = _run([find_node_tool("deno"), "test", "--quiet", "--no-prompt", *allowed, FUNCTIONS])

    assert done.returncode == 0, done.stdout
    assert " 0 failed" in done.stdout


def test_no_function_leaves_its_caller_to_the_platforms_check() -> None:
    config = tomllib.loads((PROJECT / "supabase" / "config.toml").read_text("utf-8"))

    open_ones = {name for name, entry in config["functions"].items() if not entry["verify_jwt"]}

    assert open_ones == {path.parent.name for path in (PROJECT / FUNCTIONS).glob("*/index.ts")}


def test_the_dashboards_parts_pass_their_tests() -> None:
    done = _run([NPM, "--prefix", DASHBOARD, "run", "--silent", "test"])

    assert done.returncode == 0, done.stdout
    assert "fail 0" in done.stdout


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
