"""From a sale to pixels: signed webhook, function, ledger, push, page; and the share of each hop.

One sale after another, apart and back to back, each until the dashboard marks that it shows it.
All clocks are this machine's. The dashboard, built before, runs for itself while this measures.
"""

from __future__ import annotations

import json
import socket
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Final

import httpx

from benchmarks.table import Row, compare
from benchmarks.webhooks import FUNCTION, Sender
from local.dashboard import Dashboard
from local.instance import Instance
from local.ports import HOST
from simulator.webhooks.signature import HEADER, signature
from tests.support.browser import Tab, open_chromium, open_tab, sign_up


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.stage import Size, Stage


AIM_MS: Final = 500
WARM_UP: Final = 3
# Sales that follow each other more closely wait for one another: the page fetches for all at once.
PAUSE_SECONDS: Final = 0.25
_BEGAN = """
  select extract(epoch from created_at) * 1000 from public.fanvue_transactions
  where fanvue_id = %(sale)s
"""


@dataclass(frozen=True, slots=True)
class Way:
    """When one sale was where, milliseconds since the epoch."""

    sent: float
    answered: float
    began: float
    pushed: float
    shown: float

    @property
    def whole(self) -> float:
        """From the sender to the page."""
        return self.shown - self.sent


HOPS: Final[dict[str, Callable[[Way], float]]] = {
    "sender to the database's transaction": lambda way: way.began - way.sent,
    "transaction, commit, push to the page": lambda way: way.pushed - way.began,
    "push to pixels": lambda way: way.shown - way.pushed,
    "sender to the function's answer": lambda way: way.answered - way.sent,
}


def pixels(stage: Stage, size: Size) -> list[Row]:
    """Follow sales to the page, and compare with the aim and each hop with the whole."""
    stage.populate(agencies=1, models=1)
    user = sign_up(stage.environment)
    stage.run(
        "insert into public.agency_members (agency_id, user_id, role)"
        " select id, %(user)s, 'owner' from public.agencies",
        {"user": user.id},
    )
    (agency_id,) = stage.run("select id::text from public.agencies")
    with (
        httpx.Client(base_url=stage.environment["SUPABASE_URL"], trust_env=False) as http,
        _dashboard(stage) as url,
        open_chromium() as browser,
        open_tab(browser, url) as tab,
    ):
        tab.sign_in(*user.login)
        follow = _follower(stage, http, tab, f"agency:{agency_id}")
        for _ in range(WARM_UP):
            follow()
        close = [follow() for _ in range(size.sales)]
        ways = [_later(follow) for _ in range(size.sales)]
    return [*_aims("one sale", ways), *_aims("sales back to back, each", close), *_by_hop(ways)]


def _later(follow: Callable[[], Way]) -> Way:
    time.sleep(PAUSE_SECONDS)
    return follow()


def _follower(stage: Stage, http: httpx.Client, tab: Tab, topic: str) -> Callable[[], Way]:
    """Return a way to sell once and wait until it is on the page."""
    sender = Sender(stage)
    secret = stage.environment["FANVUE_WEBHOOK_SECRETS"].split(",")[0].strip()

    def follow() -> Way:
        (sale,) = sender.sales(1)
        name = str(sale["data"]["id"])
        body = json.dumps(sale).encode()
        heard = len(tab.heard(topic))
        sent = _now()
        signed = {HEADER: signature([secret], int(time.time()), body)}
        answer = http.post(FUNCTION, content=body, headers=signed)
        answered = _now()
        answer.raise_for_status()
        shown = tab.wait_until_shown(name)
        (began,) = stage.run(_BEGAN, {"sale": name})
        return Way(sent, answered, float(began), tab.heard(topic)[heard].at, shown)

    return follow


@contextmanager
def _dashboard(stage: Stage) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:
        dashboard = Dashboard(Instance(Path(directory)), _free_port())
        try:
            dashboard.start(stage.environment)
            yield dashboard.url
        finally:
            dashboard.stop()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _aims(what: str, ways: Sequence[Way]) -> Iterator[Row]:
    for percentile in (50, 95):
        figure = _at(percentile, [way.whole for way in ways])
        verdict = "holds" if figure < AIM_MS else "missed"
        yield _row(
            f"{what} to pixels, p{percentile}", f"aim of {AIM_MS} ms: {verdict}", figure, AIM_MS
        )


def _by_hop(ways: Sequence[Way]) -> Iterator[Row]:
    for percentile in (50, 95):
        whole = _at(percentile, [way.whole for way in ways])
        for name, hop in HOPS.items():
            figure = _at(percentile, [hop(way) for way in ways])
            yield _row(
                f"{name}, p{percentile}", f"one sale to pixels, p{percentile}", figure, whole
            )


def _row(measured: str, against: str, figure: float, baseline: float) -> Row:
    return compare(
        "pixels",
        measured,
        against,
        path="page",
        unit="ms",
        figures=[figure],
        baselines=[baseline],
    )


def _at(percentile: int, figures: Sequence[float]) -> float:
    return quantiles(figures, n=100, method="inclusive")[percentile - 1]


def _now() -> float:
    return time.time() * 1000
