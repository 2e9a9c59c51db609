"""Loads a creator's earnings once, with dlt or with the audit's loop that reads everything again.

Runs in the peers' own environment, as a program; knows nothing of the engine. Says one JSON line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import dlt
import httpx
import psycopg
from dlt.sources.rest_api import rest_api_source


if TYPE_CHECKING:
    from collections.abc import Callable


PATH = "insights/earnings"
KEY = "transactionOrderId"
PAGE_SIZE = 50
SINCE = "2020-01-01T00:00:00.000Z"
SECONDS = 30

_TABLE = "create table if not exists earnings (id text primary key, body jsonb not null)"
_UPSERT = """
  insert into earnings (id, body) values (%s, %s)
  on conflict (id) do update set body = excluded.body
"""


def open_dlt(api: str, headers: dict[str, str], url: str, home: str) -> Callable[[], object]:
    """Return what loads what is new since the last load; dlt keeps the place."""
    source = rest_api_source(
        {
            "client": {
                "base_url": api,
                "headers": headers,
                "paginator": {
                    "type": "cursor",
                    "cursor_path": "nextCursor",
                    "cursor_param": "cursor",
                },
            },
            "resources": [
                {
                    "name": "earnings",
                    "primary_key": KEY,
                    "write_disposition": "merge",
                    "endpoint": {
                        "path": PATH,
                        "params": {"size": PAGE_SIZE},
                        "data_selector": "data",
                        "incremental": {
                            "start_param": "startDate",
                            "cursor_path": "date",
                            "initial_value": SINCE,
                        },
                    },
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        "earnings",
        pipelines_dir=home,
        destination=dlt.destinations.postgres(url),
        dataset_name="loaded",
    )
    # what it imports for the database is there before the clock starts; `run` connects within it
    with pipeline.sql_client() as client:
        client.execute_sql("select 1")
    return lambda: pipeline.run(source)


def open_loop(api: str, headers: dict[str, str], url: str, _home: str) -> Callable[[], object]:
    """Return what reads from 2020 on and writes each page; there is no place to keep."""
    session = httpx.Client(timeout=SECONDS)
    database = psycopg.connect(url, autocommit=True)
    database.execute(_TABLE)

    def load() -> None:
        cursor = None
        while True:
            query = {
                "size": PAGE_SIZE,
                "startDate": SINCE,
                **({"cursor": cursor} if cursor else {}),
            }
            answer = session.get(f"{api}/{PATH}", params=query, headers=headers)
            answer.raise_for_status()
            page = answer.json()
            rows = [(row[KEY], json.dumps(row)) for row in page["data"] if row.get(KEY)]
            with database.transaction():
                database.cursor().executemany(_UPSERT, rows)
            cursor = page.get("nextCursor")
            if not cursor:
                return

    return load


def _peak_mb() -> float:
    # Not getrusage: its peak counts the process that this one was forked from.
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system tells no peak")


LOADERS = {"dlt": open_dlt, "loop": open_loop}


def _main(name: str, api: str, *rest: str) -> dict[str, Any]:
    headers, url, home = rest
    load = LOADERS[name](api, json.loads(headers), url, home)
    began, burnt = perf_counter(), process_time()
    load()
    return {
        "seconds": perf_counter() - began,
        "cpu": process_time() - burnt,
        "peak_mb": _peak_mb(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_main(*sys.argv[1:])) + "\n")
