"""However the bytes of a page are mangled, each record whose essentials are there is read.

Runs over many more pages than a search that shrinks: FUZZ=200000 takes some minutes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.property.test_spoilt_details import AT, REFUND, SALE
from tests.support.mangling import as_bytes, examples, mangled
from tests.unit.jobs.house import fan, post, uuid_of
from worker.fanvue.verdicts import parse_json
from worker.fanvue.wire import Account, EarningRow, Wire, parse_rows
from worker.fanvue.wire_lists import Chat, ChatMessage, Fan, Post, Spender
from worker.streams.account import ACCOUNT
from worker.streams.followers import FOLLOWERS
from worker.streams.messages import CHATS, MESSAGES
from worker.streams.posts import POSTS
from worker.streams.stream import Seen
from worker.streams.top_fans import TOP_FANS
from worker.sync.rows import to_ledger


if TYPE_CHECKING:
    from collections.abc import Callable


SEEN = Seen(place=0, keep_text=True)
SUBSCRIPTION = {"status": "active", "price": 999, "currentPeriodEnd": AT}
LAST = {"uuid": uuid_of("message", 1), "sentAt": AT, "status": "READ", "senderUuid": None}
MESSAGE = {
    "uuid": uuid_of("message", 1),
    "sentAt": AT,
    "type": "TEXT",
    "text": "words",
    "sender": {"uuid": uuid_of("fan", 1)},
    "recipient": {"uuid": uuid_of("creator", 1)},
    "pricing": {"USD": {"price": 500}},
    "mediaUuids": [uuid_of("media", 1)],
}
ACCOUNT_STATE = {"status": "active", "earnings": {"total": 1}, "fans": {"followers": 1}}
# Of each kind: its shape, a whole record, what is essential of it, and what is committed of it.
KINDS: list[tuple[type[Wire], dict[str, Any], set[tuple[str, ...]], Callable[[Any], Any]]] = [
    (EarningRow, SALE, {("date",), ("gross",)}, lambda row: to_ledger(row).as_json()),
    (
        EarningRow,
        REFUND,
        {("date",), ("gross",), ("reversedTransactionOrderId",)},
        lambda row: to_ledger(row).as_json(),
    ),
    (
        Fan,
        fan(1, subscription=SUBSCRIPTION, registeredAt=AT, displayName="Mara"),
        {("uuid",)},
        lambda row: FOLLOWERS.row(row, SEEN),
    ),
    (
        Spender,
        {"gross": 9, "net": 7, "messages": 1, "user": fan(1)},
        {("user", "uuid")},
        lambda row: TOP_FANS.row(row, SEEN),
    ),
    (
        Chat,
        {"user": fan(1), "lastMessageAt": AT, "lastMessage": LAST, "isMuted": True},
        {("user", "uuid")},
        lambda row: CHATS.row(row, SEEN),
    ),
    (
        ChatMessage,
        MESSAGE,
        {("uuid",), ("sentAt",)},
        lambda row: MESSAGES.row(row, uuid_of("fan", 1), True),
    ),
    (
        Post,
        post(1, tips={"count": 1, "totalGross": 7, "totalNet": 5}),
        {("uuid",), ("createdAt",)},
        lambda row: POSTS.row(row, SEEN),
    ),
    (
        Account,
        {"uuid": uuid_of("creator", 1), "handle": "nova", "account": ACCOUNT_STATE},
        {("uuid",)},
        lambda row: ACCOUNT.row(row, SEEN),
    ),
]


def test_no_page_is_lost_and_no_record_whose_essentials_are_there() -> None:
    for seed, draw in examples():
        shape, whole, essentials, committed = draw.choice(KINDS)
        spare = frozenset(essentials)
        rows = [mangled(whole, draw, spare) for _ in range(draw.randint(1, 6))]
        # One more, of which anything may be lost: it is read or complained of, and nothing else.
        rows.append(mangled(whole, draw, frozenset()))
        body = parse_json(as_bytes({"data": rows}, draw))
        good, complaints = parse_rows(shape, body["data"][:-1])
        last, refused = parse_rows(shape, body["data"][-1:])
        texts = [json.dumps(committed(row), ensure_ascii=False) for row in [*good, *last]]

        assert (len(good), complaints.records) == (len(rows) - 1, []), seed
        assert len(last) + len(refused.records) == 1, seed
        told = [row.model_dump(mode="json", by_alias=True) for row in good]
        sent = shape.model_validate(whole).model_dump(mode="json", by_alias=True)
        for place in essentials:
            assert {_at(row, place) for row in told} == {_at(sent, place)}, (seed, place)
        # What Postgres cannot hold is gone.
        assert not any("\\u0000" in text for text in texts), seed
        assert all(text.encode() for text in texts), seed


def _at(value: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        value = value[name]
    return value
