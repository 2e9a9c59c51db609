"""Seeds, clock, world file and the program itself."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import simulator.clock
from simulator.__main__ import cli
from simulator.books import books
from simulator.client import SimulatorControl
from simulator.clock import SimulatedClock, stamp, to_millis
from simulator.knob_list import knob_lines, read_settings
from simulator.knobs import KnobBook, Knobs
from simulator.population import populate
from simulator.server import running
from simulator.simulation import CACHE_SIZE, AnswerCache
from simulator.transactions import SALE_SOURCES
from simulator.world import World
from simulator.world_file import load_world
from tests.simulator.press import NOON, PATIENCE_SECONDS


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def world_of(seed: int) -> World:
    world = World(SimulatedClock(frozen_at=NOON), seed)
    populate(world, agencies=2, models=3, transactions=200)
    return world


def facts(world: World) -> list[tuple[str, str, list[tuple[str, str, str, int]]]]:
    return [
        (c.uuid, c.handle, [(r.date, r.order_id, r.source, r.gross) for r in c.ledger.rows()])
        for c in world.creators.values()
    ]


def test_equal_seeds_give_equal_worlds() -> None:
    assert facts(world_of(7)) == facts(world_of(7))
    assert facts(world_of(7)) != facts(world_of(8))


def test_every_creator_has_exactly_the_transactions_asked_for() -> None:
    world = world_of(7)

    assert [books(world, c).count for c in world.creators.values()] == [200, 200, 200]
    ids = [r.order_id for c in world.creators.values() for r in c.ledger.rows()]
    assert len(set(ids)) == 600
    seen = {r.source for c in world.creators.values() for r in c.ledger.rows()}
    assert seen <= set(SALE_SOURCES)
    assert {"message", "tip", "renewal", "subscription", "post"} <= seen


def test_creators_keep_eighty_percent_of_what_fans_pay() -> None:
    world = world_of(7)

    for creator in world.creators.values():
        for row in creator.ledger.rows():
            assert row.net == (row.gross * 80 // 100 if row.fan else row.gross)


@dataclass
class Machine:
    """Stands for the module `time`."""

    seconds: int = 1_795_000_000

    def time_ns(self) -> int:
        return self.seconds * 10**9


def test_clock_can_be_frozen_moved_and_thawed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    monkeypatch.setattr(simulator.clock, "time", machine)
    clock = SimulatedClock(frozen_at=NOON)
    assert clock.now() == NOON
    clock.advance(0.25)
    assert stamp(clock.now_ms()) == "2026-11-22T12:00:00.250Z"
    clock.thaw()
    assert clock.now() == NOON + timedelta(seconds=0.25)
    machine.seconds += 2
    assert clock.now() == NOON + timedelta(seconds=2.25)
    clock.set(NOON - timedelta(days=1))
    clock.advance(3600)
    clock.freeze()
    machine.seconds += 2
    assert clock.now() == NOON - timedelta(hours=23)
    assert to_millis(clock.now()) == clock.now_ms()


def test_world_file_names_exact_money(tmp_path: Path) -> None:
    described = {
        "clock": "2026-11-22T12:00:00Z",
        "knobs": {"rate_limit": 200},
        "agencies": [
            {
                "name": "Aurora",
                "creators": [
                    {
                        "handle": "nova",
                        "uuid": "7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01",
                        "transactions": 10,
                        "rows": [{"source": "tip", "gross_cents": 700}],
                        "knobs": {"ties": "skip"},
                    }
                ],
            }
        ],
    }
    path = tmp_path / "world.json"
    path.write_text(json.dumps(described))
    world, knobs = World(SimulatedClock()), KnobBook()

    load_world(path, world, knobs)

    nova = world.creator("nova")
    assert nova.uuid == "7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01"
    assert books(world, nova).count == 11
    assert knobs.base.rate_limit == 200
    assert knobs.of(nova.uuid).ties == "skip"


def test_running_serves_a_small_world_by_default() -> None:
    with running() as sim:
        with SimulatorControl(sim.url) as control:
            agencies = control.world()["agencies"]

        assert sum(len(agency["creators"]) for agency in agencies) == 2
        assert len(sim.world.creators) == 2


@pytest.fixture
def program() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "simulator", "--port", "0", "--models", "2", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_program_says_where_it_is_and_stops_cleanly(
    program: subprocess.Popen[str], stop: signal.Signals
) -> None:
    assert program.stdout is not None
    told = json.loads(program.stdout.readline())
    with SimulatorControl(told["url"]) as control:
        assert len(control.world()["agencies"]) == 3

    program.send_signal(stop)

    assert program.wait(PATIENCE_SECONDS) == 0
    assert told["creators"] == 2


def test_program_names_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(cli, ["--port", port, "--models", "0"])

    assert done.exit_code == 2
    assert "not free" in done.stderr


def test_knobs_are_listed_and_set_by_name() -> None:
    lines = {line.partition("=")[0]: line for line in knob_lines()}

    assert set(lines) == set(Knobs.model_fields)
    assert lines["validators"].startswith('validators="none"  one of none, etag')
    assert read_settings(["validators=both", 'list_share={"/posts": 0}', "rate_limit=7"]) == {
        "validators": "both",
        "list_share": {"/posts": 0},
        "rate_limit": 7,
    }


@pytest.mark.parametrize("setting", ["validators", "validators=nonsense", "no_such_knob=1"])
def test_program_refuses_a_wrong_knob(setting: str) -> None:
    done = CliRunner().invoke(cli, ["--port", "0", "--knob", setting])

    assert done.exit_code == 2
    assert done.stderr.startswith("--knob: ")
    assert len(done.stderr.splitlines()) == 1


def test_kept_answers_make_room_for_new_ones() -> None:
    cache = AnswerCache()
    for number in range(CACHE_SIZE + 10):
        cache[number] = number

    assert len(cache) == CACHE_SIZE
    assert CACHE_SIZE + 9 in cache
    assert 0 not in cache
