"""A webhook from its signature to its commit: the whole way, each hop of it, and the aims.

The function runs in Deno behind the stack's one origin, which hands it the request: that hop
counts as the function's own. All deliveries are distinct sales, and all must be applied.
"""

from __future__ import annotations

import http.client
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.table import Row, compare
from simulator.webhooks.signature import HEADER, signature


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.stage import Size, Stage


CREATORS = 20
AT_ONCE = (1, 10, 50)
PERCENTILES = (50, 95, 99)
AIM_SQL_MS = 5
AIM_OWN_MS = 50
AIM_WHOLE_MS = 100
FUNCTION = "/functions/v1/fanvue-webhook"
RPC = "/rest/v1/rpc/receive_webhook_event"
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Series:
    """One round of one measurement: milliseconds each, and how many a second."""

    took: list[float]
    per_second: float

    def at(self, percentile: int) -> float:
        """Return a percentile of the milliseconds."""
        return quantiles(self.took, n=100, method="inclusive")[percentile - 1]


@dataclass(slots=True)
class Rounds:
    """Every round of every measurement, by name."""

    series: dict[str, list[Series]] = field(default_factory=dict)

    def add(self, name: str, series: Series) -> None:
        """Keep one round."""
        self.series.setdefault(name, []).append(series)

    def at(self, name: str, percentile: int) -> list[float]:
        """Return a percentile of each round."""
        return [series.at(percentile) for series in self.series[name]]

    def rates(self, name: str) -> list[float]:
        """Return how many a second in each round."""
        return [series.per_second for series in self.series[name]]


class Sender:
    """Sends events over HTTP and straight into the database, and measures each."""

    def __init__(self, stage: Stage, creators: Sequence[str] = ()) -> None:
        self._stage = stage
        self._url = urlsplit(stage.environment["SUPABASE_URL"])
        self._secret = stage.environment["FANVUE_WEBHOOK_SECRETS"].split(",")[0].strip()
        self._key = stage.environment["SUPABASE_SECRET_KEY"]
        self._creators = creators or stage.run("select fanvue_user_uuid from public.models")
        self._number = count(1)

    def sales(self, size: int) -> list[dict[str, Any]]:
        """Describe so many sales that nobody announced before."""
        return [self._sale(next(self._number)) for _ in range(size)]

    def refunds(self, sales: Sequence[str], creator: str) -> list[dict[str, Any]]:
        """Describe refunds of these sales of a creator."""
        return [self._refund(next(self._number), sale, creator) for sale in sales]

    def straight(self, events: Sequence[dict[str, Any]]) -> Series:
        """Let one connection receive events in SQL."""
        took = []
        for event in events:
            ms, answer = self._stage.timed_call("receive_webhook_event", p_payload=event)
            _must_be_applied(answer)
            took.append(ms)
        return Series(took, 1000 * len(took) / sum(took))

    def over_rest(self, size: int) -> Series:
        """Call the database function over REST, as the Edge Function does."""
        headers = {"apikey": self._key, "content-type": "application/json"}
        bodies = [json.dumps({"p_payload": sale}).encode() for sale in self.sales(size)]
        return self._post(RPC, [(body, headers) for body in bodies], 1)

    def deliver(self, size: int, at_once: int) -> Series:
        """Deliver signed events to the function, so many at once."""
        signed = []
        for sale in self.sales(size):
            body = json.dumps(sale).encode()
            header = signature([self._secret], int(time.time()), body)
            signed.append((body, {HEADER: header, "content-type": "application/json"}))
        return self._post(FUNCTION, signed, at_once)

    def knock(self, size: int) -> Series:
        """Ask the function for nothing: it refuses a GET without doing anything."""
        connection = self._connect()
        took = [self._ask(connection, "GET", FUNCTION, b"", {})[0] for _ in range(size)]
        connection.close()
        return Series(took, 1000 * size / sum(took))

    def _post(
        self, path: str, requests: Sequence[tuple[bytes, dict[str, str]]], at_once: int
    ) -> Series:
        """Send the requests over so many connections, each one after the other."""

        def send(own: Sequence[tuple[bytes, dict[str, str]]]) -> list[float]:
            connection = self._connect()
            took = []
            for body, headers in own:
                ms, answer = self._ask(connection, "POST", path, body, headers)
                _must_be_applied(json.loads(answer))
                took.append(ms)
            connection.close()
            return took

        shares = [requests[place::at_once] for place in range(at_once)]
        with ThreadPoolExecutor(at_once) as pool:
            began = perf_counter()
            took = [ms for part in pool.map(send, shares) for ms in part]
            seconds = perf_counter() - began
        return Series(took, len(took) / seconds)

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._url.netloc, timeout=TIMEOUT_SECONDS)

    @staticmethod
    def _ask(
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
    ) -> tuple[float, bytes]:
        began = perf_counter()
        connection.request(method, path, body, headers)
        answer = connection.getresponse().read()
        return (perf_counter() - began) * 1000, answer

    def _sale(self, number: int) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return {
            "id": f"bench-{number}",
            "type": "creator.payment.succeeded",
            "timestamp": now,
            "data": {
                "object": "payment",
                "id": f"FV-{number}",
                "status": "succeeded",
                "source": "message",
                "gross": 1250,
                "net": 1000,
                "currency": "USD",
                "created_at": now,
                "paid_at": now,
                "message_uuid": str(uuid.UUID(int=number)),
                "creator": {"uuid": self._creators[number % len(self._creators)]},
                "purchaser": {"uuid": f"fan-{number}", "handle": "fan", "display_name": "Fan"},
            },
        }

    @staticmethod
    def _refund(number: int, sale: str, creator: str) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return {
            "id": f"bench-{number}",
            "type": "creator.refund.created",
            "timestamp": now,
            "data": {
                "object": "refund",
                "id": f"R-{number}",
                "payment_id": sale,
                "amount": 999,
                "currency": "USD",
                "created_at": now,
                "creator": {"uuid": creator},
                "purchaser": {"uuid": f"fan-{number}"},
            },
        }


def webhook(stage: Stage, size: Size) -> list[Row]:
    """Deliver one, ten and fifty at once, and measure each hop alone."""
    rounds = Rounds()
    for _ in range(size.rounds):
        stage.populate(agencies=size.agencies, models=CREATORS)
        sender = Sender(stage)
        # The first delivery starts the function; the first of each creator queues their sync.
        sender.deliver(CREATORS, 1)
        for name, measure in _measurements(sender, size.deliveries):
            rounds.add(name, measure())
    return [*_by_load(rounds), *_by_hop(rounds), *_aims(rounds)]


def _measurements(sender: Sender, size: int) -> Iterator[tuple[str, Callable[[], Series]]]:
    yield "SQL", lambda: sender.straight(sender.sales(size))
    yield "REST", partial(sender.over_rest, size)
    yield "nothing", partial(sender.knock, size)
    for at_once in AT_ONCE:
        yield _whole(at_once), partial(sender.deliver, size, at_once)


def _by_load(rounds: Rounds) -> Iterator[Row]:
    """Compare the slow with the usual, and many at once with one at once."""
    first, *more = AT_ONCE
    alone = _whole(first)
    yield _row("SQL alone, p95", "its p50", rounds.at("SQL", 95), rounds.at("SQL", 50))
    for percentile in PERCENTILES[1:]:
        measured = f"delivery, p{percentile}, {alone}"
        yield _row(measured, "its p50", rounds.at(alone, percentile), rounds.at(alone, 50))
    for name in map(_whole, more):
        for percentile in PERCENTILES:
            figures, baselines = rounds.at(name, percentile), rounds.at(alone, percentile)
            yield _row(f"delivery, p{percentile}, {name}", alone, figures, baselines)
        figures, baselines = rounds.rates(name), rounds.rates(alone)
        yield _row(f"deliveries a second, {name}", alone, figures, baselines, unit="/s")


def _by_hop(rounds: Rounds) -> Iterator[Row]:
    """Compare each hop's median with the whole delivery's."""
    whole = rounds.at(_whole(1), 50)
    sql, rest = rounds.at("SQL", 50), rounds.at("REST", 50)
    hops = {
        "SQL": sql,
        "REST on top of the SQL": _differences(rest, sql),
        "function on top of the REST": _differences(whole, rest),
        "the function asked for nothing": rounds.at("nothing", 50),
    }
    for name, figures in hops.items():
        yield _row(f"{name}, p50", "whole delivery, p50", figures, whole)


def _aims(rounds: Rounds) -> Iterator[Row]:
    """Compare with the aims: below 1 they hold."""
    # All that varies in the whole is laid to the function: its share is this at the most.
    rest = rounds.at("REST", 50)
    own = _differences(rounds.at(_whole(1), 99), rest)
    aims = (
        ("SQL alone, p99", AIM_SQL_MS, rounds.at("SQL", 99)),
        ("function's own share, p99", AIM_OWN_MS, own),
        ("delivery, p95, 1 at once", AIM_WHOLE_MS, rounds.at(_whole(1), 95)),
    )
    for name, aim, figures in aims:
        verdict = "holds" if median(figures) < aim else "missed"
        yield _row(name, f"aim of {aim} ms: {verdict}", figures, [aim] * len(figures))


def _row(
    measured: str,
    against: str,
    figures: Sequence[float],
    baselines: Sequence[float],
    *,
    unit: str = "ms",
) -> Row:
    path = "SQL" if measured.startswith("SQL") else "HTTP"
    return compare(
        "webhook", measured, against, path=path, unit=unit, figures=figures, baselines=baselines
    )


def _differences(whole: Sequence[float], part: Sequence[float]) -> list[float]:
    return [left - right for left, right in zip(whole, part, strict=True)]


def _whole(at_once: int) -> str:
    return f"{at_once} at once"


def _must_be_applied(answer: Any) -> None:
    if not isinstance(answer, dict) or answer.get("status") != "applied":
        raise RuntimeError(f"a sale that nobody knew was answered with {answer}")
