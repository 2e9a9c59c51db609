"""Everything Fanvue may send, through the real function: odd bodies, every topic, in any order."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.deliveries import Postman, kept_back
from tests.support.edge_functions import function_settings
from tests.support.postgres import PROJECT
from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.stack import Stack
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

VECTORS = PROJECT / "tests" / "contract" / "vectors" / "webhook_oddities.json"
ODDITIES = json.loads(VECTORS.read_text(encoding="utf-8"))["bodies"]
ODD_CREATOR = "7c1f0b52-9a44-4d0e-8a53-2f6f1f0f7a01"
# They name a creator and a topic we know, so they wait for the creator.
WAITING = {
    "an amount beyond bigint",
    "a number beyond any column",
    "an amount that is text",
    "a time that is none",
    "a flat body with a price beyond bigint",
}
# They name nobody, so that only a person can tell whose they are.
NOBODYS = {
    "an id that is a number",
    "a creator that is no uuid",
    "a creator that is a list",
}
# Neither a type, nor data, nor the form of an older event.
NO_EVENTS = {"no id, no type", "an id alone", "a flat body of wrong types"}
FAMILIES = {
    "creator": {},
    "nulls": {"webhook_optionals": "null"},
    "minimal": {"webhook_optionals": "minimal"},
    "metadata": {"webhook_message_text": False},
    "capitals": {"ids_in_capitals": True},
    "legacy": {"webhook_family": "legacy"},
    "legacy capitals": {"webhook_family": "legacy", "ids_in_capitals": True},
    "late legacy": {"webhook_family": "legacy", "webhook_legacy_purchase": "july_2026"},
    "both": {"webhook_family": "both"},
    "checkout": {"webhook_family": "checkout"},
}
SOLD = [
    {"source": source, "gross_cents": cents}
    for cents, source in enumerate(
        ("tip", "message", "post", "subscription", "renewal", "checkoutLink"), start=1000
    )
]
# Without what the arrival decides.
ROWS = {
    "fans": """
      select jsonb_object_agg(f.fan_uuid, to_jsonb(f)
               - '{id,agency_id,model_id,first_seen_at,last_seen_at}'::text[]
               - '{subscriber_seen_at,follower_seen_at}'::text[])
      from public.fanvue_fans f
    """,
    "messages": """
      select jsonb_object_agg(m.message_uuid, to_jsonb(m)
               - '{id,agency_id,model_id,created_at,read_at}'::text[])
      from public.fanvue_messages m
    """,
    "sales": """
      select jsonb_object_agg(t.amount || t.category, t.fan_uuid) from public.fanvue_transactions t
    """,
    "counters": "select jsonb_build_array(subscribers_count, followers_count) from public.models",
}


@pytest.fixture
def postman(engine: Engine) -> Iterator[Postman]:
    environment = engine.environment
    secret = environment["FANVUE_WEBHOOK_SECRETS"].split(",")[0]
    with httpx.Client(timeout=PATIENCE_SECONDS) as http:
        url = f"{environment['SUPABASE_URL']}/functions/v1/fanvue-webhook"
        yield Postman(http, url, [secret])


# Odd bodies ---------------------------------------------------------------------------------------


def test_every_odd_body_is_stored_once_and_answered(engine: Engine, postman: Postman) -> None:
    odd = {one["name"]: one["body"].encode() for one in ODDITIES if one["name"] not in NO_EVENTS}
    expected = ["parked" if name in WAITING | NOBODYS else "ignored" for name in odd]
    kept = ["failed" if name in NOBODYS else said for name, said in zip(odd, expected, strict=True)]

    answered = postman.statuses([body for body in odd.values() for _ in range(2)])

    assert answered[::2] == expected
    assert answered[1::2] == ["duplicate"] * len(odd)
    assert _statuses(engine) == kept


def test_what_is_no_event_is_refused_and_not_stored(engine: Engine, postman: Postman) -> None:
    bodies = [one["body"].encode() for one in ODDITIES if one["name"] in NO_EVENTS]

    assert [postman.deliver(body).status_code for body in bodies] == [400] * len(NO_EVENTS)

    assert _statuses(engine) == []


def test_odd_bodies_that_waited_hold_up_neither_the_connection_nor_the_good_ones(
    engine: Engine, postman: Postman
) -> None:
    engine.fanvue.add_creators(creator_uuid=ODD_CREATOR)
    waiting = [o for o in ODDITIES if o["name"] in WAITING]
    with kept_back(engine.fanvue) as good:
        engine.fanvue.add_sales(ODD_CREATOR, rows=[{"source": "tip"}])
    postman.statuses([*(o["body"].encode() for o in waiting), *good])

    engine.connect(ODD_CREATOR)

    assert _statuses(engine) == [*["failed"] * len(waiting), "applied"]
    engine.assert_exact(ODD_CREATOR)


def test_odd_bodies_for_a_connected_creator_are_kept_as_failed_with_the_reason(
    engine: Engine, postman: Postman
) -> None:
    engine.fanvue.add_creators(creator_uuid=ODD_CREATOR)
    engine.connect(ODD_CREATOR)

    answered = postman.statuses([o["body"].encode() for o in ODDITIES if o["name"] in WAITING])

    assert answered == ["parked"] * len(WAITING)
    kept = engine.database.execute(
        "select count(*) from public.webhook_events where status = 'failed' and error <> ''"
    ).fetchone()
    assert kept == (len(WAITING),)
    assert engine.ledger(ODD_CREATOR).count == 0


def test_a_topic_without_meaning_is_ignored(engine: Engine, postman: Postman) -> None:
    creator = engine.creator()
    with kept_back(engine.fanvue) as bodies:
        for kind in ("unknown_topic", "presence"):
            engine.fanvue.send_webhook(creator, kind)

    assert postman.statuses(bodies) == ["ignored"] * 2


# Every topic --------------------------------------------------------------------------------------


@pytest.mark.parametrize("knobs", FAMILIES.values(), ids=FAMILIES)
def test_any_order_and_any_repetition_leaves_the_same_rows(
    engine: Engine, postman: Postman, knobs: dict[str, Any]
) -> None:
    creator = engine.creator(fans=0)
    with kept_back(engine.fanvue, **knobs) as story:
        _live(engine, creator)
    assert len(story) >= 10

    postman.statuses(story)
    told = _rows(engine)

    for seed in range(2):
        _forget(engine, creator)
        shuffled = story * 2
        random.Random(seed).shuffle(shuffled)  # noqa: S311 - the same orders every time
        answered = postman.statuses(shuffled)
        assert answered.count("duplicate") >= len(story)
        assert _rows(engine) == told
    engine.fanvue.turn(ids_in_capitals=False)
    engine.sync(creator, full=True)
    engine.assert_exact(creator)


def test_fans_and_counters_follow_who_came_and_went(engine: Engine, postman: Postman) -> None:
    creator = engine.creator(fans=0)
    with kept_back(engine.fanvue) as story:
        _live(engine, creator)

    assert set(postman.statuses(story)) == {"applied"}

    counted = engine.database.execute(
        "select m.subscribers_count, m.followers_count,"
        " (select count(*) from public.fanvue_fans f where f.is_subscriber),"
        " (select count(*) from public.fanvue_fans f where f.is_follower),"
        " (select count(*) from public.fanvue_fans f where f.end_reason = 'not_renewed')"
        " from public.models m"
    ).fetchone()
    assert counted == (2, 3, 2, 3, 2)
    messages = engine.database.execute(
        "select sender, count(*), count(deleted_at), count(body) from public.fanvue_messages"
        " group by sender order by sender"
    ).fetchall()
    assert messages == [("creator", 2, 0, 2), ("fan", 3, 1, 2)]


def test_money_of_every_topic_is_booked_and_counted_once(engine: Engine, postman: Postman) -> None:
    """The same sale under its creator's, its checkout link's and the app store's topic."""
    creator = engine.creator()
    with kept_back(engine.fanvue) as bodies:
        engine.fanvue.add_sales(creator, rows=[{"source": "checkoutLink", "gross_cents": 2500}])
        engine.fanvue.add_reversals(creator)
    sale, refund = (json.loads(body) for body in bodies)
    renamed = [
        {**event, "id": f"{topic}-1", "type": topic}
        for event, topics in (
            (sale, ("checkout_link.payment.succeeded", "app.payment.succeeded")),
            (refund, ("checkout_link.refund.created", "app.payment.refunded")),
        )
        for topic in topics
    ]

    answered = postman.statuses([*bodies, *(json.dumps(event).encode() for event in renamed)])

    assert answered == ["applied", "applied", *["duplicate"] * 4]
    engine.assert_exact(creator)


def test_a_checkout_links_subscriptions_and_disputes_are_those_of_the_creator(
    engine: Engine, postman: Postman
) -> None:
    creator = engine.creator(fans=0)
    with kept_back(engine.fanvue) as story:
        _live(engine, creator)
    postman.statuses(story)
    told = _rows(engine)
    renamed = story
    for topic in (b"subscription.activated", b"subscription.deactivated", b"dispute.created"):
        assert any(b"creator." + topic in body for body in renamed)
        renamed = [b.replace(b"creator." + topic, b"checkout_link." + topic) for b in renamed]

    _forget(engine, creator)
    postman.statuses(renamed)

    assert _rows(engine) == told


def test_flat_money_sent_again_under_another_header_id_is_counted_once(
    engine: Engine, postman: Postman
) -> None:
    creator = engine.creator()
    with kept_back(engine.fanvue, webhook_family="legacy") as bodies:
        engine.fanvue.add_sales(creator, rows=[{"source": "tip", "gross_cents": 700}])

    answers = [
        postman.deliver(*bodies, hints={"x-fanvue-event-id": name, "x-fanvue-topic": topic})
        for name, topic in (("evt-1", "tip.new"), ("evt-2", "tip.new"), ("evt-3", "tip.received"))
    ]

    statuses = [answer.json()["status"] for answer in answers]
    assert statuses == ["applied", "duplicate", "duplicate"]
    # What the creator earns of it stands in the API's row alone.
    assert (engine.ledger(creator).count, engine.ledger(creator).gross) == (1, Decimal(7))
    engine.sync(creator)
    engine.assert_exact(creator)


def test_what_came_before_its_creator_is_applied_when_they_connect(
    engine: Engine, postman: Postman
) -> None:
    creator = engine.fanvue.add_creators(fans=0)[0]["uuid"]
    with kept_back(engine.fanvue) as story:
        _live(engine, creator)
    assert set(postman.statuses(story)) == {"parked"}

    engine.connect(creator)

    assert set(_statuses(engine)) == {"applied"}
    waited = _rows(engine)
    _forget(engine, creator)
    postman.statuses(story)
    # what waits keeps no text of a message: the list of messages has it
    engine.database.execute("update public.fanvue_messages set body = null where body is not null")
    assert _rows(engine) == waited
    engine.sync(creator)
    engine.assert_exact(creator)


# Secrets ------------------------------------------------------------------------------------------


def test_while_secrets_are_exchanged_both_are_accepted_and_afterwards_one(
    engine: Engine, postman: Postman, local_stack: Stack
) -> None:
    creator = engine.creator()
    with kept_back(engine.fanvue) as bodies:
        engine.fanvue.add_sales(creator, rows=[{"source": "tip"}] * 4)
    one, two, three, four = bodies

    def answers(*deliveries: tuple[bytes, list[str]]) -> list[int]:
        return [postman.deliver(b, secrets=s).status_code for b, s in deliveries]

    with function_settings(FANVUE_WEBHOOK_SECRETS="whsec_new, whsec_old"):
        assert answers(
            (one, ["whsec_new"]),
            (two, ["whsec_old"]),
            (three, ["whsec_old", "whsec_new"]),
            (four, ["whsec_other"]),
        ) == [200, 200, 200, 401]
    with function_settings(FANVUE_WEBHOOK_SECRETS="whsec_new"):
        assert answers(
            (four, ["whsec_old"]), (four, ["whsec_old", "whsec_other"]), (four, ["whsec_new"])
        ) == [401, 401, 200]
    engine.assert_exact(creator)


# Helpers ------------------------------------------------------------------------------------------


def _live(engine: Engine, creator: str) -> None:
    """Let everything happen that Fanvue announces, one thing a minute."""
    fanvue = engine.fanvue
    steps: list[Callable[[], Any]] = [
        lambda: fanvue.add_fans(creator, followers=3),
        lambda: fanvue.add_fans(creator, subscribers=4),
        lambda: fanvue.change_subscriptions(creator, "renew"),
        lambda: fanvue.change_subscriptions(creator, "stop_renewal"),
        lambda: fanvue.change_subscriptions(creator, "end", count=2),
        *(partial(fanvue.add_sales, creator, rows=[row]) for row in SOLD),
        lambda: fanvue.add_reversals(creator, 1),
        lambda: fanvue.add_reversals(creator, 1, kind="chargeback"),
    ]
    for step in steps:
        engine.pass_time(60)
        step()
    _talk(engine, creator)


def _talk(engine: Engine, creator: str) -> None:
    fanvue = engine.fanvue
    first = fanvue.add_messages(creator, 1)["messages"][0]
    fan = first["fan_uuid"]
    for sent in (False, True, False, True):
        engine.pass_time(60)
        fanvue.add_messages(creator, 1, fan_uuid=fan, sent=sent)
    engine.pass_time(60)
    fanvue.read_messages(creator, fan)
    fanvue.delete_messages(creator, fan, first["uuid"])


def _rows(engine: Engine) -> dict[str, Any]:
    """Return fans, messages, sales and counters as the tables hold them."""
    found = {}
    for name, statement in ROWS.items():
        row = engine.database.execute(statement).fetchone()
        assert row is not None
        found[name] = row[0]
    return found


def _forget(engine: Engine, creator: str) -> None:
    """Forget all that was announced, and connect the creator anew."""
    engine.database.execute("truncate public.agencies, public.webhook_events cascade")
    engine.connect(creator)


def _statuses(engine: Engine) -> list[str]:
    rows = engine.database.execute(
        "select status from public.webhook_events order by received_at, id"
    ).fetchall()
    return [row[0] for row in rows]
