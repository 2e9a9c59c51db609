"""The courier's life: with the program, without a server, and stopped in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from simulator.__main__ import cli
from simulator.client import SimulatorControl
from simulator.server import running
from simulator.webhooks.targets import Target
from tests.simulator.press import PATIENCE_SECONDS, SECRET
from tests.simulator.receiver import receiving


if TYPE_CHECKING:
    import httpx

    from simulator.people import Creator
    from simulator.simulation import Simulation
    from simulator.world import World


def test_program_sends_to_the_address_it_was_given() -> None:
    command = [sys.executable, "-m", "simulator", "--port", "0", "--models", "1", "--json"]
    with receiving() as receiver:
        command += ["--webhook-url", receiver.url, "--webhook-secret", SECRET]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                told = json.loads(process.stdout.readline())
                with SimulatorControl(told["url"]) as control:
                    control.add_sales("nova-1", rows=[{"source": "tip"}])
                    assert control.flush_webhooks(PATIENCE_SECONDS)["delivered"] == 1
                process.terminate()
                assert process.wait(PATIENCE_SECONDS) == 0
            finally:
                process.kill()

        assert receiver.received[0].signed_with(SECRET)


def test_program_refuses_to_send_to_another_machine() -> None:
    words = ["--port", "0", "--models", "0", "--webhook-url", "https://hooks.example.test/fanvue"]

    done = CliRunner().invoke(cli, words)

    assert done.exit_code == 2
    assert "loopback" in done.stderr


async def test_without_a_server_a_flush_carries_what_waits(
    http: httpx.AsyncClient, simulation: Simulation, creator: Creator
) -> None:
    with receiving() as receiver:
        simulation.newsroom.targets.configured = Target(receiver.url, SECRET)
        order = {"creator": creator.handle, "rows": [{"source": "tip"}]}
        await http.post("/_sim/sales", json=order)

        flushed = await http.post(
            "/_sim/webhooks/flush", json={"timeout_seconds": PATIENCE_SECONDS}
        )

        assert flushed.json()["delivered"] == 1
        await simulation.newsroom.courier.stop()


def test_stopping_does_not_wait_for_a_silent_receiver(world: World, creator: Creator) -> None:
    with receiving() as receiver:
        receiver.hold = threading.Event()
        with running(world) as simulator, SimulatorControl(simulator.url) as control:
            control.set_webhook_target(receiver.url, SECRET)
            control.add_sales(creator.handle, rows=[{"source": "tip", "copies": 20}])
            receiver.wait_for(1)

        assert simulator.simulation.newsroom.log.counts()["delivered"] == 0
