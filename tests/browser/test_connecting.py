"""Accounts are connected on screen: shown, confirmed in the browser that came back, and true."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.support.edge_functions import function_settings


if TYPE_CHECKING:
    from local.stack import Stack
    from tests.browser.stage import BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser

MODELS = "select count(*) from public.models where agency_id = %s"


def allow(tab: Tab, creator: str) -> None:
    """Consent at Fanvue as a creator, on the page that is open."""
    tab.page.goto(f"{tab.page.url}&login_hint={creator}")


def test_a_creator_is_connected_on_screen_after_the_agency_was_shown(
    stage: BrowserStage, tab: Tab, local_stack: Stack
) -> None:
    agency = stage.new_agency()
    creator = stage.fanvue.add_creators(handle=f"nova{agency.id[:6]}")[0]["uuid"]
    with function_settings(**stage.connect_settings):
        tab.sign_in(*agency.owner.login)
        tab.part("connect").click()
        tab.page.get_by_role("link", name="Allow as").first.wait_for()
        allow(tab, creator)

        question = tab.part("confirm-connection")
        expect(question).to_contain_text(agency.name)
        expect(question).to_contain_text("read:insights")
        assert stage.one(MODELS, agency.id) == 0
        tab.part("confirm").click()

        expect(tab.part("connected")).to_contain_text("is connected")
        assert stage.one(MODELS, agency.id) == 1


def test_who_declines_on_screen_leaves_nothing_that_could_be_confirmed(
    stage: BrowserStage, tab: Tab, local_stack: Stack
) -> None:
    agency = stage.new_agency()
    creator = stage.fanvue.add_creators()[0]["uuid"]
    with function_settings(**stage.connect_settings):
        tab.sign_in(*agency.owner.login)
        tab.part("connect").click()
        tab.page.get_by_role("link", name="Allow as").first.wait_for()
        allow(tab, creator)
        tab.part("decline").click()

        expect(tab.part("connect")).to_be_visible()
        expect(tab.part("confirm-connection")).to_have_count(0)
        held = "select count(held) from private.connection_attempts where agency_id = %s"
        assert stage.one(held, agency.id) == 0
        assert stage.one(MODELS, agency.id) == 0


def test_a_creator_connects_by_a_link_in_a_browser_that_nobody_signed_in_to(
    stage: BrowserStage, tab: Tab, own_window: Tab, local_stack: Stack
) -> None:
    agency = stage.new_agency()
    creator = stage.fanvue.add_creators()[0]["uuid"]
    path = stage.one("select public.make_connect_link(%s) ->> 'path'", agency.id)
    with function_settings(**stage.connect_settings):
        tab.page.goto(f"{stage.environment['SUPABASE_URL']}{path}")
        tab.page.get_by_role("link", name="Allow as").first.wait_for()
        allow(tab, creator)
        question = tab.part("confirm-connection")
        expect(question).to_contain_text(agency.name)

        # the address alone is not the browser that came back
        own_window.page.goto(tab.page.url)
        own_window.part("confirm").click()
        expect(own_window.page.get_by_role("heading")).to_have_text("This is another browser")
        assert stage.one(MODELS, agency.id) == 0

        tab.part("confirm").click()
        expect(tab.page.get_by_role("heading")).to_have_text("Connected")
        assert stage.one(MODELS, agency.id) == 1


def test_an_address_that_claims_a_connection_says_nothing(stage: BrowserStage, tab: Tab) -> None:
    agency, another = stage.new_agency(), stage.new_agency()
    mine, theirs = stage.new_creator(agency), stage.new_creator(another)
    stage.drain()
    tab.sign_in(*agency.owner.login, query=f"?connected={stage.model(mine)}")
    expect(tab.part("connected")).to_contain_text("is connected")

    for claimed in ("anything", stage.model(theirs)):
        tab.page.goto(f"{stage.dashboard}/?connected={claimed}")
        expect(tab.part("health-row", sync_type="earnings")).to_be_visible()
        expect(tab.part("connected")).to_have_count(0)


def test_an_agencys_account_is_connected_and_connected_again_on_screen(
    stage: BrowserStage, tab: Tab, local_stack: Stack
) -> None:
    agency = stage.new_agency()
    stage.fanvue.add_creators()
    (theirs, *_) = stage.fanvue.world()["agencies"]
    with function_settings(**stage.connect_settings):
        tab.sign_in(*agency.owner.login)
        tab.part("connect-agency").click()
        tab.page.get_by_role("link", name=f"Allow as {theirs['name']}").click()

        question = tab.part("confirm-connection")
        expect(question).to_contain_text(agency.name)
        expect(question).to_contain_text("read:agency")
        count = "select count(*) from public.agency_connections where agency_id = %s"
        assert stage.one(count, agency.id) == 0
        tab.part("confirm").click()

        expect(tab.part("connected")).to_contain_text("The agency's account is connected")
        expect(question).to_have_count(0)
        assert stage.one(count, agency.id) == 1

        stage.database.execute(
            "select private.demand_reauth(c.id, 'access_refused', 'refused')"
            " from public.agency_connections c where c.agency_id = %s",
            (agency.id,),
        )
        banner = tab.part("reconnect-prompt")
        expect(banner).to_have_count(1)
        expect(banner).to_contain_text("The agency's Fanvue account must be connected again.")
        with tab.page.expect_response("**/fanvue-connect/start?**") as started:
            banner.get_by_role("button", name="Reconnect").click()
        asked = parse_qs(urlsplit(started.value.url).query)
        assert asked["as"] == ["agency"]
        connection = "select id::text from public.agency_connections where agency_id = %s"
        assert asked["connection_id"] == [stage.one(connection, agency.id)]
