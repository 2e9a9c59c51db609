from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.errors import StackError
from local.sql_lint import advice_findings, judge, lint_findings, read_allowed


if TYPE_CHECKING:
    from pathlib import Path


def advice(key: str, level: str = "WARN") -> dict[str, Any]:
    return {"cacheKey": key, "level": level, "detail": f"about {key}"}


def test_advice_that_nobody_allowed_is_a_finding() -> None:
    findings = judge(advice_findings([advice("rls_off_a"), advice("slow_b", "INFO")]), {})

    assert findings == ["WARN rls_off_a: about rls_off_a"]


def test_allowed_advice_is_none() -> None:
    assert judge(advice_findings([advice("rls_off_a")]), {"rls_off_*": "on purpose"}) == []


def test_a_permission_that_nothing_needs_is_a_finding() -> None:
    assert "rls_off_*" in judge({}, {"rls_off_*": "on purpose"})[0]


def test_a_permission_needs_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "allowed.txt"
    file.write_text("# a comment\n\nkey_one  # because\nkey_two\n")

    with pytest.raises(StackError, match="key_two"):
        read_allowed(file)


def test_permissions_are_read_with_their_reasons(tmp_path: Path) -> None:
    file = tmp_path / "allowed.txt"
    file.write_text("key_one  # because\n")

    assert read_allowed(file) == {"key_one": "because"}
    assert read_allowed(tmp_path / "none.txt") == {}


def test_an_issue_of_a_function_is_a_finding_that_can_be_allowed() -> None:
    issues = [{"level": "error", "message": "no such column"}]
    findings = lint_findings([{"function": "public.f", "issues": issues}])

    assert judge(findings, {}) == ["error lint public.f: no such column"]
    assert judge(findings, {"lint public.f: *": "the checker cannot see it"}) == []
