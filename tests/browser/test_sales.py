"""Money made at Fanvue is on screen by itself: no reload, no worker, exact to the cent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.eavesdropper import hold_calls


if TYPE_CHECKING:
    from tests.browser.stage import BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser


FEED = "**/rest/v1/fanvue_transactions?**"
LOOK_AGAIN = """() => { document.dispatchEvent(new Event("visibilitychange")) }"""
# Marks each push on the page's own clock, before the page itself sees it: text is only replies.
MARK_PUSHES = """
window.WebSocket = class extends WebSocket {
  constructor(...how) {
    super(...how);
    this.addEventListener("message", ({ data }) => {
      if (typeof data !== "string") performance.mark("push");
    });
  }
};
"""
FETCHED_AFTER_PUSH = """
() => {
  const [push] = performance.getEntriesByName("push");
  return push !== undefined && performance.getEntriesByType("resource").some(
    ({ name, startTime }) => name.includes("fanvue_transactions") && startTime >= push.startTime
  );
}
"""


def test_a_sale_and_its_refund_appear_in_the_feed_and_in_the_total(
    stage: BrowserStage, tab: Tab
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    tab.page.add_init_script(MARK_PUSHES)
    tab.sign_in(*agency.owner.login)
    tab.wait_for_total("0.00")
    tab.page.evaluate("() => { window.notReloaded = true }")

    tab.forget()
    with hold_calls(tab, FEED):
        # The reading that is held began after any that was under way and might see one sale alone.
        with tab.page.expect_request(FEED):
            tab.page.evaluate(LOOK_AGAIN)
        first, second = stage.sell(creator, 1999, 3000)
        tab.wait_for_pushes(agency.topic, 2)

    tab.wait_for_row(first.fanvue_id, "19.99")
    tab.wait_for_total("49.99")
    tab.wait_for_value("transactions", "2")
    expect(tab.part("total")).to_contain_text("$49.99")
    # What made it look again was the push.
    tab.page.wait_for_function(FETCHED_AFTER_PUSH)
    assert tab.heard(agency.topic)

    announcement = tab.part("announcement")
    expect(announcement).to_contain_text("$49.99 together")

    refund = stage.refund(creator, first)

    tab.wait_for_row(refund.fanvue_id, "-19.99")
    tab.wait_for_total("30.00")
    assert tab.feed()[0] == refund.fanvue_id
    assert set(tab.feed()) == {refund.fanvue_id, first.fanvue_id, second.fanvue_id}
    expect(tab.row(refund.fanvue_id)).to_contain_text("\u2212$19.99")

    # What comes together is said together: the refund first.
    expect(announcement).to_contain_text("19.99")
    stage.sell(creator, 700)

    expect(announcement).to_have_attribute("aria-live", "polite")
    expect(announcement).to_contain_text("New sale: $7.00")
    assert tab.page.evaluate("() => window.notReloaded")
    assert tab.problems == []


def test_a_hundred_sales_at_once_cost_few_requests_and_none_is_missed(
    stage: BrowserStage, tab: Tab
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    tab.sign_in(*agency.owner.login)
    tab.wait_for_total("0.00")
    tab.forget()

    with hold_calls(tab, "**/dashboard-stats?**"):
        stage.sell(creator, *range(101, 201))
        # The reading that the first push asks for is answered when the last push has come.
        tab.wait_for_pushes(agency.topic, 100)

    tab.wait_for_total("150.50")
    tab.wait_for_value("transactions", "100")
    readings = [one for one in tab.answers if "/dashboard-stats" in one.url]
    assert len(tab.heard(agency.topic)) == 100
    assert len(readings) < 10


def test_older_transactions_are_loaded_when_asked_for(stage: BrowserStage, tab: Tab) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency, 120)
    stage.drain()
    tab.sign_in(*agency.owner.login, query="?period=90d")
    tab.wait_for_total(stage.gross(agency))
    rows = tab.part("feed-row")
    expect(rows).to_have_count(50)

    for shown in (100, 120):
        tab.part("load-more").click()
        expect(rows).to_have_count(shown)

    expect(tab.part("load-more")).to_have_count(0)
    theirs = stage.fanvue.books(creator)
    assert len(set(tab.feed())) == theirs.count == 120
