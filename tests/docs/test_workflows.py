"""The workflows run what the project runs, deploy what it has, and trust nothing that can move."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from tests.support.postgres import PROJECT


FOLDER = PROJECT / ".github" / "workflows"
WORKFLOWS: dict[str, Any] = {
    path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yml"))
}
# A bare `on` is a truth value in YAML 1.1.
ON = True


def steps_of(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


def commands_of(name: str) -> list[str]:
    return [step["run"] for step in steps_of(WORKFLOWS[name]) if "run" in step]


def test_there_are_the_three() -> None:
    assert set(WORKFLOWS) == {"check", "deploy", "official"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_to_a_commit(name: str) -> None:
    used = [step["uses"] for step in steps_of(WORKFLOWS[name]) if "uses" in step]

    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read_and_ends_in_time(name: str) -> None:
    workflow = WORKFLOWS[name]

    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "uses" in job or job["timeout-minutes"] <= 60


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_credentials_are_left_beside_the_files(name: str) -> None:
    checkouts = [
        step
        for step in steps_of(WORKFLOWS[name])
        if step.get("uses", "").startswith("actions/check")
    ]

    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_proposals_and_pushes_are_checked_as_people_check() -> None:
    assert {"push", "pull_request"} <= set(WORKFLOWS["check"][ON])
    assert commands_of("check") == ["make check"]
    assert "make check" in (PROJECT / ".ci" / "run").read_text("utf-8")


def test_the_check_has_the_whole_history() -> None:
    (checkout,) = [step for step in steps_of(WORKFLOWS["check"]) if "uses" in step]

    assert checkout["with"]["fetch-depth"] == 0


def test_nothing_is_deployed_unchecked() -> None:
    jobs = WORKFLOWS["deploy"]["jobs"]

    assert jobs["check"]["uses"] == "./.github/workflows/check.yml"
    assert jobs["deploy"]["needs"] == ["check"]
    assert "workflow_call" in WORKFLOWS["check"][ON]
    assert jobs["deploy"]["environment"] == "production"


def test_every_function_is_deployed_and_no_other() -> None:
    (command,) = [one for one in commands_of("deploy") if "functions deploy" in one]
    named = command.partition("functions deploy")[2].split()
    there = {path.parent.name for path in (PROJECT / "supabase" / "functions").glob("*/index.ts")}

    assert {word for word in named if not word.startswith("-")} == there


def test_the_database_comes_first_and_from_the_pinned_command_line() -> None:
    commands = commands_of("deploy")
    applied = next(at for at, one in enumerate(commands) if "db push --remote --yes" in one)
    deployed = next(at for at, one in enumerate(commands) if "functions deploy" in one)
    package = json.loads((PROJECT / "package.json").read_text("utf-8"))

    assert applied < deployed
    assert all("--no-install" in one for one in commands if "supabase" in one)
    assert re.fullmatch(r"\d+\.\d+\.\d+", package["dependencies"]["supabase"])
