"""Several streams of one model at once wait for each other; they never dead-lock.

Most tests hold one lock by hand, so that the others meet in the worst order every time.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.chats import House
from tests.database.engine import WAIT
from tests.database.streams import Creator, Reading, fans


if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from tests.database.engine import Engine, Worker


_HOLD_STATE = "select from public.sync_state where model_id = %s and sync_type = %s for update"
_HOLD_JOB = "select from public.sync_jobs where id = %s for update"
# What a worker or an operator may be told when the other was faster.
REFUSALS = {"PT409", "PT410"}


def run(worker: Worker, statement: str, *values: Any) -> Future[Any]:
    """Run an operator's statement on a worker's thread."""
    return worker.run(worker.connection.execute, statement, list(values))


def settle(worker: Worker, *readings: Reading) -> Future[Any]:
    """Settle several jobs in one call."""
    items = [
        {"id": one.job["id"], "lease_id": one.job["lease_id"], "outcome": "done"}
        for one in readings
    ]
    return worker.start("settle_sync_jobs", "w0", items)


def test_pausing_a_model_while_several_of_its_jobs_are_settled(engine: Engine) -> None:
    creator = Creator(engine, "followers", "subscribers")
    later, early = creator.begin("subscribers"), creator.begin("followers")
    settling, operator, blocker = engine.another(), engine.another(), engine.another()
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")

    with blocker.connection.transaction():
        blocker.connection.execute(_HOLD_STATE, [creator.model_id, "followers"])
        settled = settle(settling, early, later)
        engine.wait_until_blocked(settling)
        pause = run(operator, "update public.models set status = 'paused'")
        engine.wait_until_blocked(operator)

    assert len(settled.result(WAIT)) == 2
    assert pause.result(WAIT).rowcount == 1


def test_changing_settings_while_jobs_of_several_models_are_settled(engine: Engine) -> None:
    creators = [Creator(engine, "followers") for _ in range(2)]
    low, high = sorted(creators, key=lambda one: one.model_id.bytes)
    readings = [one.begin("followers") for one in (low, high)]
    settling, blocker = engine.another(), engine.another()
    # the higher one lies first in the table
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    engine.rows("delete from public.sync_state where model_id = %s", low.model_id)
    engine.rows(
        "insert into public.sync_state (agency_id, model_id, sync_type, next_sync_at)"
        " values (%s, %s, 'followers', private.engine_now())",
        low.agency_id,
        low.model_id,
    )

    with blocker.connection.transaction():
        blocker.connection.execute(_HOLD_JOB, [readings[1].job["id"]])
        settled = settle(settling, *readings)
        engine.wait_until_blocked(settling)
        changing = engine.another()
        changing.connection.execute("reset role")
        changed = run(
            changing,
            "update private.sync_streams set every = '7 minutes' where sync_type = 'followers'",
        )
        # an operator's change waits for nobody
        assert changed.result(WAIT).rowcount == 1

    assert len(settled.result(WAIT)) == 2
    # what was held at that moment is planned with the next tick
    engine.call("enqueue_due")
    assert engine.rows("select * from private.settings_changes") == []
    engine.rows(
        "update private.sync_streams set every = '30 minutes' where sync_type = 'followers'"
    )


def test_an_account_that_asks_for_lists_while_their_jobs_are_settled(engine: Engine) -> None:
    creator = Creator(engine, "account", "followers", "subscribers")
    for stream in ("followers", "subscribers"):
        creator.read(stream, fans("a", "b"))
    creator.read("account", [{"status": "active", "followers": 2, "subscribers": 2}])
    look = creator.begin("account")
    readings = [creator.begin("followers"), creator.begin("subscribers")]
    engine.rows("update public.sync_state set next_sync_at = private.engine_now()")
    settling, worker, blocker = engine.another(), engine.another(), engine.another()
    page = look.page({"status": "active", "followers": 1, "subscribers": 1}, complete=True)

    with blocker.connection.transaction():
        blocker.connection.execute(_HOLD_JOB, [readings[1].job["id"]])
        settled = settle(settling, *readings)
        engine.wait_until_blocked(settling)
        # whoever settles waits for jobs first, and holds no state of a stream meanwhile
        commit = worker.run(look.send, page, look.version, worker)
        assert commit.result(WAIT)["complete"] is True

    assert len(settled.result(WAIT)) == 2
    assert creator.names("full_requested", "sync_state", "sync_type") == {
        "followers",
        "subscribers",
    }


def test_the_last_page_of_the_messages_while_they_and_the_history_are_given_back(
    engine: Engine,
) -> None:
    creator = Creator(engine, "messages", "message_history")
    house = House(creator)
    live, history = creator.begin("messages"), creator.begin("message_history")
    engine.rows(
        "update public.sync_state set next_sync_at = private.engine_now()"
        " where sync_type <> 'earnings'"
    )
    house.list_chats(live, house.chat("a", 3))
    talk = {"phase": "talk", "next_phase": "talk"}
    page = live.page(*house.messages("a", 3), chat="a", chat_done=True, chat_cursor="on", **talk)
    worker, settling, blocker = engine.another(), engine.another(), engine.another()

    with blocker.connection.transaction():
        blocker.connection.execute(_HOLD_STATE, [creator.model_id, "messages"])
        commit = worker.run(live.send, page, live.version, worker)
        engine.wait_until_blocked(worker)
        settled = settle(settling, history, live)
        engine.wait_until_blocked(settling)

    assert commit.result(WAIT)["complete"] is True
    assert len(settled.result(WAIT)) == 2


STREAMS = ("account", "followers", "posts", "subscribers", "top_fans")


class Bustle:
    """Everything that may happen to one creator, each deed again and again on its own thread."""

    def __init__(self, creator: Creator, seed: int) -> None:
        self.creator = creator
        self.engine = creator.engine
        self.chance = random.Random(seed)  # noqa: S311 - no secret

    def often(self, deed: Callable[..., Any], *arguments: Any, times: int = 12) -> Future[None]:
        """Begin to do something again and again."""
        worker = self.engine.another()

        def loop() -> None:
            for _ in range(times):
                try:
                    deed(worker, *arguments)
                except psycopg.Error as error:
                    if error.sqlstate not in REFUSALS:
                        raise

        return worker.run(loop)

    def read(self, worker: Worker, stream: str) -> None:
        """Read one stream to its end as a worker does."""
        worker.call("enqueue_sync", self.creator.model_id, stream, True)
        reply = worker.call("claim_model_job", worker.name, self.creator.model_id, stream, 60)
        for job in reply["jobs"]:
            walk = worker.call("begin_sync_walk", job["id"], job["lease_id"])
            figures = {"status": "active", "followers": self.chance.randint(1, 9)}
            rows = [figures] if stream == "account" else []
            page = self.engine.page(walk, "k", *rows, complete=True)
            worker.call("commit_sync_page", job["id"], job["lease_id"], walk["version"], page)
            worker.settle(job, "done")

    def pause(self, worker: Worker) -> None:
        """Pause and resume the creator."""
        for status in ("paused", "active"):
            worker.connection.execute("update public.models set status = %s", [status])

    def adjust(self, worker: Worker) -> None:
        """Change a setting."""
        worker.connection.execute(
            "insert into private.sync_overrides (model_id, sync_type, every)"
            " values (%s, 'followers', '5 minutes')"
            " on conflict (agency_id, model_id, sync_type) do update set every = '9 minutes'",
            [self.creator.model_id],
        )

    def tell(self, worker: Worker, events: list[dict[str, Any]]) -> None:
        """Deliver an event."""
        worker.call("receive_webhook_event", self.chance.choice(events))

    def call(self, worker: Worker, function: str, *arguments: Any) -> None:
        """Call one of the engine's functions."""
        worker.call(function, *arguments)


@pytest.mark.parametrize("seed", range(2))
def test_everything_at_once_never_dead_locks(engine: Engine, seed: int) -> None:
    creator = Creator(engine, *STREAMS)
    bustle = Bustle(creator, seed)
    topics = ["subscription.activated", "subscription.deactivated"]
    events = [
        creator.event(topic, purchaser={"uuid": fan}, status="active")
        for topic in topics
        for fan in "abcdef"
    ]

    running = [
        *(bustle.often(bustle.read, stream) for stream in STREAMS),
        bustle.often(bustle.tell, events),
        bustle.often(bustle.pause, times=6),
        bustle.often(bustle.adjust),
        bustle.often(bustle.call, "enqueue_due"),
        bustle.often(bustle.call, "reap_expired_leases"),
        bustle.often(bustle.call, "enqueue_sync", creator.model_id, "followers", True),
    ]
    for future in running:
        future.result(WAIT)

    assert engine.value("select status from public.models") == "active"
