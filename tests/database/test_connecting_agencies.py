"""Accounts in the browser: whose right it is, and nothing is stored unconfirmed."""

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
    from tests.support.postgres import Connection


SEALED = "fse1.k1.made-up"
ACCOUNT = str(uuid.uuid4())
NONCE = sha256(b"nonce").hexdigest()
BROWSER = sha256(b"browser").hexdigest()
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
KINDS = ["creator", "agency"]


@dataclass
class Desk:
    """An agency with people of every role, and a stranger."""

    engine: Engine
    agency_id: Any
    people: dict[str, str]
    connection: Connection

    def call(self, who: str, name: str, *values: Any) -> Any:
        """Call a function as a signed-in user."""
        connection = self.connection
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

    def taken(self, who: str = "owner", **about: Any) -> str:
        """Begin, come back from Fanvue, and return the hash of the state."""
        state = self.begin(who, **about)
        self.engine.call("take_connection", state)
        return state

    def held(self, who: str = "owner", **about: Any) -> str:
        """Begin, come back from Fanvue with a grant, and return the hash of the nonce."""
        self.hold(self.taken(who, **about))
        return NONCE

    def linked(self, name: str = "s", nonce: str = NONCE, **about: Any) -> dict[str, Any]:
        """Make a link; return it, and what comes back from Fanvue with it is held."""
        made = self.call("owner", "create_connect_link", self.agency_id, about.get("model"))
        self.follow(made, name, nonce)
        return dict(made)

    def follow(
        self, link: dict[str, Any], name: str = "s", nonce: str = NONCE, **changes: Any
    ) -> str:
        """Follow a link to Fanvue and back, with a grant; return the hash of the state."""
        secret = link["path"].split("=")[1]
        state = sha256(name.encode()).hexdigest()
        hashed = sha256(secret.encode()).hexdigest()
        self.engine.call("begin_linked_connection", hashed, state, SEALED)
        self.engine.call("take_connection", state)
        self.hold(state, nonce, **changes)
        return state

    def store(
        self, nonce: str = NONCE, tokens: str = "1", place: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Store a confirmed grant as the function does."""
        place = place or self.engine.call("confirmed_connection", nonce)
        assert place is not None
        sealed = [f"access-{tokens}", f"refresh-{tokens}", 3600]
        version = place["token_version"]
        if place["kind"] == "creator":
            to = ("store_grant", place["model_id"], version, *sealed)
        else:
            to = ("store_connection", place["connection_id"], version, *sealed, "f" * 64)
        return dict(self.engine.call(*to, p_nonce_hash=nonce))

    def refresh_token(self, kind: str) -> Any:
        """Return the only refresh token that is stored."""
        columns = {"creator": "fanvue_refresh_token", "agency": "refresh_token"}
        table = {"creator": "models", "agency": "agency_connections"}[kind]
        return self.engine.value(f"select {columns[kind]} from public.{table}")  # noqa: S608 - one of two constants

    def hold(self, state: str, nonce: str = NONCE, **changes: Any) -> None:
        """Hold a grant as the function does."""
        held = json.dumps({**HELD, **changes})
        hold = "select public.hold_connection(%s, %s, %s, %s::jsonb)"
        self.engine.rows(hold, state, nonce, BROWSER, held)

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
    return Desk(engine, agency_id, people, engine.another().connection)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("who", ["owner", "admin"])
def test_who_began_is_shown_the_agency_and_confirms(desk: Desk, who: str, kind: str) -> None:
    nonce = desk.held(who, kind=kind)
    agency = desk.engine.value("select name from public.agencies")

    shown = desk.call(who, "confirm_connection", nonce)

    assert shown == {
        "kind": kind,
        "by_link": False,
        "return_to": "/",
        "agency_id": str(desk.agency_id),
        "agency": agency,
        "account": "boss",
        "account_uuid": ACCOUNT,
        "scopes": ["read:agency"],
        "creators": 1,
    }
    assert desk.engine.call("confirmed_connection", nonce) is None
    desk.call(who, "confirm_connection", nonce, BROWSER)
    confirmed = desk.engine.call("confirmed_connection", nonce)
    assert confirmed["agency_id"] == str(desk.agency_id)
    assert confirmed["refresh_token"] == SEALED
    # a lost answer is asked for again
    desk.call(who, "confirm_connection", nonce, BROWSER)
    again = desk.engine.call("confirmed_connection", nonce)
    assert again.pop("expires_in_s") <= confirmed.pop("expires_in_s")
    assert again == confirmed


@pytest.mark.parametrize("kind", KINDS)
def test_another_browser_confirms_nothing(desk: Desk, kind: str) -> None:
    nonce = desk.held(kind=kind)

    for browser in (sha256(b"another").hexdigest(), nonce, ""):
        assert desk.refused("owner", "confirm_connection", nonce, browser) == "PT412"
    assert desk.engine.call("confirmed_connection", nonce) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("who", "code"), [("member", "PT403"), ("stranger", "PT404")])
def test_only_owners_and_admins_begin(desk: Desk, who: str, code: str, kind: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        desk.begin(who, kind=kind)

    assert caught.value.sqlstate == code


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("who", ["admin", "member", "stranger"])
def test_nobody_else_sees_or_confirms_what_another_one_began(
    desk: Desk, who: str, kind: str
) -> None:
    nonce = desk.held("owner", kind=kind)

    for browser in (None, BROWSER):
        assert desk.refused(who, "confirm_connection", nonce, browser) == "PT404"
        with pytest.raises(psycopg.Error) as caught:
            desk.engine.call("confirm_linked_connection", nonce, browser)
        assert caught.value.sqlstate == "PT401"
    assert desk.engine.call("confirmed_connection", nonce) is None


def test_who_began_confirms_nothing_by_the_state(desk: Desk) -> None:
    """Whoever sent the address knows it; the nonce went to the browser that consented."""
    state = desk.taken()
    with pytest.raises(psycopg.Error, match="nonce of its own"):
        desk.hold(state, state)
    desk.hold(state)

    for browser in (None, BROWSER):
        assert desk.refused("owner", "confirm_connection", state, browser) == "PT404"
    for known in (state, NONCE):
        assert desk.engine.call("confirmed_connection", known) is None


def test_who_lost_the_right_meanwhile_confirms_nothing(desk: Desk) -> None:
    nonce = desk.held("admin")
    desk.engine.rows("update public.agency_members set role = 'member' where role = 'admin'")

    assert desk.refused("admin", "confirm_connection", nonce, BROWSER) == "PT403"


def test_what_nobody_confirms_in_time_is_gone(desk: Desk) -> None:
    nonce = desk.held()
    desk.engine.move_clock(minutes=11)

    assert desk.refused("owner", "confirm_connection", nonce, BROWSER) == "PT410"
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
    desk.call("owner", "confirm_connection", NONCE, BROWSER)

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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("confirmed", [False, True])
def test_what_is_declined_is_held_no_more(desk: Desk, kind: str, *, confirmed: bool) -> None:
    desk.held(kind=kind)
    for browser in (NONCE, None):
        with pytest.raises(psycopg.Error) as caught:
            desk.engine.call("decline_connection", NONCE, browser)
        assert caught.value.sqlstate == "PT412"
    place = None
    if confirmed:
        desk.call("owner", "confirm_connection", NONCE, BROWSER)
        place = desk.engine.call("confirmed_connection", NONCE)

    declined = desk.engine.call("decline_connection", NONCE, BROWSER)

    assert declined == {"by_link": False, "return_to": "/"}
    # a lost answer
    assert desk.engine.call("decline_connection", NONCE, BROWSER) == declined
    assert desk.engine.value("select count(held) from private.connection_attempts") == 0
    assert desk.refused("owner", "confirm_connection", NONCE, BROWSER) == "PT404"
    assert desk.engine.call("confirmed_connection", NONCE) is None
    if place is not None:
        # another tab had pressed the other button
        with pytest.raises(psycopg.Error) as caught:
            desk.store(place=place)
        assert caught.value.sqlstate == "PT404"


def test_what_is_stored_is_not_declined(desk: Desk) -> None:
    desk.held(kind="creator")
    desk.call("owner", "confirm_connection", NONCE, BROWSER)
    desk.store()

    with pytest.raises(psycopg.Error) as caught:
        desk.engine.call("decline_connection", NONCE, BROWSER)

    assert caught.value.sqlstate == "PT404"
    assert desk.engine.value("select status from public.models") == "active"


# A creator's grant ----------------------------------------------------------------------------


def test_a_confirmed_creator_is_stored_once_and_nothing_is_held_any_more(desk: Desk) -> None:
    desk.held(kind="creator")
    desk.call("owner", "confirm_connection", NONCE, BROWSER)
    assert desk.engine.value("select count(*) from public.models") == 0
    place = desk.engine.call("confirmed_connection", NONCE)
    stored = desk.store()

    # a lost answer: the same again
    again = (place["model_id"], place["token_version"], "access-1", "refresh-1", 3600, NONCE)
    assert desk.engine.call("store_grant", *again) == stored
    (model,) = desk.engine.rows("select * from public.models")
    assert (model["status"], model["reason_code"], model["token_version"]) == ("active", None, 1)
    assert desk.engine.call("confirmed_connection", NONCE) is None
    assert desk.refused("owner", "confirm_connection", NONCE, BROWSER) == "PT404"
    assert desk.engine.value("select count(held) from private.connection_attempts") == 0


ROTATED = {
    "creator": "update public.models set token_version = 2, fanvue_refresh_token = 'two'",
    "agency": "update public.agency_connections set token_version = 2, refresh_token = 'two'",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_confirmation_pressed_twice_never_stores_over_a_younger_grant(
    desk: Desk, kind: str
) -> None:
    desk.held(kind=kind)
    desk.call("owner", "confirm_connection", NONCE, BROWSER)
    place = desk.engine.call("confirmed_connection", NONCE)
    # the other press stored it, and a refresh rotated it
    desk.store(place=place)
    desk.engine.rows(ROTATED[kind])

    if kind == "creator":
        with pytest.raises(psycopg.Error) as caught:
            desk.store(tokens="again", place=place)
        assert caught.value.sqlstate == "PT409"
    else:
        # an agency's second press goes on to attach what the first one may not have attached
        assert desk.store(tokens="again", place=place) == {"version": 2, "mended": 0}

    assert desk.refresh_token(kind) == "two"


@pytest.mark.parametrize("kind", KINDS)
def test_of_two_consents_that_were_confirmed_the_second_one_to_be_stored_is_refused(
    desk: Desk, kind: str
) -> None:
    older, younger = "a" * 64, "b" * 64
    for name, nonce in (("older", older), ("younger", younger)):
        desk.hold(desk.taken(name=name, kind=kind), nonce, fingerprint=nonce)
        desk.call("owner", "confirm_connection", nonce, BROWSER)
    # of a creator or account who is known already
    desk.engine.model(desk.agency_id, fanvue_user_uuid=ACCOUNT)
    desk.engine.call("connect_agency", str(desk.agency_id), ACCOUNT, "c" * 64)
    desk.engine.call("confirmed_connection", older)
    desk.engine.call("confirmed_connection", younger)
    desk.store(younger, "younger")

    with pytest.raises(psycopg.Error) as caught:
        desk.store(older, "older")

    assert caught.value.sqlstate == "PT409"
    assert desk.refresh_token(kind) == "refresh-younger"


def test_a_stored_account_of_an_agency_is_ended_and_its_creators_can_be_attached_again(
    desk: Desk,
) -> None:
    desk.held()
    desk.call("owner", "confirm_connection", NONCE, BROWSER)
    stored = desk.engine.call("confirmed_connection", NONCE)
    desk.store()

    again = desk.engine.call("confirmed_connection", NONCE)

    assert (stored["stored"], again["stored"]) == (False, True)
    assert again["connection_id"] == stored["connection_id"]
    assert again["creators"] == HELD["creators"]
    assert SEALED not in str(again)
    held = "select held::text, finished_at is not null as ended from private.connection_attempts"
    (attempt,) = desk.engine.rows(held)
    assert attempt["ended"]
    assert SEALED not in attempt["held"]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_claimed_before_a_grant_is_stored(desk: Desk, kind: str) -> None:
    desk.held(kind=kind)
    desk.call("owner", "confirm_connection", NONCE, BROWSER)

    place = desk.engine.call("confirmed_connection", NONCE)

    for table in ("models", "agency_connections"):
        assert desk.engine.value(f"select count(*) from public.{table}") == 0  # noqa: S608 - one of two constants
    # another agency was faster
    if kind == "creator":
        desk.engine.call("connect_model", "Borealis", ACCOUNT)
    else:
        desk.engine.call("connect_agency", "Borealis", ACCOUNT, "c" * 64)
    with pytest.raises(psycopg.Error) as caught:
        desk.store(place=place)
    assert caught.value.sqlstate == "PT409"


def test_who_comes_second_with_a_link_leaves_nobody_behind(desk: Desk) -> None:
    link = desk.linked()
    other, second = str(uuid.uuid4()), "b" * 64
    desk.follow(link, "t", second, user_uuid=other)
    for nonce in (NONCE, second):
        desk.engine.call("confirm_linked_connection", nonce, BROWSER)
        desk.engine.call("confirmed_connection", nonce)
    desk.store(NONCE)

    with pytest.raises(psycopg.Error, match="used or over"):
        desk.store(second, "2")

    assert desk.engine.value("select array_agg(fanvue_user_uuid) from public.models") == [ACCOUNT]
    assert desk.engine.call("connect_model", "Borealis", other)["created"] is True


def test_an_adopted_model_learns_its_creator_with_the_grant_and_not_before(desk: Desk) -> None:
    model = desk.engine.model(desk.agency_id, fanvue_user_uuid=None)
    desk.held(kind="creator", model=str(model))
    desk.call("owner", "confirm_connection", NONCE, BROWSER)
    desk.engine.call("confirmed_connection", NONCE)
    assert desk.engine.value("select fanvue_user_uuid from public.models") is None

    desk.store()

    assert desk.engine.value("select fanvue_user_uuid from public.models") == ACCOUNT


def test_the_trail_names_who_began_what_the_service_finished(desk: Desk) -> None:
    desk.held("admin", kind="creator")
    desk.call("admin", "confirm_connection", NONCE, BROWSER)
    desk.store()

    lines = desk.engine.rows(
        "select action, who, user_id::text from public.agency_trail"
        " where action like 'creator_%%' order by at"
    )
    assert [tuple(line.values()) for line in lines] == [
        ("creator_added", "member", desk.people["admin"]),
        ("creator_connected", "member", desk.people["admin"]),
    ]


def test_an_operators_pause_outlives_a_reconnection(desk: Desk) -> None:
    model = desk.engine.model(desk.agency_id, fanvue_user_uuid=ACCOUNT)
    desk.engine.rows("select ops.pause_model(%s, 'legal hold')", model)
    desk.held(kind="creator", model=str(model))
    desk.call("owner", "confirm_connection", NONCE, BROWSER)

    stored = desk.store()

    held = "select status, status_reason, fanvue_refresh_token from public.models"
    assert desk.engine.rows(held) == [
        {
            "status": "paused",
            "status_reason": "legal hold",
            "fanvue_refresh_token": "refresh-1",
        }
    ]
    assert (stored["status"], stored["job_id"]) == ("paused", None)
    assert desk.engine.value("select count(*) from public.sync_jobs") == 0


@pytest.mark.parametrize("held", [False, True])
def test_a_disconnected_creator_is_connected_again_unless_an_operator_paused_it(
    desk: Desk, held: bool
) -> None:
    model = desk.engine.model(desk.agency_id, fanvue_user_uuid=ACCOUNT)
    if held:
        # as somebody does it in Studio
        desk.engine.rows("update public.models set status = 'paused', status_reason = 'court'")
    assert desk.call("admin", "disconnect_creator", model) == {"changed": True}
    assert desk.call("admin", "disconnect_creator", model) == {"changed": False}
    (row,) = desk.engine.rows("select * from public.models")
    assert (row["status"], row["fanvue_refresh_token"]) == ("paused", None)

    desk.held(kind="creator", model=str(model))
    desk.call("owner", "confirm_connection", NONCE, BROWSER)
    desk.store()

    expected = ("paused", "court") if held else ("active", None)
    (row,) = desk.engine.rows("select status, status_reason from public.models")
    assert (row["status"], row["status_reason"]) == expected


@pytest.mark.parametrize("paused", ["before", "not", "after"])
def test_what_is_disconnected_is_not_attached_again_by_the_way(desk: Desk, paused: str) -> None:
    place = desk.engine.call("connect_agency", str(desk.agency_id), str(uuid.uuid4()), "f" * 64)
    connection = place["connection_id"]
    desk.engine.call("store_connection", connection, 0, "access", "refresh", 3600, "f" * 64)
    listed = [{"uuid": ACCOUNT}]
    (attached,) = desk.engine.call("attach_creators", connection, listed)
    pause = "select ops.pause_model(%s, 'legal hold')"
    if paused == "before":
        desk.engine.rows(pause, attached["model_id"])
    assert desk.call("owner", "disconnect_creator", attached["model_id"]) == {"changed": True}
    if paused == "after":
        desk.engine.rows(pause, attached["model_id"])

    (kept,) = desk.engine.call("attach_creators", connection, listed)
    (replaced,) = desk.engine.call("attach_creators", connection, listed, p_replace=True)
    (again,) = desk.engine.call("attach_creators", connection, listed)

    assert (kept["outcome"], kept["status"]) == ("kept", "paused")
    held = "active" if paused == "not" else "paused"
    assert (replaced["outcome"], replaced["status"]) == ("attached", held)
    assert again["outcome"] == "unchanged"


def test_who_was_paused_without_a_grant_can_be_disconnected_and_consents_again(desk: Desk) -> None:
    place = desk.engine.call("connect_agency", str(desk.agency_id), str(uuid.uuid4()), "f" * 64)
    connection = place["connection_id"]
    desk.engine.call("store_connection", connection, 0, "access", "refresh", 3600, "f" * 64)
    tokens: dict[str, Any] = {"fanvue_access_token": None, "fanvue_refresh_token": None}
    model = desk.engine.model(desk.agency_id, fanvue_user_uuid=ACCOUNT, status="paused", **tokens)
    assert desk.call("owner", "disconnect_creator", model) == {"changed": True}
    assert desk.call("owner", "disconnect_creator", model) == {"changed": False}
    (kept,) = desk.engine.call("attach_creators", connection, [{"uuid": ACCOUNT}])
    assert kept["outcome"] == "kept"

    desk.held(kind="creator", model=str(model))
    desk.call("owner", "confirm_connection", NONCE, BROWSER)
    desk.store()

    (row,) = desk.engine.rows("select status, disconnected_at from public.models")
    assert row == {"status": "paused", "disconnected_at": None}


@pytest.mark.parametrize("who", ["owner", "admin"])
def test_an_agencys_account_is_disconnected_and_its_creators_go_on_as_they_can(
    desk: Desk, who: str
) -> None:
    place = desk.engine.call("connect_agency", str(desk.agency_id), str(uuid.uuid4()), "f" * 64)
    connection = place["connection_id"]
    desk.engine.call("store_connection", connection, 0, "access", "refresh", 3600, "f" * 64)
    own = desk.engine.model(desk.agency_id, fanvue_user_uuid=ACCOUNT)
    listed = [{"uuid": ACCOUNT}, {"uuid": str(uuid.uuid4())}]
    desk.engine.call("attach_creators", connection, listed, p_replace=True)
    begun = desk.engine.call("begin_token_refresh", connection, "w0", 1)
    assert begun["state"] == "refresh"

    assert desk.refused("member", "disconnect_account", connection) == "PT403"
    assert desk.call("stranger", "disconnect_account", connection) == {"changed": False}
    assert desk.call(who, "disconnect_account", connection) == {"changed": True}
    assert desk.call(who, "disconnect_account", connection) == {"changed": False}

    assert desk.engine.value("select count(*) from public.agency_connections") == 0
    rows = desk.engine.rows("select id, status, reason_code, connection_id from public.models")
    assert {row["id"] == own: (row["status"], row["reason_code"]) for row in rows} == {
        True: ("active", None),
        False: ("reauth_required", "agency_access_lost"),
    }
    assert [row["connection_id"] for row in rows] == [None, None]
    # whoever was refreshing it brings nothing back
    late = (begun["sealed_for"], begun["fence"], begun["version"], "access-2", "refresh-2", 3600)
    with pytest.raises(psycopg.Error) as caught:
        desk.engine.call("finish_token_refresh", *late)
    assert caught.value.sqlstate == "PT404"
    (line,) = desk.engine.rows(
        "select user_id::text, subject_id::text from public.agency_trail"
        " where action = 'account_removed'"
    )
    assert line == {"user_id": desk.people[who], "subject_id": connection}


# Links and limits -----------------------------------------------------------------------------


def test_a_link_connects_one_creator_without_signing_in(desk: Desk) -> None:
    link = desk.linked()
    shown = desk.engine.call("confirm_linked_connection", NONCE)
    assert (shown["kind"], shown["by_link"], shown["account"]) == ("creator", True, "boss")

    desk.engine.call("confirm_linked_connection", NONCE, BROWSER)
    desk.store()

    assert desk.engine.value("select status from public.models") == "active"
    assert desk.engine.value("select used_at is not null from public.connect_links") is True
    with pytest.raises(psycopg.Error, match="used or over"):
        desk.follow(link, "t", "b" * 64)


def test_a_link_that_was_used_goes_with_whom_it_connected(desk: Desk) -> None:
    desk.linked()
    desk.call("owner", "create_connect_link", desk.agency_id, None, "another")
    desk.engine.rows("update public.connect_links set label = 'Ana' where label is null")
    desk.engine.call("confirm_linked_connection", NONCE, BROWSER)
    desk.store()
    model = desk.engine.value("select id from public.models")

    desk.engine.rows("select ops.erase_model(%s, 'boss')", model)

    assert desk.engine.rows("select label from public.connect_links") == [{"label": "another"}]


def test_a_link_used_twice_at_once_stores_one_grant(desk: Desk) -> None:
    link = desk.linked()
    other = "b" * 64
    desk.follow(link, "t", other)
    for nonce in (NONCE, other):
        desk.engine.call("confirm_linked_connection", nonce, BROWSER)
        desk.engine.call("confirmed_connection", nonce)
    desk.store(NONCE)

    with pytest.raises(psycopg.Error, match="used or over"):
        desk.store(other, "2")

    assert desk.engine.value("select fanvue_refresh_token from public.models") == "refresh-1"


ENDS = {
    "its time is over": "update public.connect_links set expires_at = now() - interval '1 day'",
    "it was revoked": "delete from public.connect_links",
    "its maker went": "update public.agency_members set role = 'member' where user_id = %(owner)s",
}


@pytest.mark.parametrize("how", ENDS)
def test_a_link_that_ended_ends_what_was_begun_with_it(desk: Desk, how: str) -> None:
    link = desk.linked()
    desk.engine.rows("update public.agency_members set role = 'owner' where role = 'admin'")
    desk.engine.owner.execute(ENDS[how].encode(), {"owner": desk.people["owner"]})

    with pytest.raises(psycopg.Error) as caught:
        desk.engine.call("confirm_linked_connection", NONCE, BROWSER)
    assert caught.value.sqlstate in {"PT403", "PT404"}
    with pytest.raises(psycopg.Error) as caught:
        desk.follow(link, "t", "b" * 64)
    assert caught.value.sqlstate == "PT404"


def test_a_link_for_a_creator_wants_that_creator(desk: Desk) -> None:
    model = desk.engine.model(desk.agency_id)
    made = desk.call("owner", "create_connect_link", desk.agency_id, model)
    hashed = sha256(made["path"].split("=")[1].encode()).hexdigest()
    state = sha256(b"s").hexdigest()
    desk.engine.call("begin_linked_connection", hashed, state, SEALED)

    taken = desk.engine.call("take_connection", state)

    creator = desk.engine.value("select fanvue_user_uuid from public.models")
    assert (taken["model_id"], taken["creator_uuid"]) == (str(model), creator)
    assert desk.refused("owner", "create_connect_link", desk.agency_id, uuid.uuid4()) == "PT404"


def test_a_links_secret_stands_nowhere(desk: Desk) -> None:
    link = desk.linked()
    secret = link["path"].split("=")[1]

    told = desk.engine.rows(
        "select l::text, t::text, a::text from public.connect_links l, public.agency_trail t,"
        " private.connection_attempts a"
    )

    assert told
    assert secret not in str(told)


def test_an_agency_begins_a_limited_number_of_connections_an_hour(desk: Desk) -> None:
    for number in range(120):
        desk.begin("owner", f"n{number}", kind="creator")

    with pytest.raises(psycopg.Error) as caught:
        desk.begin("admin", "one more")
    assert caught.value.sqlstate == "PT429"
    # a lost answer is asked for again, and another agency is not kept waiting
    desk.begin("owner", "n0", kind="creator")
    desk.engine.move_clock(minutes=61)
    desk.begin("admin", "one more")


def test_the_holders_of_links_use_up_nothing_but_the_links_own_hour(desk: Desk) -> None:
    links = [desk.call("owner", "create_connect_link", desk.agency_id) for _ in range(31)]
    hashes = [sha256(link["path"].split("=")[1].encode()).hexdigest() for link in links]
    begin = "begin_linked_connection"
    for number in range(600):
        state = sha256(f"n{number}".encode()).hexdigest()
        desk.engine.call(begin, hashes[number % 30], state, SEALED)

    with pytest.raises(psycopg.Error) as caught:
        desk.engine.call(begin, hashes[30], "a" * 64, SEALED)
    assert caught.value.sqlstate == "PT429"
    desk.begin("owner", "the agency's own", kind="creator")


def test_a_link_begins_a_limited_number_of_connections_an_hour(desk: Desk) -> None:
    link = desk.linked()
    for number in range(19):
        desk.follow(link, f"n{number}", sha256(str(number).encode()).hexdigest())

    with pytest.raises(psycopg.Error) as caught:
        desk.follow(link, "one more", "b" * 64)

    assert caught.value.sqlstate == "PT429"
