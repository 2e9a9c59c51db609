"""What stands where there is nothing yet, on any screen, and that nothing overflows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.stage import BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser

WIDTHS = (360, 390, 768, 1024, 1440)
NARROW = {"width": 360, "height": 740}
FITS = """() => {
  const page = document.documentElement;
  window.scrollTo(10_000, 0);
  const moved = window.scrollX;
  window.scrollTo(0, 0);
  return page.scrollWidth === page.clientWidth && moved === 0;
}"""


def assert_fits(tab: Tab) -> None:
    """Nothing is wider than the window, once all has taken its place."""
    tab.page.wait_for_function(FITS)


def test_a_user_without_an_agency_is_told_whom_to_ask(
    stage: BrowserStage, open_page: Callable[..., Tab]
) -> None:
    user = stage.sign_up()
    tab = open_page(viewport=NARROW)
    tab.open()
    expect(tab.part("sign-in-form")).to_be_visible()
    assert_fits(tab)
    tab.fill_in(*user.login)

    empty = tab.part("empty")
    expect(empty).to_contain_text("You belong to no agency yet")
    expect(empty).to_contain_text(user.email)
    assert_fits(tab)
    assert tab.problems == []


def test_an_agency_without_creators_is_invited_to_connect_one(
    stage: BrowserStage, open_page: Callable[..., Tab]
) -> None:
    agency = stage.new_agency()
    tab = open_page(viewport=NARROW)

    tab.sign_in(*agency.owner.login)

    tab.wait_for_total("0.00")
    expect(tab.part("empty").filter(has_text="No creators yet")).to_be_visible()
    expect(tab.part("empty").filter(has_text="No transactions yet")).to_be_visible()
    expect(tab.part("empty").filter(has_text="Nothing to sync yet")).to_be_visible()
    expect(tab.part("connect")).to_be_enabled()
    assert_fits(tab)
    assert tab.problems == []


def test_a_creator_without_sales_stands_there_with_nothing_sold(
    stage: BrowserStage, open_page: Callable[..., Tab]
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    stage.drain()
    tab = open_page(viewport=NARROW)

    tab.sign_in(*agency.owner.login)

    tab.wait_for_total("0.00")
    expect(tab.part("empty").filter(has_text="No sales in this period")).to_be_visible()
    expect(tab.part("creator", model_id=stage.model(creator))).to_contain_text("$0.00")
    expect(tab.part("health-group", model_id=stage.model(creator))).to_be_visible()
    assert_fits(tab)
    assert tab.problems == []


def test_a_busy_page_fits_every_window(stage: BrowserStage, open_page: Callable[..., Tab]) -> None:
    agency = stage.new_agency("An agency whose name is rather long for a telephone")
    handle = "a_creator_with_a_handle_that_goes_on_and_on"
    creator = stage.new_creator(agency, 60, handle=handle)
    stage.drain()
    stage.sell(creator, 99_999_999)
    tab = open_page(viewport=NARROW)

    tab.sign_in(*agency.owner.login, query="?period=90d")

    expect(tab.part("feed-row")).to_have_count(50)
    tab.wait_for_total(stage.gross(agency))
    for group in tab.part("health-group").all():
        if group.get_attribute("open") is None:
            group.locator("summary").click()
    expect(tab.part("health-row").first).to_be_visible()
    for is_custom in (False, True):
        if is_custom:
            tab.page.get_by_role("button", name="Custom").click()
            expect(tab.part("custom-period")).to_be_visible()
        for width in WIDTHS:
            tab.page.set_viewport_size({"width": width, "height": 800})
            assert_fits(tab)
    assert tab.problems == []
