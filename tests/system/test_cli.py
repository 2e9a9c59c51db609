"""The command line as people use it: real processes against the stack and a simulated Fanvue."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from local.stack import Stack
from tests.support.postgres import PROJECT


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

UNKNOWN = "3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a10"
NEW_KEY = "k2:" + base64.b64encode(bytes(range(32))).decode()


class Program:
    """`fanvue-sync` with one engine's settings, away from any .env."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.engine = engine
        self.directory = directory

    def start(self, *words: str, **changes: str) -> subprocess.Popen[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", "worker", *words],
            env={**kept, "PYTHONPATH": str(PROJECT), **self.engine.environment, **changes},
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(
        self, *words: str, stdin: str = "", **changes: str
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, **changes)
        out, err = process.communicate(stdin, timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def json(self, *words: str, **changes: str) -> Any:
        done = self(*words, "--json", **changes)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def connect(self, creator: str, *words: str, **kind: str) -> subprocess.CompletedProcess[str]:
        return self("connect", "--agency", "Nova", "--creator-uuid", creator, *words, **kind)

    def findings(self, **changes: str) -> tuple[int, dict[str, tuple[str, str]]]:
        done = self("doctor", "--json", **changes)
        found = json.loads(done.stdout)
        return done.returncode, {one["check"]: (one["verdict"], one["text"]) for one in found}


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    return Program(engine, tmp_path)


@pytest.fixture
def active_cron(engine: Engine) -> Iterator[None]:
    engine.database.execute("select cron.alter_job(jobid, active := true) from cron.job")
    yield
    engine.database.execute("select cron.alter_job(jobid, active := false) from cron.job")


def counts(engine: Engine) -> tuple[Any, ...]:
    row = engine.database.execute(
        """
        select (select count(*) from public.agencies), (select count(*) from public.models),
               (select count(*) from public.sync_state), (select count(*) from public.sync_jobs),
               (select count(*) from public.sync_runs),
               (select jsonb_agg(m.token_version order by m.id) from public.models m)
        """
    ).fetchone()
    assert row is not None
    return tuple(row)


def new_creator(engine: Engine, transactions: int = 0) -> str:
    made = engine.fanvue.add_creators(transactions=transactions)
    return made[0]["uuid"]


def test_a_connected_creator_is_synced_to_the_cent_by_a_drain(program: Program) -> None:
    engine = program.engine
    creator = new_creator(engine, 120)
    grant = engine.fanvue.grant(creator)

    connected = program.connect(creator, "--refresh-token", "-", stdin=f"{grant.refresh_token}\n")
    engine.models[creator] = connected.stdout.strip()
    drained = program("run", "--drain", "--json")

    assert connected.returncode == 0, connected.stderr
    assert drained.returncode == 0, drained.stderr
    assert json.loads(drained.stdout)["outcomes"] == {"succeeded": 1}
    engine.assert_exact(creator)


def test_a_stored_grant_is_sealed_and_no_output_shows_it(program: Program, tmp_path: Path) -> None:
    engine = program.engine
    creator = new_creator(engine, 3)
    grant = engine.fanvue.grant(creator)
    assert grant.refresh_token is not None
    file = tmp_path / "grant.txt"
    file.write_text(grant.refresh_token)

    said = program.connect(
        creator, "--refresh-token-file", str(file), "--access-token", grant.access_token, "--json"
    )
    model_id = json.loads(said.stdout)["model_id"]
    outputs = [said] + [
        program(*words)
        for words in (("tokens", "status"), ("tokens", "refresh", model_id), ("status", "--json"))
    ]

    row = engine.database.execute(
        "select fanvue_access_token, fanvue_refresh_token from public.models"
    ).fetchone()
    assert row is not None
    assert all(value.startswith("fse1.local-1.") for value in row)
    for done in outputs:
        assert done.returncode == 0, done.stderr
        for secret in (grant.access_token, grant.refresh_token, "fse1."):
            assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["connect", "--agency", "Nova", "--creator-uuid", "nope", "--refresh-token", "t"],
        ["connect", "--agency", " ", "--creator-uuid", UNKNOWN, "--refresh-token", "t"],
        ["connect", "--agency", "Nova", "--creator-uuid", UNKNOWN, "--refresh-token", " "],
        [
            *("connect", "--agency", "Nova", "--creator-uuid", UNKNOWN, "--refresh-token", "t"),
            *("--access-token", "a", "--expires-in", "-5"),
        ],
        ["sync", UNKNOWN],
        ["sync", "nope"],
        ["jobs", "retry", "987654321"],
        ["jobs", "cancel", "987654321"],
        ["tokens", "refresh", UNKNOWN],
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_with_code_two_and_changes_nothing(
    program: Program, words: list[str]
) -> None:
    program.engine.creator()
    before = counts(program.engine)

    done = program(*words)

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert counts(program.engine) == before


def test_a_second_connection_of_a_creator_is_refused_unless_it_replaces(program: Program) -> None:
    engine = program.engine
    creator = engine.creator()
    before = counts(engine)

    refused = program("connect", "--agency", "Agency A", "--creator-uuid", creator, stdin="")
    again = ("connect", "--agency", "Agency A", "--creator-uuid", creator, "--refresh-token", "t")
    duplicate, elsewhere = program(*again), program.connect(creator, "--refresh-token", "t")

    assert refused.returncode == 2
    assert duplicate.returncode == 2
    assert duplicate.stderr.rstrip().endswith("to replace its grant, connect with --replace")
    assert elsewhere.returncode == 2
    assert "another agency" in elsewhere.stderr
    assert counts(engine) == before
    assert program(*again, "--replace").stdout.strip() == engine.models[creator]


def test_sync_runs_one_creator_now_and_says_what_it_found(program: Program) -> None:
    engine = program.engine
    creator = engine.creator(130)
    program("run", "--drain")
    engine.fanvue.add_sales(creator, 4)

    first = program.json("sync", engine.models[creator])
    full = program.json("sync", engine.models[creator], "--full")

    assert (first["state"], first["rows_inserted"]) == ("succeeded", 4)
    assert (full["state"], full["rows_inserted"], full["rows_unchanged"]) == ("succeeded", 0, 134)
    engine.assert_exact(creator)


def test_sync_of_a_dead_stream_fails_with_the_reason(program: Program) -> None:
    creator = program.engine.creator(5)
    program.engine.fanvue.add_fault("403", "/insights/.*", times=50)

    done = program("sync", program.engine.models[creator])

    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "connect the creator again" in done.stderr


def test_a_drain_in_which_a_job_died_exits_with_one_and_retry_mends_it(program: Program) -> None:
    engine = program.engine
    creator = engine.creator(5)
    engine.fanvue.add_fault("403", "/insights/.*", times=50)

    died = program("run", "--drain")
    dead = program.json("jobs", "list", "--state", "dead")
    engine.fanvue.clear_faults()
    retried = program.json("jobs", "retry", str(dead[0]["id"]))
    mended = program("run", "--drain")

    assert (died.returncode, mended.returncode) == (1, 0)
    assert retried["state"] == "queued"
    engine.assert_exact(creator)


def test_a_waiting_job_can_be_cancelled(program: Program) -> None:
    program.engine.creator()
    job = program.json("jobs", "list")[0]

    cancelled = program.json("jobs", "cancel", str(job["id"]))

    assert cancelled["state"] == "cancelled"
    assert program.json("jobs", "list") == []
    assert program.json("enqueue") == {"enqueued": 0, "revived": 0}


def test_a_rotation_seals_every_grant_with_the_first_key_and_the_old_one_may_go(
    program: Program,
) -> None:
    engine = program.engine
    creators = [engine.creator(3), engine.creator(3)]
    engine.database.execute(
        "update public.models set fanvue_access_token = 'plain' where handle is null"
    )
    old = engine.environment["TOKEN_ENCRYPTION_KEYS"]

    rotated = program.json("tokens", "rotate-key", TOKEN_ENCRYPTION_KEYS=f"{NEW_KEY},{old}")
    twice = program.json("tokens", "rotate-key", TOKEN_ENCRYPTION_KEYS=f"{NEW_KEY},{old}")
    without_old = program("run", "--drain", TOKEN_ENCRYPTION_KEYS=NEW_KEY)

    assert (rotated["resealed"], rotated["failed"]) == (2, [])
    assert (twice["resealed"], twice["unchanged"]) == (0, 2)
    assert without_old.returncode == 0, without_old.stderr
    for creator in creators:
        engine.assert_exact(creator)


def test_a_rotation_without_the_old_key_changes_nothing_and_says_which_is_missing(
    program: Program,
) -> None:
    program.engine.creator()
    before = program.engine.database.execute("select fanvue_refresh_token from models").fetchall()

    done = program("tokens", "rotate-key", TOKEN_ENCRYPTION_KEYS=NEW_KEY)

    assert done.returncode == 1
    assert "add key 'local-1' to TOKEN_ENCRYPTION_KEYS" in done.stdout
    after = program.engine.database.execute("select fanvue_refresh_token from models").fetchall()
    assert after == before


def test_ctrl_c_stops_a_sync_and_gives_its_lease_back(program: Program) -> None:
    engine = program.engine
    creator = engine.creator(200)
    engine.fanvue.add_fault("slow", "/insights/.*", ms=1500, times=100)

    process = program.start("sync", engine.models[creator])
    deadline = time.monotonic() + 30
    while not engine.fanvue.requests(creator=creator) and time.monotonic() < deadline:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in err
    states = engine.database.execute("select state from public.sync_jobs").fetchall()
    assert states == [("queued",)]


def test_the_doctor_finds_nothing_wrong_with_a_sound_installation(
    program: Program, active_cron: None
) -> None:
    program.engine.creator()
    program("enqueue")

    code, found = program.findings()

    assert {check for check, (verdict, _) in found.items() if verdict == "fail"} - {
        "ticks"
    } == set()
    assert found["migrations"][0] == "ok"
    assert found["schedules"][0] == "ok"
    assert found["Fanvue client"][0] == "ok"
    assert code in {0, 1 if found["ticks"][0] == "fail" else 0}


@pytest.mark.parametrize(
    ("changes", "check", "remedy"),
    [
        ({"SUPABASE_SECRET_KEY": "sb_secret_wrong"}, "database", "SUPABASE_SECRET_KEY"),
        ({"TOKEN_ENCRYPTION_KEYS": NEW_KEY}, "sealing keys", "TOKEN_ENCRYPTION_KEYS"),
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
    assert found["migrations"][1].endswith("apply the migrations: supabase db push")


def test_a_stopped_database_is_one_line_from_the_doctor_within_ten_seconds(
    program: Program,
) -> None:
    stack = Stack((PROJECT / os.environ["FSE_TEST_STACK"]).parent)
    stack.stop_postgres()
    began = time.monotonic()
    try:
        done = program("doctor", "--json")
        seconds = time.monotonic() - began
    finally:
        stack.start_postgres()

    failed = [one for one in json.loads(done.stdout) if one["verdict"] == "fail"]
    assert done.returncode == 1
    assert [one["check"] for one in failed] == ["database"]
    assert "check SUPABASE_URL" in failed[0]["text"]
    assert seconds < 10
