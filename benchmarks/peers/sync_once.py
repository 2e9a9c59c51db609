"""Syncs a creator's earnings once with a whole worker, as a program; says one JSON line.

A process of its own, so that its memory and its processor time are its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from benchmarks.outside import PATIENCE
from worker.app import open_engine
from worker.logs import configure_logging
from worker.settings import load_settings


async def _sync(model_id: str) -> dict[str, Any]:
    async with open_engine(load_settings(dict(os.environ), None)) as engine:
        # A worker is connected before there is work, as the others are before they load.
        await engine.books.overview.status()
        began, burnt = perf_counter(), process_time()
        await engine.books.jobs.enqueue(model_id, "earnings", full=False)
        await engine.runner.run(drain=True, horizon=PATIENCE)
        seconds, cpu = perf_counter() - began, process_time() - burnt
    return {"seconds": seconds, "cpu": cpu, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    # Not getrusage: its peak counts the process that this one was forked from.
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system tells no peak")


if __name__ == "__main__":
    configure_logging("error")
    sys.stdout.write(json.dumps(asyncio.run(_sync(sys.argv[1]))) + "\n")
