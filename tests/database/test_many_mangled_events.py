"""However a signed event is mangled, it is stored, and `applied` only with its effect.

Runs over many more events than a search that shrinks: FUZZ=200000 takes some minutes.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from tests.database.test_webhook_money import CREATOR, NOON
from tests.support.mangling import as_json, examples, mangled
from tests.unit.jobs.house import fan, uuid_of


if TYPE_CHECKING:
    import random

    from tests.database.engine import Engine


AT_ONCE = 500
MONEY = ("payment.succeeded", "refund.created", "dispute.created")
_TELL = """
  select e.ordinality - 1 as place, r.answer ->> 'status' as answer,
         coalesce(r.answer ->> 'event_id', e.event ->> 'id') as event_id
  from jsonb_array_elements(%s::jsonb) with ordinality e(event, ordinality)
  cross join lateral (select public.receive_webhook_event(e.event) as answer offset 0) r
"""
_TOLD = """
  select w.event_id, w.status, w.error, t.amount, t.sent_minor_units, t.category,
         exists (select from public.fanvue_fans f
                 where f.fan_uuid = lower(btrim(w.payload #>> '{data,fan,uuid}'))) as fan_known,
         exists (select from public.fanvue_messages m
                 where m.message_uuid = lower(btrim(w.payload #>> '{data,uuid}'))) as message_known
  from public.webhook_events w
  left join public.fanvue_transactions t on t.id = w.transaction_id
  where w.event_id = any (%s)
"""


def _event(seed: int, draw: random.Random) -> tuple[dict[str, Any], set[tuple[str, ...]]]:
    """Return an event as Fanvue sends it, and what is essential of it."""
    at = (NOON + timedelta(seconds=seed % 86_400)).isoformat()
    kind = draw.choice(
        [*MONEY, "follow.created", "subscription.activated", "message.received", "message.reaction"]
    )
    data: dict[str, Any] = {
        "creator": {"uuid": CREATOR, "handle": "nova"},
        "fan": fan(seed),
        "created_at": at,
    }
    essentials = {("id",), ("type",), ("timestamp",), ("data", "created_at")}
    essentials |= {("data", "creator", "uuid"), ("data", "fan", "uuid")}
    if kind in MONEY:
        data |= {
            "id": f"FV-{seed}",
            "object": kind.split(".")[0],
            "source": "tip",
            "gross": seed % 9_000 + 100,
            "net": 80,
            "currency": "USD",
            "paid_at": at,
            "message_uuid": uuid_of("message", seed),
        }
        essentials |= {("data", "id"), ("data", "gross"), ("data", "paid_at")}
    if kind != MONEY[0]:
        data["payment_id"] = f"FV-{seed - 1}"
    if kind.startswith("message"):
        data |= {"uuid": uuid_of("message", seed), "text": "words", "sender": fan(seed)}
        essentials |= {("data", "uuid")}
    event = {"id": f"event-{seed}", "type": f"creator.{kind}", "timestamp": at, "data": data}
    return event, essentials


def test_no_event_is_lost_and_none_is_applied_without_its_effect(engine: Engine) -> None:
    engine.model(engine.agency(), due=False, fanvue_user_uuid=CREATOR)
    answers: Counter[str] = Counter()

    drawn = examples()
    while batch := list(islice(drawn, AT_ONCE)):
        whole, sent = [], []
        for seed, draw in batch:
            event, essentials = _event(seed, draw)
            spared = draw.random() < 0.7
            # The others may lose anything but what makes them events.
            keep = frozenset(essentials if spared else {("id",), ("data", "created_at")})
            whole.append((event, spared))
            sent.append(as_json(mangled(event, draw, keep), draw))
        told = engine.rows(_TELL, json.dumps(sent))
        named = [row["event_id"] for row in told]
        kept = {row["event_id"]: row for row in engine.rows(_TOLD, named)}

        # Stored, each of them, and answered with a status that the sender knows.
        assert [row["place"] for row in told] == list(range(len(sent)))
        assert kept.keys() == set(named)
        answers.update(row["answer"] for row in told)
        for (event, spared), came, answer in zip(whole, sent, told, strict=True):
            row = kept[answer["event_id"]]
            about = (event["id"], came, row)
            if answer["event_id"] != event["id"]:
                # What was left of it is no envelope any more.
                assert not spared, about
                continue
            if spared:
                _assert_it_came_in(event, row, about)
            if row["status"] in {"applied", "duplicate_of_api"}:
                _assert_its_effect(came, row, about)
            assert (answer["answer"] == "applied") == (row["status"] == "applied"), about
            if row["status"] == "failed":
                assert row["error"], about

    assert answers.keys() == {"applied", "duplicate", "parked", "ignored"} - (
        {"duplicate"} if "duplicate" not in answers else set()
    )


def _assert_it_came_in(event: dict[str, Any], row: dict[str, Any], about: Any) -> None:
    kind = event["type"].removeprefix("creator.")
    if kind == "message.reaction":
        assert row["status"] == "ignored", about
        return
    assert row["status"] in {"applied", "duplicate_of_api"}, about
    if kind in MONEY:
        sign = 1 if kind == MONEY[0] else -1
        assert row["sent_minor_units"] == event["data"]["gross"] or (
            row["amount"] == sign * Decimal(event["data"]["gross"]) / 100
        ), about


def _assert_its_effect(came: dict[str, Any], row: dict[str, Any], about: Any) -> None:
    kind = str(came["type"]).removeprefix("creator.")
    if kind in MONEY:
        sent = came["data"].get("gross", came["data"].get("amount"))
        assert row["amount"] is not None, about
        # What was told without an amount reverses all of its sale.
        assert sent is not None or kind != MONEY[0], about
        # Two that lost their own numbers to one and the same text are one payment.
        is_its_own = came["data"].get("id") == came["id"].replace("event", "FV")
        if sent is not None and is_its_own:
            assert int(sent) >= 0, about
            assert row["sent_minor_units"] == int(sent) or (
                abs(row["amount"]) == Decimal(str(sent)) / 100
            ), about
        assert (row["category"] in {"refund", "chargeback"}) == (kind != MONEY[0]), about
    elif kind == "message.received":
        assert row["message_known"], about
    else:
        assert row["fan_known"], about
