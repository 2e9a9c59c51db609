"""A worker of the release before goes on against the newest schema, alone and beside new ones.

Databases are migrated before workers are replaced, so for a while both work at the same books.
"""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.program import Program
from tests.support.releases import older_worker
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tests.system.test_streams_together import (
    assert_all_exact,
    enable_all,
    make_due,
    populated,
    tick,
)


if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

OLDER = str(older_worker())


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Program:
    return Program(engine, tmp_path)


@contextmanager
def started(program: Program, **changes: str) -> Iterator[subprocess.Popen[str]]:
    process = program.start("run", **changes)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_calls(engine: Engine, count: int, process: subprocess.Popen[str]) -> None:
    """Return once Fanvue was called so often."""

    def called() -> bool:
        assert process.poll() is None
        return engine.fanvue.request_counts(by=("status",)).total >= count

    wait_until(called, f"{count} calls")


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0


def test_it_is_the_older_worker_that_is_run(program: Program) -> None:
    process = program.start("--help", PYTHONPATH=OLDER, PYTHONVERBOSE="1")
    _, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert f"import 'worker.cli' # <zipimporter object \"{OLDER}/worker/" in err


def test_an_older_worker_drains_every_stream_of_the_newest_schema(program: Program) -> None:
    engine = program.engine
    enable_all(engine)
    # On one page, so that a poll sees every tip that the sales bring.
    books = populated(engine, posts=40)
    make_due(engine)

    first = program("run", "--drain", "--json", PYTHONPATH=OLDER)
    tick(engine)
    engine.fanvue.add_sales(books.creator, 25)
    engine.fanvue.expire_tokens(books.creator)
    make_due(engine)
    second = program("run", "--drain", "--json", PYTHONPATH=OLDER)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert json.loads(first.stdout)["dead"] == json.loads(second.stdout)["dead"] == 0
    assert_all_exact(books)
    engine.assert_exact(books.creator)
    assert set(engine.run_states(books.creator)) == {"succeeded"}


def test_an_older_worker_proves_the_money(program: Program) -> None:
    engine = program.engine
    engine.fanvue.turn(rate_limit=100_000)
    creator = engine.creator(150)
    engine.drain()
    engine.database.execute(
        "delete from public.fanvue_transactions where id in "
        "(select id from public.fanvue_transactions order by fanvue_created_at desc limit 7)"
    )

    proved = program("reconcile", "--json", PYTHONPATH=OLDER)

    assert proved.returncode == 0, proved.stderr
    assert json.loads(proved.stdout)["open"] == 0
    engine.assert_exact(creator)


def test_old_and_new_workers_share_one_backlog(program: Program) -> None:
    engine = program.engine
    engine.fanvue.turn(rate_limit=100_000)
    creators = [engine.creator(400) for _ in range(4)]

    with started(program, PYTHONPATH=OLDER) as older, started(program) as newer:
        wait_for_calls(engine, 20, older)
        engine.drain()
        stop(older)
        stop(newer)

    for creator in creators:
        engine.assert_exact(creator)
        assert "failed" not in engine.run_states(creator)


@pytest.mark.parametrize(
    ("first", "then", "knobs"),
    [
        (OLDER, None, {}),
        (None, OLDER, {}),
        # More rows are left of such a page than an older worker knows of.
        (None, OLDER, {"pages_shuffled": True}),
    ],
    ids=["there", "back", "back from pages in no order"],
)
def test_a_backfill_goes_on_where_the_other_worker_left_it(
    program: Program, first: str | None, then: str | None, knobs: dict[str, Any]
) -> None:
    engine = program.engine
    engine.fanvue.turn(rate_limit=100_000, **knobs)
    creator = engine.creator(600)
    # The sixth page does not come while this worker lives.
    engine.fanvue.add_fault("slow", "/insights/earnings$", ms=600_000, nth=6)
    hasty = {"WORKER_SHUTDOWN_SECONDS": "1"}

    with started(program, **hasty, **({"PYTHONPATH": first} if first else {})) as process:
        wait_for_calls(engine, 5, process)
        stop(process)
    read = engine.ledger(creator).count
    engine.fanvue.clear_faults()
    engine.fanvue.turn(pages_shuffled=False)
    drained = program("run", "--drain", "--json", **({"PYTHONPATH": then} if then else {}))

    assert 0 < read < 600
    assert drained.returncode == 0, drained.stderr
    engine.assert_exact(creator)
    # Nothing was read twice but the page that was under way, and the half of disordered ones.
    assert len(engine.calls(creator)) <= 600 / 50 + 6 + (3 if knobs else 0)
