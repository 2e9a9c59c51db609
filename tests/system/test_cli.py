"""The command line as people use it, against the stack and a simulated Fanvue."""

from __future__ import annotations

import base64
import json
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.engine import silence_cron, wake_cron
from tests.support.program import Program
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

UNKNOWN = "3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a10"
NEW_KEY = "k2:" + base64.b64encode(bytes(range(32))).decode()
BAD_INPUT: list[list[str]] = [
    ["connect", "--agency", "Nova", "--creator-uuid", "nope", "--refresh-token", "t"],
    ["connect", "--agency", " ", "--creator-uuid", UNKNOWN, "--refresh-token", "t"],
    ["connect", "--agency", "Nova", "--creator-uuid", UNKNOWN, "--refresh-token", " "],
    [
        *("connect", "--agency", "Nova", "--creator-uuid", UNKNOWN, "--refresh-token", "t"),
        *("--access-token", "a", "--expires-in", "-5"),
    ],
    ["connect", "--agency", UNKNOWN, "--creator-uuid", UNKNOWN, "--refresh-token", "t"],
    ["sync", UNKNOWN],
    ["sync", "nope"],
    ["reconcile", "--model", "nope"],
    ["tokens", "refresh", "nope"],
    ["jobs", "retry", "987654321"],
    ["jobs", "cancel", "987654321"],
    ["tokens", "refresh", UNKNOWN],
]


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    return Program(engine, tmp_path)


def first_key(engine: Engine) -> str:
    """Return the name of the key that seals."""
    return engine.environment["TOKEN_ENCRYPTION_KEYS"].partition(":")[0]


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

    who = ("--agency", "Nova", "--creator-uuid", creator)
    token = f"{grant.refresh_token}\n"
    connected = program.process("connect", *who, "--refresh-token", "-", stdin=token)
    engine.models[creator] = connected.stdout.strip()
    drained = program.process("run", "--drain", "--json")

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
    assert all(value.startswith(f"fse1.{first_key(engine)}.") for value in row)
    for done in outputs:
        assert done.returncode == 0, done.stderr
        for secret in (grant.access_token, grant.refresh_token, "fse1."):
            assert secret not in done.stdout + done.stderr


def test_bad_input_is_one_line_with_code_two_and_changes_nothing(program: Program) -> None:
    program.engine.creator()
    before = counts(program.engine)

    for words in BAD_INPUT:
        done = program(*words)

        assert done.returncode == 2, words
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
    own = ("--refresh-token", str(engine.fanvue.grant(creator).refresh_token))
    replaced = program(*again[:-2], *own, "--replace")
    assert replaced.stdout.strip() == engine.models[creator]


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
    assert died.returncode == 1, died.stderr
    dead = program.json("jobs", "list", "--state", "dead")
    engine.fanvue.clear_faults()
    retried = program.json("jobs", "retry", str(dead[0]["id"]))
    mended = program("run", "--drain")

    assert mended.returncode == 0, mended.stderr
    assert retried["state"] == "queued"
    engine.assert_exact(creator)


def test_a_list_of_jobs_that_is_cut_says_so_to_programs_too(program: Program) -> None:
    for _ in range(2):
        program.engine.creator()

    cut = program("jobs", "list", "--limit", "1", "--json")
    whole = program("jobs", "list", "--limit", "2", "--json")

    assert len(json.loads(cut.stdout)) == 1
    assert "there are more than 1" in cut.stderr
    assert len(json.loads(whole.stdout)) == 2
    assert not whole.stderr


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
    old = first_key(program.engine)
    assert f"add key '{old}' to TOKEN_ENCRYPTION_KEYS" in done.stdout
    after = program.engine.database.execute("select fanvue_refresh_token from models").fetchall()
    assert after == before


def test_a_refresh_that_fanvue_refuses_is_told_and_loses_no_grant(program: Program) -> None:
    engine = program.engine
    good, bad = engine.creator(1), engine.creator(1)
    engine.fanvue.kill_chain(bad)

    done = program("tokens", "refresh", "--all")

    assert done.returncode == 1
    assert f"{engine.models[good]}: refreshed, version 2" in done.stdout
    assert f"{engine.models[bad]}: Fanvue refused the refresh token" in done.stdout
    row = engine.database.execute(
        "select count(*) from public.models where fanvue_refresh_token is not null"
    ).fetchone()
    assert row == (2,)


@pytest.fixture
def ticking(engine: Engine) -> Iterator[None]:
    """Let pg_cron tick: without it, the schedule wants attention."""
    wake_cron(engine.database)
    yield
    silence_cron(engine.database)


def test_status_begins_with_what_needs_a_person(program: Program, ticking: None) -> None:
    engine = program.engine
    creator = engine.creator(3)
    engine.drain()
    engine.database.execute("select public.enqueue_due('pg_cron')")
    well = program("status").stdout.splitlines()

    engine.fanvue.kill_chain(creator)
    engine.sync(creator)
    # The first refusal is only a suspicion.
    engine.pass_time(30)
    engine.drain()
    told = program("status").stdout.splitlines()

    assert well[0] == "All is well."
    assert told[0] == "1 thing needs attention:"
    assert "1 account must connect again" in told[1]
    assert "fanvue-sync connect" in told[1]
    assert "(ops.reconnect)" in told[1]


def test_of_300_creators_the_failing_ones_are_shown_first(program: Program) -> None:
    database = program.engine.database
    database.execute("update private.sync_streams set enabled = true")
    database.execute("insert into public.agencies (name) values ('Crowd')")
    database.execute(
        """
        insert into public.models (agency_id, fanvue_user_uuid, fanvue_refresh_token, handle)
        select a.id, gen_random_uuid()::text, 'refresh', 'c' || lpad(n::text, 3, '0')
        from public.agencies a, generate_series(1, 300) n where a.name = 'Crowd'
        """
    )
    # Hundreds that are late wait for a worker; those that fail are worse.
    database.execute("insert into public.agencies (name) values ('Aurora')")
    database.execute(
        """
        insert into public.models (agency_id, fanvue_user_uuid, fanvue_refresh_token, handle)
        select a.id, gen_random_uuid()::text, 'refresh', 'late'
        from public.agencies a, generate_series(1, 20) n where a.name = 'Aurora'
        """
    )
    database.execute(
        """
        update public.sync_state s
        set last_success_at = now() - interval '1 day', next_sync_at = now() - interval '1 hour'
        from public.models m where m.id = s.model_id and m.handle = 'late'
        """
    )
    database.execute(
        """
        update public.sync_state s set consecutive_failures = 3, last_success_at = now()
        from public.models m where m.id = s.model_id and m.handle in ('c299', 'c300')
        """
    )

    glance = program("status").stdout.splitlines()
    listed = program("status", "--streams").stdout.splitlines()
    told = program.json("status")

    (total,) = database.execute("select count(*) from public.sync_state").fetchone() or (0,)
    assert total >= 320 * 7
    streams = told["stream_list"]
    counts = Counter(one["health"] for one in streams)
    # One root cause is one line, however many it meets.
    failing, late = [line for line in glance if line.startswith("  - ") and "last read" in line]
    assert failing.startswith(f"  - c299, c300 (Crowd): {counts['failing']} streams failing")
    assert late.startswith(f"  - late and 19 more (Aurora): {counts['late']} streams late")
    assert [one["creators"] for one in told["troubles"]] == [2, 20]
    assert len(streams) == total
    assert sum(f"c{number:03} " in line for number in range(1, 301) for line in listed) > 300 * 7
    assert {one["handle"] for one in streams[: counts["failing"]]} == {"c299", "c300"}


def test_sync_follows_the_run_of_another_worker(program: Program) -> None:
    engine = program.engine
    creator = engine.creator(120)
    engine.fanvue.add_fault("slow", "/insights/.*", ms=500, times=100)

    with engine.worker():
        wait_until(lambda: engine.fanvue.requests(creator=creator) != [])
        result = program.json("sync", engine.models[creator])

    assert result["state"] == "succeeded"
    engine.assert_exact(creator)


def test_ctrl_c_stops_a_sync_and_gives_its_lease_back(program: Program) -> None:
    engine = program.engine
    creator = engine.creator(200)
    engine.fanvue.add_fault("timeout", "/insights/.*", nth=2)

    process = program.start("sync", engine.models[creator], FANVUE_TIMEOUT_SECONDS="120")
    wait_until(lambda: engine.fanvue.faults()[0]["hits"] > 0 or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 130
    assert "Traceback" not in err
    states = engine.database.execute("select state from public.sync_jobs").fetchall()
    assert states == [("queued",)]
