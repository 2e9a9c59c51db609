"""Chats with news are read back to what is known, older messages by and by, and nothing twice."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.support.clock import NOON
from tests.support.fanvue_stub import json_answer
from tests.unit.jobs.house import House, uuid_of
from tests.unit.jobs.stream_bench import StreamBench
from worker.errors import NotFound, ProviderContract
from worker.jobs.outcomes import Done
from worker.jobs.walk import Slice


FAMILIES = pytest.mark.parametrize("v1", [True, False], ids=["v1", "unversioned"])
ONE_PAGE = Slice(pages=1, duration=timedelta(hours=1))


def chatting(*, v1: bool = True, **ages: int) -> StreamBench:
    """Return a bench with chats of so many messages, a minute apart, and their first sync done."""
    bench = StreamBench("messages", "full", v1)
    for name, number in ages.items():
        bench.house.talk(int(name.removeprefix("fan")), *range(1, number + 1))
    return bench


async def after_first_sync(bench: StreamBench) -> StreamBench:
    assert await bench.run() == Done()
    bench.book.kind = "incremental"
    bench.book.floor = NOON - timedelta(minutes=10)
    bench.house.calls.clear()
    return bench


@FAMILIES
async def test_a_first_sync_reads_the_list_and_the_newest_page_of_each_chat(*, v1: bool) -> None:
    b = chatting(v1=v1, fan1=3, fan2=120)

    assert await b.run() == Done()

    assert b.house.paths[0].endswith("/chats")
    assert len(b.calls_to("/messages")) == 2
    assert len(b.book.messages) == 3 + 50
    assert b.book.chats[uuid_of("fan", 1)].history_done
    assert b.book.chats[uuid_of("fan", 2)].history_cursor == (
        "before:2026-11-22T11:10:00.001+00:00" if v1 else "page:2"
    )


@FAMILIES
async def test_a_poll_without_news_costs_one_call(*, v1: bool) -> None:
    b = await after_first_sync(chatting(v1=v1, fan1=3, fan2=20))

    assert await b.run() == Done()
    assert [path.removeprefix("/v1") for path in b.house.paths] == ["/chats"]


@FAMILIES
async def test_news_cost_one_call_for_each_chat_that_has_some(*, v1: bool) -> None:
    b = await after_first_sync(chatting(v1=v1, fan1=3, fan2=20, fan3=20))
    b.house.talk(2, 0.5)
    b.house.talk(4, 0.4, 0.2)

    assert await b.run() == Done()

    assert len(b.house.calls) == 3
    assert set(b.book.messages) == b.messages_in_house()


@FAMILIES
async def test_many_news_of_a_known_chat_are_read_back_to_what_is_known(*, v1: bool) -> None:
    b = await after_first_sync(chatting(v1=v1, fan1=30))
    b.house.talk(1, *[n / 1000 for n in range(900, 0, -7)])

    assert await b.run() == Done()

    assert set(b.book.messages) == b.messages_in_house()
    assert len(b.calls_to("/messages")) == 3


@FAMILIES
async def test_a_reading_interrupted_in_a_chat_goes_on_there(*, v1: bool) -> None:
    b = await after_first_sync(chatting(v1=v1, fan1=30))
    b.house.talk(1, *[n / 1000 for n in range(900, 0, -4)])

    result, runs = await b.run_in_slices(ONE_PAGE)

    assert (result, runs) == (Done(), 6)
    assert set(b.book.messages) == b.messages_in_house()
    assert len(b.house.calls) == 6


@FAMILIES
async def test_older_messages_come_a_page_at_a_time_until_every_chat_is_whole(*, v1: bool) -> None:
    b = await after_first_sync(chatting(v1=v1, fan1=3, fan2=430, fan3=120))
    history = b.history()

    assert await b.run(book=history) == Done()

    assert set(history.messages) == b.messages_in_house()
    assert all(page["phase"] == "history" for page in history.pages)
    assert all(chat.history_done for chat in history.chats.values())


async def test_the_list_is_read_down_to_the_floor() -> None:
    b = StreamBench("messages", "deep")
    for number in range(1, 201):
        b.house.talk(number, number)
    b.book.floor = NOON - timedelta(minutes=120)

    assert await b.run() == Done()

    assert len(b.calls_to("/chats")) == 3
    assert len(b.book.rows) == 150


async def test_an_old_chat_pinned_to_the_top_does_not_end_the_list() -> None:
    b = StreamBench("messages", "deep")
    for number in range(1, 121):
        b.house.talk(number, number)
    b.book.floor = NOON - timedelta(minutes=300)

    def pin(path: str, number: int, body: Any) -> Any:
        if path == "/chats" and number == 1:
            pinned = {"user": {"uuid": uuid_of("fan", 1)}, "lastMessageAt": "2020-01-01T00:00:00Z"}
            body["data"].insert(0, pinned)
        return body

    b.house.tamper = pin

    assert await b.run() == Done()
    assert len(b.book.rows) == 120


@FAMILIES
async def test_nothing_is_ever_marked_as_read(*, v1: bool) -> None:
    b = await after_first_sync(chatting(v1=v1, fan1=120))
    await b.run(book=b.history())

    assert {params["markAsRead"] for params in b.calls_to("/messages")} == {"false"}


async def test_both_bounds_are_set_alike_so_that_neither_direction_is_lost() -> None:
    b = chatting(fan1=40)
    b.house.talk(1, *range(41, 100), sent=True)
    await after_first_sync(b)

    await b.run(book=b.history())

    bounds = [(p.get("sentBefore"), p.get("receivedBefore")) for p in b.calls_to("/messages")]
    assert bounds == [("2026-11-22T11:10:00.001Z", "2026-11-22T11:10:00.001Z")]
    assert set(b.book.messages) == b.messages_in_house()


@pytest.mark.parametrize("phase", ["talk", "history"])
async def test_a_text_that_is_not_to_be_kept_never_leaves_the_worker(
    phase: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    b = chatting(fan1=120)
    b.book.keep_text = False
    await after_first_sync(b)
    if phase == "history":
        await b.run(book=b.history())

    sent = json.dumps([call for call in b.grants.stub.calls if call[0] == "commit_sync_page"])

    assert "secret words" not in sent
    assert "secret words" not in caplog.text + capsys.readouterr().out
    assert {row["body"] for row in b.book.messages.values()} == {None}


async def test_a_text_that_is_kept_is_kept() -> None:
    b = chatting(fan1=2)

    await b.run()

    assert {row["body"] for row in b.book.messages.values()} == {
        f"secret words {message.number}" for message in b.house.chats[uuid_of("fan", 1)]
    }


async def test_a_chat_that_was_deleted_is_passed_over() -> None:
    b = await after_first_sync(chatting(fan1=3, fan2=3))
    b.house.talk(1, 0.5)
    b.house.talk(2, 0.5)
    lost = uuid_of("fan", 1)
    b.house.tamper = lambda path, _, body: (
        json_answer({"message": "Chat not found"}, 404) if lost in path else body
    )

    assert await b.run() == Done()

    assert len(b.book.messages) == 7
    assert any(page["notes"].get("chats_gone") == 1 for page in b.book.pages)


async def test_a_creator_who_is_not_visible_is_no_row_of_deleted_chats() -> None:
    b = await after_first_sync(chatting(fan1=120))
    b.house.tamper = lambda *_: json_answer({"message": "creator not found"}, 404)
    history = b.history()

    with pytest.raises(NotFound):
        await b.run(book=history)

    assert not history.chats[uuid_of("fan", 1)].history_done


@pytest.mark.parametrize("begins_with_v1", [True, False])
async def test_a_chat_is_begun_again_when_pages_come_in_the_other_style(
    *, begins_with_v1: bool
) -> None:
    b = await after_first_sync(chatting(v1=begins_with_v1, fan1=220))
    history = b.history()
    await b.run(ONE_PAGE, book=history)
    b.house.v1 = not begins_with_v1

    assert await b.run(book=history) == Done()
    assert set(history.messages) == b.messages_in_house()


async def test_more_messages_in_one_instant_than_a_page_shows_leave_the_run_partial() -> None:
    b = StreamBench("messages", "full")
    b.house.talk(1, *[1] * 70, *range(2, 10))
    await b.run()
    history = b.history()

    result = await b.run(book=history)

    assert isinstance(result, Done)
    assert b.book.closed_as == ["1 pages of messages were one single instant: some may be missing"]


async def test_an_unreadable_message_leaves_the_run_partial_without_showing_it() -> None:
    b = chatting(fan1=3)

    def spoil(path: str, _: int, body: Any) -> Any:
        if path.endswith("/messages"):
            body["data"][1]["uuid"] = "no uuid, but secret words"
        return body

    b.house.tamper = spoil

    result = await b.run()

    assert isinstance(result, Done)
    assert result.partial is not None
    assert "ChatMessage at data[1].uuid" in result.partial
    assert "secret words" not in result.partial
    assert len(b.book.messages) == 2


async def test_a_message_that_was_not_sent_yet_is_none() -> None:
    b = chatting(fan1=3)

    def hold_back(path: str, _: int, body: Any) -> Any:
        if path.endswith("/messages"):
            body["data"][0]["sentAt"] = None
        return body

    b.house.tamper = hold_back

    assert await b.run() == Done()
    assert len(b.book.messages) == 2


def break_chat(house: House, number: int) -> None:
    broken = uuid_of("fan", number)
    house.tamper = lambda path, _, body: {"data": "?"} if broken in path else body


async def test_a_chat_that_breaks_its_shape_is_tried_again_later() -> None:
    b = chatting(fan1=3, fan2=3)
    break_chat(b.house, 2)

    with pytest.raises(ProviderContract):
        await b.run()


async def test_one_chat_that_stays_unreadable_does_not_keep_the_others_from_being_read() -> None:
    b = chatting(fan1=3, fan2=3, fan3=3)
    b.attempt = 3
    break_chat(b.house, 2)

    result = await b.run()

    assert isinstance(result, Done)
    assert result.partial == ("1 rows could not be read, such as: a page has no list of rows")
    assert len(b.book.messages) == 6
    assert b.book.chats[uuid_of("fan", 2)].pending


async def test_a_list_whose_cursor_expired_is_read_from_its_top() -> None:
    b = StreamBench("messages", "full")
    for number in range(1, 121):
        b.house.talk(number, number)
    await b.run(ONE_PAGE)
    b.house.expired = {"after-50"}
    b.house.tamper = b.house.heal

    assert await b.run() == Done()
    assert len(b.book.messages) == 120


async def test_a_list_of_chats_that_goes_on_for_ever_is_left_and_its_chats_are_read() -> None:
    b = chatting(fan1=3, fan2=20)

    def endless(path: str, number: int, body: Any) -> Any:
        return {**body, "nextCursor": f"after-{100 + number}"} if path == "/chats" else body

    b.house.tamper = endless

    result, _ = await b.run_in_slices(Slice(pages=7, duration=timedelta(hours=1)))

    assert isinstance(result, Done)
    assert "go on and bring nothing new" in str(result.partial)
    assert len(b.book.messages) == 23
    assert len(b.house.calls) < 30


async def test_a_chat_whose_pages_repeat_for_ever_is_left_and_the_others_are_read() -> None:
    b = await after_first_sync(chatting(v1=False, fan1=70, fan2=120))
    stuck = f"/chats/{uuid_of('fan', 1)}/messages"
    newest = [message.wire(uuid_of("fan", 1)) for message in b.house.chats[uuid_of("fan", 1)][:20]]

    def repeating(path: str, number: int, body: Any) -> Any:
        if path != stuck:
            return body
        pagination = {"page": number + 1, "size": len(newest), "hasMore": True}
        return {"data": newest, "pagination": pagination}

    b.house.tamper = repeating
    history = b.history()

    result = await b.run(book=history)

    assert isinstance(result, Done)
    assert "come to nothing older" in str(result.partial)
    assert history.chats[uuid_of("fan", 2)].history_done
    assert not history.chats[uuid_of("fan", 1)].history_done
    assert len(b.calls_to("/messages")) < 15
