"""Silence of the announcements shows wherever somebody looks, and a forger cannot make it costly.

Deliveries go through the real function, under right, wrong and unreadable secrets.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.edge_functions import function_settings
from tests.support.program import Program
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tests.support.webhooks import (
    REGISTRABLE,
    address,
    deliver,
    handle_of,
    stored,
    tip,
    wait_for_refusals,
)


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

FLOOD = 300


@pytest.fixture
def program(engine: Engine, tmp_path: Path) -> Iterator[Program]:
    engine.fanvue.turn(**REGISTRABLE)
    yield Program(engine, tmp_path)
    engine.fanvue.drop_webhook_target()


def refused_at_fanvue(program: Program, creator: str) -> int:
    """Return how many deliveries Fanvue saw refused."""
    deliveries = program.engine.fanvue.webhooks(creator, limit=1000)["deliveries"]
    attempts = [one["status"] for each in deliveries for one in each["attempts"]]
    return attempts.count(httpx.codes.UNAUTHORIZED)


def test_a_wrong_secret_shows_wherever_somebody_looks(program: Program) -> None:
    """With the wrong secret everything said that all was well."""
    engine = program.engine
    creator = engine.creator()
    engine.drain()
    engine.fanvue.set_webhook_target(address(program), "not the function's secret")
    engine.fanvue.turn(webhook_retry_seconds=[])
    for refused in (6, 12):
        # What the function could not judge in time it put off, and nobody repeats it here.
        while (more := refused - refused_at_fanvue(program, creator)) > 0:
            tip(program, creator, more)
            deliver(program)
        wait_for_refusals(program, refused)
        engine.pass_time(60)

    status = program.json("status")
    _, findings = program.findings()
    (question,) = [
        one for one in status["attention"] if one["question"] == "Do announcements arrive?"
    ]

    assert status["well"] is False
    assert "12 were refused" in question["what"]
    assert "fanvue-sync webhooks test" in question["remedy"]
    assert findings["announcements"][0] == "warn"
    assert stored(program, "select count(*) from public.webhook_events") == [(0,)]


def test_a_key_that_the_function_lacks_is_said_and_nothing_is_let_in_without_it(
    program: Program, local_stack: Stack
) -> None:
    engine = program.engine
    creator = engine.creator()
    engine.drain()
    program.json("webhooks", "register", handle_of(program, creator))
    other = "k9:" + "A" * 43 + "="

    with function_settings(TOKEN_ENCRYPTION_KEYS=other):
        engine.fanvue.turn(webhook_retry_seconds=[])
        tip(program, creator, 1)
        deliver(program)
        (delivery,) = engine.fanvue.webhooks(creator)["deliveries"]
        assert [one["status"] for one in delivery["attempts"]] == [503]
        wait_until(
            lambda: (
                stored(program, "select unopened_at is not null from private.webhook_subscriptions")
                == [(True,)]
            )
        )
        status = program.json("status")
        assert any("cannot open" in one["what"] for one in status["attention"])

    assert program.json("webhooks", "test")["arrived"] is True
    wanted = [one["what"] for one in program.json("status")["attention"]]
    assert not any("cannot open" in one for one in wanted)


def test_the_doctor_sends_a_test_event_and_says_what_keeps_it_out(program: Program) -> None:
    program.engine.creator()
    program.json("webhooks", "register", "--all")

    _, sound = program.findings()
    code, refused = program.findings(FANVUE_WEBHOOK_SECRETS="quite-another-secret")
    _, away = program.findings(SUPABASE_URL="http://127.0.0.1:9")
    program.json("webhooks", "delete", "--all", "--yes")
    _, none = program.findings(FANVUE_WEBHOOK_SECRETS="")

    assert sound["webhooks"][0] == "ok"
    assert sound["announcements"] == ("ok", "none ever arrived; polls find everything")
    assert (code, refused["webhooks"][0]) == (1, "fail")
    assert "FANVUE_WEBHOOK_SECRETS" in refused["webhooks"][1]
    assert "webhooks" not in away
    assert none["webhooks"][0] == "ok"
    assert "fanvue-sync webhooks register --all" in none["webhooks"][1]


def test_registering_and_testing_count_as_no_refusal(program: Program) -> None:
    program.engine.creator()
    stranger = program.engine.fanvue.add_creators(transactions=0)[0]["uuid"]
    program.json("webhooks", "register", "--all")
    program("webhooks", "test", FANVUE_WEBHOOK_SECRETS="quite-another-secret")
    program.engine.fanvue.set_webhook_target(address(program), "a wrong secret")
    program.engine.fanvue.turn(webhook_retry_seconds=[])
    while refused_at_fanvue(program, stranger) == 0:
        program.engine.fanvue.send_webhook(stranger, "presence")
        deliver(program)

    wait_for_refusals(program, 1)

    assert stored(program, "select sum(unsigned) from private.webhook_refusals") == [(0,)]


def test_a_flood_of_forged_deliveries_is_counted_to_the_last_and_kept_by_the_minute(
    program: Program,
) -> None:
    url = address(program)
    body = b'{"id":"e","type":"creator.payment.succeeded","data":{}}'
    forged = {"x-fanvue-signature": "t=1,v0=" + "0" * 64}
    with httpx.Client(timeout=PATIENCE_SECONDS) as http, ThreadPoolExecutor(16) as senders:

        def send(_: int) -> int:
            status: int = httpx.codes.SERVICE_UNAVAILABLE
            while status == httpx.codes.SERVICE_UNAVAILABLE:
                status = http.post(url, content=body, headers=forged).status_code
            return status

        answered = set(senders.map(send, range(FLOOD)))

    assert answered == {401}
    wait_for_refusals(program, FLOOD)
    ((minutes,),) = stored(program, "select count(*) from private.webhook_refusals")
    assert minutes < FLOOD // 10
    assert stored(program, "select count(*) from public.webhook_events") == [(0,)]
