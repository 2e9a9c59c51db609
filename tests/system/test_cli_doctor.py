"""The doctor against a sound installation, and against each thing that can be wrong with one."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from local.stack import Stack
from tests.support.postgres import PROJECT
from tests.support.program import Program


if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

OTHER_KEY = "k2:" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    return Program(engine, tmp_path)


@pytest.fixture
def active_cron(engine: Engine) -> Iterator[None]:
    engine.database.execute("select cron.alter_job(jobid, active := true) from cron.job")
    yield
    engine.database.execute("select cron.alter_job(jobid, active := false) from cron.job")


def test_the_doctor_finds_nothing_wrong_with_a_sound_installation(
    program: Program, active_cron: None
) -> None:
    program.engine.creator()
    program("enqueue")

    code, found = program.findings()

    assert code == 0, found
    for check in ("settings", "database", "migrations", "schedules", "clock", "sealing keys"):
        assert found[check][0] == "ok", found[check]
    for check in ("creators", "Fanvue API", "Fanvue client", "Redis"):
        assert found[check][0] == "ok", found[check]


@pytest.mark.parametrize(
    ("changes", "check", "remedy"),
    [
        ({"SUPABASE_SECRET_KEY": "sb_secret_wrong"}, "database", "SUPABASE_SECRET_KEY"),
        ({"TOKEN_ENCRYPTION_KEYS": OTHER_KEY}, "sealing keys", "TOKEN_ENCRYPTION_KEYS"),
        ({"FANVUE_CLIENT_SECRET": "wrong"}, "Fanvue client", "FANVUE_CLIENT_SECRET"),
        ({"FANVUE_API_URL": "http://127.0.0.1:9"}, "Fanvue API", "FANVUE_API_URL"),
        ({"UPSTASH_REDIS_REST_TOKEN": "wrong"}, "Redis", "UPSTASH_REDIS_REST_TOKEN"),
        ({"WORKER_CONCURRENCY": "none"}, "settings", "WORKER_CONCURRENCY"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_the_doctor_names_the_setting_that_is_wrong(
    program: Program, changes: dict[str, str], check: str, remedy: str
) -> None:
    program.engine.creator()

    code, found = program.findings(**changes)

    assert code == 1
    assert found[check][0] == "fail"
    assert remedy in found[check][1]


def test_the_doctor_says_how_to_apply_a_missing_migration(program: Program) -> None:
    database = program.engine.database
    hidden = f"engine_doctor_{uuid4().hex[:8]}"
    database.execute(f"alter function public.engine_doctor() rename to {hidden}")
    database.execute("notify pgrst, 'reload schema'")
    try:
        code, found = program.findings()
    finally:
        database.execute(f"alter function public.{hidden}() rename to engine_doctor")
        database.execute("notify pgrst, 'reload schema'")

    assert code == 1
    assert found["migrations"][0] == "fail"
    assert found["migrations"][1].endswith("apply the migrations: supabase db push --remote")


def test_a_stopped_database_is_one_line_from_the_doctor_within_ten_seconds(
    program: Program,
) -> None:
    stack = Stack((PROJECT / os.environ["FSE_TEST_STACK"]).parent)
    stack.stop_postgres()
    try:
        # What the machine needs to start any program is not the doctor's.
        idle, _ = _timed(program, "--version")
        seconds, done = _timed(program, "doctor", "--json")
    finally:
        stack.start_postgres()

    failed = [one for one in json.loads(done.stdout) if one["verdict"] == "fail"]
    assert done.returncode == 1
    assert [one["check"] for one in failed] == ["database"]
    assert "check SUPABASE_URL" in failed[0]["text"]
    assert seconds - idle < 10


def _timed(program: Program, *words: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    began = time.monotonic()
    done = program(*words)
    return time.monotonic() - began, done
