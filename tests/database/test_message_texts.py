"""What a message keeps: its text where that is wanted, who read, deleted and unlocked it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.database.streams import Creator


if TYPE_CHECKING:
    from tests.database.engine import Engine


SENT = "2026-03-01T12:00:00+00:00"


@pytest.fixture
def creator(engine: Engine) -> Creator:
    return Creator(engine, "messages")


def message(number: str, text: str | None = "secret", **more: Any) -> dict[str, Any]:
    return {"message_uuid": number, "at": SENT, "sender": "fan", "body": text, **more}


def talk(creator: Creator, *rows: dict[str, Any]) -> dict[str, Any]:
    """Read one page of the chat with f1."""
    reading = creator.begin("messages")
    newest = rows[-1]["message_uuid"]
    chat = {
        "fan_uuid": "f1",
        "at": creator.at(),
        "last_message_uuid": f"{newest}-{reading.version}",
    }
    reading.commit(chat, next_phase="talk")
    reply = reading.commit(*rows, phase="talk", next_phase="talk", chat="f1", chat_done=True)
    reading.settle()
    return reply


def texts(creator: Creator) -> dict[str, str | None]:
    return dict(creator.rows("fanvue_messages", "message_uuid, body", "message_uuid"))


def kept_events(creator: Creator) -> str:
    return json.dumps(creator.engine.rows("select payload from public.webhook_events"))


# Twice ----------------------------------------------------------------------------------------


def test_a_message_that_a_webhook_brought_becomes_the_lists_message(creator: Creator) -> None:
    creator.wrote("m1", text="secret")

    reply = talk(creator, message("m1", price="5.00", has_media=True, media_type="image"))

    assert (reply["inserted"], reply["updated"]) == (0, 1)
    assert creator.rows("fanvue_messages", "body, price, media_type, sent_at::text", "1") == [
        ("secret", Decimal("5.00"), "image", "2026-03-01 12:00:00+00")
    ]


def test_a_message_that_is_listed_again_is_not_written(creator: Creator) -> None:
    talk(creator, message("m1", price="5.00", is_read=True))
    before = creator.rows("fanvue_messages", "xmin::text", "1")

    reply = talk(creator, message("m1", price="5.00", is_read=True))

    assert (reply["inserted"], reply["updated"], reply["unchanged"]) == (0, 0, 1)
    assert creator.rows("fanvue_messages", "xmin::text", "1") == before


# Deleted --------------------------------------------------------------------------------------


def delete(creator: Creator, number: str) -> Any:
    data: dict[str, Any] = {"uuid": number, "sender": "fan", "fan": {"uuid": "f1"}}
    times = {"created_at": SENT, "deleted_at": creator.at()}
    return creator.told("message.deleted", text="secret", **data, **times)


@pytest.mark.parametrize("order", ["after the list", "before the list", "before and after"])
def test_a_deleted_message_keeps_no_text_whenever_it_was_deleted(
    creator: Creator, order: str
) -> None:
    if order != "before the list":
        talk(creator, message("m1"))
    delete(creator, "m1")
    if order != "after the list":
        talk(creator, message("m1", text="again secret"))

    assert texts(creator) == {"m1": None}
    assert creator.names("deleted_at is not null", "fanvue_messages", "message_uuid") == {"m1"}
    assert "secret" not in kept_events(creator)


def test_a_deletion_that_was_faster_than_its_message_stays_one(creator: Creator) -> None:
    delete(creator, "m1")

    creator.wrote("m1", text="late")

    assert texts(creator) == {"m1": None}


@pytest.mark.parametrize("order", [("sent", "deleted"), ("deleted", "sent")])
@pytest.mark.parametrize("is_connected", [True, False])
def test_no_event_keeps_the_text_of_a_deleted_message(
    creator: Creator, order: tuple[str, str], is_connected: bool
) -> None:
    if not is_connected:
        creator.engine.rows("delete from public.models")
    for what in order:
        if what == "sent":
            creator.wrote("m1", text="secret")
        else:
            delete(creator, "m1")

    assert "secret" not in kept_events(creator)
    assert set(texts(creator).values()) <= {None}


# Not wanted -----------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["default", "agency", "model"])
def test_texts_that_are_not_wanted_are_stored_nowhere(creator: Creator, whose: str) -> None:
    if whose == "default":
        creator.engine.rows("update private.sync_streams set keep_text = false")
    else:
        creator.override("messages", agency=whose == "agency", keep_text=False)
    try:
        reading = creator.begin("messages")
        assert reading.state["settings"]["keep_text"] is False
        reading.settle("cancelled")
        talk(creator, message("m1"))
        creator.wrote("m2", text="secret")
        delete(creator, "m3")
        flat = {"recipientUuid": creator.uuid, "sender": {"uuid": "f1"}, "timestamp": SENT}
        creator.engine.call(
            "receive_webhook_event", {**flat, "message": {"uuid": "m4", "text": "secret"}}
        )
        creator.told("message.pinned", uuid="m5", text="secret")
    finally:
        creator.engine.rows("update private.sync_streams set keep_text = true")

    assert texts(creator) == dict.fromkeys(("m1", "m2", "m3", "m4"))
    assert "secret" not in kept_events(creator)


def test_a_models_own_wish_goes_before_its_agencys(creator: Creator) -> None:
    creator.override("messages", agency=True, keep_text=False)
    creator.override("messages", keep_text=True)

    talk(creator, message("m1"))

    assert texts(creator) == {"m1": "secret"}


def test_texts_that_are_no_longer_wanted_stay_until_they_are_erased(creator: Creator) -> None:
    talk(creator, message("m1"))
    creator.wrote("m2", text="secret")
    creator.override("messages", keep_text=False)
    talk(creator, message("m1"), message("m2"))
    assert texts(creator) == {"m1": "secret", "m2": "secret"}

    erased = creator.engine.value("select ops.erase_message_texts(%s)", creator.agency_id)

    assert erased == 2
    assert texts(creator) == {"m1": None, "m2": None}
    assert "secret" not in kept_events(creator)
    assert creator.engine.value("select ops.erase_message_texts(%s)", creator.agency_id) == 0


def test_erasing_one_models_texts_leaves_the_others(creator: Creator) -> None:
    other = Creator(creator.engine, "messages", agency_id=creator.agency_id)
    for one in (creator, other):
        talk(one, message("m1"))

    creator.engine.rows(
        "select ops.erase_message_texts(%s, %s)", creator.agency_id, creator.model_id
    )

    assert (texts(creator), texts(other)) == ({"m1": None}, {"m1": "secret"})


# Read and unlocked ----------------------------------------------------------------------------


def test_a_read_by_the_creator_marks_what_came_before_it(creator: Creator) -> None:
    creator.wrote("m1")
    creator.told("message.read", unread_messages_count=0, fan={"uuid": "f1"})
    creator.engine.move_clock(minutes=1)
    creator.wrote("m2")

    assert creator.names("read_at is null", "fanvue_messages", "message_uuid") == {"m2"}


def sell(creator: Creator, number: str) -> None:
    creator.told(
        "payment.succeeded",
        id=f"INV-{number}",
        source="message",
        gross=500,
        net=400,
        currency="USD",
        paid_at=creator.at(),
        message_uuid=number,
        purchaser={"uuid": "f1"},
    )


def test_a_sale_unlocks_its_message_without_a_call(creator: Creator) -> None:
    talk(creator, message("m1", price="5.00", sender="creator"))

    sell(creator, "m1")

    assert creator.names("purchased_at is not null", "fanvue_messages", "message_uuid") == {"m1"}


def test_a_page_that_is_older_than_the_sale_does_not_lock_the_message_again(
    creator: Creator,
) -> None:
    listed = message("m1", price="5.00", sender="creator")
    talk(creator, listed)
    sell(creator, "m1")

    talk(creator, listed)

    assert creator.names("purchased_at is not null", "fanvue_messages", "message_uuid") == {"m1"}
