from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from local.errors import StackError
from local.instance import Instance
from local.ports import Ports, is_free, reserve_ports
from local.prepared import PreparedCluster
from local.processes import ProcessBook, ProcessRecord
from local.programs import find_postgres
from local.stack import Stack
from tests.local.scratch import PORT, SECONDS, key_headers, make_stack


pytestmark = pytest.mark.system


def write_note(env: dict[str, str], body: str) -> None:
    httpx.post(
        f"{env['SUPABASE_URL']}/rest/v1/notes",
        json={"owner_id": "00000000-0000-4000-8000-000000000001", "body": body},
        headers=key_headers(env["SUPABASE_SECRET_KEY"]),
        timeout=SECONDS,
    ).raise_for_status()


def read_notes(env: dict[str, str]) -> list[str]:
    answer = httpx.get(
        f"{env['SUPABASE_URL']}/rest/v1/notes?select=body",
        headers=key_headers(env["SUPABASE_SECRET_KEY"]),
        timeout=SECONDS,
    )
    return [row["body"] for row in answer.raise_for_status().json()]


def test_two_instances_started_together_live_side_by_side(tmp_path: Path) -> None:
    stacks = [make_stack(tmp_path / name) for name in ("one", "two")]
    try:
        with ThreadPoolExecutor(2) as pool:
            one, two = (report.env for report in pool.map(Stack.up, stacks))
        write_note(one, "only here")

        assert one["SUPABASE_URL"] != two["SUPABASE_URL"]
        assert one["SUPABASE_SECRET_KEY"] != two["SUPABASE_SECRET_KEY"]
        assert read_notes(one) == ["only here"]
        assert read_notes(two) == []
    finally:
        for stack in stacks:
            stack.down(reset=True)


def test_data_and_secrets_outlive_a_stop_and_end_with_a_reset_or_half_a_start(
    tmp_path: Path,
) -> None:
    stack = make_stack(tmp_path / "kept")
    try:
        first = stack.up().env
        write_note(first, "kept")
        data = Path(json.loads(stack.instance.file("state.json").read_text())["postgres_data"])

        assert sorted(stack.down()) == ["gateway", "postgres", "postgrest", "realtime", "redis"]
        assert all(is_free(port) for port in Ports(int(first["SUPABASE_URL"][-5:])).fixed())

        assert stack.up().env == first
        assert read_notes(first) == ["kept"]
        pids = stack.running()

        assert stack.up().env == first
        assert stack.running() == pids

        stack.instance.file("bootstrapped").write_text("of another version")
        with pytest.raises(StackError, match="local down --reset --dir"):
            stack.up()

        stack.instance.file("bootstrapped").unlink()

        # A start that was interrupted leaves nothing worth keeping.
        assert stack.up().env == first
        assert read_notes(first) == []
    finally:
        stack.down(reset=True)
    assert not data.exists()
    assert [path.name for path in stack.instance.directory.iterdir()] == ["lock"]
    with pytest.raises(StackError, match="start it with `up`"):
        stack.env()


def test_a_ready_cluster_is_copied_for_the_same_migrations_only(tmp_path: Path) -> None:
    migrations = tmp_path / "migrations"
    migrations.mkdir()

    def prepared() -> PreparedCluster:
        return PreparedCluster(find_postgres(), migrations, tmp_path / "shelf")

    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "PG_VERSION").write_text("made once")
    with prepared().awaited():
        assert not prepared().exists
        prepared().keep(data)
    prepared().copy_to(tmp_path / "copy")
    made = prepared()
    (place,) = (path for path in (tmp_path / "shelf").iterdir() if path.is_dir())
    os.utime(place, (0, 0))
    for number in range(4):
        (migrations / "1_more.sql").write_text(f"select {number}")
        assert not prepared().exists
        prepared().keep(data)

    assert (tmp_path / "copy" / "PG_VERSION").read_text() == "made once"
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    # Those of long ago make room.
    assert not made.exists


def test_a_reset_spares_instances_below_its_directory(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (below / "state.json").write_text("{}")

    make_stack(tmp_path).down(reset=True)

    assert (below / "state.json").exists()


def test_settings_can_be_read_by_their_owner_only(stack: Stack) -> None:
    for name in ("stack.env", "gateway.json", "realtime.json", "postgrest.conf", "state.json"):
        assert stat.S_IMODE(stack.instance.file(name).stat().st_mode) == 0o600


def test_everything_listens_on_loopback_only(env: dict[str, str]) -> None:
    ports = Ports(int(env["SUPABASE_URL"].rpartition(":")[2]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        own_address = probe.getsockname()[0]

    for port in ports.fixed():
        with socket.socket() as client:
            client.settimeout(2)
            assert client.connect_ex((own_address, port)) != 0


def test_a_block_in_use_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    free = reserve_ports(PORT + 4000, tmp_path).gateway
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free + 2))

        assert reserve_ports(free, tmp_path).gateway > free + 2


def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone(tmp_path: Path) -> None:
    book = ProcessBook(tmp_path / "run", tmp_path / "logs")
    (tmp_path / "run").mkdir()
    stranger = json.dumps({"pid": os.getpid(), "started": "another time"})
    (tmp_path / "run" / "redis.json").write_text(stranger)

    assert book.find("redis") is None
    assert book.stop("redis") is False


def test_a_process_that_ignores_the_request_to_end_is_ended(tmp_path: Path) -> None:
    book = ProcessBook(tmp_path / "run", tmp_path / "logs")
    record = book.start("stubborn", ["/bin/sh", "-c", "trap '' TERM; read _ < /dev/zero"])
    assert record.is_running()

    ProcessRecord(record.pid, record.started).stop(patience=0.2)

    assert book.find("stubborn") is None


def test_data_is_where_the_database_user_may_enter(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)

    chosen = Instance(private / "instance").choose_data_directory()

    # Root runs the database as another user, who may not enter; anybody else runs it himself.
    assert chosen.is_relative_to(private) == (os.geteuid() != 0)
