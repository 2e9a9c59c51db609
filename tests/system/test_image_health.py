"""What the image's health check runs, run beside a worker that is set as the image sets it."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.recipe import read_stages
from tests.support.own_stack import free_port
from tests.support.postgres import PROJECT
from tests.support.program import Program
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

IMAGE = read_stages(PROJECT / "Dockerfile")[-1]


def health_check(settings: dict[str, str]) -> int:
    _, _, words = IMAGE.last("HEALTHCHECK").partition(" CMD ")
    _, *arguments = ast.literal_eval(words)
    checked = subprocess.run(
        [sys.executable, *arguments], env=settings, capture_output=True, check=False
    )
    return checked.returncode


def test_a_working_worker_is_healthy_and_a_dead_one_is_not(engine: Engine, tmp_path: Path) -> None:
    settings = {**IMAGE.environment(), "WORKER_METRICS_PORT": str(free_port())}
    del settings["PATH"]
    creator = engine.creator(60)

    process = Program(engine, tmp_path).start(*IMAGE.exec_form("CMD"), **settings)
    try:
        wait_until(lambda: "succeeded" in engine.run_states(creator) or process.poll() is not None)
        # Docker asks again as well: on a busy machine an answer may come too late for once.
        wait_until(lambda: health_check(settings) == 0)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 0
    assert health_check(settings) != 0
