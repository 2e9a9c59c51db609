"""The suites by name, and the checks beside them: what each runs, and where its stack lives.

Starts nothing itself; tests.support.steps does. `python -m tests.support.suites [--check] [NAME]`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.support.postgres import PROJECT
from tests.support.steps import INTERRUPTED, PYTHON, Run, StackPlace, Step


SYSTEM_SHARDS = 3
STACKS = Path(".local") / "test"
# Below the range from which the system takes ports for outgoing connections.
FIRST_PORT = 25321
PORT_STEP = 100
BIN = ".venv/bin"
DENO = "node_modules/.bin/deno"
FUNCTIONS = "supabase/functions"
DASHBOARD = "examples/dashboard"
SHELL = "scripts/*.sh scripts/setup/*.sh tests/setup/fakes/* .ci/run"
PYTEST = (PYTHON, "-m", "pytest", "-q", "--durations=5")


def unit() -> list[Step]:
    """Return the tests that need no stack."""
    return [
        Step(
            "unit tests",
            [[*PYTEST, "-m", "not database and not system and not browser"]],
            seconds=40,
        )
    ]


def database() -> list[Step]:
    """Return the tests of the database alone."""
    place = StackPlace(STACKS / "database", FIRST_PORT)
    commands = [
        [*PYTEST, "-m", "database"],
        ["sh", "-c", _with_database_url(f"{FUNCTIONS}/tests/check-types.sh $url")],
        [
            "sh",
            "-c",
            _with_database_url("pg_prove --quiet --ext .sql --recurse -d $url supabase/tests"),
        ],
    ]
    return [Step("database tests", commands, place, seconds=75)]


def functions() -> list[Step]:
    """Return the Edge Functions' tests, their format and their types."""
    configs = sorted((PROJECT / FUNCTIONS).glob("*/deno.json"))
    checks = [
        [DENO, "check", "--quiet", "--config", str(config), *_sources(config.parent)]
        for config in configs
    ]
    commands = [
        [DENO, "fmt", "--check", "--quiet", FUNCTIONS],
        [DENO, "lint", "--quiet", FUNCTIONS],
        *checks,
        [
            *(DENO, "test", "--quiet", "--no-prompt", "--reporter=dot"),
            *("--allow-read", "--allow-env", FUNCTIONS),
        ],
    ]
    return [Step("function tests", commands, seconds=10)]


def system() -> list[Step]:
    """Return the tests of the whole system, dealt out to stacks of their own."""
    return [_system(number) for number in range(1, SYSTEM_SHARDS + 1)]


def browser() -> list[Step]:
    """Return the tests of the dashboard in a browser."""
    place = StackPlace(STACKS / "browser", FIRST_PORT + (SYSTEM_SHARDS + 2) * PORT_STEP)
    return [Step("browser tests", [[*PYTEST, "-m", "browser"]], place, seconds=100)]


def checks() -> list[Step]:
    """Return what CI checks beside the tests."""
    place = StackPlace(STACKS / "sql-lint", FIRST_PORT + (SYSTEM_SHARDS + 1) * PORT_STEP)
    # What runs in Node, beside the functions that run in Deno.
    scripts = [
        "local/gateway",
        "local/realtime",
        "tests/realtime/client.mjs",
        "tests/browser/audit.js",
    ]
    where = ["--dir", str(place.directory), "--port", str(place.port)]
    return [
        Step("format", [[f"{BIN}/ruff", "format", "--check", "--quiet", "."]]),
        Step("lint", [[f"{BIN}/ruff", "check", "--quiet", "."]]),
        Step("types", [[f"{BIN}/mypy"]], seconds=30),
        Step(
            "dashboard",
            [
                [f"{BIN}/npm", "--prefix", DASHBOARD, "run", "--silent", name]
                for name in ("lint", "types", "test")
            ],
            seconds=20,
        ),
        Step("shell", [["sh", "-c", f"exec shellcheck {SHELL}"]]),
        Step(
            "gateway",
            [
                [DENO, "fmt", "--check", "--quiet", "--line-width", "100", *scripts],
                [DENO, "lint", "--quiet", *scripts],
            ],
        ),
        # It brings its own stack up and down.
        Step("SQL lint and advisors", [[PYTHON, "-m", "local.sql_lint", *where]], seconds=5),
    ]


SUITES = {
    "unit": unit,
    "db": database,
    "functions": functions,
    "system": system,
    "browser": browser,
}


def main(words: list[str]) -> int:
    """Run the suites named, or all of them."""
    beside = checks() if "--check" in words else []
    names = [word for word in words if word != "--check"] or list(SUITES)
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        sys.stderr.write(f"unknown suite: {' '.join(unknown)}; known: {' '.join(SUITES)}\n")
        return 2
    # Deno fetches packages through whatever proxy the machine trusts.
    os.environ.setdefault("DENO_TLS_CA_STORE", "mozilla,system")
    os.environ.setdefault("NO_COLOR", "1")
    # Debian keeps pg_prove where a plain user's path may not lead.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    steps = [step for name in names for step in SUITES[name]()] + beside
    return Run(steps, _slots(), PROJECT / STACKS / "logs")()


def _system(number: int) -> Step:
    place = StackPlace(STACKS / f"system-{number}", FIRST_PORT + number * PORT_STEP)
    part = f"{number}/{SYSTEM_SHARDS}"
    report = STACKS / "logs" / f"system-{number}.xml"
    command = [*PYTEST, "-m", "system", "--shard", part, f"--junitxml={report}"]
    return Step(f"system tests {part}", [command], place, seconds=120)


def _slots() -> int:
    """Return how many steps run at once: tests wait a good part of their time."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) + 1
    return (os.cpu_count() or 1) + 1


def _sources(folder: Path) -> list[str]:
    return sorted(str(source.relative_to(PROJECT)) for source in folder.glob("*.ts"))


def _with_database_url(command: str) -> str:
    read = """url=$(sed -n 's/^SUPABASE_DB_URL=//p' "$FSE_TEST_STACK")"""
    return f"{read} && {command}"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
