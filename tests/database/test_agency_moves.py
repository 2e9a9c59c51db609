"""What happens to a model while an operator gives it to another agency lands in that one.

Two connections: the move is open when the other begins, and committed before it ends.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.books import Sale
from tests.database.engine import WAIT
from tests.database.test_webhook_money import Sale as ToldSale


if TYPE_CHECKING:
    from tests.database.engine import Engine


TABLES = (
    "fanvue_transactions",
    "earnings_daily",
    "sync_jobs",
    "sync_state",
    "sync_runs",
    "webhook_events",
)


@dataclass(frozen=True)
class Move:
    """A model on its way, and the two agencies."""

    engine: Engine
    old: uuid.UUID
    new: uuid.UUID
    model: uuid.UUID
    creator: str

    def during(self, function: str, *arguments: Any, waits: bool) -> Any:
        """Call a function while the move is open; it must wait for it, or must not."""
        worker = self.engine.another()
        with self.engine.owner.transaction():
            self.engine.rows(
                "update public.models set agency_id = %s where id = %s", self.new, self.model
            )
            answer = worker.start(function, *arguments)
            if waits:
                self.engine.wait_until_blocked(worker)
            else:
                answer.result(WAIT)
        return answer.result(WAIT)

    def sync(self) -> None:
        """Do what is queued: one page with one sale."""
        (job,) = self.engine.claim()
        state = self.engine.begin(job)
        page = self.engine.page(
            state, "p1", Sale(1, 500, "O1", "f1", "tip").listed(), complete=True
        )
        self.engine.call("commit_sync_page", job["id"], job["lease_id"], state["version"], page)
        self.engine.settle(job, "done", state="succeeded")

    def left_behind(self) -> dict[str, int]:
        """Count the model's rows that name the agency it left, by table."""
        counts = {
            table: self.engine.value(
                f"select count(*) from public.{table}"  # noqa: S608 - our own text
                " where model_id = %s and agency_id = %s",
                self.model,
                self.old,
            )
            for table in TABLES
        }
        return {table: count for table, count in counts.items() if count}


@pytest.fixture
def move(engine: Engine) -> Move:
    old, new, creator = engine.agency(), engine.agency(), str(uuid.uuid4())
    return Move(engine, old, new, engine.model(old, fanvue_user_uuid=creator), creator)


def test_a_webhook_waits_for_the_move(move: Move) -> None:
    event = ToldSale(1, 0, 700, "fan", None).event("matching", 0, move.creator)

    assert move.during("receive_webhook_event", event, waits=True) == {"status": "applied"}

    assert move.left_behind() == {}
    assert move.engine.value("select count(*) from public.fanvue_transactions") == 1


def test_a_sync_that_is_asked_for_waits_for_the_move(move: Move) -> None:
    move.during("enqueue_sync", move.model, "earnings", waits=True)

    assert move.left_behind() == {}
    move.sync()
    assert move.left_behind() == {}


def test_a_tick_does_not_wait_and_its_job_writes_for_the_new_agency(move: Move) -> None:
    move.during("enqueue_due", "test", waits=False)

    move.sync()

    assert move.left_behind() == {}
    assert move.engine.value("select count(*) from public.fanvue_transactions") == 1
