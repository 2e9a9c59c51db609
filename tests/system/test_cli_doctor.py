"""The doctor against a sound installation, and against each thing that can be wrong with one."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.support.engine import silence_cron, wake_cron
from tests.support.program import Program
from tests.support.waiting import wait_until


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

OTHER_KEY = "k2:" + base64.b64encode(bytes(range(32))).decode()
WRONG = [
    ("database", "SUPABASE_SECRET_KEY", "sb_secret_wrong"),
    ("sealing keys", "TOKEN_ENCRYPTION_KEYS", OTHER_KEY),
    ("Fanvue client", "FANVUE_CLIENT_SECRET", "wrong"),
    ("Fanvue API", "FANVUE_API_URL", "http://127.0.0.1:9"),
    ("Redis", "UPSTASH_REDIS_REST_TOKEN", "wrong"),
    ("settings", "WORKER_CONCURRENCY", "none"),
]


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    return Program(engine, tmp_path)


@pytest.fixture
def active_cron(engine: Engine) -> Iterator[None]:
    wake_cron(engine.database)
    yield
    silence_cron(engine.database)


def test_the_doctor_finds_nothing_wrong_with_a_sound_installation(
    program: Program, active_cron: None
) -> None:
    program.engine.creator()
    program("enqueue")

    code, found = program.findings()

    assert code == 0, found
    for check in ("settings", "database", "migrations", "schedules", "access", "sign-ups"):
        assert found[check][0] == "ok", found[check]
    for check in ("clock", "sealing keys", "creators", "Fanvue API", "Fanvue client", "Redis"):
        assert found[check][0] == "ok", found[check]


def test_the_doctor_names_the_setting_that_is_wrong(program: Program) -> None:
    program.engine.creator()

    for check, name, value in WRONG:
        code, found = program.findings(**{name: value})

        assert (code, found[check][0]) == (1, "fail"), name
        assert name in found[check][1]


def test_people_read_the_doctors_verdicts_a_line_each(program: Program) -> None:
    done = program("doctor", FANVUE_CLIENT_SECRET="")

    lines = done.stdout.splitlines()
    assert len(lines) > 5
    assert all(line[:6] in {"ok    ", "warn  ", "fail  "} for line in lines)
    assert lines[0].startswith("fail  settings")


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
        # What is read anew is there a moment later only.
        wait_until(lambda: program.findings()[1]["migrations"][0] == "ok", "the schema to be read")

    assert code == 1
    assert found["migrations"][0] == "fail"
    assert found["migrations"][1].endswith("apply the migrations: supabase db push --remote")


def test_a_stopped_database_is_one_line_from_the_doctor(
    program: Program, local_stack: Stack
) -> None:
    local_stack.stop_postgres()

    code, found = program.findings()

    failed = {check: text for check, (verdict, text) in found.items() if verdict == "fail"}
    assert (code, [*failed]) == (1, ["database"])
    assert "check SUPABASE_URL" in failed["database"]
