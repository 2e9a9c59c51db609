"""The agency's account in the browser: whose right it is, and nothing is stored unconfirmed."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import psycopg
import pytest


if TYPE_CHECKING:
    from tests.database.engine import Engine


SEALED = "fse1.k1.made-up"
ACCOUNT = str(uuid.uuid4())
NONCE = sha256(b"nonce").hexdigest()
HELD = {
    "user_uuid": ACCOUNT,
    "handle": "boss",
    "scopes": ["read:agency"],
    "creators": [{"uuid": str(uuid.uuid4()), "handle": "ana", "display_name": None}],
    "access_token": SEALED,
    "refresh_token": SEALED,
    "expires_in_s": 3600,
    "fingerprint": "f" * 64,
}


@dataclass
class Desk:
    """An agency with people of every role, and a stranger."""

    engine: Engine
    agency_id: Any
    people: dict[str, str]

    def call(self, who: str, name: str, *values: Any) -> Any:
        """Call a function as a signed-in user."""
        connection = self.engine.another().connection
        with connection.transaction():
            claims = json.dumps({"sub": self.people[who], "role": "authenticated"})
            connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
            connection.execute("set local role authenticated")
            marks = ", ".join(["%s"] * len(values))
            row = connection.execute(f"select public.{name}({marks}) as reply", values).fetchone()
        assert row is not None
        return row["reply"]

    def begin(self, who: str, name: str = "s", kind: str = "agency", **about: Any) -> str:
        """Begin; return the hash of the state."""
        state = sha256(name.encode()).hexdigest()
        named = (about.get("model"), state, SEALED, "/", kind, about.get("connection"))
        self.call(who, "begin_connection", about.get("agency", self.agency_id), *named)
        return state

    def taken(self, who: str = "owner") -> str:
        """Begin, come back from Fanvue, and return the hash of the state."""
        state = self.begin(who)
        self.engine.call("take_connection", state)
        return state

    def held(self, who: str = "owner") -> str:
        """Begin, come back from Fanvue with a grant, and return the hash of the nonce."""
        self.hold(self.taken(who))
        return NONCE

    def hold(self, state: str, nonce: str = NONCE, **changes: Any) -> None:
        """Hold a grant as the function does."""
        held = json.dumps({**HELD, **changes})
        self.engine.rows("select public.hold_connection(%s, %s, %s::jsonb)", state, nonce, held)

    def refused(self, who: str, name: str, *values: Any) -> str | None:
        with pytest.raises(psycopg.Error) as caught:
            self.call(who, name, *values)
        return caught.value.sqlstate


@pytest.fixture
def desk(engine: Engine) -> Desk:
    agency_id = engine.agency()
    people = {who: str(uuid.uuid4()) for who in ("owner", "admin", "member", "stranger")}
    for who in ("owner", "admin", "member"):
        engine.rows(
            "insert into public.agency_members (agency_id, user_id, role) values (%s, %s, %s)",
            agency_id,
            people[who],
            who,
        )
    return Desk(engine, agency_id, people)


@pytest.mark.parametrize("who", ["owner", "admin"])
def test_who_began_is_shown_the_agency_and_confirms(desk: Desk, who: str) -> None:
    nonce = desk.held(who)
    agency = desk.engine.value("select name from public.agencies")

    shown = desk.call(who, "confirm_connection", nonce, False)

    assert shown == {
        "agency_id": str(desk.agency_id),
        "agency": agency,
        "account": "boss",
        "account_uuid": ACCOUNT,
        "scopes": ["read:agency"],
        "creators": 1,
    }
    assert desk.engine.call("confirmed_connection", nonce) is None
    desk.call(who, "confirm_connection", nonce, True)
    confirmed = desk.engine.call("confirmed_connection", nonce)
    assert confirmed["agency_id"] == str(desk.agency_id)
    assert confirmed["refresh_token"] == SEALED
    # a lost answer is asked for again
    desk.call(who, "confirm_connection", nonce, True)
    assert desk.engine.call("confirmed_connection", nonce) is not None


@pytest.mark.parametrize(("who", "code"), [("member", "PT403"), ("stranger", "PT404")])
def test_only_owners_and_admins_begin_for_the_agency(desk: Desk, who: str, code: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        desk.begin(who)

    assert caught.value.sqlstate == code


@pytest.mark.parametrize("who", ["admin", "member", "stranger"])
def test_nobody_else_sees_or_confirms_what_another_one_began(desk: Desk, who: str) -> None:
    nonce = desk.held("owner")

    for confirm in (False, True):
        assert desk.refused(who, "confirm_connection", nonce, confirm) == "PT404"
    assert desk.engine.call("confirmed_connection", nonce) is None


def test_who_began_confirms_nothing_by_the_state(desk: Desk) -> None:
    """Whoever sent the address knows it; the nonce went to the browser that consented."""
    state = desk.taken()
    with pytest.raises(psycopg.Error, match="nonce of its own"):
        desk.hold(state, state)
    desk.hold(state)

    for confirm in (False, True):
        assert desk.refused("owner", "confirm_connection", state, confirm) == "PT404"
    for known in (state, NONCE):
        assert desk.engine.call("confirmed_connection", known) is None


def test_who_lost_the_right_meanwhile_confirms_nothing(desk: Desk) -> None:
    nonce = desk.held("admin")
    desk.engine.rows("update public.agency_members set role = 'member' where role = 'admin'")

    assert desk.refused("admin", "confirm_connection", nonce, True) == "PT403"


def test_what_nobody_confirms_in_time_is_gone(desk: Desk) -> None:
    nonce = desk.held()
    desk.engine.move_clock(minutes=11)

    assert desk.refused("owner", "confirm_connection", nonce, True) == "PT410"
    desk.engine.call("prune_history")
    assert desk.engine.value("select held is null from private.connection_attempts") is True


def test_a_confirmed_grant_is_not_replaced_and_nothing_is_held_in_the_clear(desk: Desk) -> None:
    state = desk.taken()
    with pytest.raises(psycopg.Error, match="sealed"):
        desk.hold(state, refresh_token="in the clear")
    desk.hold(state)
    # a lost answer: the same again
    desk.hold(state)
    with pytest.raises(psycopg.Error, match="finished already"):
        desk.hold(state, "a" * 64)
    desk.call("owner", "confirm_connection", NONCE, True)

    with pytest.raises(psycopg.Error, match="finished already"):
        desk.hold(state)


def test_a_creators_connection_holds_nothing(desk: Desk) -> None:
    state = desk.begin("member", kind="creator")
    desk.engine.call("take_connection", state)

    with pytest.raises(psycopg.Error, match="finished already"):
        desk.hold(state)


def test_a_reconnection_says_whose_consent_it_must_be(desk: Desk) -> None:
    place = desk.engine.call("connect_agency", str(desk.agency_id), ACCOUNT, "f" * 64)

    state = desk.begin("owner", connection=place["connection_id"])

    taken = desk.engine.call("take_connection", state)
    assert (taken["kind"], taken["creator_uuid"]) == ("agency", ACCOUNT)
    with pytest.raises(psycopg.Error, match="no such connection"):
        desk.begin("owner", "t", connection=str(uuid.uuid4()))
    with pytest.raises(psycopg.Error, match="or that of the agency"):
        desk.begin("owner", "u", kind="boss")
