"""Webhook subscriptions over the API: their rules, their secrets and what they receive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.receiver import receiving


if TYPE_CHECKING:
    import httpx

    from tests.simulator.press import Press


PATH = "/webhooks/subscriptions"
PAYMENT = "creator.payment.succeeded"
MESSAGE = "creator.message.received"
HOOK = "https://hooks.example.test/fanvue"


class Client:
    """Calls the registration endpoints as one client of the creator."""

    def __init__(self, press: Press, **grant: Any) -> None:
        token = press.control.grant(press.creator.handle, **grant).access_token
        headers = {"Authorization": f"Bearer {token}", "X-Fanvue-API-Version": "2025-06-26"}
        self._press, self._headers = press, headers

    def register(self, url: str = HOOK, *events: str, path: str = PATH) -> httpx.Response:
        return self.call("POST", path, {"url": url, "events": list(events or (PAYMENT,))})

    def call(self, method: str, path: str = PATH, body: Any = None) -> httpx.Response:
        control = self._press.control
        return control._http.request(
            method, f"{control.url}{path}", json=body, headers=self._headers
        )


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_secret_is_told_once_and_the_list_goes_on_without_it(press: Press, prefix: str) -> None:
    made = Client(press).register(path=prefix + PATH)

    assert made.status_code == 201
    assert list(made.json()) == ["id", "url", "events", "signingSecret"]
    listed = Client(press).call("GET", prefix + PATH).json()
    assert listed == {"data": [{"id": made.json()["id"], "url": HOOK, "events": [PAYMENT]}]}


def test_deleted_subscription_is_gone_and_a_strangers_is_not_found(press: Press) -> None:
    press.control.add_client("other", "secret")
    made = Client(press).register().json()["id"]

    assert Client(press, client_id="other").call("GET").json() == {"data": []}
    assert Client(press, client_id="other").call("DELETE", f"{PATH}/{made}").status_code == 404
    assert Client(press).call("DELETE", f"{PATH}/nonsense").status_code == 400
    assert Client(press).call("DELETE", f"{PATH}/{made}").status_code == 204
    assert Client(press).call("GET").json() == {"data": []}


def test_base_scope_and_the_scope_of_every_event_are_needed(press: Press) -> None:
    assert Client(press, scopes=["read:chat"]).call("GET").status_code == 403
    assert Client(press, scopes=["read:creator"]).register(HOOK).status_code == 201
    refused = Client(press, scopes=["read:creator"]).register(HOOK, PAYMENT, MESSAGE)
    assert (refused.status_code, refused.json()) == (403, {"error": "Forbidden"})

    press.turn(webhook_base_scope="read:self")
    assert Client(press, scopes=["read:self"]).call("GET").status_code == 200


@pytest.mark.parametrize(
    ("url", "events"),
    [
        ("http://hooks.example.test/fanvue", [PAYMENT]),
        ("https://localhost/fanvue", [PAYMENT]),
        ("https://127.0.0.1/fanvue", [PAYMENT]),
        ("https://192.168.1.4/fanvue", [PAYMENT]),
        (HOOK, ["creator.horoscope.updated"]),
    ],
)
def test_address_must_be_public_https_and_events_be_known(
    press: Press, url: str, events: list[str]
) -> None:
    refused = Client(press).register(url, *events)

    assert refused.status_code == 400
    assert list(refused.json()) == ["errors"]


def test_registering_can_always_fail(press: Press) -> None:
    press.turn(webhook_registration_400=True)

    refused = Client(press).register()

    assert (refused.status_code, refused.json()) == (400, {"error": "Bad Request"})


@pytest.mark.parametrize(
    ("probe", "raw"),
    [("empty", b""), ("object", b'{"challenge":"9f2c"}'), ("event", None)],
)
def test_the_address_is_called_unsigned_before_it_is_subscribed(
    press: Press, probe: str, raw: bytes | None
) -> None:
    press.turn(webhook_loopback_urls=True, webhook_probe=probe)
    with receiving() as receiver:
        made = Client(press).register(receiver.url)

        (received,) = receiver.received
        assert made.status_code == 201
        assert "X-Fanvue-Signature" not in received.headers
        assert raw is None or received.raw == raw


def test_an_address_that_refuses_the_probe_is_refused_without_a_word(press: Press) -> None:
    press.turn(webhook_loopback_urls=True)
    with receiving() as receiver:
        receiver.statuses = [401]

        refused = Client(press).register(receiver.url)

    assert (refused.status_code, refused.json()) == (400, {"error": ""})
    assert Client(press).register("http://127.0.0.1:9/hook").json() == {"error": ""}
    assert Client(press).call("GET").json() == {"data": []}


def test_subscription_gets_its_events_signed_with_its_own_secret(press: Press) -> None:
    press.turn(webhook_loopback_urls=True, webhook_probe="none")
    press.control.drop_webhook_target()
    with receiving() as receiver:
        made = Client(press).register(receiver.url, PAYMENT).json()
        press.sell()
        press.control.add_messages(press.creator.handle)
        other = press.world.agencies[0].creators[0]
        press.control.add_sales(other.handle, rows=[{"source": "tip"}])
        press.flush()
        Client(press).call("DELETE", f"{PATH}/{made['id']}")
        press.sell()
        press.flush()

        (received,) = receiver.received
        assert received.body["type"] == PAYMENT
        assert received.signed_with(made["signingSecret"])


def test_nothing_is_ever_sent_to_another_machine(press: Press) -> None:
    press.control.drop_webhook_target()
    Client(press).register(HOOK)
    press.sell()

    assert press.flush()["gave_up"] == 1
    (delivery,) = press.control.webhooks(press.creator.handle)["deliveries"]
    assert {a["error"] for a in delivery["attempts"]} == {"UnsupportedProtocol"}
