"""The demo's course: open the stage, let news arrive, catch up, and collect what both sides say.

Every wait ends at once when somebody interrupts; closing the stage is the caller's.
"""

from __future__ import annotations

import threading
import time
from random import Random
from typing import TYPE_CHECKING, Final

from local.demo.audience import our_content, our_counts, their_content
from local.demo.books import OurBooks
from local.demo.calls import Calls, count_calls, sizes_of
from local.demo.member import Member
from local.demo.news import News
from local.demo.promises import Records
from local.demo.watching import Watched
from local.errors import StackError


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import Console

    from local.demo.calls import Sizes
    from local.demo.stage import Stage
    from simulator.truths import Audience


NEWS_EVERY_SECONDS: Final = 3.0
REPORT_EVERY_SECONDS: Final = 10.0
LOOK_EVERY_SECONDS: Final = 0.5
PICK_UP_SECONDS: Final = 20.0
CATCH_UP_SECONDS: Final = 80.0
DELIVERY_SECONDS: Final = 20.0
CRON_SECONDS: Final = 65.0


# What the last days hold is read again, which no creator lacks the calls for.
PROVED_DAYS: Final = "2"
# Polls that a webhook asked for wait a little for more of them; nothing more comes.
NOW_RUNNING: Final = (
    "update public.sync_jobs set run_at = private.engine_now() "
    "where state = 'queued' and last_error is null"
)
# "Sync now" for every stream; only a whole list tells who left.
EVERYTHING_AGAIN: Final = """
select count(public.enqueue_sync(m.id, t.sync_type, t.sync_type = any (
  '{subscribers, followers, posts}')))
from public.models m cross join private.sync_streams t where not t.on_demand
"""
# Whom a list of several pages no longer names is looked for once more, and a chat may have older
# messages: both would come with the next poll.
THE_REST: Final = """
select count(public.enqueue_sync(s.model_id, s.sync_type)) from public.sync_state s
where s.full_requested
  or (s.sync_type = 'message_history' and s.next_sync_at <= private.engine_now())
"""


class InterruptedDemoError(Exception):
    """Somebody asked the demo to end."""


class Performance:
    """One run of the demo on a stage."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        self._stop = threading.Event()
        self._since = ""
        self._sizes: Sizes | None = None
        self._news: News | None = None
        self._member: Member | None = None
        self._told_before: set[str] = set()

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
        histories = stage.histories()
        sizes = self._sizes = sizes_of(histories, self._truths(histories))
        stage.start_workers()
        stage.connect_creators()
        # Connecting begins with the money; the next minute's tick would bring the rest.
        stage.program.json("enqueue")
        self._heed()
        login = stage.sign_up()
        self._member = Member(stage.stack.env(), login, books.agencies())
        self._member.listen()
        self._told_before = books.told()
        if not self._until(lambda: _has_begun(books), PICK_UP_SECONDS):
            stage.check_workers()
            raise StackError("the workers took no job; see .local/demo/logs")
        self._since = books.now()
        self._news = News(stage.fanvue.happen, list(histories), Random(7))  # noqa: S311 - whom something happens to is no secret
        settings = stage.stack.env()
        for label, value in (
            ("Dashboard", stage.dashboard_url),
            ("API", settings["SUPABASE_URL"]),
            ("Database", settings["SUPABASE_DB_URL"]),
            ("Fanvue", f"{stage.fanvue.url}/_sim/world"),
            ("Login", f"{login.email} / {login.password} (owner of every agency)"),
            ("Logs", str(stage.stack.instance.directory / "logs")),
        ):
            self._console.print(f"{label:<10} {value}", soft_wrap=True)
        self._console.print(
            f"ready after {time.monotonic() - began:.0f} s: {len(histories)} creators, "
            f"{sizes.sales:,} sales and {sizes.messages:,} messages to read, 2 workers, "
            f"news every {NEWS_EVERY_SECONDS:.0f} s. Ctrl-C stops everything.",
            soft_wrap=True,
        )

    def play(self, seconds: float | None) -> None:
        """Let news arrive, for so long or until interrupted."""
        assert self._news is not None  # noqa: S101 - made by open()
        books = OurBooks(self._stage.stack)
        began = time.monotonic()
        reported = began
        while seconds is None or time.monotonic() < began + seconds:
            self._news.next_round()
            if time.monotonic() >= reported + REPORT_EVERY_SECONDS:
                reported = time.monotonic()
                self._report(books, reported - began)
                self._stage.check_workers()
            left = NEWS_EVERY_SECONDS
            if seconds is not None:
                left = max(0.0, min(left, began + seconds - time.monotonic()))
            self._stop.wait(left)
            self._heed()

    def catch_up(self) -> Records:
        """Let the engine read what is left, stop the workers, and return what both sides say."""
        assert self._news is not None  # noqa: S101 - made by open()
        assert self._sizes is not None  # noqa: S101 - likewise
        self._console.print("no more news; the engine catches up")
        stage, books = self._stage, OurBooks(self._stage.stack)
        deliveries = stage.fanvue.flush_webhooks(DELIVERY_SECONDS)
        self._heed()
        caught_up = self._read_the_rest(books)
        money, other = count_calls(stage.fanvue.request_counts(by=("template",)))
        calls = Calls(money, other, self._sizes, books.readings(), self._news.readable)
        # A short run may have ended before the first full minute.
        self._until(lambda: books.runs(self._since)["ticks"] > 0, CRON_SECONDS)
        # A walk that is stopped on its way would not be finished.
        caught_up = self._until(lambda: _is_idle(books), CRON_SECONDS) and caught_up
        stage.check_workers()
        stage.stop_workers()
        self._console.print("the money is proved")
        proof = stage.program.verdict("reconcile", "--days", PROVED_DAYS)
        self._heed()
        truths = self._truths(self._sizes.pages)
        return Records(
            ours=books.models(),
            theirs=stage.fanvue.all_books()["creators"],
            our_content=our_content(stage.stack),
            their_content={creator: their_content(truth) for creator, truth in truths.items()},
            grants=books.grants(),
            calls=calls,
            proof=proof,
            stats=stage.fanvue.stats(),
            deliveries=deliveries,
            runs=books.runs(self._since),
            workers=stage.worker_summaries(),
            queue=books.queue(),
            news=self._news.counts,
            watched=self._watched(books),
            caught_up=caught_up,
        )

    def _watched(self, books: OurBooks) -> Watched:
        """Return what the member saw, and let him go."""
        assert self._member is not None  # noqa: S101 - made by open()
        told = books.told() - self._told_before
        watched = Watched(
            told=len(told),
            unheard=len(self._member.wait_for(told)),
            figures=self._member.figures(),
            daily=books.daily(),
            page=self._member.page(self._stage.dashboard_url),
        )
        self._member.leave()
        return watched

    def _read_the_rest(self, books: OurBooks) -> bool:
        """Let what waits be read, and then everything once more: some of it was read too early."""
        stack = self._stage.stack
        deadline = time.monotonic() + CATCH_UP_SECONDS
        stack.query(NOW_RUNNING)
        if not self._until(lambda: _is_idle(books), CATCH_UP_SECONDS):
            return False
        self._console.print("everything is read once more")
        stack.query(EVERYTHING_AGAIN)
        while self._until(lambda: _is_idle(books), max(1.0, deadline - time.monotonic())):
            if stack.query(THE_REST).strip() == "0":
                return True
        return False

    def _truths(self, creators: Iterable[str]) -> dict[str, Audience]:
        return {creator: self._stage.fanvue.audience(creator) for creator in creators}

    def _report(self, books: OurBooks, elapsed: float) -> None:
        ours = sum(model.count for model in books.models().values())
        theirs = self._stage.fanvue.all_books()["count"]
        content = our_counts(self._stage.stack)
        queue = books.queue()
        self._console.print(
            f"{elapsed:4.0f} s  {ours:,} of {theirs:,} sales · {content['messages']:,} messages · "
            f"{content['fans']:,} fans · "
            f"{queue['running']} running, {queue['queued']} queued, {queue['dead']} dead",
            soft_wrap=True,
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
