"""Events that nothing in the world caused: tests, strangers, unknown topics, nonsense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulator.press import SECRET


if TYPE_CHECKING:
    from tests.simulator.press import Press


def test_events_can_be_made_by_hand(press: Press) -> None:
    name, control = press.creator.handle, press.control
    for kind in ("test", "unknown_topic", "unknown_creator", "presence"):
        assert control.send_webhook(name, kind)["targets"] == 1
    control.send_webhook(name, "raw", {"anything": [1, None]})

    test, topic, stranger, presence, raw = press.bodies()

    assert test["data"]["purchaser"]["display_name"] == "Test User"
    assert test["data"]["creator"]["uuid"] == press.creator.uuid
    assert topic["type"] == "creator.horoscope.updated"
    assert stranger["data"]["creator"]["uuid"] not in press.world.creators
    assert presence["data"]["fan"]["handle"] == "test-user"
    assert raw == {"anything": [1, None]}


@pytest.mark.parametrize("raw", [b"", b"not json", b'"\\ud800"', b"[1]", b'{"a": "\xff"}'])
def test_signed_nonsense_can_be_sent(press: Press, raw: bytes) -> None:
    press.control.send_webhook(press.creator.handle, "raw", raw=raw)
    press.flush()

    (received,) = press.receiver.received
    assert received.raw == raw
    assert received.signed_with(SECRET)


def test_body_that_cannot_be_bytes_is_refused_and_holds_nothing_up(press: Press) -> None:
    order = f'{{"creator": "{press.creator.handle}", "kind": "raw", "body": {{"a": "\\ud800"}}}}'

    refused = press.control._http.post(f"{press.control.url}/_sim/webhooks/send", content=order)

    assert refused.status_code == 422
    assert press.flush()["events"] == 0
