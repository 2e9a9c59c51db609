"""Creators who connect themselves: from the dashboard through Fanvue's consent to exact books.

The function runs in Deno, the database decides over REST, the simulated Fanvue asks for consent.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.connect_stage import (
    DASHBOARD,
    adopted_model,
    connection_vectors,
    count_attempts,
    engine_beside,
    has_no_models,
    known_fanvue,
    model_of,
    new_creator,
    opened_tokens,
    sealed_tokens,
)
from tests.support.consent import Browser, Member, mint, new_member, open_browser, query_of
from tests.support.edge_functions import run_deno
from tests.support.waiting import PATIENCE_SECONDS


if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from simulator.client import SimulatorControl
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

UNCHANGED = "select to_jsonb(m) - 'updated_at' from public.models m order by id"


@pytest.fixture(scope="module")
def fanvue(stack: dict[str, str]) -> Iterator[SimulatorControl]:
    with known_fanvue(stack) as control:
        yield control


@pytest.fixture
def engine(stack: dict[str, str], silent_cron: None, fanvue: SimulatorControl) -> Iterator[Engine]:
    with engine_beside(stack, fanvue) as engine:
        yield engine


@pytest.fixture
def browser(stack: dict[str, str], engine: Engine) -> Iterator[Browser]:
    yield from open_browser(f"{stack['SUPABASE_URL']}/functions/v1")


def test_a_creator_connects_and_their_first_sync_gives_exact_books(
    engine: Engine, browser: Browser
) -> None:
    member, creator = new_member(engine), new_creator(engine, 30)

    back = browser.follow(
        browser.consent(browser.start(member, return_to="/creators?tab=all"), creator)
    )
    assert has_no_models(engine)
    nonce = query_of(back.headers["location"])["confirm"]
    shown = browser.get("/confirm", {"nonce": nonce}, member.headers).json()
    assert (shown["agency"], shown["account_uuid"]) == ("Atlas", creator)
    assert "read:insights" in shown["scopes"]
    end = browser.confirm(back, member)

    model = model_of(engine, creator)
    assert end.status_code == 303
    assert end.headers["location"] == f"{DASHBOARD}/creators?tab=all&connected={model['id']}"
    assert (model["status"], model["agency_id"]) == ("active", member.agency_id)
    jobs = engine.database.execute("select state, sync_type from public.sync_jobs").fetchall()
    assert jobs == [("queued", "earnings")]

    engine.drain()
    engine.assert_exact(creator)
    assert engine.run_states(creator) == ["succeeded"]


def test_the_dashboard_gets_the_address_as_json_where_it_cannot_follow(
    engine: Engine, browser: Browser
) -> None:
    member, creator = new_member(engine), new_creator(engine)
    json = {**member.headers, "accept": "application/json"}

    told = browser.get("/start", {"agency_id": member.agency_id}, json)

    url = told.json()["url"]
    assert told.status_code == 200
    assert url.startswith(f"{engine.fanvue.url}/oauth2/auth?")
    assert query_of(url)["code_challenge_method"] == "S256"
    answer = browser.http.get(url, params={**query_of(url), "login_hint": creator})
    back = browser.follow(answer.headers["location"])
    assert browser.confirm(back, member).status_code == 303


def test_a_connection_named_for_a_model_connects_them_again_in_place(
    engine: Engine, browser: Browser
) -> None:
    member, creator = new_member(engine), new_creator(engine, 20)
    browser.connect(member, creator)
    before = model_of(engine, creator)
    engine.drain()

    browser.connect(member, creator, model_id=before["id"])

    after = model_of(engine, creator)
    assert (after["id"], after["token_version"]) == (before["id"], before["token_version"] + 1)
    engine.sync(creator)
    engine.assert_exact(creator)


def test_a_model_that_lost_its_grant_is_mended_in_place_and_catches_up(
    engine: Engine, browser: Browser
) -> None:
    member, creator = new_member(engine), new_creator(engine, 20)
    model_id = engine.connect(creator, "Atlas")
    engine.drain()
    engine.fanvue.kill_chain(creator)
    engine.fanvue.add_sales(creator, 5)
    engine.pass_time(3700)
    engine.sync(creator)
    engine.pass_time(30)
    engine.drain()
    assert model_of(engine, creator)["status"] == "reauth_required"
    assert engine.database.execute("select * from public.sync_jobs").fetchall() == []

    end = browser.connect(member, creator, model_id=model_id)

    assert query_of(end.headers["location"]) == {"connected": model_id}
    mended = model_of(engine, creator)
    assert (mended["id"], mended["status"], mended["status_reason"]) == (model_id, "active", None)
    engine.drain()
    engine.assert_exact(creator)
    assert engine.run_states(creator)[-1] == "succeeded"


def test_the_worker_renews_a_grant_that_the_function_stored(
    engine: Engine, browser: Browser
) -> None:
    member, creator = new_member(engine), new_creator(engine, 20)
    browser.connect(member, creator)
    model_of(engine, creator)
    engine.fanvue.expire_tokens(creator)

    engine.drain()

    engine.assert_exact(creator)
    assert model_of(engine, creator)["token_version"] == 2


def test_an_adopted_model_learns_its_creator_when_they_connect(
    engine: Engine, browser: Browser
) -> None:
    member, creator = new_member(engine), new_creator(engine, 20)
    model_id = adopted_model(engine, member.agency_id)

    browser.connect(member, creator, model_id=model_id)

    model = model_of(engine, creator)
    assert (model["id"], model["status"]) == (model_id, "active")
    engine.drain()
    engine.assert_exact(creator)


def test_an_adopted_model_does_not_take_a_creator_from_another_model(
    engine: Engine, browser: Browser
) -> None:
    member, creator = new_member(engine), new_creator(engine)
    engine.connect(creator, "Atlas")
    model_id = adopted_model(engine, member.agency_id)
    before = engine.database.execute(UNCHANGED).fetchall()

    end = browser.connect(member, creator, model_id=model_id)

    assert end.status_code == 409
    assert engine.database.execute(UNCHANGED).fetchall() == before


# Links and lures ----------------------------------------------------------------------------------


def test_a_creator_connects_by_a_link_without_signing_in(engine: Engine, browser: Browser) -> None:
    member, creator = new_member(engine), new_creator(engine, 10)
    link = create_link(engine, member)

    # a messenger looks at it for its preview
    browser.http.get(link)
    asked = browser.http.get(link)
    back = browser.follow(browser.consent(asked, creator))
    nonce = query_of(back.headers["location"])["confirm"]
    shown = browser.get("/confirm", {"nonce": nonce}).json()
    end = browser.confirm(back)

    assert (shown["agency"], shown["by_link"]) == ("Atlas", True)
    assert (end.status_code, "<h1>Connected</h1>" in end.text) == (200, True)
    model_of(engine, creator)
    engine.drain()
    engine.assert_exact(creator)
    again = browser.http.get(link)
    assert (again.status_code, "works no more" in again.text) == (404, True)


def test_who_is_lured_and_who_lures_connect_nobody(
    engine: Engine, browser: Browser, stack: dict[str, str]
) -> None:
    """An admin of one agency sends a creator the address at Fanvue that was made for themselves."""
    lurer, creator = new_member(engine, "Lure"), new_creator(engine)
    sent = browser.start(lurer).headers["location"]
    with contextmanager(open_browser)(f"{stack['SUPABASE_URL']}/functions/v1") as victim:
        back = victim.follow(victim.consent_at(sent, creator))
        # the creator is not signed in as the one who began
        refused = victim.confirm(back)
    nonce = query_of(back.headers["location"])["confirm"]

    # even the whole address lacks the cookie
    assert browser.get("/confirm", {"nonce": nonce}).status_code == 401
    stolen = browser.confirm(back, lurer)

    assert "Who began confirms" in refused.text
    assert "another browser" in stolen.text
    assert has_no_models(engine)


def test_an_operators_pause_outlives_a_reconnection(engine: Engine, browser: Browser) -> None:
    member, creator = new_member(engine), new_creator(engine)
    model_id = engine.connect(creator, "Atlas")
    engine.database.execute("select ops.pause_model(%s, 'legal hold')", (model_id,))

    browser.connect(member, creator, model_id=model_id)

    model = model_of(engine, creator)
    assert (model["status"], model["status_reason"]) == ("paused", "legal hold")
    assert model["token_version"] == 2


def create_link(engine: Engine, member: Member) -> str:
    """Make a link as the dashboard does; return its address."""
    url = engine.environment["SUPABASE_URL"]
    headers = {**member.headers, "apikey": engine.environment["SUPABASE_PUBLISHABLE_KEY"]}
    body = {"p_agency_id": member.agency_id, "p_label": "Ana"}
    made = httpx.post(
        f"{url}/rest/v1/rpc/create_connect_link",
        json=body,
        headers=headers,
        timeout=PATIENCE_SECONDS,
    )
    return f"{url}{made.json()['path']}"


# Who may not --------------------------------------------------------------------------------------


def test_a_member_does_not_begin(engine: Engine, browser: Browser) -> None:
    answer = browser.start(new_member(engine, role="member"))

    assert answer.status_code == 403
    assert count_attempts(engine) == 0


def test_nobody_begins_without_a_users_token(engine: Engine, browser: Browser) -> None:
    member = new_member(engine)
    tokens = {
        "none": None,
        "forged": mint({"SUPABASE_JWT_SECRET": "another secret " * 4}, member.user_id),
        "expired": mint(engine.environment, member.user_id, exp=1_700_000_000),
        "key": engine.environment["SUPABASE_SECRET_KEY"],
        "anonymous": mint(engine.environment, member.user_id, role="anon"),
    }

    for kind, token in tokens.items():
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        answer = browser.get("/start", {"agency_id": member.agency_id}, headers)

        assert answer.status_code == 401, kind
    assert count_attempts(engine) == 0


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_a_member_begins_whichever_key_signed_the_token(
    engine: Engine, browser: Browser, local_stack: Stack, algorithm: str
) -> None:
    member = new_member(engine)
    token = mint(engine.environment, member.user_id, algorithm=algorithm)

    answer = browser.get(
        "/start", {"agency_id": member.agency_id}, {"authorization": f"Bearer {token}"}
    )

    assert answer.status_code == 302


def test_a_strangers_agency_and_model_are_not_found(engine: Engine, browser: Browser) -> None:
    ours, theirs = new_member(engine), new_member(engine, "Borealis")
    model_id = adopted_model(engine, theirs.agency_id)

    answers = [
        browser.get("/start", {"agency_id": theirs.agency_id}, ours.headers),
        browser.start(ours, model_id=model_id),
        browser.get("/start", {"agency_id": model_id}, ours.headers),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert len({answer.text for answer in answers}) == 1
    assert count_attempts(engine) == 0


# Seals --------------------------------------------------------------------------------------------


def test_the_function_opens_what_the_worker_sealed(engine: Engine) -> None:
    creator = new_creator(engine)
    model_id = engine.connect(creator)
    script = """
      import { Keyring, modelColumn } from "./sealing.ts";
      const [keys, model, ...pairs] = Deno.args;
      const ring = Keyring.parse(keys.split(","));
      for (let at = 0; at < pairs.length; at += 2) {
        console.log(await ring.open(pairs[at + 1], modelColumn(model, pairs[at])));
      }
    """

    keys = engine.environment["TOKEN_ENCRYPTION_KEYS"]
    stored = [word for pair in sealed_tokens(engine, creator).items() for word in pair]
    opened = run_deno(script, keys, model_id, *stored).split()

    assert opened == opened_tokens(engine, creator)


def test_a_connection_begun_elsewhere_with_a_shared_key_is_finished_here(
    engine: Engine, browser: Browser
) -> None:
    """The shared vectors: a verifier sealed by neither program, with a key that is not first."""
    vectors = connection_vectors()
    member, creator = new_member(engine), new_creator(engine, 10)
    engine.database.execute(
        "insert into private.connection_attempts"
        " (state_hash, agency_id, user_id, verifier, return_to, started_at, expires_at)"
        " values (%s, %s, %s, %s, '/', now(), now() + interval '10 minutes')",
        (
            vectors["state"]["hash"],
            member.agency_id,
            member.user_id,
            vectors["verifier"]["sealed"],
        ),
    )
    asked = browser.start(member)
    given = {"state": vectors["state"]["state"], "code_challenge": vectors["pkce"]["challenge"]}

    back = browser.follow(browser.consent(asked, creator, **given))
    end = browser.confirm(back, member)

    assert end.status_code == 303
    model_of(engine, creator)
    first, _, _ = engine.environment["TOKEN_ENCRYPTION_KEYS"].partition(":")
    assert all(
        text.startswith(f"fse1.{first}.") for text in sealed_tokens(engine, creator).values()
    )
    engine.drain()
    engine.assert_exact(creator)
