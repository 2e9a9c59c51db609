"""`fanvue-sync webhooks` against the real function: registered, tested, rotated, deleted.

Fanvue calls the address unsigned first, tells each secret once, and repeats what is refused.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from tests.support.deliveries import Postman
from tests.support.edge_functions import FunctionLog, function_settings
from tests.support.program import Program
from tests.support.waiting import PATIENCE_SECONDS
from tests.support.webhooks import (
    REGISTRABLE,
    address,
    at_fanvue,
    deliver,
    handle_of,
    stored,
    tip,
)
from worker.commands.webhook_check import SECRET_COLUMN, SECRET_TABLE
from worker.jobs.subscriptions import TOPICS
from worker.sealing import Keyring


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.engine import Engine


pytestmark = pytest.mark.system

NEW_KEY = "next:" + base64.b64encode(bytes(range(32))).decode()
SUBSCRIPTIONS = "/webhooks/subscriptions"
WITHOUT_CHATS = ["offline_access", "read:self", "read:insights", "read:creator", "read:fan"]
PROBES = ["none", "get", "head", "empty", "object", "event"]


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Iterator[Program]:
    engine.fanvue.turn(**REGISTRABLE)
    yield Program(engine, tmp_path)
    engine.fanvue.drop_webhook_target()


@pytest.mark.parametrize("probe", PROBES)
def test_a_registered_creators_sales_are_announced_and_booked(program: Program, probe: str) -> None:
    engine = program.engine
    engine.fanvue.turn(webhook_probe=probe)
    creator = engine.creator()
    engine.drain()

    (outcome,) = program.json("webhooks", "register", handle_of(program, creator))

    assert outcome["outcome"] == "registered"
    assert outcome["events"] == list(TOPICS)
    (registration,) = at_fanvue(program)
    assert registration["url"] == address(program)
    tip(program, creator, 3)
    deliver(program)
    engine.assert_exact(creator)
    assert stored(program, "select status from public.webhook_events") == [("applied",)] * 3


def test_the_first_registration_needs_no_secret_in_the_settings(program: Program) -> None:
    engine = program.engine
    creator = engine.creator()
    engine.drain()

    with function_settings(FANVUE_WEBHOOK_SECRETS=""):
        (outcome,) = program.json("webhooks", "register", handle_of(program, creator))
        tip(program, creator, 3)
        deliver(program)

    assert outcome["outcome"] == "registered"
    engine.assert_exact(creator)


def test_no_secret_is_stored_open_printed_or_logged(program: Program) -> None:
    name = handle_of(program, program.engine.creator())
    log = FunctionLog("fanvue-webhook")

    said = [
        program("webhooks", *words)
        for words in (
            *(("register", "--all"), ("list",), ("list", "--json"), ("test", "--json")),
            *(("rotate", name), ("test",), ("delete", name, "--yes"), ("list", "--json")),
        )
    ]

    for done in said:
        assert done.returncode == 0, done.stderr
    plain = _secrets(program)
    assert len(set(plain)) == 2
    whole = log.read() + "".join(done.stdout + done.stderr for done in said)
    assert "webhook_received" in whole
    for secret in plain:
        assert secret not in whole
        assert _tables_with(program, secret) == []
    for (sealed,) in stored(program, "select secret from private.webhook_subscriptions"):
        assert sealed not in whole
        assert _tables_with(program, sealed) == ["private.webhook_subscriptions"]


def _secrets(program: Program) -> list[str]:
    """Return the secrets of registered webhooks in the clear."""
    keyring = Keyring(program.engine.settings().sealing.keys)
    return [
        keyring.open(sealed, str(row_id), SECRET_COLUMN, table=SECRET_TABLE).value
        for row_id, sealed in stored(
            program, "select id, secret from private.webhook_subscriptions"
        )
    ]


def _tables_with(program: Program, text: str) -> list[str]:
    """Return every table in which some row holds this text."""
    tables = stored(
        program,
        "select format('%I.%I', schemaname, tablename) from pg_catalog.pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema') order by 1",
    )
    return [
        table
        for (table,) in tables
        if stored(program, f"select from {table} t where strpos(t::text, '{text}') > 0 limit 1")
    ]


@pytest.mark.parametrize(("command", "word"), [("register", "unchanged"), ("rotate", "rotated")])
def test_a_subscription_whose_secret_nobody_kept_goes_whatever_is_done(
    program: Program, command: str, word: str
) -> None:
    engine = program.engine
    creator = engine.creator()
    name = handle_of(program, creator)
    program.json("webhooks", "register", name)
    (kept,) = at_fanvue(program)
    stray = _register_by_stealth(program, creator)

    (outcome,) = program.json("webhooks", command, name)

    assert outcome["outcome"] == word
    (left,) = at_fanvue(program)
    assert left["id"] != stray
    assert (left["id"] == kept["id"]) is (command == "register")


def _register_by_stealth(program: Program, creator: str) -> str:
    """Subscribe our address, and keep no secret of it."""
    engine = program.engine
    engine.fanvue.turn(webhook_probe="none")
    token = engine.fanvue.grant(creator).access_token
    made = httpx.post(
        f"{engine.fanvue.url}/webhooks/subscriptions",
        json={"url": address(program), "events": ["creator.payment.succeeded"]},
        headers={"authorization": f"Bearer {token}", "x-fanvue-api-version": "2025-06-26"},
        trust_env=False,
        timeout=PATIENCE_SECONDS,
    )
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def test_a_registered_secret_books_nothing_for_another_creator(program: Program) -> None:
    engine = program.engine
    own, other = engine.creator(0), engine.creator(0)
    engine.drain()
    program.json("webhooks", "register", handle_of(program, own))
    money = {"price": 100_000, "context": "message", "sender": {"uuid": str(uuid4())}}
    stamp = "2026-11-20T12:00:00Z"
    sale = {"id": "FV-1", "gross": 100_000, "currency": "USD", "creator": {"uuid": other}}
    event = {"id": "e1", "type": "creator.payment.succeeded", "timestamp": stamp, "data": sale}
    bodies = [
        json.dumps({"data": {"creator": {"uuid": own}}, "recipientUuid": other, **money}),
        json.dumps({"type": None, "data": {"creator_uuid": own}, "recipientUuid": other, **money}),
        json.dumps(event),
        "\ufeff" + json.dumps(event),
    ]

    with httpx.Client(timeout=PATIENCE_SECONDS) as http:
        postman = Postman(http, address(program), _secrets(program))
        answers = [postman.deliver(body.encode()).status_code for body in bodies]

    assert answers == [401] * len(bodies)
    assert stored(program, "select count(*) from public.webhook_events") == [(0,)]
    assert engine.ledger(other).count == 0


def test_an_empty_name_means_nobody(program: Program) -> None:
    program.engine.creator()
    program.engine.database.execute("update public.models set handle = null, display_name = ''")
    program.json("webhooks", "register", "--all")

    done = program("webhooks", "delete", "", "--yes")

    assert done.returncode == 2
    assert "fanvue-sync creators lists them" in done.stderr
    assert len(at_fanvue(program)) == 1


def test_a_second_registration_changes_nothing_and_a_lost_one_is_replaced(
    program: Program,
) -> None:
    engine = program.engine
    creator = engine.creator()
    name = handle_of(program, creator)
    program.json("webhooks", "register", name)
    (first,) = at_fanvue(program)

    (again,) = program.json("webhooks", "register", name)
    assert again["outcome"] == "unchanged"
    assert at_fanvue(program) == [first]

    # the answer was lost: Fanvue has a subscription whose secret nobody kept
    engine.database.execute("delete from private.webhook_subscriptions")
    (listed,) = program.json("webhooks", "list")
    assert listed["outcome"] == "unknown"
    assert f"fanvue-sync webhooks register {name}" in listed["note"]
    (replaced,) = program.json("webhooks", "register", name)

    assert replaced["outcome"] == "registered"
    (now,) = at_fanvue(program)
    assert now["id"] != first["id"]
    tip(program, creator, 1)
    deliver(program)
    engine.assert_exact(creator)


def test_what_was_deleted_at_fanvue_is_seen_and_made_anew(program: Program) -> None:
    engine = program.engine
    creator = engine.creator()
    program.json("webhooks", "register", "--all")
    engine.database.execute("update private.webhook_subscriptions set fanvue_id = 'elsewhere'")
    engine.fanvue.turn(webhook_probe="none")

    (listed,) = program.json("webhooks", "list")

    assert listed["outcome"] == "gone"
    (made,) = program.json("webhooks", "register", handle_of(program, creator))
    assert made["outcome"] == "registered"
    states = stored(program, "select state from private.webhook_subscriptions order by created_at")
    assert states == [("retired",), ("active",)]


def test_rotating_loses_no_delivery_while_they_come_in(program: Program) -> None:
    engine = program.engine
    creator = engine.creator()
    engine.drain()
    name = handle_of(program, creator)
    program.json("webhooks", "register", name)
    # deliveries of the old secret are on their way, and come in, while it is replaced
    engine.fanvue.turn(webhook_reorder_seconds=1.5, webhook_concurrency=4)
    tip(program, creator, 40)
    rotating = program.start("webhooks", "rotate", name, "--json")
    sold = 40
    while rotating.poll() is None:
        tip(program, creator, 5)
        sold += 5
        engine.fanvue.flush_webhooks(timeout_seconds=0.1)
    out, err = rotating.communicate(timeout=PATIENCE_SECONDS)
    assert rotating.returncode == 0, err
    assert json.loads(out)[0]["outcome"] == "rotated"
    tip(program, creator, 20)
    sold += 20
    deliver(program)

    assert engine.ledger(creator).count == sold
    engine.assert_exact(creator)
    log = engine.fanvue.webhooks(creator, limit=100_000)
    assert log["counts"]["gave_up"] == 0
    # what was signed with a secret that is not known yet may be put off, and is never refused
    answers = {one["status"] for each in log["deliveries"] for one in each["attempts"]}
    assert answers <= {200, 503}
    states = stored(program, "select state from private.webhook_subscriptions order by created_at")
    assert states == [("retired",), ("active",)]
    assert len(at_fanvue(program)) == 1


def test_a_deleted_webhook_is_asked_for_first_and_then_gone(program: Program) -> None:
    creator = program.engine.creator()
    name = handle_of(program, creator)
    program.json("webhooks", "register", name)

    refused = program("webhooks", "delete", name)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    remedy = refused.stderr.strip().rpartition("; fanvue-sync ")[2].split()
    assert remedy == ["webhooks", "delete", name, "--yes"]
    assert len(at_fanvue(program)) == 1
    # a registration that broke off holds up the creator's erasure
    program.engine.database.execute(
        "insert into private.webhook_subscriptions"
        " (id, model_id, url, events, state, created_at, changed_at, expires_at)"
        " select gen_random_uuid(), m.id, 'https://x.test', '{}', 'registering', now(), now(),"
        " now() - interval '1 minute' from public.models m"
    )

    (outcome,) = program.json(*remedy)

    assert outcome["outcome"] == "deleted"
    begun = "select id from private.webhook_subscriptions where state = 'registering'"
    assert stored(program, begun) == []
    assert at_fanvue(program) == []
    assert stored(program, "select model_id from private.announced_models") == []


def test_topics_without_their_scope_are_left_out_and_named(program: Program) -> None:
    engine = program.engine
    creator = engine.fanvue.add_creators(transactions=0)[0]["uuid"]
    engine.connect(creator, scopes=WITHOUT_CHATS)

    (outcome,) = program.json("webhooks", "register", handle_of(program, creator))

    assert outcome["outcome"] == "registered"
    assert "creator.message.received" not in outcome["events"]
    assert "creator.follow.created" in outcome["events"]
    assert "read:chat" in outcome["note"]


def test_messages_are_left_to_polls_where_somebody_says_so(program: Program) -> None:
    engine = program.engine
    creator = engine.creator()
    engine.drain()
    name = handle_of(program, creator)

    def said(*words: str) -> tuple[str, bool]:
        (outcome,) = program.json("webhooks", *words)
        (there,) = at_fanvue(program)
        assert outcome["events"] == there["events"]
        assert outcome["note"] is None
        return outcome["outcome"], "creator.message.received" in there["events"]

    assert said("register", name, "--no-messages") == ("registered", False)
    assert said("register", name) == ("unchanged", False)
    assert said("rotate", name) == ("rotated", False)
    tip(program, creator, 2)
    deliver(program)
    engine.assert_exact(creator)
    assert said("register", name, "--messages") == ("registered", True)
    assert said("register", name) == ("unchanged", True)
    assert said("rotate", name) == ("rotated", True)
    assert said("register", name, "--no-messages") == ("registered", False)


def _announces_messages(registration: dict[str, Any]) -> bool:
    return "creator.message.received" in registration["events"]


def test_a_webhook_that_is_gone_comes_back_as_it_was_chosen(program: Program) -> None:
    name = handle_of(program, program.engine.creator())
    program.json("webhooks", "register", name, "--no-messages")
    program.engine.database.execute("update private.webhook_subscriptions set fanvue_id = 'gone'")
    program.engine.fanvue.add_fault("status", SUBSCRIPTIONS, method="POST", status=502, times=1)

    (listed,) = program.json("webhooks", "list")
    advice = listed["note"].rpartition("; fanvue-sync ")[2].split()
    assert program(*advice).returncode == 1
    (again,) = program.json(*advice)

    assert (listed["outcome"], again["outcome"]) == ("gone", "registered")
    assert [_announces_messages(one) for one in at_fanvue(program)] == [False]


def test_another_address_begins_with_what_was_chosen(program: Program) -> None:
    name = handle_of(program, program.engine.creator())
    program.json("webhooks", "register", name, "--no-messages")

    program.json("webhooks", "register", name, "--url", f"{address(program)}?other")

    assert [_announces_messages(one) for one in at_fanvue(program)] == [False, False]


def test_rotating_leaves_each_address_what_was_chosen_for_it(program: Program) -> None:
    name = handle_of(program, program.engine.creator())
    other = f"{address(program)}?other"
    program.json("webhooks", "register", name, "--no-messages")
    program.json("webhooks", "register", name, "--url", other, "--messages")
    before = {one["id"] for one in at_fanvue(program)}

    program.json("webhooks", "rotate", name)

    chosen = {one["url"]: _announces_messages(one) for one in at_fanvue(program)}
    assert chosen == {address(program): False, other: True}
    assert before.isdisjoint(one["id"] for one in at_fanvue(program))


@pytest.mark.parametrize(
    ("first", "second"), [("--messages", "--no-messages"), ("--no-messages", "--messages")]
)
@pytest.mark.parametrize("again", ["as said", "nothing said"])
def test_a_switch_that_broke_off_is_finished_by_the_next(
    program: Program, first: str, second: str, again: str
) -> None:
    name = handle_of(program, program.engine.creator())
    program.json("webhooks", "register", name, first)
    program.engine.fanvue.add_fault("status", SUBSCRIPTIONS, method="DELETE", status=403, times=1)
    assert program("webhooks", "register", name, second).returncode == 1
    assert len(at_fanvue(program)) == 2

    words = [second] if again == "as said" else []
    (outcome,) = program.json("webhooks", "register", name, *words)

    assert outcome["outcome"] == "unchanged"
    assert [_announces_messages(one) for one in at_fanvue(program)] == [second == "--messages"]
    active = "select count(*) from private.webhook_subscriptions where state = 'active'"
    assert stored(program, active) == [(1,)]


def test_messages_without_their_scope_are_announced_once_it_is_granted(program: Program) -> None:
    engine = program.engine
    creator = engine.fanvue.add_creators(transactions=0)[0]["uuid"]
    engine.connect(creator, scopes=WITHOUT_CHATS)
    name = handle_of(program, creator)
    program.json("webhooks", "register", name)
    (first,) = at_fanvue(program)

    program.json("webhooks", "register", name)
    (outcome,) = program.json("webhooks", "register", name, "--messages")
    assert (outcome["outcome"], at_fanvue(program)) == ("unchanged", [first])
    engine.connect(creator, replace=True)
    program.json(*outcome["note"].rpartition(", then fanvue-sync ")[2].split())

    assert [_announces_messages(one) for one in at_fanvue(program)] == [True]


def test_declined_messages_stay_so_although_their_scope_was_granted(program: Program) -> None:
    engine = program.engine
    creator = engine.fanvue.add_creators(transactions=0)[0]["uuid"]
    engine.connect(creator, scopes=WITHOUT_CHATS)
    name = handle_of(program, creator)
    program.json("webhooks", "register", name)
    (declined,) = program.json("webhooks", "register", name, "--no-messages")
    engine.connect(creator, replace=True)

    program.json("webhooks", "rotate", name)

    assert declined["note"] is None
    assert [_announces_messages(one) for one in at_fanvue(program)] == [False]


def test_a_refused_registration_is_one_line_with_a_next_step_and_leaves_nothing(
    program: Program,
) -> None:
    creator = program.engine.creator()
    program.engine.fanvue.turn(webhook_registration_400=True)

    done = program("webhooks", "register", handle_of(program, creator))

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "fanvue-sync webhooks test" in done.stderr
    assert at_fanvue(program) == []
    assert stored(program, "select state from private.webhook_subscriptions") == []


def test_a_lost_answer_leaves_no_webhook_whose_secret_nobody_has(program: Program) -> None:
    creator = program.engine.creator()
    name = handle_of(program, creator)
    program.engine.fanvue.add_fault(
        "status", SUBSCRIPTIONS, method="POST", status=502, moment="after", times=1
    )

    lost = program("webhooks", "register", name)

    assert lost.returncode == 1
    assert at_fanvue(program) == []
    assert stored(program, "select state from private.webhook_subscriptions") == []
    assert program.json("webhooks", "register", name)[0]["outcome"] == "registered"


def test_a_new_sealing_key_seals_webhook_secrets_too(program: Program) -> None:
    program.engine.creator()
    program.json("webhooks", "register", "--all")
    old = program.engine.environment["TOKEN_ENCRYPTION_KEYS"]
    keys = f"{NEW_KEY},{old}"

    rotated = program.json("tokens", "rotate-key", TOKEN_ENCRYPTION_KEYS=keys)

    assert (rotated["webhooks_resealed"], rotated["failed"]) == (1, [])
    ((sealed,),) = stored(program, "select secret from private.webhook_subscriptions")
    assert sealed.startswith("fse1.next.")
    _, findings = program.findings(TOKEN_ENCRYPTION_KEYS=keys)
    assert findings["sealing keys"][0] == "ok"
    code, findings = program.findings()
    assert (code, findings["sealing keys"][0]) == (1, "fail")
    assert "next" in findings["sealing keys"][1]


def test_an_address_that_does_not_answer_is_told_before_fanvue_is_asked(program: Program) -> None:
    creators = [program.engine.creator() for _ in range(2)]
    program.engine.fanvue.clear_requests()
    nowhere = f"{program.engine.environment['SUPABASE_URL']}/functions/v1/no-such-function"

    done = program("webhooks", "register", "--all", "--url", nowhere)

    assert done.returncode == 2
    assert len(creators) > done.stderr.count("\n") == 1
    assert "supabase functions deploy fanvue-webhook" in done.stderr
    methods = [one["method"] for one in program.engine.fanvue.requests()]
    assert "POST" not in methods


def test_creators_of_an_agencys_grant_are_told_how_it_is_done_by_hand(program: Program) -> None:
    engine = program.engine
    creator = engine.creator()
    engine.database.execute(
        "with made as (insert into public.agency_connections"
        " (agency_id, fanvue_user_uuid, refresh_token)"
        " select id, gen_random_uuid()::text, 'r' from public.agencies returning id)"
        " update public.models set connection_id = (select id from made)"
    )

    named = program("webhooks", "register", handle_of(program, creator))
    (skipped,) = program.json("webhooks", "register", "--all")

    assert named.returncode == 2
    assert "by hand in the Fanvue app" in named.stderr
    assert skipped["outcome"] == "skipped"


def test_a_test_event_arrives_and_leaves_no_trace(program: Program) -> None:
    creator = program.engine.creator()
    program.json("webhooks", "register", handle_of(program, creator))

    found = program.json("webhooks", "test")

    assert found["arrived"] is True
    assert [one["arrived"] for one in found["tests"]] == [True, True]
    assert stored(program, "select count(*) from public.webhook_events") == [(0,)]
    assert stored(program, "select count(*) from private.webhook_tests") == [(0,)]


def test_a_test_with_a_secret_that_the_function_lacks_says_so(program: Program) -> None:
    done = program("webhooks", "test", "--json", FANVUE_WEBHOOK_SECRETS="quite-another-secret")

    assert done.returncode == 1
    (tested,) = json.loads(done.stdout)["tests"]
    assert tested["arrived"] is False
    assert "FANVUE_WEBHOOK_SECRETS" in tested["remedy"]


def test_without_a_secret_there_is_nothing_to_test(program: Program) -> None:
    done = program("webhooks", "test", FANVUE_WEBHOOK_SECRETS="")

    assert done.returncode == 2
    assert "fanvue-sync webhooks register --all" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["webhooks", "register"],
        ["webhooks", "rotate"],
        ["webhooks", "delete", "--yes"],
        ["webhooks", "register", "nobody"],
        ["webhooks", "register", "nobody", "--all"],
        ["webhooks", "rotate", "--all", "x"],
    ],
)
def test_wrong_words_are_one_line_with_what_to_do(program: Program, words: list[str]) -> None:
    done = program(*words)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "fanvue-sync " in done.stderr
