"""Runs steps side by side: each in a process group of its own, with a stack of its own if it asks.

What a step prints is kept and shown whole when it ended; what failed is shown last. However the
run ends, Ctrl-C included, nothing that it started is left. Knows no suite by name.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


INTERRUPTED = 130
# Time for a test run to take down what it set up, once it was told to stop.
PATIENCE_SECONDS = 30
PYTHON = sys.executable


@dataclass(frozen=True, slots=True)
class StackPlace:
    """Where a step's own stack lives, and the first port it tries."""

    directory: Path
    port: int

    @property
    def settings(self) -> Path:
        """The file with the stack's settings."""
        return self.directory / "stack.env"

    def up(self) -> list[str]:
        """Return the command that starts it."""
        where = ["--dir", str(self.directory), "--port", str(self.port)]
        return [PYTHON, "-m", "local", "up", *where, "--volatile"]

    def down(self) -> list[str]:
        """Return the command that stops it and deletes its data."""
        return [PYTHON, "-m", "local", "down", "--dir", str(self.directory), "--reset"]


@dataclass(frozen=True, slots=True)
class Step:
    """Commands that run one after the other, until one of them fails."""

    name: str
    commands: Sequence[Sequence[str]]
    stack: StackPlace | None = None
    # About how long it takes: what takes longest begins first.
    seconds: float = 0


@dataclass(slots=True)
class Ended:
    """How a step ended."""

    step: Step
    code: int
    seconds: float
    log: Path

    def line(self) -> str:
        """Return its line of the table."""
        verdict = "FAILED" if self.code else "ok"
        return f"{self.step.name:<24} {verdict:<7} {self.seconds:4.0f} s"


@dataclass(slots=True)
class Run:
    """Steps, and what became of them."""

    steps: Sequence[Step]
    slots: int
    logs: Path
    ended: list[Ended] = field(default_factory=list)

    def __call__(self) -> int:
        """Run all steps; return 0 if none failed."""
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            asyncio.run(self._all())
        except asyncio.CancelledError:
            _say("interrupted: everything that was started is stopped")
            return INTERRUPTED
        failed = [ended for ended in self.ended if ended.code]
        for ended in failed:
            _show(ended)
        _say("\n" + "\n".join(ended.line() for ended in self.ended))
        return 1 if failed else 0

    async def _all(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, _once(task))
        slots = asyncio.Semaphore(self.slots)
        order = sorted(self.steps, key=lambda step: (-step.seconds, step.name))
        async with asyncio.TaskGroup() as group:
            for step in order:
                group.create_task(self._one(step, slots))

    async def _one(self, step: Step, slots: asyncio.Semaphore) -> None:
        async with slots:
            began = time.monotonic()
            _say(f"--- {step.name}: begins")
            log = self.logs / f"{step.name.replace(' ', '-').replace('/', '-of-')}.log"
            with log.open("wb") as out:
                code = await _commands(step, out)
            ended = Ended(step, code, time.monotonic() - began, log)
            self.ended.append(ended)
            if code:
                _say(f"--- {ended.line()} - what it printed follows at the end")
            else:
                _show(ended)


async def _commands(step: Step, out: IO[bytes]) -> int:
    environment = dict(os.environ)
    if step.stack is None:
        return await _in_turn(step.commands, out, environment)
    environment["FSE_TEST_STACK"] = str(step.stack.settings)
    await _undisturbed(step.stack.down(), out, environment)
    try:
        code = await _undisturbed(step.stack.up(), out, environment)
        return code or await _in_turn(step.commands, out, environment)
    finally:
        await _undisturbed(step.stack.down(), out, environment)


async def _in_turn(
    commands: Sequence[Sequence[str]], out: IO[bytes], environment: dict[str, str]
) -> int:
    for command in commands:
        if code := await _command(command, out, environment):
            return code
    return 0


async def _undisturbed(command: Sequence[str], out: IO[bytes], environment: dict[str, str]) -> int:
    """Run a command that must not be stopped halfway, as a start that is not written down yet."""
    task = asyncio.create_task(_command(command, out, environment))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def _command(command: Sequence[str], out: IO[bytes], environment: dict[str, str]) -> int:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        env=environment,
        start_new_session=True,
    )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        await _stop(process)
        raise


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ask a process group to end as Ctrl-C does; what stays is ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _once(task: asyncio.Task[None]) -> Callable[[], None]:
    """Cancel at the first signal; whoever presses again waits for the same end."""
    pressed = False

    def press() -> None:
        nonlocal pressed
        if not pressed:
            pressed = True
            _say("stopping ...")
            task.cancel()

    return press


def _show(ended: Ended) -> None:
    text = ended.log.read_text(encoding="utf-8", errors="replace").rstrip()
    _say(f"--- {ended.step.name}\n{text}\n--- {ended.line()}\n")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
