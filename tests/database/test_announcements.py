"""Silence of the announcements is noticed, no forged request is taken for it, floods cost little.

What was refused has no tenant: members learn the state of their own agency, and no figure.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.streams import Creator
from tests.database.test_cost import reading
from tests.database.test_webhook_money import Sale


if TYPE_CHECKING:
    from tests.database.engine import Engine


QUESTION = "Do announcements arrive?"
SECRET = "fse1.k1.bm90LW9wZW5lZC1oZXJl"


@pytest.fixture
def creator(engine: Engine) -> Creator:
    engine.rows("update private.reconcile_settings set last_night_at = private.engine_now()")
    engine.call("enqueue_due", "worker")
    return Creator(engine, "earnings")


def line(engine: Engine) -> dict[str, Any]:
    (row,) = engine.rows("select * from ops.health where question = %s", QUESTION)
    return row


def refuse(engine: Engine, **counts: Any) -> None:
    engine.call("webhook_gate", counts)


def told(engine: Engine) -> list[tuple[str, str]]:
    alerts = engine.call("claim_alerts", engine.name)
    if alerts:
        engine.call("settle_alerts", engine.name, alerts, p_sent=True)
    return [(one["subject"], one["state"]) for one in alerts if one["kind"] == "announcements"]


def announce(engine: Engine, creator: Creator, number: int) -> str:
    event = Sale(number, 0, 500 + number, f"fan-{number}", None).event("matching", 0)
    event["data"] |= {"creator": {"uuid": creator.uuid}, "paid_at": creator.at()}
    return str(engine.call("receive_webhook_event", event)["status"])


def poll(creator: Creator, *numbers: int, **more: Any) -> None:
    """Read these sales, as a poll that found them."""
    rows = [
        Sale(n, 0, 500 + n, f"fan-{n}", None).row("matching") | {"at": creator.at()} | more
        for n in numbers
    ]
    creator.read("earnings", rows)


def asked_as(engine: Engine, agency_id: uuid.UUID, user_id: uuid.UUID) -> Any:
    with engine.owner.transaction(force_rollback=True):
        claims = json.dumps({"sub": str(user_id)})
        engine.rows("select set_config('request.jwt.claims', %s, true)", claims)
        engine.rows("set local role authenticated")
        reply = engine.value("select public.announcements(%s)", agency_id)
        engine.rows("reset role")
        return reply


def member(engine: Engine, agency_id: uuid.UUID) -> uuid.UUID:
    user_id = uuid.uuid4()
    engine.rows(
        "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, 'member')",
        agency_id,
        user_id,
    )
    return user_id


def test_who_never_set_webhooks_up_is_told_as_a_fact_and_not_alarmed(
    engine: Engine, creator: Creator
) -> None:
    poll(creator, 1, 2, 3, 4)
    engine.move_clock(hours=1)

    row = line(engine)

    assert row["state"] == "ok"
    assert "fanvue-sync webhooks register" in row["answer"]
    assert told(engine) == []
    assert engine.call("engine_gauges")["announcements_silent"] is False


def test_a_wrong_secret_is_noticed_within_minutes(engine: Engine, creator: Creator) -> None:
    refuse(engine, wrong_signature=120)
    assert line(engine)["state"] == "ok"
    engine.move_clock(minutes=1)
    refuse(engine, wrong_signature=126)

    row = line(engine)

    assert row["state"] == "attention"
    assert "246 were refused" in row["answer"]
    assert told(engine) == [("refused", "raised")]
    (wanted,) = [one for one in engine.call("engine_attention") if one["question"] == QUESTION]
    assert "fanvue-sync webhooks test" in wanted["remedy"]
    gauges = engine.call("engine_gauges")
    assert gauges["refused"]["wrong_signature"] == 246
    assert gauges["announcements_silent"] is True
    assert engine.call("engine_doctor")["announcements"]["is_refused"] is True

    announce(engine, creator, 1)
    engine.move_clock(minutes=16)

    assert line(engine)["state"] == "ok"
    assert told(engine) == [("refused", "clear")]


def test_the_wrong_secret_of_a_quiet_agency_is_noticed_in_the_course_of_a_day(
    engine: Engine, creator: Creator
) -> None:
    for _ in range(4):
        refuse(engine, wrong_signature=1)
        engine.move_clock(hours=2)
    assert line(engine)["state"] == "ok"

    refuse(engine, wrong_signature=1)

    assert line(engine)["state"] == "attention"


@pytest.mark.parametrize(
    "counts",
    [
        {"wrong_signature": 1},
        # a burst within one minute is one event, however long
        {"wrong_signature": 100_000},
        # what has no signature was not sent by Fanvue
        {"unsigned": 100_000},
    ],
)
def test_no_forged_request_and_no_burst_raises_an_alarm(
    engine: Engine, creator: Creator, counts: dict[str, int]
) -> None:
    refuse(engine, **counts)

    assert line(engine)["state"] == "ok"
    assert told(engine) == []


def test_a_flood_beside_announcements_that_arrive_neither_alarms_nor_flaps(
    engine: Engine, creator: Creator
) -> None:
    for number in range(1, 7):
        announce(engine, creator, number)
    seen = set()
    for number in range(7, 12):
        refuse(engine, wrong_signature=1)
        announce(engine, creator, number)
        engine.move_clock(minutes=1)
        seen.add(line(engine)["state"])

    assert seen == {"ok"}
    assert told(engine) == []


def test_a_flood_is_one_row_a_minute_and_is_forgotten_after_two_days(engine: Engine) -> None:
    for _ in range(50):
        refuse(engine, wrong_signature=10**9, unsigned=3, too_old=-5)

    (row,) = engine.rows("select * from private.webhook_refusals")
    assert (row["wrong_signature"], row["unsigned"], row["too_old"]) == (50 * 10**6, 150, 0)

    engine.move_clock(hours=49)
    refuse(engine, unsigned=1)

    assert engine.value("select count(*) from private.webhook_refusals") == 1


def test_a_report_whose_answer_was_lost_counts_once(engine: Engine) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    for report in (first, first, second):
        refuse(engine, unsigned=3, report=report)
    engine.move_clock(minutes=2)
    refuse(engine, unsigned=3, report=second)
    for _ in range(2):
        refuse(engine, unsigned=1)

    assert engine.value("select sum(unsigned) from private.webhook_refusals") == 3 + 3 + 1 + 1


def test_sales_that_polls_found_and_nobody_announced_are_missed(
    engine: Engine, creator: Creator
) -> None:
    announce(engine, creator, 1)
    poll(creator, 1, 2, 3)
    engine.move_clock(minutes=11)
    assert line(engine)["state"] == "ok"
    poll(creator, 4)

    row = line(engine)
    assert row["state"] == "attention"
    assert "not announced" in row["answer"]
    assert told(engine) == [("missing", "raised")]
    (missing,) = engine.rows("select * from ops.announcements where what = 'missing'")
    assert missing["answer"].startswith("3 sales in a row")
    assert missing["model_id"] == creator.model_id

    announce(engine, creator, 2)

    assert line(engine)["state"] == "ok"
    assert told(engine) == [("missing", "clear")]


def test_a_poll_that_was_faster_than_the_announcement_is_no_silence(
    engine: Engine, creator: Creator
) -> None:
    announce(engine, creator, 1)
    poll(creator, 2, 3, 4, 5)
    for number in (2, 3, 4, 5):
        assert announce(engine, creator, number) == "duplicate"
    engine.move_clock(hours=1)

    assert line(engine)["state"] == "ok"


@pytest.mark.parametrize(
    "odd",
    [{"fan_uuid": None}, {"category": "refund", "amount": "-5.00"}, {"at": "2026-11-20T12:00:00Z"}],
)
def test_what_is_not_announced_or_happened_long_ago_is_not_missed(
    engine: Engine, creator: Creator, odd: dict[str, Any]
) -> None:
    announce(engine, creator, 1)
    poll(creator, 2, 3, 4, 5, **odd)
    engine.move_clock(minutes=11)

    assert line(engine)["state"] == "ok"


def test_whoever_hears_of_some_sales_only_by_choice_does_not_miss_the_others(
    engine: Engine, creator: Creator
) -> None:
    tip = {
        "recipientUuid": creator.uuid,
        "sender": {"uuid": str(uuid.uuid4()), "handle": "mara"},
        "context": "message",
        "price": 500,
        "timestamp": creator.at(),
    }
    assert engine.call("receive_webhook_event", tip)["status"] == "applied"
    poll(creator, 2, 3, 4, 5)
    engine.move_clock(minutes=11)

    assert line(engine)["state"] == "ok"


def test_announcements_that_were_switched_off_on_purpose_are_missed_no_more(
    engine: Engine, creator: Creator
) -> None:
    announce(engine, creator, 1)
    poll(creator, 2, 3, 4)
    engine.move_clock(minutes=11)
    (missing,) = engine.rows("select * from ops.announcements where what = 'missing'")

    reply = engine.value(missing["remedy"].split("; ")[1].split(": ", 1)[1])

    assert reply["changed"] is True
    assert line(engine)["state"] == "ok"
    again = engine.value("select ops.expect_no_announcements(%s, 'why')", creator.model_id)
    assert again["changed"] is False
    assert engine.value("select count(*) from ops.actions") == 1


def test_members_learn_the_state_of_their_own_agency_without_a_figure(
    engine: Engine, creator: Creator
) -> None:
    mine = creator.agency_id
    theirs = engine.agency()
    user = member(engine, mine)
    assert asked_as(engine, mine, user)["state"] == "none"
    announce(engine, creator, 1)
    assert asked_as(engine, mine, user)["state"] == "arriving"
    engine.move_clock(minutes=5)
    refuse(engine, wrong_signature=100)
    engine.move_clock(minutes=1)
    refuse(engine, wrong_signature=100)
    # they may be a stranger's, or another agency's
    assert line(engine)["state"] == "attention"
    assert asked_as(engine, mine, user)["state"] == "arriving"
    poll(creator, 9)
    # its announcement may still be on its way
    assert asked_as(engine, mine, user)["state"] == "arriving"
    engine.move_clock(minutes=11)

    refused = asked_as(engine, mine, user)

    assert (refused["state"], set(refused)) == ("refused", {"state", "since"})
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        asked_as(engine, theirs, user)
    announce(engine, creator, 2)
    assert asked_as(engine, mine, user)["state"] == "arriving"
    poll(creator, 3, 4, 5)
    engine.move_clock(minutes=11)
    assert asked_as(engine, mine, user)["state"] == "missing"


@pytest.mark.usefixtures("fresh_sessions")
def test_what_a_member_asks_costs_nothing_for_other_peoples_creators(
    engine: Engine, creator: Creator
) -> None:
    user = member(engine, creator.agency_id)
    announce(engine, creator, 1)
    refuse(engine, wrong_signature=1)
    engine.models(engine.agency(), 300, due=False)
    engine.rows(
        "insert into private.announced_models (model_id, since)"
        " select id, private.engine_now() from public.models on conflict do nothing"
    )

    with reading(engine, "models", "announced_models", "webhook_events") as meter:
        asked_as(engine, creator.agency_id, user)

    assert meter.rows <= 10


def test_a_secret_that_the_function_cannot_open_is_told_until_a_test_opens_it(
    engine: Engine, creator: Creator
) -> None:
    first, _ = register(engine, creator), register(engine, creator)
    engine.call("webhook_gate", {}, f"{{{first}}}")

    assert "cannot open the secrets of 1 webhooks" in line(engine)["answer"]
    assert told(engine) == [("unopened", "raised")]
    engine.call("receive_webhook_event", {"id": "t1", "type": "fanvue_sync.test", "data": {}})
    assert engine.call("take_webhook_test", "t1", first) is True

    assert line(engine)["state"] == "ok"


def known_of(engine: Engine, creator: str) -> dict[str, Any]:
    reply: dict[str, Any] = engine.call("webhook_gate", p_creator=creator)
    return reply


@pytest.mark.usefixtures("fresh_sessions")
def test_the_function_learns_one_creators_secrets_and_reads_nobody_elses(
    engine: Engine, creator: Creator
) -> None:
    register(engine, creator)
    engine.models(engine.agency(), 300, due=False)
    engine.rows(
        "insert into private.webhook_subscriptions (id, model_id, fanvue_id, url, events, secret,"
        " state, created_at, changed_at)"
        " select gen_random_uuid(), m.id, m.id::text, 'https://x.test', '{}', %s, 'active',"
        " private.engine_now(), private.engine_now() from public.models m where m.id <> %s",
        SECRET,
        creator.model_id,
    )

    with reading(engine, "models", "webhook_subscriptions") as meter:
        known = known_of(engine, creator.uuid)

    assert [one["creator"] for one in known["secrets"]] == [creator.uuid]
    assert meter.rows <= 10
    # enough to see that they are too many to be tried
    assert len(engine.call("webhook_gate")["secrets"]) == 51


@pytest.mark.parametrize(
    "event",
    [
        {
            "data": {"creator": {"uuid": "A"}},
            "recipientUuid": "B",
            "price": 100_000,
            "context": "x",
        },
        {"type": "creator.payment.succeeded", "data": [], "recipientUuid": "B", "price": 100_000},
        {"id": "t1", "type": "fanvue_sync.test", "data": {"creator": {"uuid": "B"}}},
        {"id": "t1", "type": "fanvue_sync.test", "data": {}},
    ],
    ids=str,
)
def test_a_registered_secret_vouches_for_whom_is_booked_and_for_nobody_else(
    engine: Engine, creator: Creator, event: dict[str, Any]
) -> None:
    other = str(uuid.uuid4())
    text = json.dumps(event).replace('"A"', f'"{other}"').replace('"B"', f'"{creator.uuid}"')

    with pytest.raises(psycopg.DatabaseError, match="whose secret signed it") as refused:
        engine.call("receive_webhook_event", json.loads(text), p_vouched_for=other)

    assert refused.value.sqlstate == "PT403"
    assert engine.value("select count(*) from public.webhook_events") == 0
    assert engine.value("select count(*) from private.webhook_tests") == 0


def test_who_vouches_for_their_own_event_has_it_booked(engine: Engine, creator: Creator) -> None:
    event = Sale(1, 0, 500, "fan-1", None).event("matching", 0)
    event["data"] |= {"creator": {"uuid": creator.uuid.upper()}, "paid_at": creator.at()}

    told = engine.call("receive_webhook_event", event, p_vouched_for=creator.uuid)

    assert told == {"status": "applied"}


def register(engine: Engine, creator: Creator) -> uuid.UUID:
    id_ = uuid.uuid4()
    events = "{creator.payment.succeeded}"
    engine.call("begin_webhook_registration", id_, creator.model_id, "https://x.test/f", events)
    engine.call("finish_webhook_registration", id_, f"fv-{id_}", events, SECRET)
    return id_


def test_unsigned_calls_are_let_in_while_a_registration_is_under_way_and_no_longer(
    engine: Engine, creator: Creator
) -> None:
    id_, events = uuid.uuid4(), "{creator.payment.succeeded}"
    assert engine.call("webhook_gate")["registering"] is False
    for _ in range(2):
        engine.call("begin_webhook_registration", id_, creator.model_id, "https://x.test", events)
    none_yet = {"registering": True, "awaited": False, "any": False, "secrets": []}
    assert engine.call("webhook_gate") == none_yet
    assert known_of(engine, creator.uuid) == none_yet | {"awaited": True}
    assert known_of(engine, str(uuid.uuid4())) == none_yet

    for _ in range(2):
        engine.call("finish_webhook_registration", id_, "fv-1", events, SECRET)

    gate = engine.call("webhook_gate")
    assert (gate["registering"], gate["any"]) == (False, True)
    assert known_of(engine, creator.uuid.upper()) == gate
    assert [one["sealed"] for one in gate["secrets"]] == [SECRET]
    second = uuid.uuid4()
    engine.call("begin_webhook_registration", second, creator.model_id, "https://x.test", events)
    engine.move_clock(minutes=3)
    assert engine.call("webhook_gate")["registering"] is False


def test_a_secret_is_stored_sealed_or_not_at_all(engine: Engine, creator: Creator) -> None:
    id_ = uuid.uuid4()
    engine.call("begin_webhook_registration", id_, creator.model_id, "https://x.test", "{a}")

    with pytest.raises(psycopg.DatabaseError, match="not sealed"):
        engine.call("finish_webhook_registration", id_, "fv-1", "{a}", "plain-secret")


def test_a_retired_secret_is_accepted_for_what_was_on_its_way(
    engine: Engine, creator: Creator
) -> None:
    id_ = register(engine, creator)
    for _ in range(2):
        engine.call("retire_webhook_subscription", id_, p_expect_none=True)

    assert len(engine.call("webhook_gate")["secrets"]) == 1
    assert engine.value("select count(*) from private.announced_models") == 0
    engine.move_clock(hours=73)
    assert engine.call("webhook_gate")["secrets"] == []


def test_a_test_event_leaves_no_trace(engine: Engine) -> None:
    event = {"id": "t1", "type": "fanvue_sync.test", "data": {"object": "test"}}
    for _ in range(2):
        assert engine.call("receive_webhook_event", event) == {"status": "ignored"}

    assert engine.call("take_webhook_test", "t1") is True
    assert engine.call("take_webhook_test", "t1") is False
    assert engine.value("select count(*) from public.webhook_events") == 0
    assert line(engine)["answer"].startswith("none ever did")
    engine.call("receive_webhook_event", event)
    engine.move_clock(minutes=61)
    engine.call("receive_webhook_event", event | {"id": "t2"})
    assert engine.rows("select id from private.webhook_tests") == [{"id": "t2"}]


PLACEHOLDER = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize("who", ["creator", "purchaser"])
@pytest.mark.parametrize("uuid_", [PLACEHOLDER, "11111111-1111-1111-1111-111111111111"])
def test_test_deliveries_with_placeholders_do_not_pile_up_and_book_nothing(
    engine: Engine, creator: Creator, who: str, uuid_: str
) -> None:
    event = Sale(1, 0, 1000, "fan-1", None).event("matching", 0)
    event["data"]["creator"]["uuid"] = creator.uuid
    event["data"][who] = {"uuid": uuid_, "display_name": "Test User"}

    assert engine.call("receive_webhook_event", event) == {"status": "ignored"}

    assert engine.value("select count(*) from public.fanvue_transactions") == 0
    (stored,) = engine.rows("select id, status, error from public.webhook_events")
    assert "placeholders" in stored["error"]
    assert engine.rows("select * from ops.webhooks_waiting") == []
    replayed = engine.value("select ops.replay_webhook(%s)", stored["id"])
    assert replayed["status"] == "ignored"


def test_a_fan_who_is_called_test_user_is_booked(engine: Engine, creator: Creator) -> None:
    event = Sale(1, 0, 1000, str(uuid.uuid4()), None).event("matching", 0)
    event["data"]["creator"]["uuid"] = creator.uuid
    event["data"]["purchaser"] |= {"handle": "test-user", "display_name": "Test User"}

    assert engine.call("receive_webhook_event", event) == {"status": "applied"}


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        (
            "creator.message.reaction",
            {"emoji": "x", "message_uuid": str(uuid.uuid4()), "actor": {"uuid": str(uuid.uuid4())}},
        ),
        ("creator.horoscope.updated", {"object": "horoscope"}),
    ],
)
def test_topics_without_a_meaning_stay_ignored_and_can_be_replayed(
    engine: Engine, creator: Creator, topic: str, data: dict[str, Any]
) -> None:
    creator_uuid = creator.uuid
    event = {"id": "e1", "type": topic, "data": data | {"creator": {"uuid": creator_uuid}}}

    assert engine.call("receive_webhook_event", event) == {"status": "ignored"}

    (stored,) = engine.rows("select id, payload from public.webhook_events")
    assert stored["payload"]["type"] == topic
    replayed = engine.value("select ops.replay_webhook(%s)", stored["id"])
    assert replayed["status"] == "ignored"
