"""The demo's course: open the stage, let sales arrive, catch up, and collect what both sides say.

Every wait ends at once when somebody interrupts; closing the stage is the caller's.
"""

from __future__ import annotations

import threading
import time
from random import Random
from typing import TYPE_CHECKING, Final

from local.demo.books import OurBooks
from local.demo.promises import Records
from local.demo.sales import Sales
from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from local.demo.stage import Stage


SALES_EVERY_SECONDS: Final = 3.0
REPORT_EVERY_SECONDS: Final = 10.0
LOOK_EVERY_SECONDS: Final = 0.5
PICK_UP_SECONDS: Final = 20.0
CATCH_UP_SECONDS: Final = 80.0
DELIVERY_SECONDS: Final = 20.0
CRON_SECONDS: Final = 65.0


# Polls that a webhook asked for wait a little for more of them; nothing more comes.
NOW_RUNNING: Final = (
    "update public.sync_jobs set run_at = private.engine_now() "
    "where state = 'queued' and sync_type = 'earnings' and last_error is null"
)
NOW_DUE: Final = "update public.sync_state set next_sync_at = private.engine_now()"


class InterruptedDemoError(Exception):
    """Somebody asked the demo to end."""


class Performance:
    """One run of the demo on a stage."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        self._stop = threading.Event()
        self._histories: dict[str, int] = {}
        self._since = ""
        self._sales: Sales | None = None

    @property
    def interrupted(self) -> bool:
        """Tell whether somebody wants it to end."""
        return self._stop.is_set()

    def interrupt(self) -> None:
        """End whatever is waited for."""
        self._stop.set()

    def open(self) -> None:
        """Start everything, say where it is, and see the first work begin."""
        stage = self._stage
        began = time.monotonic()
        for step in (stage.claim, stage.start_services):
            step()
            self._heed()
        books = OurBooks(stage.stack)
        stage.start_workers()
        self._histories = stage.connect_creators()
        self._heed()
        login = stage.sign_up()
        if not self._until(lambda: _has_begun(books), PICK_UP_SECONDS):
            stage.check_workers()
            raise StackError("the workers took no job; see .local/demo/logs")
        self._since = books.now()
        self._sales = Sales(stage.fanvue, list(self._histories), Random(7))  # noqa: S311 - which creator sells is no secret
        settings = stage.stack.env()
        for label, value in (
            ("API", settings["SUPABASE_URL"]),
            ("Database", settings["SUPABASE_DB_URL"]),
            ("Fanvue", f"{stage.fanvue.url}/_sim/world"),
            ("Login", f"{login.email} / {login.password} (owner of every agency)"),
            ("Logs", str(stage.stack.instance.directory / "logs")),
        ):
            self._console.print(f"{label:<9} {value}", soft_wrap=True)
        rows = sum(self._histories.values())
        self._console.print(
            f"ready after {time.monotonic() - began:.0f} s: {len(self._histories)} creators, "
            f"{rows:,} rows to read, 2 workers, new sales every {SALES_EVERY_SECONDS:.0f} s. "
            "Ctrl-C stops everything.",
            soft_wrap=True,
        )

    def play(self, seconds: float | None) -> None:
        """Let sales arrive, for so long or until interrupted."""
        assert self._sales is not None  # noqa: S101 - made by open()
        books = OurBooks(self._stage.stack)
        began = time.monotonic()
        reported = began
        while seconds is None or time.monotonic() < began + seconds:
            self._sales.next_round()
            if time.monotonic() >= reported + REPORT_EVERY_SECONDS:
                reported = time.monotonic()
                self._report(books, reported - began)
                self._stage.check_workers()
            left = SALES_EVERY_SECONDS
            if seconds is not None:
                left = max(0.0, min(left, began + seconds - time.monotonic()))
            self._stop.wait(left)
            self._heed()

    def catch_up(self) -> Records:
        """Let the engine read what is left, stop the workers, and return what both sides say."""
        assert self._sales is not None  # noqa: S101 - made by open()
        self._console.print("no more sales; the engine catches up")
        stage, books = self._stage, OurBooks(self._stage.stack)
        deadline = time.monotonic() + CATCH_UP_SECONDS
        deliveries = stage.fanvue.flush_webhooks(DELIVERY_SECONDS)
        self._heed()
        # Twice: what was read before the last sale must be asked for once more.
        stage.stack.query(NOW_RUNNING)
        caught_up = self._until(lambda: _is_idle(books), CATCH_UP_SECONDS)
        stage.stack.query(NOW_DUE)
        stage.program.json("enqueue")
        left = max(1.0, deadline - time.monotonic())
        caught_up = self._until(lambda: _is_idle(books), left) and caught_up
        # A short run may have ended before the first full minute.
        self._until(lambda: books.runs(self._since)["ticks"] > 0, CRON_SECONDS)
        stage.check_workers()
        stage.stop_workers()
        return Records(
            ours=books.models(),
            theirs=stage.fanvue.all_books()["creators"],
            histories=self._histories,
            stats=stage.fanvue.stats(),
            deliveries=deliveries,
            runs=books.runs(self._since),
            workers=stage.worker_summaries(),
            queue=books.queue(),
            sold=self._sales.sold,
            refunded=self._sales.refunded,
            caught_up=caught_up,
        )

    def _report(self, books: OurBooks, elapsed: float) -> None:
        ours = sum(model.count for model in books.models().values())
        theirs = self._stage.fanvue.all_books()["count"]
        queue = books.queue()
        sold = 0 if self._sales is None else self._sales.sold
        self._console.print(
            f"{elapsed:4.0f} s  {ours:,} of {theirs:,} rows · {sold} sold · "
            f"{queue['running']} running, {queue['queued']} queued, {queue['dead']} dead"
        )

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._stop.wait(LOOK_EVERY_SECONDS)
            self._heed()
        return True

    def _heed(self) -> None:
        if self._stop.is_set():
            raise InterruptedDemoError


def _has_begun(books: OurBooks) -> bool:
    return books.queue()["due"] == 0


def _is_idle(books: OurBooks) -> bool:
    queue = books.queue()
    return queue["running"] == 0 and queue["queued"] == 0
