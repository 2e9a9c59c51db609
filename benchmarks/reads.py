"""What reading an agency's figures costs: time in the database, and commands to Upstash.

One user reads `dashboard-stats` again and again while sales are committed now and then. Every
command of a script counts, so that no way of billing them is dearer.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import httpx

from benchmarks.ledger import fill_ledger
from benchmarks.table import Row, compare
from tests.support.consent import mint
from worker.app import open_books
from worker.cache import open_shelf
from worker.clock import SystemClock
from worker.settings import load_settings
from worker.stats_cache import StatsCache


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.stage import Size, Stage
    from worker.cache import DayRange


DAYS: Final = ("2025-12-02", "2025-12-31")
COMMITS: Final = 5
TIMINGS: Final = 20
TIMES: Final = 5
FREE_A_MONTH: Final = 500_000

# What a month is reckoned from. A webhook commits each sale; of the polls, every fifteen minutes
# day and night, those that find news commit once and let the worker refresh what is being read.
MODELS: Final = 50
SALES_A_DAY: Final = 10
POLLS_WITH_NEWS: Final = SALES_A_DAY
DASHBOARDS: Final = 3
HOURS_OPEN: Final = 8
MONTH_DAYS: Final = 30
A_DAY_FREE: Final = FREE_A_MONTH / MONTH_DAYS

_SALE = """
  insert into public.fanvue_transactions (
    agency_id, model_id, fanvue_id, amount, net_amount, category, fanvue_created_at)
  select agency_id, id, %(name)s, 1, 1, 'tip', '2025-12-15T12:00:00Z'
  from public.models where agency_id = %(agency)s limit 1
"""
_CALLS = re.compile(r"cmdstat_([\w|]+):calls=(\d+)")
# Redis itself, and this benchmark's own question.
_UNBILLED = frozenset({"info", "auth", "hello", "client|setinfo", "ping", "select"})


@dataclass(slots=True)
class Reader:
    """A dashboard's reads, and what Redis counted meanwhile."""

    stage: Stage
    agency_id: str
    user_id: str
    http: httpx.Client

    def read(self) -> str:
        """Read once; return what the cache was good for."""
        first, last = DAYS
        answer = self.http.get(
            f"{self.stage.environment['SUPABASE_URL']}/functions/v1/dashboard-stats",
            params={"agency_id": self.agency_id, "from": first, "to": last},
            headers={"authorization": f"Bearer {mint(self.stage.environment, self.user_id)}"},
        )
        return str(answer.raise_for_status().headers["x-cache"])

    def sell(self) -> None:
        """Commit a sale within the days."""
        self.stage.run(_SALE, {"name": uuid.uuid4().hex, "agency": self.agency_id})

    def commands(self) -> int:
        """Return how many commands Redis served since it began."""
        environment = self.stage.environment
        answer = self.http.post(
            environment["UPSTASH_REDIS_REST_URL"],
            json=["INFO", "commandstats"],
            headers={"authorization": f"Bearer {environment['UPSTASH_REDIS_REST_TOKEN']}"},
        )
        calls = _CALLS.findall(answer.raise_for_status().json()["result"])
        return sum(int(count) for name, count in calls if name not in _UNBILLED)


def reads(stage: Stage, size: Size) -> list[Row]:
    """Read with a commit now and then; reckon a month's commands from what each read cost."""
    agency = replace(size, agencies=1, ledger_models=min(MODELS, size.ledger_models))
    fill_ledger(stage, agency, size.large_ledger // 10)
    with httpx.Client(timeout=30, trust_env=False) as http:
        reader = _new_reader(stage, http)
        answers = _read_all(reader, size.reads)
        head, whole = _timings(reader, "stats_head"), _timings(reader, "dashboard_stats", *DAYS)
        costs = {
            "a hit": _cost(reader, reader.read, before=reader.read),
            "a miss": _cost(reader, reader.read, before=reader.sell),
            "a refresh by the worker": _cost(reader, lambda: _refresh(reader), before=reader.sell),
        }
    misses = answers["miss"] / size.reads
    per_read = [one + misses * median(whole) for one in head]
    return [
        _row("reads that hit", "all reads", "reads", [answers["hit"]], [size.reads]),
        _row(
            "time in the database, a read through the cache",
            "dashboard_stats alone",
            "ms",
            per_read,
            whole,
        ),
        *(
            _row(f"commands of {name}", "one command", "commands", [count], [1])
            for name, count in costs.items()
        ),
        *_month(costs),
    ]


def _new_reader(stage: Stage, http: httpx.Client) -> Reader:
    agency_id = stage.run("select id::text from public.agencies order by name limit 1")[0]
    user_id = str(uuid.uuid4())
    stage.run(
        "insert into public.agency_members (agency_id, user_id) values (%(agency)s, %(user)s)",
        {"agency": agency_id, "user": user_id},
    )
    return Reader(stage, agency_id, user_id, http)


def _read_all(reader: Reader, count: int) -> Counter[str]:
    """Read so many times, with commits spread over the reads."""
    between = count // (COMMITS + 1) + 1
    answers: Counter[str] = Counter()
    for number in range(count):
        if number % between == 0 and number > 0:
            reader.sell()
        answers[reader.read()] += 1
    if answers["bypass"] or not answers["hit"]:
        raise RuntimeError(f"the cache was of no use: {dict(answers)}")
    return answers


def _timings(reader: Reader, function: str, *days: str) -> list[float]:
    """Call a function as the user, in SQL alone; return the milliseconds of each call."""
    claims = json.dumps({"sub": reader.user_id, "role": "authenticated"})
    places = ", ".join(["%s"] * (1 + len(days)))
    took = []
    with reader.stage.owner.transaction():
        owner = reader.stage.owner
        owner.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        owner.execute("set local role authenticated")
        for _ in range(TIMINGS):
            began = perf_counter()
            owner.execute(f"select public.{function}({places})".encode(), (reader.agency_id, *days))
            took.append((perf_counter() - began) * 1000)
    return took


def _refresh(reader: Reader) -> None:
    """Let the worker replace the value that is being read."""
    asyncio.run(_refresh_once(reader))


async def _refresh_once(reader: Reader) -> None:
    settings = load_settings(reader.stage.environment, None)
    if settings.upstash is None:
        raise RuntimeError("the stack has no Upstash")
    async with open_books(settings) as books, open_shelf(settings.upstash) as shelf:

        async def figures(agency_id: str, days: DayRange) -> dict[str, Any]:
            asked = {"p_agency_id": agency_id, "p_from": days.first, "p_to": days.last}
            found: dict[str, Any] = await books.database.call("dashboard_stats", asked)
            return found

        cache = StatsCache(shelf, figures, SystemClock())
        cache.changed(reader.agency_id)
        async with cache.warming():
            pass  # what waits at the end is done at once


def _cost(reader: Reader, act: Callable[[], object], *, before: Callable[[], object]) -> float:
    """Return how many commands an act costs, the median of several times."""
    counts = []
    for _ in range(TIMES):
        before()
        began = reader.commands()
        act()
        counts.append(reader.commands() - began)
    return median(counts)


def _month(costs: Mapping[str, float]) -> list[Row]:
    """Reckon the commands of a month, all creators in one agency, every read of it a miss."""
    commits = MODELS * (SALES_A_DAY + POLLS_WITH_NEWS)
    by_hints = DASHBOARDS * commits * HOURS_OPEN / 24 * costs["a miss"]
    refreshes = MODELS * POLLS_WITH_NEWS * costs["a refresh by the worker"]
    each_second = DASHBOARDS * HOURS_OPEN * 3600 * costs["a hit"]
    models, open_ = f"{MODELS} creators", f"{DASHBOARDS} dashboards open {HOURS_OPEN} h a day"
    months = {
        f"{models} with {SALES_A_DAY} sales a day, {open_}": by_hints + refreshes,
        f"{open_}, read every second without need": each_second,
    }
    return [
        _row(
            f"commands a month: {name}",
            f"free tier of {FREE_A_MONTH:,}: {'enough' if a_day < A_DAY_FREE else 'too little'}",
            "commands",
            [a_day * MONTH_DAYS],
            [FREE_A_MONTH],
        )
        for name, a_day in months.items()
    ]


def _row(
    measured: str, against: str, unit: str, figures: Sequence[float], baselines: Sequence[float]
) -> Row:
    return compare(
        "reads", measured, against, path="HTTP", unit=unit, figures=figures, baselines=baselines
    )
