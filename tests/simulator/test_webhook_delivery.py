"""How events travel: signatures, retries, duplicates, delays, the log and its end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from simulator.clock import SimulatedClock
from simulator.sales import Sale, add_sale
from simulator.webhooks.courier import STALE_SECONDS
from simulator.webhooks.targets import ALLOWED_HOST
from tests.simulator.press import PATIENCE_SECONDS, PREVIOUS, SECRET


if TYPE_CHECKING:
    from tests.simulator.press import Press


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> int:
    """Stop the machine's clock, which signatures go by, and return its second."""
    monkeypatch.setattr(SimulatedClock, "machine_seconds", staticmethod(lambda: 1_795_000_000.9))
    return 1_795_000_000


def test_without_a_target_nothing_is_sent_or_written_down(press: Press) -> None:
    press.control.drop_webhook_target()
    press.sell()

    assert press.flush()["events"] == 0
    assert press.receiver.received == []


def test_signature_covers_the_raw_bytes_and_the_time(press: Press, machine: int) -> None:
    press.sell()
    press.flush()

    (received,) = press.receiver.received
    assert received.headers["Content-Type"] == "application/json"
    assert [key for key, _ in received.parts] == ["t", "v0"]
    assert received.signed_with(SECRET)
    assert received.t == machine
    assert "X-Fanvue-Topic" not in received.headers


@pytest.mark.parametrize(
    ("signing", "current", "previous"),
    [("current", True, False), ("previous", False, True), ("both", True, True)],
)
def test_either_secret_or_both_can_sign(
    press: Press, signing: str, *, current: bool, previous: bool
) -> None:
    press.turn(webhook_signing=signing)
    press.sell()
    press.flush()

    (received,) = press.receiver.received
    assert received.signed_with(SECRET) is current
    assert received.signed_with(PREVIOUS) is previous


def test_hint_headers_are_sent_when_asked_for(press: Press) -> None:
    press.turn(webhook_hint_headers=True)
    press.sell()
    press.flush()

    (received,) = press.receiver.received
    assert received.headers["X-Fanvue-Topic"] == "creator.payment.succeeded"
    assert received.headers["X-Fanvue-Event-Id"] == received.body["id"]


def test_refused_delivery_is_retried_with_the_same_id(press: Press) -> None:
    press.receiver.statuses = [503, 401]
    press.sell()

    outcome = press.flush()

    assert len({r.raw for r in press.receiver.received}) == 1
    assert all(r.signed_with(SECRET) for r in press.receiver.received)
    (delivery,) = press.control.webhooks(press.creator.handle)["deliveries"]
    assert [a["status"] for a in delivery["attempts"]] == [503, 401, 200]
    assert delivery["state"] == "delivered"
    assert (outcome["attempts"], outcome["retries"], outcome["refused"]) == (3, 2, 2)


def test_retry_is_signed_anew(press: Press, machine: int) -> None:
    press.receiver.hold = threading.Event()
    press.receiver.statuses = [500]
    press.sell()
    press.receiver.wait_for(1)
    press.turn(webhook_skew_seconds=100)
    press.receiver.hold.set()
    press.flush()

    first, second = press.receiver.received
    assert (first.t, second.t) == (machine, machine + 100)
    assert second.raw == first.raw


def test_delivery_is_given_up_after_the_last_retry(press: Press) -> None:
    press.receiver.statuses = [500] * 9
    press.sell()

    outcome = press.flush()

    assert (outcome["gave_up"], outcome["delivered"], outcome["pending"]) == (1, 0, 0)
    assert len(press.receiver.received) == 4


def test_silent_receiver_times_out_and_gets_it_again(press: Press) -> None:
    # As many retries as a busy machine may need before the receiver is heard again.
    press.turn(webhook_timeout_seconds=0.05, webhook_retry_seconds=[0.01] * 1000)
    press.receiver.hold = threading.Event()
    press.sell()
    press.receiver.wait_for(2)
    press.turn(webhook_timeout_seconds=PATIENCE_SECONDS)
    press.receiver.hold.set()

    press.flush()

    (delivery,) = press.control.webhooks()["deliveries"]
    assert delivery["attempts"][0]["error"] == "timeout"
    assert delivery["attempts"][0]["latency_ms"] > 0
    assert delivery["attempts"][-1]["status"] == 200


def test_unreachable_receiver_is_retried(press: Press) -> None:
    press.control.set_webhook_target("http://127.0.0.1:9/nobody", SECRET)
    press.sell()

    assert press.flush()["gave_up"] == 1
    (delivery,) = press.control.webhooks(state="gave_up")["deliveries"]
    assert {a["error"] for a in delivery["attempts"]} == {"ConnectError"}


def test_answers_do_not_wait_for_deliveries_and_flush_can_run_out_of_time(press: Press) -> None:
    press.receiver.hold = threading.Event()
    press.sell()

    outcome = press.control.flush_webhooks(0.05)
    assert (outcome["done"], outcome["pending"]) == (False, 1)

    press.receiver.hold.set()
    assert press.flush()["delivered"] == 1


@pytest.mark.parametrize("limit", [1, 3])
def test_so_many_deliveries_run_at_once(press: Press, limit: int) -> None:
    press.control.turn(webhook_concurrency=limit)
    press.sell(copies=12)
    press.flush()

    assert press.receiver.most_at_once <= limit
    assert len({body["id"] for body in press.receiver.bodies()}) == 12


def test_one_at_a_time_keeps_the_order_unless_it_is_shuffled(press: Press) -> None:
    for cents in range(300, 330):
        press.sell(cents=cents)
    assert [body["data"]["gross"] for body in press.bodies()] == list(range(300, 330))

    press.receiver.received.clear()
    press.turn(webhook_reorder_seconds=0.2)
    press.sell(copies=1)
    press.control.add_sales(
        press.creator.handle, rows=[{"source": "tip", "gross_cents": n} for n in range(400, 430)]
    )
    shuffled = [body["data"]["gross"] for body in press.bodies()][1:]
    assert shuffled != sorted(shuffled)


def test_duplicates_carry_the_same_id_and_a_signature_of_their_own(press: Press) -> None:
    press.turn(webhook_duplicate_probability=1)
    press.sell()

    outcome = press.flush()

    assert (outcome["events"], outcome["deliveries"], outcome["duplicates"]) == (1, 2, 1)
    first, second = press.receiver.received
    assert first.raw == second.raw


def test_replayed_duplicate_repeats_the_header_too(press: Press) -> None:
    press.turn(webhook_duplicate_probability=1, webhook_duplicates="replay")
    press.sell()
    press.flush()

    first, second = press.receiver.received
    assert (first.raw, first.parts) == (second.raw, second.parts)


def test_renamed_duplicate_tells_the_same_payment_under_another_id(press: Press) -> None:
    press.turn(webhook_duplicate_probability=1, webhook_duplicates="renamed")
    press.sell()

    first, second = press.bodies()

    assert first["id"] != second["id"]
    assert first["data"] == second["data"]


def test_delay_postpones_a_delivery_and_its_emission_time(press: Press) -> None:
    press.turn(webhook_delay_seconds=3600)
    press.sell()

    assert press.control.flush_webhooks(0.05)["pending"] == 1
    (delivery,) = press.control.webhooks(bodies="true")["deliveries"]
    assert delivery["attempts"] == []
    assert delivery["body"]["timestamp"] == "2026-11-22T13:00:00.000Z"
    assert delivery["body"]["data"]["paid_at"] == "2026-11-22T12:00:00.000Z"


def test_stale_deliveries_are_more_than_five_minutes_old(press: Press, machine: int) -> None:
    press.turn(webhook_stale_probability=1)
    press.sell()
    press.flush()

    (received,) = press.receiver.received
    assert received.t == machine - STALE_SECONDS
    assert STALE_SECONDS > 300
    assert received.signed_with(SECRET)


def test_forged_deliveries_are_signed_with_a_wrong_secret(press: Press) -> None:
    press.turn(webhook_forged_probability=1)
    press.sell()
    press.flush()

    (received,) = press.receiver.received
    assert not received.signed_with(SECRET)
    assert not received.signed_with(PREVIOUS)


def test_signature_clock_can_be_off(press: Press, machine: int) -> None:
    press.turn(webhook_skew_seconds=120)
    press.sell()
    press.flush()

    assert press.receiver.received[0].t == machine + 120


def test_event_may_come_before_its_row_is_visible_or_wait_for_it(press: Press) -> None:
    later = "2026-11-22T13:00:00Z"
    press.sell(visible_at=later)
    assert len(press.bodies()) == 1
    assert press.rows() == []

    press.turn(webhook_after_visible=True)
    press.sell(visible_at=later)
    assert press.flush()["waiting"] == 1
    press.control.advance(3600)

    assert press.flush()["waiting"] == 0
    assert len(press.receiver.received) == 2
    assert len(press.rows()) == 2


def test_webhooks_can_be_off_for_one_creator(press: Press) -> None:
    press.turn(webhooks=False)
    press.sell()
    other = press.world.agencies[0].creators[0]
    press.control.add_sales(other.handle, rows=[{"source": "tip"}])

    assert press.only()["data"]["creator"]["uuid"] == other.uuid


def test_history_is_not_announced(press: Press) -> None:
    press.control.add_creators(transactions=20)
    press.control.add_sales(press.creator.handle, 5, announce=False)
    press.control.add_reversals(press.creator.handle, 1, announce=False)

    assert press.flush()["events"] == 0


def test_log_can_be_filtered_and_cleared_with_what_is_on_its_way(press: Press) -> None:
    sold = press.sell()
    press.control.add_fans(press.creator.handle, followers=1)
    press.flush()

    log = press.control.webhooks(
        press.creator.handle, type="creator.payment.succeeded", bodies="true"
    )

    (delivery,) = log["deliveries"]
    assert delivery["order_id"] == sold["rows"][0]["order_id"]
    assert delivery["body"] == press.receiver.bodies("creator.payment.succeeded")[0]
    assert log["counts"]["by_type"] == {
        "creator.follow.created": 1,
        "creator.payment.succeeded": 1,
    }
    assert press.control.webhooks(since=delivery["n"], limit=1)["deliveries"] != []
    assert "whsec" not in str(log)

    press.turn(webhook_delay_seconds=60)
    press.sell()
    press.control.clear_webhooks()
    assert press.flush()["deliveries"] == 0


def test_what_builders_do_in_another_thread_is_announced_too(press: Press) -> None:
    add_sale(press.world, press.creator, Sale(source="tip", gross_cents=700))

    assert press.only()["type"] == "creator.payment.succeeded"


@pytest.mark.parametrize("url", ["https://hooks.example.test/fanvue", "nonsense", "https://"])
def test_target_must_be_on_this_machine(press: Press, url: str) -> None:
    with pytest.raises(RuntimeError, match="loopback"):
        press.control.set_webhook_target(url, SECRET)


def test_target_may_be_the_one_host_that_is_allowed(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALLOWED_HOST, "hooks.example.test")

    press.control.set_webhook_target("https://hooks.example.test/fanvue", SECRET)
    with pytest.raises(RuntimeError, match="loopback"):
        press.control.set_webhook_target("https://other.example.test/fanvue", SECRET)
