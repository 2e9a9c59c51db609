"""`fanvue-sync watch` as people use it: real sales in the terminal, Realtime going and coming."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.program import Program
from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.support.engine import Engine


pytestmark = pytest.mark.system


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    return Program(engine, tmp_path)


@contextmanager
def watching(program: Program, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a watch that is connected, and end it with Ctrl-C."""
    process = program.start("watch", *words)
    try:
        assert "connected" in said_to(process)
        yield process
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, rest) == (130, "")
    finally:
        process.kill()
        process.communicate()


def said_to(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def line_with(process: subprocess.Popen[str], text: str) -> str:
    """Return the next line that contains this."""
    assert process.stdout is not None
    line = next((line for line in process.stdout if text in line), None)
    assert line is not None, "it ended"
    return line


def refused(program: Program, *words: str) -> tuple[int, str]:
    done = program("watch", *words)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.returncode, done.stderr


def rename(engine: Engine, creator: str, handle: str) -> None:
    engine.database.execute(
        "update public.models set handle = %s where id = %s", (handle, engine.models[creator])
    )


def test_new_sales_of_any_of_a_hundred_agencies_appear_as_a_line_with_creator_and_amount(
    program: Program,
) -> None:
    engine = program.engine
    engine.database.execute(
        "insert into public.agencies (name) select 'Agency ' || n from generate_series(1, 99) n"
    )
    creator = engine.creator(4)
    engine.drain()
    before = engine.ledger(creator).gross
    rename(engine, creator, "mia")

    with watching(program) as process:
        engine.fanvue.add_sales(creator, 3)
        engine.sync(creator)
        line = line_with(process, "new sales")

    moved = engine.ledger(creator).gross - before
    assert line.split("  ")[1:] == ["Agency A", "@mia", f"3 new sales, +${moved:,.2f}\n"]


def test_json_is_the_payload_itself_and_a_reader_who_has_seen_enough_ends_it_quietly(
    program: Program,
) -> None:
    engine = program.engine
    creator = engine.creator(4)
    engine.drain()

    with program.start("watch", "--json") as process:
        assert "connected" in said_to(process)
        assert process.stdout is not None
        assert process.stderr is not None
        engine.fanvue.add_sales(creator, 2)
        engine.sync(creator)
        event: dict[str, Any] = json.loads(line_with(process, '"transactions"'))

        process.stdout.close()
        rename(engine, creator, "second")
        rest = process.stderr.read()

    assert (process.returncode, rest) == (0, "")
    row = engine.database.execute(
        "select id::text from public.agencies where name = 'Agency A'"
    ).fetchone()
    assert row is not None
    assert (event["event"], event["agency_id"]) == ("transactions", row[0])
    assert (event["model_id"], event["inserted"]) == (engine.models[creator], 2)
    assert isinstance(event["amount"], str)
    assert event["received_at"].endswith("+00:00")


def test_one_agency_is_heard_alone_by_name_or_id(program: Program) -> None:
    engine = program.engine
    ours, other = (engine.fanvue.add_creators(transactions=0)[0]["uuid"] for _ in range(2))
    engine.connect(other, "Other")
    model_id = engine.connect(ours, "Ours")
    row = engine.database.execute(
        "select id::text from public.agencies where name = 'Ours'"
    ).fetchone()
    assert row is not None

    for name in ("Ours", row[0]):
        with watching(program, "--agency", name) as process:
            rename(engine, other, f"not {name}")
            rename(engine, ours, f"to {name}")
            line = line_with(process, "")
            rename(engine, ours, "back")

        assert f"@to {name}" in line or model_id in line
        assert "Ours" in line


def test_a_lost_connection_is_said_and_found_again(program: Program, local_stack: Stack) -> None:
    engine = program.engine
    creator = engine.creator()
    engine.drain()

    with watching(program) as process:
        local_stack.stop_realtime()
        assert "connection lost" in said_to(process)
        local_stack.start_realtime()
        assert "connected again" in said_to(process)
        engine.database.execute(
            "update public.models set status = 'reauth_required' where id = %s",
            (engine.models[creator],),
        )
        assert line_with(process, "must reconnect")


def test_a_realtime_that_is_away_at_the_start_is_one_line_and_the_next_step(
    program: Program, local_stack: Stack
) -> None:
    program.engine.creator()
    local_stack.stop_realtime()

    code, said = refused(program)

    assert code == 1
    assert said.startswith("error: Realtime does not let us listen: ")
    assert "Studio" in said


def test_what_cannot_be_watched_is_refused_with_the_next_step(program: Program) -> None:
    engine = program.engine
    assert refused(program) == (
        2,
        "error: there is no agency yet; fanvue-sync connect --help says how to connect a creator\n",
    )
    engine.database.execute(
        "insert into public.agencies (name) select 'Agency ' || n from generate_series(1, 101) n"
    )

    code, said = refused(program)
    assert (code, "--agency" in said) == (2, True)
    code, said = refused(program, "--agency", "Nobody")
    assert (code, "'Nobody'" in said) == (2, True)
    with watching(program, "--agency", "Agency 101"):
        pass
