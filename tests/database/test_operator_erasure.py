"""A fan or a creator is forgotten on request: nothing names them, money stays.

No later sync or webhook undoes it.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Rollback

from tests.database.books import Sale, histories, totals
from tests.database.chats import House
from tests.database.streams import Creator, fans
from tests.database.test_identity import Ledger


if TYPE_CHECKING:
    from tests.database.engine import Engine


FAN = "0f8fad5b-d9cb-469f-a165-70867728950e"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
HANDLE = "sir.lancelot"
NAME = "Lancelot du Lac"
SECRET = "what he wrote"
STREAMS = ("earnings", "messages", "subscribers", "followers", "top_fans")
_MONEY = """
  select count(*), coalesce(sum(amount), 0), coalesce(sum(net_amount), 0), count(distinct fan_uuid)
  from public.fanvue_transactions
"""
# Every row of every table that a person could be named in, as one text.
_EVERYTHING = """
  select string_agg(query_to_xml('select to_jsonb(t)::text from ' || c.oid::regclass || ' t',
                                 false, true, '')::text, ' ')
  from pg_class c
  where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace, 'ops'::regnamespace)
    and c.relkind = 'r'
"""


class Court:
    """A creator with one fan in every table, and another fan beside."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.creator = Creator(engine, *STREAMS)
        self.house = House(self.creator)
        self.fill()

    def sale(self, number: int, fan: str = FAN, *, named: bool = True) -> dict[str, Any]:
        moment = self.creator.at(days=3, minutes=number)
        sale = Sale(number, 500 + number, f"FV-{number}" if named else None, fan, "tip")
        return {**sale.listed(), "at": moment, "fan_handle": HANDLE if fan == FAN else "galahad"}

    def fill(self) -> None:
        creator, engine = self.creator, self.engine
        self.sales = [self.sale(1), self.sale(2, named=False), self.sale(3, OTHER)]
        self.list_money()
        who = {"handle": HANDLE, "display_name": NAME, "registered_at": creator.at(days=99)}
        self.fans = [*fans(FAN, **who), *fans(OTHER)]
        creator.read("subscribers", self.fans)
        creator.read("followers", self.fans)
        spender = {"rank": 1, "gross": "10.05", "net": "8.00", "messages": 3, **who}
        self.top = [
            {"fan_uuid": FAN, **spender},
            {"fan_uuid": OTHER, "rank": 2, "gross": "1.00", "net": "0.80", "messages": 1},
        ]
        creator.read("top_fans", self.top)
        self.chats()
        payer = {"uuid": FAN, "handle": HANDLE, "displayName": NAME}
        paid: dict[str, Any] = {"id": "FV-9", "gross": 900, "net": 720, "source": "tip"}
        creator.told("payment.succeeded", purchaser=payer, **paid)
        creator.told("message.received", uuid="m-77", sender="fan", text=SECRET, fan=payer)
        engine.rows(
            "update public.sync_runs set error = jsonb_build_object('message', %s::text)",
            f"chat {FAN}: 404",
        )

    def list_money(self) -> dict[str, Any]:
        return self.creator.read("earnings", self.sales, full=True)

    def chats(self) -> list[str]:
        reading = self.creator.begin("messages")
        said = {"display_name": NAME, "handle": HANDLE}
        reply = self.house.list_chats(
            reading,
            self.house.chat(FAN, 2, last_message_uuid="m-2", **said),
            self.house.chat(OTHER, 2, last_message_uuid="n-2"),
            until_known=True,
        )
        todo = [chat["fan_uuid"] for chat in reply["todo"]]
        for fan in todo:
            reading.commit(
                *self.said(fan),
                phase="talk",
                next_phase="talk",
                chat=fan,
                chat_done=True,
                chat_cursor=None,
            )
        reading.settle()
        return todo

    def said(self, fan: str) -> list[dict[str, Any]]:
        """Return two messages of a chat; their numbers do not name the fan."""
        place, body = ("m", SECRET) if fan == FAN else ("n", "hi")
        return [
            row | {"message_uuid": f"{place}-{number}"}
            for number, row in enumerate(self.house.messages(fan, 1, 2, body=body), start=1)
        ]

    def erase(self, fan: str = FAN, agency: Any = None) -> dict[str, Any]:
        return dict(self.engine.value("select ops.erase_fan(%s, %s)", fan, agency))

    def money(self) -> tuple[Any, ...]:
        return tuple(self.engine.rows(_MONEY)[0].values())

    def traces(self) -> list[str]:
        """Return which of the fan's words stand anywhere in the database."""
        text = str(self.engine.value(_EVERYTHING)).lower()
        return [word for word in (FAN, HANDLE, NAME.lower(), SECRET) if word in text]


@pytest.fixture
def court(engine: Engine) -> Court:
    # the word of other tests' actions is none of this fan
    engine.rows("truncate private.erased_fans")
    return Court(engine)


def test_nothing_names_an_erased_fan_and_the_money_is_as_it_was(court: Court) -> None:
    before = court.money()
    daily = court.engine.rows("select * from public.earnings_daily order by day, category")
    counters = court.creator.counters()
    assert set(court.traces()) == {FAN, HANDLE, NAME.lower(), SECRET}

    done = court.erase()

    assert done["changed"] is True
    assert court.traces() == []
    assert court.money() == before
    assert court.engine.rows("select * from public.earnings_daily order by day, category") == daily
    assert court.creator.counters() == counters
    assert court.engine.value("select count(*) from public.fanvue_messages where body = 'hi'") == 2


def test_no_later_sync_brings_an_erased_fan_back(court: Court) -> None:
    court.erase()
    before = court.money()
    rows = court.creator.rows("fanvue_transactions", "id, fanvue_id, fan_uuid, xmin::text", "1")

    money = court.list_money()
    lists = [
        court.creator.read(stream, court.fans, full=True) for stream in ("subscribers", "followers")
    ]
    top = court.creator.read("top_fans", court.top)
    todo = court.chats()

    assert (money["inserted"], money["updated"]) == (0, 0)
    assert (
        court.creator.rows("fanvue_transactions", "id, fanvue_id, fan_uuid, xmin::text", "1")
        == rows
    )
    assert [(reply["inserted"], reply["updated"]) for reply in lists] == [(0, 0), (0, 0)]
    assert (top["inserted"], top["updated"]) == (0, 0)
    assert FAN not in todo
    assert court.traces() == []
    assert court.money() == before
    assert court.creator.counters() == (2, 2)


def test_no_later_webhook_brings_an_erased_fan_back(court: Court) -> None:
    alias = court.erase()["alias"]
    payer = {"uuid": FAN, "handle": HANDLE, "displayName": NAME, "nickname": "Lance"}

    told = [
        court.creator.told(
            "payment.succeeded", id="FV-10", gross=1000, source="tip", purchaser=payer
        ),
        court.creator.told("subscription.activated", status="active", purchaser=payer),
        court.creator.told("follow.created", follower=payer),
        court.creator.told("message.received", uuid="m-78", sender="fan", text=SECRET, fan=payer),
    ]

    assert told == ["applied"] * 4
    assert court.traces() == []
    assert court.creator.names("fanvue_id = 'FV-10'", "fanvue_transactions") == {alias}
    assert court.creator.names("message_uuid = 'm-78' and body is null", "fanvue_messages") == {
        alias
    }


def test_a_sale_that_a_webhook_told_before_the_erasure_is_confirmed_after_it(court: Court) -> None:
    before = court.money()
    court.erase()
    court.sales.append(
        {
            **court.sale(9),
            "fanvue_id": "FV-9",
            "amount": "9.00",
            "net": "7.20",
            "at": court.creator.at(),
        }
    )

    reply = court.list_money()

    assert (reply["inserted"], reply["updated"]) == (0, 1)
    assert court.money()[:2] == before[:2]
    assert court.traces() == []


def test_a_chat_that_was_being_read_when_its_fan_was_erased_is_not_kept(court: Court) -> None:
    reading = court.creator.begin("messages")
    court.house.list_chats(reading, court.house.chat(FAN, 3, last_message_uuid="m-3"))
    said = {"phase": "talk", "next_phase": "talk", "chat_done": True, "chat_cursor": None}
    page = reading.page(*court.said(FAN), chat=FAN, notes={"reading": {"chat": FAN}}, **said)
    court.erase()

    with pytest.raises(psycopg.DatabaseError) as refused:
        reading.send(page, reading.version)

    assert refused.value.sqlstate == "PT410"
    assert court.traces() == []
    assert court.creator.names("true", "fanvue_chats") == {OTHER}
    resumed = court.engine.begin(reading.job)
    assert resumed["todo"] == []
    # a worker that knows of it only by now
    late = page | {"key": "late", "notes": {}}
    assert reading.send(late, resumed["version"])["complete"] is True
    assert court.traces() == []


def test_one_agency_forgets_and_another_one_keeps(court: Court) -> None:
    elsewhere = Creator(court.engine, *STREAMS)
    elsewhere.read("subscribers", fans(FAN, handle=HANDLE))

    court.erase(agency=court.creator.agency_id)

    assert elsewhere.names("handle is not null") == {FAN}
    assert FAN not in court.creator.names("true")
    court.erase()
    assert court.traces() == []


def test_an_event_that_waits_for_its_creator_is_stored_without_the_fan_once_erased(
    court: Court,
) -> None:
    court.erase()
    event = court.creator.event("follow.created", follower={"uuid": FAN, "handle": HANDLE})
    event["data"]["creator"]["uuid"] = OTHER

    told = court.engine.call("receive_webhook_event", event)["status"]

    assert (told, court.traces()) == ("parked", [])


def test_erasing_twice_changes_nothing(court: Court) -> None:
    court.erase()
    before = court.engine.value("select count(*) from ops.actions")

    again = court.erase()

    assert again["changed"] is False
    assert again["message"].startswith("nothing to do")
    assert court.engine.value("select count(*) from ops.actions") == before


@pytest.mark.parametrize(
    ("fan", "code"), [("sir.lancelot", "PT422"), ("11111111-1111-4111-8111-111111111111", "PT404")]
)
def test_who_is_not_known_is_not_erased(court: Court, fan: str, code: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        court.erase(fan)

    assert refused.value.sqlstate == code
    assert refused.value.diag.message_hint
    assert court.engine.value("select count(*) from private.erased_fans") == 0


@pytest.mark.property
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=histories(), erased_after=st.integers(0, 6), twice=st.booleans())
def test_the_ledger_matches_the_books_whenever_the_fan_is_erased(
    engine: Engine, history: tuple[list[Sale], list[Any]], erased_after: int, twice: bool
) -> None:
    book, listings = history
    pages = [page for listing in listings for page in listing]
    as_fan = {"f1": FAN}

    with engine.owner.transaction():
        ledger = Ledger(engine)
        for number, page in enumerate(pages * (2 if twice else 1)):
            if number == erased_after:
                # known from another list
                _follow(ledger)
                engine.rows("select ops.erase_fan(%s)", FAN)
            ledger.apply(*({**row, "fan_uuid": as_fan.get(row["fan_uuid"])} for row in page))
        held = ledger.held()
        named = engine.value(
            "select count(*) from public.fanvue_transactions where fan_uuid = %s", FAN
        )
        raise Rollback

    assert _without_fans(held) == _without_fans(totals(book))
    assert named == 0 or erased_after >= len(pages) * (2 if twice else 1)


def _follow(ledger: Ledger) -> None:
    ledger.engine.rows(
        "insert into public.fanvue_fans (agency_id, model_id, fan_uuid) values (%s, %s, %s)",
        ledger.agency_id,
        ledger.model_id,
        FAN,
    )


def _without_fans(counted: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    plain: Counter[tuple[Any, ...]] = Counter()
    for (*facts, fan), count in counted.items():
        plain[(*facts, fan is not None)] += count
    return plain


def test_a_creator_is_erased_with_all_rows_and_the_agency_s_total_follows(court: Court) -> None:
    engine, creator = court.engine, court.creator
    kept = Creator(engine, *STREAMS, agency_id=creator.agency_id)
    kept.read("subscribers", fans("somebody"))
    engine.rows("update public.models set handle = 'guinevere' where id = %s", creator.model_id)
    version = engine.value("select private.stats_stamp(%s)::text", creator.agency_id)
    # they were read with a grant of their own, and through two accounts of the agency
    for bucket in (f"user:{creator.uuid}", f"user:{OTHER}:{creator.uuid}", f"user:{OTHER}"):
        engine.rows("insert into private.api_budgets (bucket, max_calls) values (%s, 100)", bucket)
        engine.rows("insert into private.api_endpoints (bucket, endpoint) values (%s, '')", bucket)

    done = engine.value("select ops.erase_model(%s, 'guinevere')", creator.model_id)

    assert done["changed"] is True
    text = engine.value(_EVERYTHING)
    assert creator.uuid not in text
    # the operators' trail: on what, and with which argument; the agency's: came, and went
    assert text.count(str(creator.model_id)) == 4
    assert engine.value("select coalesce(sum(gross), 0) from public.earnings_daily") == Decimal(0)
    assert engine.value("select private.stats_stamp(%s)::text", creator.agency_id) != version
    assert kept.names("true") == {"somebody"}
    for table in ("api_budgets", "api_endpoints"):
        left = engine.value(f"select array_agg(bucket) from private.{table}")  # noqa: S608 - one of two constants
        assert left == [f"user:{OTHER}"]


def test_a_creator_is_not_erased_under_another_handle(court: Court) -> None:
    before = court.money()

    with pytest.raises(psycopg.Error) as refused:
        court.engine.rows("select ops.erase_model(%s, 'morgana')", court.creator.model_id)

    assert refused.value.sqlstate == "PT422"
    assert court.money() == before


@pytest.mark.parametrize(
    ("state", "secret", "expires"),
    [("active", "fse1.k.s", None), ("registering", None, "infinity")],
)
def test_a_creators_webhooks_are_deleted_at_fanvue_while_their_grant_can(
    court: Court, state: str, secret: str | None, expires: str | None
) -> None:
    engine, model_id = court.engine, court.creator.model_id
    erase = "select ops.erase_model(%s, %s) ->> 'message'"
    engine.rows(
        "insert into private.webhook_subscriptions"
        " (id, model_id, fanvue_id, url, events, secret, state, created_at, changed_at, expires_at)"
        " values (gen_random_uuid(), %s, 'W-1', 'https://x.test', '{}', %s, %s, now(), now(), %s)",
        model_id,
        secret,
        state,
        expires,
    )

    with pytest.raises(psycopg.Error) as refused:
        engine.rows(erase, model_id, court.creator.uuid)
    assert refused.value.sqlstate == "PT409"
    assert f"fanvue-sync webhooks delete {model_id} --yes" in str(refused.value.diag.message_hint)

    engine.rows("update public.models set status = 'reauth_required' where id = %s", model_id)
    told = engine.value(erase, model_id, court.creator.uuid)
    assert "until they are deleted in its Developer area" in told


def test_a_worker_that_reads_an_erased_creator_loses_the_job(court: Court) -> None:
    reading = court.creator.begin("earnings")
    court.engine.rows("select ops.erase_model(%s, %s)", court.creator.model_id, court.creator.uuid)

    with pytest.raises(psycopg.Error) as refused:
        reading.commit(court.sale(20))

    assert refused.value.sqlstate == "PT410"
