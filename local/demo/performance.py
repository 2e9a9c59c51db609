"""The demo's course: open the stage, let news arrive, catch up, and collect what both sides say.

Every wait ends at once when somebody interrupts, and is long enough for the slowest machine;
closing the stage is the caller's.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING, Any, Final

from local.demo.audience import our_content, our_counts, their_content
from local.demo.books import OurBooks
from local.demo.calls import Calls, count_calls, count_refused, sizes_of
from local.demo.member import Member
from local.demo.news import News
from local.demo.promises import Records
from local.demo.watching import Watched


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.demo.calls import Sizes
    from local.demo.stage import Login, Stage
    from local.demo.waiting import Patience
    from simulator.truths import Audience


NEWS_EVERY_SECONDS: Final = 3.0
REPORT_EVERY_SECONDS: Final = 10.0
# One question, so that somebody who interrupts need not wait long.
DELIVERY_SECONDS: Final = 2.0
WORKER_SECONDS: Final = 300.0
SAID_OF_THE_QUEUE: Final = ("running", "queued", "settled", "rows")
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


class Performance:
    """One run of the demo on a stage."""

    def __init__(self, stage: Stage, patience: Patience, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._patience = patience
        self._say = say
        self._since = ""
        self._sizes: Sizes | None = None
        self._news: News | None = None
        self._member: Member | None = None
        self._told_before: set[str] = set()
        self._shift: list[dict[str, Any]] = []

    def open(self) -> Login:
        """Start everything and see the first work begin; return how to log in."""
        stage, heed = self._stage, self._patience.heed
        began = time.monotonic()

        def step(done: str) -> None:
            self._say(f"{time.monotonic() - began:4.1f} s  {done}")
            heed()

        stage.claim()
        heed()
        stage.page.begin(self._say)
        stage.start_services()
        settings = stage.stack.env()
        step(f"the stack is up: {settings['SUPABASE_URL']}")
        stage.page.show(settings)
        histories = stage.histories()
        with ThreadPoolExecutor(max_workers=3) as pool:
            login = pool.submit(stage.sign_up)
            truths = pool.submit(self._truths, histories)
            stage.connect_creators()
            sizes = self._sizes = sizes_of(histories, truths.result())
        # Not before: reading would keep those waiting who are still to be connected.
        stage.start_workers()
        step(
            f"{len(histories)} creators are connected, with {sizes.sales:,} sales and "
            f"{sizes.messages:,} messages to read"
        )
        stage.let_in()
        books = OurBooks(stage.stack)
        self._member = Member(settings, login.result(), books.agencies(), self._patience)
        self._member.listen()
        self._told_before = books.told()
        self._patience.until(lambda: _has_begun(books) or stage.lost_worker(), "the first work")
        stage.check_workers()
        stage.read_all()
        self._since = books.now()
        self._news = News(stage.fanvue.happen, list(histories), Random(7))  # noqa: S311 - whom something happens to is no secret
        step("2 workers are at work")
        return login.result()

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
            self._patience.pause(left)

    def catch_up(self) -> Records:
        """Let the engine read what is left, stop the workers, and return what both sides say."""
        assert self._news is not None  # noqa: S101 - made by open()
        assert self._sizes is not None  # noqa: S101 - likewise
        stage, books = self._stage, OurBooks(self._stage.stack)
        self._say("no more news; the engine catches up")
        delivered = self._deliver()
        # A short run may have ended before the first full minute.
        self._patience.until(lambda: books.runs(self._since)["ticks"] > 0, "pg_cron's next minute")
        stage.stop_ticks()
        stage.stack.query(NOW_RUNNING)
        caught_up = self._idle(books) and delivered
        announced, booked = self._sell_unattended(books)
        caught_up = self._read_everything(books) and caught_up
        stage.check_workers()
        stage.stop_workers(WORKER_SECONDS)
        queue = books.queue()
        calls = self._calls(books)
        self._say("the money is proved")
        proof = stage.program.verdict("the proof of the money", "reconcile", "--days", PROVED_DAYS)
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
            deliveries=stage.fanvue.webhooks()["counts"],
            runs=books.runs(self._since),
            workers=stage.worker_summaries(),
            shift=self._shift,
            queue=queue,
            news=self._news.counts,
            watched=self._watched(books),
            pace=stage.pacer.pace(),
            announced=announced,
            booked=booked,
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
            page=self._stage.page.status(self._patience),
        )
        self._member.leave()
        return watched

    def _deliver(self) -> bool:
        """Wait until every webhook is acknowledged."""
        fanvue = self._stage.fanvue
        return self._patience.until(
            lambda: bool(fanvue.flush_webhooks(DELIVERY_SECONDS)["done"]),
            "webhooks to be acknowledged",
            moving=lambda: fanvue.webhooks()["counts"],
        )

    def _idle(self, books: OurBooks) -> bool:
        queue: dict[str, int] = {}

        def is_idle() -> bool:
            queue.update(books.queue())
            return queue["running"] == 0 and queue["queued"] == 0

        def moving() -> str:
            return ", ".join(f"{queue.get(name, 0)} {name}" for name in SAID_OF_THE_QUEUE)

        return self._patience.until(is_idle, "the queue to be empty", moving=moving)

    def _sell_unattended(self, books: OurBooks) -> tuple[int, int]:
        """Let everybody sell while no worker is there to look: what comes, a webhook brought."""
        assert self._news is not None  # noqa: S101 - made by open()
        stage = self._stage
        stage.check_workers()
        stage.stop_workers(WORKER_SECONDS)
        self._shift = stage.worker_summaries()
        before = books.rows()
        self._say("the workers have a break; everybody sells something")
        announced = self._news.everybody_sells()
        self._deliver()
        booked = books.rows() - before
        stage.start_workers()
        return announced, booked

    def _read_everything(self, books: OurBooks) -> bool:
        """Let everything be read once more: some of it was read too early."""
        stack = self._stage.stack
        self._say("everything is read once more")
        stack.query(EVERYTHING_AGAIN)
        while self._idle(books):
            if stack.query(THE_REST).strip() == "0":
                return True
        return False

    def _calls(self, books: OurBooks) -> Calls:
        assert self._news is not None  # noqa: S101 - made by open()
        assert self._sizes is not None  # noqa: S101 - likewise
        counts = self._stage.fanvue.request_counts(by=("template", "status"))
        money, other = count_calls(counts)
        late = 0
        if self._stage.pacer.pace().stalled:
            again = sum(
                one["again"] * self._sizes.pages[one["creator"]].get(one["sync_type"], 1)
                for one in books.again()
            )
            late = count_refused(counts) + again
        return Calls(money, other, self._sizes, books.readings(), self._news.readable, late=late)

    def _truths(self, creators: Iterable[str]) -> dict[str, Audience]:
        return {creator: self._stage.fanvue.audience(creator) for creator in creators}

    def _report(self, books: OurBooks, elapsed: float) -> None:
        ours = sum(model.count for model in books.models().values())
        theirs = self._stage.fanvue.all_books()["count"]
        content = our_counts(self._stage.stack)
        queue = books.queue()
        self._say(
            f"{elapsed:4.0f} s  {ours:,} of {theirs:,} sales · {content['messages']:,} messages · "
            f"{content['fans']:,} fans · "
            f"{queue['running']} running, {queue['queued']} queued, {queue['dead']} dead"
        )


def _has_begun(books: OurBooks) -> bool:
    queue = books.queue()
    return queue["running"] + queue["settled"] > 0
