"""An agency's administrator connects in the browser: from the dashboard to exact books."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.agency_stage import AgencyStage
from tests.support.connect_stage import (
    DASHBOARD,
    engine_beside,
    has_no_models,
    known_fanvue,
    new_creator,
)
from tests.support.consent import Browser, Member, new_member, open_browser, query_of
from tests.support.program import Program
from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulator.client import SimulatorControl
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

HOUR = 3600
SECRETS = """
select to_jsonb(a)::text from private.connection_attempts a
union all select to_jsonb(c)::text from public.agency_connections c
"""


@pytest.fixture(scope="module")
def fanvue(stack: dict[str, str]) -> Iterator[SimulatorControl]:
    with known_fanvue(stack) as control:
        yield control


@pytest.fixture
def engine(stack: dict[str, str], silent_cron: None, fanvue: SimulatorControl) -> Iterator[Engine]:
    with engine_beside(stack, fanvue) as engine:
        yield engine


@pytest.fixture
def agency(engine: Engine, tmp_path: Path) -> AgencyStage:
    return AgencyStage(engine, Program(engine, tmp_path))


@pytest.fixture
def browser(stack: dict[str, str], engine: Engine) -> Iterator[Browser]:
    yield from open_browser(f"{stack['SUPABASE_URL']}/functions/v1")


def owner(engine: Engine, agency: str = "Atlas") -> Member:
    """Return an owner of an agency."""
    return new_member(engine, agency, "owner")


def consented(browser: Browser, who: Member, account: str, **about: str) -> httpx.Response:
    """Consent at Fanvue as an account for the agency; return what the browser came back with."""
    asked = browser.start(who, **{"as": "agency", **about})
    back = browser.follow(browser.consent(asked, account))
    assert back.status_code == 302, back.text
    assert back.headers["location"].startswith(f"{DASHBOARD}/?")
    return back


def connection_of(end: httpx.Response) -> str:
    """Return the connection that the dashboard is told of."""
    assert end.status_code == 303, end.text
    return query_of(end.headers["location"])["connected"]


def say_yes(browser: Browser, who: Member, nonce: str) -> httpx.Response:
    """Say yes with a nonce, from wherever it is known."""
    url = f"{browser.functions}/fanvue-connect/confirm"
    return browser.http.post(url, data={"nonce": nonce, "access_token": who.token})


def called_as(engine: Engine, who: Member, nonce_hash: str) -> httpx.Response:
    """Say yes to the database itself, as anyone who is signed in can."""
    url = f"{engine.environment['SUPABASE_URL']}/rest/v1/rpc/confirm_connection"
    headers = {**who.headers, "apikey": engine.environment["SUPABASE_PUBLISHABLE_KEY"]}
    body = {"p_nonce_hash": nonce_hash, "p_browser_hash": nonce_hash}
    return httpx.post(url, json=body, headers=headers, timeout=PATIENCE_SECONDS)


def managed(engine: Engine) -> set[str]:
    """Return the creators whom the agency manages by now, those of earlier tests among them."""
    (theirs, *_) = engine.fanvue.world()["agencies"]
    return {one["uuid"] for one in theirs["creators"]}


def test_an_administrator_connects_all_creators_and_their_books_are_exact(
    agency: AgencyStage, browser: Browser
) -> None:
    engine = agency.engine
    agency.creators(3)
    creators = managed(engine)
    boss = owner(engine)

    back = consented(browser, boss, agency.account)
    cookies = dict(browser.http.cookies)
    nonce = query_of(back.headers["location"])["confirm"]
    shown = browser.get("/confirm", {"nonce": nonce}, boss.headers).json()
    assert has_no_models(engine)
    stored = connection_of(browser.confirm(back, boss))

    assert (shown["agency"], shown["creators"]) == ("Atlas", len(creators))
    assert shown["account_uuid"] == agency.account
    assert "read:agency" in shown["scopes"]
    assert stored == agency.connection()["id"]
    rows = engine.database.execute(
        "select fanvue_user_uuid, id::text from public.models where agency_id = %s",
        (boss.agency_id,),
    ).fetchall()
    engine.models |= dict(rows)
    assert creators == set(engine.models)
    # the browser that lost the answer asks again
    browser.http.cookies.update(cookies)
    assert connection_of(browser.confirm(back, boss)) == stored
    engine.drain()
    for creator in creators:
        engine.assert_exact(creator)
    for (text,) in engine.database.execute(SECRETS).fetchall():
        assert "ory_" not in text


def test_a_dead_grant_is_mended_by_reconnecting_the_same_account(
    agency: AgencyStage, browser: Browser
) -> None:
    engine = agency.engine
    agency.creators(2)
    boss = owner(engine)
    browser.confirm(consented(browser, boss, agency.account), boss)
    engine.drain()
    connection = agency.connection()["id"]
    engine.database.execute(
        "select private.demand_reauth(%s, 'access_refused', 'Fanvue refuses the refresh token')",
        (connection,),
    )
    assert agency.statuses() == {"reauth_required": len(managed(engine))}
    (problem, remedy) = engine.database.execute(
        "select problem, remedy from private.troubles(now()) where kind = 'agency_reauth'"
    ).fetchone() or ("", "")
    assert boss.agency_id in problem
    assert '"Reconnect" in the dashboard' in remedy

    creator = new_creator(engine)
    wrong = browser.connect(boss, creator, None, **{"as": "agency", "connection_id": connection})
    back = consented(browser, boss, agency.account, connection_id=connection)
    done = connection_of(browser.confirm(back, boss))

    assert wrong.status_code == 409
    assert "another Fanvue account" in wrong.text
    assert done == connection
    assert agency.statuses() == {"active": len(managed(engine))}


def test_who_lures_an_administrator_to_consent_and_who_is_lured_store_nothing(
    agency: AgencyStage, browser: Browser
) -> None:
    """The owner of an agency sends the address of a consent to another agency's administrator."""
    engine = agency.engine
    agency.creators(1)
    lurer, victim = owner(engine, "Lure"), owner(engine, "Victim")
    headers = {**lurer.headers, "accept": "application/json"}
    begun = {"agency_id": lurer.agency_id, "as": "agency"}
    sent = browser.get("/start", begun, headers).json()["url"]
    known = query_of(sent)

    end = browser.follow(browser.consent_at(sent, agency.account))
    nonce = query_of(end.headers["location"])["confirm"]

    # The sender is signed in, and knows every word of the address, but not the nonce.
    held = {"held": sha256(known["state"].encode()).hexdigest()}
    for word in {**known, **held}.values():
        answer = say_yes(browser, lurer, word)
        assert answer.status_code in {400, 403}, answer.text
        assert called_as(engine, lurer, word).status_code == 404
    assert nonce not in sent
    # The victim's browser has the nonce, and is signed in as nobody who may use it.
    assert say_yes(browser, victim, nonce).status_code == 400
    assert has_no_models(engine)
    assert engine.database.execute("select from public.agency_connections").fetchall() == []
    unconfirmed = "select confirmed_at is null from private.connection_attempts"
    assert engine.database.execute(unconfirmed).fetchall() == [(True,)]


def test_a_member_does_not_connect_the_agency(engine: Engine, browser: Browser) -> None:
    answer = browser.start(new_member(engine, role="member"), **{"as": "agency"})

    assert answer.status_code == 403


def test_the_wrong_kind_of_account_is_told_what_to_do(
    agency: AgencyStage, browser: Browser
) -> None:
    engine = agency.engine
    boss = owner(engine)
    creator = new_creator(engine)

    as_creator = browser.connect(boss, agency.account)
    as_agency = browser.connect(boss, creator, None, **{"as": "agency"})

    assert as_creator.status_code == as_agency.status_code == 409
    assert "This is a manager account" in as_creator.text
    assert "manages no creators" in as_agency.text
    assert has_no_models(engine)


@pytest.mark.parametrize("named", [True, False])
def test_a_scope_that_is_not_ticked_in_the_app_is_named(
    engine: Engine, browser: Browser, *, named: bool
) -> None:
    boss = owner(engine)
    asked = browser.start(boss, **{"as": "agency"})
    scopes = query_of(asked.headers["location"])["scope"].split()
    engine.fanvue.turn(
        app_scopes=[scope for scope in scopes if scope != "read:agency"], scope_named=named
    )

    page = browser.follow(browser.consent(asked, "nobody"))

    assert page.status_code == 403
    missing = ["read:agency"] if named else scopes
    assert f"Missing: {', '.join(missing)}</p>" in page.text


def test_a_rate_limit_while_the_code_is_exchanged_is_noted_for_the_operators(
    engine: Engine, browser: Browser
) -> None:
    member, creator = new_member(engine), new_creator(engine)
    engine.fanvue.add_fault("status", path="/oauth2/token", status=429)

    page = browser.connect(member, creator)

    assert page.status_code == 503
    assert "Fanvue asks for a pause" in page.text
    blocks = engine.database.execute(
        "select bucket, endpoint from private.api_endpoints where blocked_until > now()"
    ).fetchall()
    assert blocks == [("app", "/oauth2/token")]
