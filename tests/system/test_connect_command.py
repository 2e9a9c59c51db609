"""`fanvue-sync connect` tries a consent before it writes anything, and never loses one."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.flaky_rest import flaky
from tests.support.postgres import PROJECT
from tests.support.program import Program
from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

BROKEN = """
create or replace function private.break_a_store() returns trigger language plpgsql as $$
begin
  raise sqlstate 'PT409' using message = 'the drill breaks it', hint = 'end the drill';
end $$;
create or replace trigger models_break before update of token_version on public.models
  for each row execute function private.break_a_store();
"""
MENDED = "drop function if exists private.break_a_store() cascade"


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    return Program(engine, tmp_path)


@pytest.fixture
def broken_store(engine: Engine) -> Iterator[None]:
    """Let the database refuse to store a grant, until the test mends it."""
    engine.database.execute(BROKEN.encode())
    yield
    engine.database.execute(MENDED)


def written(engine: Engine) -> tuple[int, ...]:
    row = engine.database.execute(
        """
        select (select count(*) from public.agencies), (select count(*) from public.models),
               (select count(*) from public.agency_connections), (select count(*) from sync_jobs)
        """
    ).fetchone()
    assert row is not None
    return tuple(row)


def is_asleep(pid: int) -> bool:
    """Tell whether a process waits for something."""
    status = Path(f"/proc/{pid}/stat").read_text("utf-8")
    return status.rpartition(") ")[2].startswith("S")


def agencies(engine: Engine) -> list[str]:
    rows = engine.database.execute("select name from public.agencies order by name").fetchall()
    return [row[0] for row in rows]


def new_creator(engine: Engine) -> tuple[str, Any]:
    creator = engine.fanvue.add_creators(transactions=2)[0]["uuid"]
    return creator, engine.fanvue.grant(creator)


@pytest.mark.parametrize("command", ["connect", "connect-agency"])
def test_a_token_that_fanvue_refuses_writes_nothing(program: Program, command: str) -> None:
    engine = program.engine
    creator, _ = new_creator(engine)
    option = "--creator-uuid" if command == "connect" else "--user-uuid"

    done = program(command, "--agency", "Nova", option, creator, "--refresh-token", "abc")

    assert done.returncode == 1
    assert written(engine) == (0, 0, 0, 0)
    assert len(done.stderr.splitlines()) == 1
    assert "Fanvue refuses the refresh token" in done.stderr
    assert "let the account consent again" in done.stderr
    assert not done.stdout


def test_the_pair_that_fanvue_gave_in_return_is_what_is_stored(program: Program) -> None:
    engine = program.engine
    creator, grant = new_creator(engine)

    done = program.connect(creator, "--refresh-token", grant.refresh_token)
    engine.models[creator] = done.stdout.strip()
    # The token that was given is dead once the next one was used.
    refreshed = program("tokens", "refresh", engine.models[creator])
    drained = program("run", "--drain")

    assert done.returncode == 0, done.stderr
    assert refreshed.returncode == drained.returncode == 0, refreshed.stdout
    assert engine.fanvue.stats()["creators"][creator]["chain_kills"] == 0
    engine.assert_exact(creator)


def test_somebody_elses_token_is_refused_and_not_lost(program: Program) -> None:
    engine = program.engine
    named, _ = new_creator(engine)
    other, grant = new_creator(engine)

    refused = program.connect(named, "--refresh-token", grant.refresh_token)
    nothing = written(engine)
    file = f"fanvue-grant-{other}.sealed"
    kept = (program.directory / file).read_text("ascii")
    mode = (program.directory / file).stat().st_mode & 0o777
    connected = program.connect(other, "--refresh-token-file", str(program.directory / file))

    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert f"the grant is of account {other}" in refused.stderr
    assert (
        "name the creator whose it is; nothing was written; the refresh token is" in refused.stderr
    )
    assert f"--refresh-token-file {file}" in refused.stderr
    assert nothing == (0, 0, 0, 0)
    assert kept.startswith("fse1.")
    assert mode == 0o600
    assert connected.returncode == 0, connected.stderr
    assert written(engine) == (1, 1, 0, 1)
    assert engine.fanvue.stats()["creators"][other]["chain_kills"] == 0


def test_with_its_access_token_somebody_elses_consent_is_not_even_used(program: Program) -> None:
    engine = program.engine
    named, _ = new_creator(engine)
    other, grant = new_creator(engine)
    tokens = ("--refresh-token", grant.refresh_token, "--access-token", grant.access_token)

    refused = program.connect(named, *tokens)
    refreshes = engine.fanvue.stats()["creators"].get(other, {}).get("refreshes", 0)
    connected = program.connect(other, *tokens)

    assert refused.returncode == 2
    assert refreshes == 0
    assert list(program.directory.glob("*.sealed")) == []
    assert connected.returncode == 0, connected.stderr


def test_an_account_that_is_no_creator_is_sent_to_the_right_command(program: Program) -> None:
    engine = program.engine
    engine.fanvue.add_creators()
    (agency, *_) = engine.fanvue.world()["agencies"]
    grant = engine.fanvue.agency_grant(agency["name"])

    done = program.connect(agency["owner_uuid"], "--refresh-token", str(grant.refresh_token))

    assert done.returncode == 2
    assert "fanvue-sync connect-agency" in done.stderr
    assert written(engine) == (0, 0, 0, 0)


@pytest.mark.usefixtures("broken_store")
def test_a_pair_that_the_database_does_not_take_is_kept_and_told(program: Program) -> None:
    engine = program.engine
    creator, grant = new_creator(engine)

    failed = program.connect(creator, "--refresh-token", grant.refresh_token)
    engine.database.execute(MENDED)
    file = f"fanvue-grant-{creator}.sealed"
    mended = program.connect(creator, "--refresh-token-file", str(program.directory / file))
    drained = program("run", "--drain")

    assert failed.returncode == 2
    assert len(failed.stderr.splitlines()) == 1
    assert "the drill breaks it; end the drill; the refresh token is used up" in failed.stderr
    assert f"connect with --refresh-token-file {file}" in failed.stderr
    assert grant.refresh_token not in failed.stderr + failed.stdout
    assert mended.returncode == drained.returncode == 0, mended.stderr
    assert engine.fanvue.stats()["creators"][creator]["chain_kills"] == 0


def test_a_lost_answer_is_asked_for_again_and_stores_once(program: Program) -> None:
    engine = program.engine
    creator, grant = new_creator(engine)

    with flaky(engine.environment["SUPABASE_URL"]) as rest:
        lost = rest.lose_answer("store_grant")
        token = ("--refresh-token", str(grant.refresh_token))
        done = program.connect(creator, *token, SUPABASE_URL=rest.url)

    assert lost.hits == 1
    assert done.returncode == 0, done.stderr
    assert written(engine)[:2] == (1, 1)
    assert program("run", "--drain").returncode == 0


def test_a_database_that_goes_away_meanwhile_loses_no_pair(program: Program) -> None:
    engine = program.engine
    creator, grant = new_creator(engine)

    with flaky(engine.environment["SUPABASE_URL"]) as rest:
        rest.refuse("connect_model", times=100)
        token = ("--refresh-token", str(grant.refresh_token))
        failed = program.connect(creator, *token, SUPABASE_URL=rest.url)
    file = program.directory / f"fanvue-grant-{creator}.sealed"
    mended = program.connect(creator, "--refresh-token-file", str(file))

    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert "check SUPABASE_URL and that the project is up" in failed.stderr
    assert "if fanvue-sync tokens status does not show it stored, connect with" in failed.stderr
    assert mended.returncode == 0, mended.stderr
    assert program("run", "--drain").returncode == 0
    assert engine.fanvue.stats()["creators"][creator]["chain_kills"] == 0


@pytest.mark.usefixtures("broken_store")
def test_a_pair_that_can_be_kept_nowhere_is_told_as_lost(program: Program) -> None:
    engine = program.engine
    creator, grant = new_creator(engine)
    (program.directory / f"fanvue-grant-{creator}.sealed").mkdir()

    failed = program.connect(creator, "--refresh-token", grant.refresh_token)

    assert failed.returncode == 2
    assert len(failed.stderr.splitlines()) == 1
    assert "its successor could not be kept" in failed.stderr
    assert "let the account consent again" in failed.stderr


def interrupted(program: Program, creator: str, token: str) -> tuple[int, str]:
    """Connect, and press Ctrl-C while Fanvue answers; return how it ended and what it said."""
    asked, pressed = threading.Event(), threading.Event()

    def answer_late() -> None:
        asked.set()
        pressed.wait(PATIENCE_SECONDS)

    with flaky(program.engine.environment["FANVUE_AUTH_URL"]) as fanvue:
        fanvue.at("token", 1, answer_late)
        who = ("--agency", "Nova", "--creator-uuid", creator)
        process = program.start(
            "connect", *who, "--refresh-token", token, FANVUE_AUTH_URL=fanvue.url
        )
        wait_until(lambda: asked.is_set() or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        pressed.set()
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, errors


def test_ctrl_c_loses_no_pair_that_fanvue_has_issued(program: Program) -> None:
    engine = program.engine
    creator, grant = new_creator(engine)

    code, errors = interrupted(program, creator, str(grant.refresh_token))
    drained = program("run", "--drain")

    assert code == 130
    assert errors.splitlines() == ["the grant was stored all the same"]
    assert written(engine)[:2] == (1, 1)
    assert drained.returncode == 0
    assert engine.fanvue.stats()["creators"][creator]["chain_kills"] == 0


@pytest.mark.usefixtures("broken_store")
def test_ctrl_c_says_where_a_pair_is_kept_that_could_not_be_stored(program: Program) -> None:
    creator, grant = new_creator(program.engine)

    code, errors = interrupted(program, creator, str(grant.refresh_token))

    assert code == 130
    (line,) = errors.splitlines()
    assert line.startswith("the drill breaks it; ")
    assert line.endswith(f"connect with --refresh-token-file fanvue-grant-{creator}.sealed")


def test_a_slip_in_an_agencys_name_makes_no_agency(program: Program) -> None:
    engine = program.engine
    engine.connect(new_creator(engine)[0], "Nova Talent")
    creator, grant = new_creator(engine)
    before = written(engine)
    words = ("connect", "--creator-uuid", creator, "--refresh-token", str(grant.refresh_token))

    slip = program(*words, "--agency", "nova talnet")
    unused = engine.fanvue.stats()["creators"].get(creator, {}).get("refreshes", 0)
    meant = program(*words, "--agency", "nova talnet", "--yes")

    assert slip.returncode == 2
    assert 'Did you mean "Nova Talent"?; ' in slip.stderr
    assert "make the agency with --yes" in slip.stderr
    assert written(engine)[1] == before[1] + 1
    assert unused == 0
    assert meant.returncode == 0, meant.stderr
    assert agencies(engine) == ["Nova Talent", "nova talnet"]


def test_an_agency_is_one_in_either_spelling_of_unicode(program: Program) -> None:
    engine = program.engine
    composed = unicodedata.normalize("NFC", "Café Noir")
    for spelling in (unicodedata.normalize("NFD", composed), composed, f" {composed} "):
        creator, grant = new_creator(engine)
        words = ("--creator-uuid", creator, "--refresh-token", str(grant.refresh_token))
        done = program("connect", "--agency", spelling, *words)
        assert done.returncode == 0, done.stderr

    assert agencies(engine) == [composed]


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130), ("Ctrl-C", 130)])
def test_a_terminal_is_asked_before_an_agency_is_made(
    program: Program, answer: str, code: int
) -> None:
    engine = program.engine
    engine.connect(new_creator(engine)[0], "Nova")
    creator, grant = new_creator(engine)
    ours, theirs = pty.openpty()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "worker", "connect", "--agency", "Vega"),
            *("--creator-uuid", creator, "--refresh-token", str(grant.refresh_token)),
        ],
        env={**kept, "PYTHONPATH": str(PROJECT), **engine.environment},
        cwd=program.directory,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    asked = b""
    while b"[y/N]" not in asked and process.poll() is None:
        asked += os.read(ours, 1024)
    if answer == "Ctrl-C":
        # Before it reads, Python remembers the signal and reads all the same.
        wait_until(lambda: is_asleep(process.pid))
        process.send_signal(signal.SIGINT)
    else:
        os.write(ours, f"{answer}\n".encode())
    process.communicate(timeout=PATIENCE_SECONDS)
    os.close(ours)

    assert b'There is no agency "Vega" yet. Make it?' in asked
    assert process.returncode == code
    assert agencies(engine) == (["Nova", "Vega"] if answer == "y" else ["Nova"])
