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


def test_a_release_is_a_tag_of_main_that_somebody_approved() -> None:
    workflow = WORKFLOWS["deploy"]
    deploy = workflow["jobs"]["deploy"]
    commands = commands_of("deploy")

    assert workflow[ON] == {"push": {"tags": ["v*"]}}
    assert deploy["if"] == "github.ref_type == 'tag' && startsWith(github.ref, 'refs/tags/v')"
    assert "merge-base --is-ancestor" in commands[0]
    assert deploy["steps"][0]["with"]["fetch-depth"] == 0


def test_only_the_step_that_needs_a_secret_has_it() -> None:
    holders = [
        (name, step["run"])
        for name, workflow in WORKFLOWS.items()
        for step in steps_of(workflow)
        if "secrets." in str(step.get("env"))
    ]
    everywhere = [
        (path.stem, line.strip())
        for path in sorted(FOLDER.glob("*.yml"))
        for line in path.read_text("utf-8").splitlines()
        if "secrets." in line or "secrets:" in line
    ]

    assert {name for name, _ in holders} == {"deploy"}
    assert all(run.startswith("npx --no-install supabase ") for _, run in holders)
    # Nowhere else: no job, no workflow, no called one.
    inside = [
        value
        for step in steps_of(WORKFLOWS["deploy"])
        for value in step.get("env", {}).values()
        if "secrets." in value
    ]
    assert len(everywhere) == len(inside) == 7
    functions = next(
        step for step in steps_of(WORKFLOWS["deploy"]) if "functions deploy" in step.get("run", "")
    )
    assert set(functions["env"]) == {"SUPABASE_ACCESS_TOKEN"}


def test_what_is_installed_before_a_secret_runs_no_script() -> None:
    runs = commands_of("deploy")
    first_secret = next(at for at, run in enumerate(runs) if "supabase" in run)

    assert [run for run in runs[:first_secret] if "npm" in run] == [
        "npm ci --ignore-scripts --loglevel=error"
    ]
    assert not [run for run in runs[first_secret:] if "npm " in run]


def test_images_are_pinned_to_a_digest() -> None:
    words = " ".join(run for name in WORKFLOWS for run in commands_of(name)).split()
    images = [word for word in words if re.match(r"(redis|hiett/[a-z-]+):", word)]

    assert len(images) == 2
    assert all(re.search(r":[\w.-]+@sha256:[0-9a-f]{64}$", image) for image in images)


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
