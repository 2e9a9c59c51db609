"""Connections that end without a grant, and what nobody may see of any: secrets, other addresses.

Every ending is a page that says what happened; nothing is stored half.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.connect_stage import (
    CLIENT,
    DASHBOARD,
    engine_beside,
    has_no_models,
    known_fanvue,
    model_of,
    new_creator,
    opened_tokens,
)
from tests.support.consent import Browser, new_member, open_browser, query_of
from tests.support.edge_functions import FunctionLog


if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from local.stack import Stack
    from simulator.client import SimulatorControl
    from tests.support.engine import Engine


pytestmark = pytest.mark.system

UNCHANGED = "select to_jsonb(m) - 'updated_at' from public.models m order by id"
ELSEWHERE = [
    "//evil.example/x",
    "https://evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "javascript:alert(1)",
    "/..//evil.example",
    "@evil.example",
    "/%09/evil.example",
    ".evil.example",
    "x" * 600,
]


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


def test_a_creator_who_declines_is_not_connected(engine: Engine, browser: Browser) -> None:
    member, creator = new_member(engine), new_creator(engine)

    end = browser.connect(member, creator, {"sim_consent": "deny"})

    assert _title(end) == (403, "Access was not granted")
    assert has_no_models(engine)


def test_a_missing_permission_connects_nobody(engine: Engine, browser: Browser) -> None:
    member, creator = new_member(engine), new_creator(engine)

    for without in ("read:insights", "read:self", "offline"):
        asked = browser.start(member)
        scopes = query_of(asked.headers["location"])["scope"].split()
        left = " ".join(scope for scope in scopes if not scope.startswith(without))
        end = browser.follow(browser.consent(asked, creator, scope=left))

        assert _title(end) == (403, "A permission is missing"), without
        assert has_no_models(engine)


def test_a_consent_that_took_too_long_connects_nobody(engine: Engine, browser: Browser) -> None:
    member, creator = new_member(engine), new_creator(engine)
    back = browser.consent(browser.start(member), creator)
    engine.database.execute("insert into private.engine_clock (shift) values (interval '601 s')")

    end = browser.follow(back)

    assert _title(end) == (410, "This took too long")
    assert has_no_models(engine)


def test_an_address_used_again_changes_nothing(engine: Engine, browser: Browser) -> None:
    member, creator = new_member(engine), new_creator(engine, 10)
    back = browser.consent(browser.start(member), creator)
    held = browser.follow(back)
    cookies = dict(browser.http.cookies)
    assert browser.confirm(held, member).status_code == 303
    before = engine.database.execute(UNCHANGED).fetchall()

    again = browser.follow(back)
    # even by a browser that kept its cookie
    browser.http.cookies.update(cookies)
    pressed = browser.confirm(held, member)

    assert _title(again) == _title(pressed) == (400, "This connection is no longer open")
    assert engine.database.execute(UNCHANGED).fetchall() == before
    model_of(engine, creator)
    engine.drain()
    engine.assert_exact(creator)


def test_of_eight_browsers_at_one_address_one_connects(engine: Engine, browser: Browser) -> None:
    member, creator = new_member(engine), new_creator(engine, 10)
    back = browser.consent(browser.start(member), creator)

    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda _: browser.follow(back), range(8)))
        assert sorted(end.status_code for end in ends) == [302, *[400] * 7]
        (held,) = [end for end in ends if end.status_code == 302]
        pressed = list(pool.map(lambda _: browser.confirm(held, member).status_code, range(8)))

    # a page says to all others that it is connected, or that another window was faster
    assert pressed.count(303) == 1
    assert set(pressed) <= {303, 400, 403, 409}
    assert model_of(engine, creator)["token_version"] == 1
    model_of(engine, creator)
    engine.drain()
    engine.assert_exact(creator)


def test_a_state_from_elsewhere_is_not_accepted(engine: Engine, browser: Browser) -> None:
    for state in ("", "A" * 43, "' or 1=1 --"):
        end = browser.get("/callback", {"code": "ory_ac_made_up", "state": state})

        assert end.status_code == 400
    assert engine.fanvue.requests(path="/oauth2/token$", limit=1) == []


def test_another_account_than_the_models_changes_nothing(engine: Engine, browser: Browser) -> None:
    member, creator, other = new_member(engine), new_creator(engine), new_creator(engine)
    model_id = engine.connect(creator, "Atlas")
    before = engine.database.execute(UNCHANGED).fetchall()

    end = browser.connect(member, other, model_id=model_id)

    assert _title(end) == (409, "This is another Fanvue account")
    assert engine.database.execute(UNCHANGED).fetchall() == before


def test_a_creator_of_another_agency_stays_there_and_the_page_names_nobody(
    engine: Engine, browser: Browser
) -> None:
    member, creator = new_member(engine), new_creator(engine)
    model_id = engine.connect(creator, "Borealis")
    before = engine.database.execute(UNCHANGED).fetchall()

    end = browser.connect(member, creator)

    assert _title(end) == (409, "Connected by another agency")
    for name in ("Borealis", creator, model_id, model_of(engine, creator)["agency_id"]):
        assert name not in end.text
    assert engine.database.execute(UNCHANGED).fetchall() == before


@pytest.mark.parametrize(
    ("path", "times", "end"),
    [
        ("/oauth2/token$", 1, (502, "Fanvue could not be reached")),
        ("/users/me$", 3, (502, "Fanvue could not be reached")),
        ("/users/me$", 2, (303, "")),
    ],
)
def test_a_fanvue_that_fails_is_asked_again_where_that_is_safe(
    engine: Engine, browser: Browser, path: str, times: int, end: tuple[int, str]
) -> None:
    member, creator = new_member(engine), new_creator(engine)
    engine.fanvue.add_fault("status", path=path, status=503, times=times)

    answer = browser.connect(member, creator)

    assert _title(answer) == end
    assert has_no_models(engine) == (end[0] != 303)


@pytest.mark.parametrize(
    "change",
    ["delete from public.agency_members", "update public.agency_members set role = 'member'"],
)
def test_who_left_or_lost_the_right_meanwhile_connects_nobody(
    engine: Engine, browser: Browser, change: str
) -> None:
    member, creator = new_member(engine), new_creator(engine)
    back = browser.consent(browser.start(member), creator)
    engine.database.execute(change.encode())

    end = browser.follow(back)

    assert _title(end) == (400, "This connection is no longer open")
    assert has_no_models(engine)


# What must not be seen ----------------------------------------------------------------------------


def test_the_way_back_leads_to_the_dashboard_only(engine: Engine, browser: Browser) -> None:
    member = new_member(engine)

    for path in ELSEWHERE:
        end = browser.connect(member, new_creator(engine), return_to=path)

        back = urlsplit(end.headers["location"])
        assert (end.status_code, f"{back.scheme}://{back.netloc}") == (303, DASHBOARD), path
        assert not back.path.startswith("//"), path


def test_the_callbacks_address_follows_no_header_and_no_parameter(
    engine: Engine, browser: Browser
) -> None:
    member = new_member(engine)
    headers = {"x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    query = {"agency_id": member.agency_id, "redirect_uri": "https://evil.example"}

    asked = browser.get("/start", query, {**member.headers, **headers, "host": "evil.example"})

    assert "evil.example" not in asked.headers["location"]


def test_no_secret_is_in_any_page_address_or_log(
    engine: Engine, browser: Browser, local_stack: Stack
) -> None:
    member, creator, other = new_member(engine), new_creator(engine), new_creator(engine)
    log = FunctionLog("fanvue-connect")
    asked = browser.start(member)
    back = browser.consent(asked, creator)
    held = browser.follow(back)
    browser.follow(back)
    cookies = dict(browser.http.cookies)
    browser.confirm(held, member)
    browser.connect(member, creator, {"sim_consent": "deny"})
    browser.connect(member, other, model_id=model_of(engine, creator)["id"])
    engine.fanvue.add_fault("status", path="/users/me$", status=403)
    browser.connect(member, other)
    written = log.wait_for('"page":"missingScope"')

    opened = opened_tokens(engine, creator)
    secrets = [
        *(query_of(back)[name] for name in ("state", "code")),
        *opened,
        member.token,
        *cookies.values(),
        engine.environment["SUPABASE_SECRET_KEY"],
        CLIENT["FANVUE_CLIENT_SECRET"],
        engine.environment["TOKEN_ENCRYPTION_KEYS"].partition(":")[2],
    ]
    shown = [written]
    for answer in browser.answers:
        # Only the question to Fanvue carries the state, only cookies a browser's own secret.
        headers = {
            k: v
            for k, v in answer.headers.items()
            if k != "set-cookie" and (answer is not asked or k != "location")
        }
        shown += [answer.text, str(headers)]
    assert len(opened) == 2
    for text in shown:
        assert not [secret for secret in secrets if secret in text]
    assert not re.search(r"fse1\.|ory_[ar][tc]_|eyJ", "".join(shown))
    assert not [secret for secret in secrets[1:] if secret in asked.headers["location"]]


def _title(answer: httpx.Response) -> tuple[int, str]:
    found = re.search(r"<h1>(.*)</h1>", answer.text)
    return answer.status_code, found[1] if found else ""
