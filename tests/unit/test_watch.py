"""Pushed events become lines for people or for programs, whatever is missing in them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.clock import NOON, ManualClock
from tests.unit.store.rpc_stub import RpcStub
from worker.commands.event_lines import EventKind, EventLine, events_of, lines_of
from worker.commands.watch import Ear, Event, RealtimeUnreachableError, Teller, _as_json
from worker.store.database import ATTEMPTS


Capture = pytest.CaptureFixture[str]
CREATOR = "3b2f0a52-0d3c-4a55-9c1e-0f4f7d9f4a10"
BACKFILL = {"kind": "full", "pages": 24, "rows": 1200, "position": "2025-03-01T10:00:00+00:00"}


@pytest.mark.parametrize(
    ("event", "payload", "text"),
    [
        ("transactions", {"inserted": 12, "amount": "340.00"}, "12 new sales, +$340.00"),
        ("transactions", {"inserted": 1, "amount": "1234567.5"}, "1 new sale, +$1,234,567.50"),
        ("transactions", {"updated": 3, "amount": "-20.00"}, "3 changed, -$20.00"),
        (
            "transactions",
            {"updated": 1, "deleted": 2, "amount": "0"},
            "1 changed, 2 removed, $0.00",
        ),
        ("transactions", {"inserted": 1, "amount": "NaN"}, "1 new sale"),
        ("transactions", {"inserted": 1, "refunds": 1, "amount": "-5.00"}, "1 refund, -$5.00"),
        (
            "transactions",
            {"inserted": 4, "refunds": 2, "amount": "7.00"},
            "2 new sales, 2 refunds, +$7.00",
        ),
        ("transactions", {"amount": None}, "sales changed"),
        (
            "transactions",
            {
                "inserted": 50,
                "amount": "99.90",
                "job": {"sync_type": "earnings", "state": "running", "progress": BACKFILL},
            },
            "50 new sales, +$99.90 (earnings backfill: 24 pages, 1,200 rows, back to 2025-03-01)",
        ),
        (
            "job",
            {"sync_type": "messages", "state": "running", "progress": BACKFILL},
            "messages backfill: 24 pages, 1,200 rows, back to 2025-03-01",
        ),
        ("job", {"sync_type": "posts", "state": "running", "progress": {}}, "posts running"),
        ("job", {"sync_type": "posts", "state": "queued", "progress": {}}, "posts queued"),
        ("job", {"sync_type": "posts", "state": "succeeded"}, "posts done"),
        (
            "job",
            {"sync_type": "posts", "state": "dead"},
            "posts gave up, see fanvue-sync jobs list --state dead",
        ),
        ("job", {}, "job changed"),
        ("model", {"status": "reauth_required"}, "must reconnect"),
        ("model", {"status": "newly invented"}, "newly invented"),
        ("sync_state", {"sync_type": "messages", "failures": 0}, "messages synced"),
        ("sync_state", {"sync_type": "posts", "failures": 3}, "posts failing, 3 times in a row"),
        ("newly invented", {}, "newly invented"),
    ],
)
def test_an_event_says_what_happened(event: str, payload: dict[str, Any], text: str) -> None:
    assert lines_of(event, {"model_id": CREATOR, **payload}) == [EventLine(CREATOR, text)]


def test_several_items_are_a_line_each_and_very_many_are_one() -> None:
    items = [{"model_id": CREATOR, "status": "paused"}, {"model_id": "other", "status": "active"}]

    lines = lines_of("model", {"items": items, "changed": ["model"]})

    assert lines == [EventLine(CREATOR, "paused"), EventLine("other", "active")]
    (line,) = lines_of("transactions", {"items": [], "many": True})
    assert line == EventLine(None, "the money of many creators changed")


class Bench:
    """A teller, and what the database answers it."""

    def __init__(self) -> None:
        self.stub = RpcStub(ManualClock(skips=True))
        self.teller = Teller({"a": "Nova"}, self.stub.database)

    def answer(self, *rows: dict[str, Any], status: int = 200) -> None:
        self.stub.instead.append(httpx.Response(status, json=list(rows)))

    async def tell(self, name: str = "model", **payload: Any) -> None:
        payload = {"model_id": CREATOR, "status": "paused", **payload}
        await self.teller.tell(Event(NOON, "a", name, payload))


async def test_a_line_names_time_agency_and_creator(capsys: Capture) -> None:
    b = Bench()
    b.answer({"handle": "mia", "display_name": "Mia"})

    await b.tell("sync_state", sync_type="messages", failures=0)
    await b.tell("sync_state", sync_type="messages", failures=0)

    assert capsys.readouterr().out == "12:00:00  Nova  @mia  messages synced\n" * 2
    assert len(b.stub.requests) == 1


async def test_a_creator_that_changed_is_asked_for_again(capsys: Capture) -> None:
    b = Bench()
    b.answer({"handle": "mia", "display_name": "Mia"})
    b.answer({"handle": None, "display_name": "Mia \x1b[31mred"})

    await b.tell()
    await b.tell()

    said = capsys.readouterr().out.splitlines()
    assert said == ["12:00:00  Nova  @mia  paused", "12:00:00  Nova  Mia \ufffd[31mred  paused"]


async def test_without_the_database_a_creator_goes_by_its_id(capsys: Capture) -> None:
    b = Bench()
    for _ in range(ATTEMPTS):
        b.answer(status=503)

    await b.tell()

    assert capsys.readouterr().out == f"12:00:00  Nova  {CREATOR}  paused\n"


async def test_only_the_kinds_that_were_asked_for_are_heard() -> None:
    ear = Ear(1, ManualClock(), events_of([EventKind.SALES, EventKind.CREATORS]))
    for event in ("job", "model", "sync_state", "transactions"):
        ear.heard("agency:a", event, {})

    heard = [ear.events.get_nowait().name for _ in range(ear.events.qsize())]
    assert heard == ["model", "transactions"]


async def test_json_is_the_payload_and_whence_and_when() -> None:
    ear = Ear(1, ManualClock())
    ear.heard("agency:a", "transactions", {"model_id": CREATOR, "amount": "0.10", "inserted": 1})

    assert _as_json(await ear.events.get()) == {
        "model_id": CREATOR,
        "amount": "0.10",
        "inserted": 1,
        "agency_id": "a",
        "event": "transactions",
        "received_at": NOON.isoformat(),
    }


def test_a_loss_is_told_and_the_return_too(capsys: Capture) -> None:
    ear = Ear(2, ManualClock())
    ear.connected()
    ear.lost("closed")
    ear.connected()

    first, lost, back = capsys.readouterr().err.splitlines()
    assert "2 agencies" in first
    assert "lost (closed); trying again" in lost
    assert "again" in back


def test_who_was_never_connected_gives_up_and_says_what_to_do() -> None:
    with pytest.raises(RealtimeUnreachableError, match="HTTP 503") as caught:
        Ear(1, ManualClock()).lost("HTTP 503")

    assert "Studio" in caught.value.remedy
