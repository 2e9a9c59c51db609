"""Loaders on the same simulated Fanvue, without its limit, and the same server: first sync, polls.

Each load is a process of its own; what it takes to start and to import is not counted, but its
memory is. All but dlt, which connects within each run, are connected before they are timed.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from functools import partial
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.outside import open_outside
from benchmarks.peers.programs import HOME, PYTHON
from benchmarks.peers.queue import OURS, database


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.outside import Outside
    from benchmarks.stage import Stage


LOADERS = ("dlt", "loop")
SALES = 7
UNITS = ("seconds", "cpu", "peak_mb", "calls")
COLUMNS = ("", "wall, s", "CPU, s", "peak, MB", "calls")
Load = dict[str, Any]


def loads(stage: Stage, history: int, rounds: int) -> Iterator[tuple[str, dict[str, list[Load]]]]:
    """Yield each round's loads by step and loader, each time on a creator of its own."""
    taken: dict[str, list[Load]] = {}
    with open_outside(stage) as outside:
        for turn in range(rounds):
            stage.clear()
            (ours, *others) = outside.creators(1 + len(LOADERS), history)
            model_id = asyncio.run(outside.connect(ours))
            _steps(taken, outside, OURS, ours, partial(_ours, outside, model_id))
            for name, creator in zip(LOADERS, others, strict=True):
                with database(stage) as url, TemporaryDirectory(dir=HOME) as home:
                    arguments = [name, *_access(outside, creator), url, home]
                    _steps(taken, outside, name, creator, partial(_theirs, arguments))
            yield f"round {turn + 1}", taken


def as_rows(taken: dict[str, list[Load]]) -> list[Sequence[str]]:
    """Lay the medians out, a row for each step and loader."""
    return [
        (name, *(f"{median(load[unit] for load in series):,.3g}" for unit in UNITS))
        for name, series in sorted(taken.items())
    ]


def _steps(
    taken: dict[str, list[Load]],
    outside: Outside,
    name: str,
    creator: str,
    load: Callable[[], Load],
) -> None:
    for step in ("1 first sync", "2 poll without news", f"3 poll after {SALES} sales"):
        if step.startswith("3"):
            outside.control.add_sales(creator, SALES)
        outside.control.clear_requests()
        figures = load()
        figures["calls"] = len(outside.earnings_calls(creator))
        taken.setdefault(f"{step}: {name}", []).append(figures)


def _access(outside: Outside, creator: str) -> tuple[str, str]:
    settings = outside.settings().fanvue
    headers = {
        "authorization": f"Bearer {outside.control.grant(creator).access_token}",
        "x-fanvue-api-version": settings.api_version,
    }
    return settings.api_url, json.dumps(headers)


def _ours(outside: Outside, model_id: str) -> Load:
    command = [sys.executable, "-m", "benchmarks.peers.sync_once", model_id]
    return _run(command, {**os.environ, **outside.environment})


def _theirs(arguments: Sequence[str]) -> Load:
    environment = {"PATH": os.environ["PATH"], "HOME": str(HOME)}
    environment |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    return _run([str(PYTHON), str(HOME / "loaders.py"), *arguments], environment)


def _run(command: Sequence[str], environment: dict[str, str]) -> Load:
    done = subprocess.run(  # noqa: S603 - our own words
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    figures: Load = json.loads(done.stdout.splitlines()[-1])
    return figures
