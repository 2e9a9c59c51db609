"""What the engine tells reaches the members of the agency concerned, and nobody else.

The project's own tables, triggers and policies, with the real clients and tokens. That somebody
hears nothing is proved by what he hears next.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from psycopg import sql

from tests.realtime.clients import SECONDS
from tests.realtime.test_channels import denied, forbidden, reason, words


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.realtime.conftest import User
    from tests.support.postgres import Connection

    Connect = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.system
TABLES = ("fanvue_transactions", "sync_jobs", "sync_state")


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency with one creator."""

    id: str
    model_id: str
    creator: str
    database: Connection

    @property
    def topic(self) -> str:
        return f"agency:{self.id}"

    def hire(self, user: User) -> None:
        self.database.execute(
            "insert into public.agency_members (agency_id, user_id, role)"
            " values (%s, %s, 'member')",
            (self.id, user.id),
        )

    def sell(self, amount: str = "5.00") -> None:
        self.database.execute(
            "insert into public.fanvue_transactions"
            " (agency_id, model_id, fanvue_id, amount, category, fanvue_created_at)"
            " values (%s, %s, %s, %s, 'tip', now())",
            (self.id, self.model_id, f"T-{uuid.uuid4()}", amount),
        )

    def touch_every_table(self) -> None:
        """Change a row of each table that clients may follow."""
        self.sell()
        self.database.execute("select public.enqueue_sync(%s, 'earnings')", (self.model_id,))
        self.database.execute(
            "update public.sync_state set last_success_at = now() where model_id = %s",
            (self.model_id,),
        )


@pytest.fixture
def new_agency(database: Connection) -> Iterator[Callable[[], Agency]]:
    made: list[Agency] = []

    def make() -> Agency:
        creator = str(uuid.uuid4())
        row = database.execute(
            "with a as (insert into public.agencies (name) values (%s) returning id)"
            " insert into public.models (agency_id, fanvue_user_uuid, fanvue_refresh_token, handle)"
            " select a.id, %s, 'refresh', 'mia' from a returning agency_id, id",
            (f"agency {creator}", creator),
        ).fetchone()
        assert row is not None
        made.append(Agency(str(row[0]), str(row[1]), creator, database))
        return made[-1]

    yield make
    for agency in made:
        database.execute("delete from public.agencies where id = %s", (agency.id,))


@pytest.fixture
def agency(new_agency: Callable[[], Agency]) -> Agency:
    return new_agency()


@pytest.fixture
def other(new_agency: Callable[[], Agency]) -> Agency:
    return new_agency()


async def test_a_webhook_that_the_service_stores_is_heard_by_members(
    connect: Connect, kind: str, stack: dict[str, str], agency: Agency, user: User
) -> None:
    agency.hire(user)
    channel = await (await connect(kind, user.token())).join(agency.topic, private=True)
    await channel.joined()

    # As the webhook's function writes: over REST, with the service's key.
    async with httpx.AsyncClient(base_url=stack["SUPABASE_URL"], timeout=SECONDS) as http:
        answer = await http.post(
            "/rest/v1/rpc/receive_webhook_event",
            headers={"apikey": stack["SUPABASE_SECRET_KEY"]},
            json={"p_payload": payment(agency.creator)},
        )

    assert answer.json() == {"status": "applied"}
    heard = await channel.next("broadcast", event="transactions")
    told = heard["payload"]
    assert (told["model_id"], told["inserted"], told["amount"]) == (agency.model_id, 1, "7.00")


async def test_nobody_hears_another_agency_s_topic(
    connect: Connect, kind: str, agency: Agency, other: Agency, user: User
) -> None:
    other.hire(user)
    client = await connect(kind, user.token())

    refused = await (await client.join(agency.topic, private=True)).next("status")
    own = await client.join(other.topic, private=True)
    await own.joined()
    agency.sell("900.00")
    other.sell("5.00")

    assert reason(refused) == denied(agency.topic)
    heard = await own.next("broadcast", event="transactions")
    assert (heard["payload"]["model_id"], heard["payload"]["amount"]) == (other.model_id, "5.00")


async def test_without_a_token_there_is_no_topic(
    connect: Connect, kind: str, agency: Agency
) -> None:
    refused = await (await (await connect(kind)).join(agency.topic, private=True)).next("status")

    assert reason(refused) == denied(agency.topic)


async def test_the_workers_topic_is_the_service_s(
    connect: Connect, kind: str, stack: dict[str, str], agency: Agency, user: User
) -> None:
    agency.hire(user)
    member = await (await connect(kind, user.token())).join("workers", private=True)
    worker = await (await connect(kind, key=stack["SUPABASE_SECRET_KEY"])).join(
        "workers", private=True
    )
    refused = await member.next("status")
    await worker.joined()

    agency.database.execute("select public.enqueue_sync(%s, 'earnings')", (agency.model_id,))

    assert reason(refused) == denied("workers")
    assert (await worker.next("broadcast", event="due"))["payload"]["jobs"] == 1


async def test_followers_of_tables_see_the_rows_of_their_agency_alone(
    connect: Connect, kind: str, agency: Agency, other: Agency, user: User
) -> None:
    other.hire(user)
    channel = await (await connect(kind, user.token())).join(
        f"tables:{uuid.uuid4()}",
        changes=tuple({"event": "*", "schema": "public", "table": name} for name in TABLES),
    )
    await channel.joined()
    await channel.listening()

    agency.touch_every_table()
    other.touch_every_table()

    heard: list[dict[str, Any]] = []
    while {event["table"] for event in heard} != set(TABLES):
        heard.append(await channel.next("change"))
    assert {event["new"]["agency_id"] for event in heard} == {other.id}


@pytest.mark.parametrize("is_signed_in", [False, True])
async def test_strangers_who_follow_the_tables_hear_nothing(
    connect: Connect,
    agency: Agency,
    new_user: Callable[[], User],
    *,
    is_signed_in: bool,
) -> None:
    token = new_user().token() if is_signed_in else None
    names = (*TABLES, "stranger_canary")
    agency.database.execute(
        "create table public.stranger_canary (id integer primary key);"
        " alter publication supabase_realtime add table public.stranger_canary"
    )
    try:
        channel = await (await connect("javascript", token)).join(
            f"tables:{uuid.uuid4()}",
            changes=tuple({"event": "*", "schema": "public", "table": name} for name in names),
        )
        await channel.joined()
        await channel.listening()

        agency.touch_every_table()
        for table in TABLES:
            agency.database.execute(
                sql.SQL("delete from public.{} where agency_id = %s").format(sql.Identifier(table)),
                (agency.id,),
            )
        agency.database.execute("insert into public.stranger_canary values (1)")
        first = await channel.next("change")
    finally:
        agency.database.execute("drop table public.stranger_canary")

    assert (first["table"], first["new"]) == ("stranger_canary", {"id": 1})


async def test_a_removed_member_hears_nothing_after_the_next_token(
    connect: Connect, kind: str, agency: Agency, other: Agency, user: User
) -> None:
    agency.hire(user)
    other.hire(user)
    client = await connect(kind, user.token())
    channel = await client.join(agency.topic, private=True)
    await channel.joined()
    agency.database.execute(
        "delete from public.agency_members where agency_id = %s and user_id = %s",
        (agency.id, user.id),
    )

    await client.renew(user.token(renewed=True))
    await channel.next("status", status="CLOSED")
    own = await client.join(other.topic, private=True)
    await own.joined()
    agency.sell()
    other.sell()

    assert forbidden(agency.topic) in words(channel)
    await own.next("broadcast", event="transactions")
    assert "transactions" not in [heard["event"] for heard in channel.heard("broadcast")]


async def test_a_removed_member_sees_no_row_from_then_on(
    connect: Connect, kind: str, agency: Agency, other: Agency, user: User
) -> None:
    agency.hire(user)
    other.hire(user)
    channel = await (await connect(kind, user.token())).join(
        f"tables:{uuid.uuid4()}",
        changes=({"event": "INSERT", "schema": "public", "table": "fanvue_transactions"},),
    )
    await channel.joined()
    await channel.listening()
    agency.sell()
    assert (await channel.next("change"))["new"]["agency_id"] == agency.id

    agency.database.execute(
        "delete from public.agency_members where agency_id = %s and user_id = %s",
        (agency.id, user.id),
    )
    agency.sell()
    other.sell()

    assert (await channel.next("change"))["new"]["agency_id"] == other.id


def payment(creator: str) -> dict[str, Any]:
    return {
        "id": f"evt-{uuid.uuid4()}",
        "type": "creator.payment.succeeded",
        "timestamp": "2026-11-20T12:00:01.000Z",
        "data": {
            "object": "payment",
            "id": f"FV-{uuid.uuid4()}",
            "source": "tip",
            "gross": 700,
            "net": 560,
            "currency": "USD",
            "paid_at": "2026-11-20T12:00:00.000Z",
            "creator": {"uuid": creator},
            "purchaser": {"uuid": str(uuid.uuid4()), "handle": "fan"},
        },
    }
