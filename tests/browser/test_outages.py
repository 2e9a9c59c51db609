"""Parts of the system go away while the dashboard is open, and nothing on it is ever wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect


if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from tests.browser.stage import BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser


@pytest.fixture
def pieces(stage: BrowserStage) -> Iterator[Stack]:
    """Return the stack to stop parts of; whatever was stopped runs again after."""
    yield stage.pieces
    stage.pieces.start_redis()
    stage.pieces.start_realtime()


def test_without_realtime_the_page_says_so_and_catches_up_by_itself(
    stage: BrowserStage, tab: Tab, pieces: Stack
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    tab.sign_in(*agency.owner.login)
    tab.wait_for_total("0.00")
    tab.page.evaluate("() => { window.notReloaded = true }")
    lost = tab.part("connection", state="lost")

    pieces.stop_realtime()
    expect(lost).to_contain_text("Reconnecting")
    expect(lost).to_contain_text("figures may be a moment old")
    sales = stage.sell(creator, 1000, 2000, 333)
    assert stage.fanvue.flush_webhooks()["done"]
    pieces.start_realtime()

    tab.wait_until_live()
    tab.wait_for_total("33.33")
    expect(lost).to_have_count(0)
    assert set(tab.feed()) == {sale.fanvue_id for sale in sales}
    stage.sell(creator, 1)
    tab.wait_for_total("33.34")
    assert tab.page.evaluate("() => window.notReloaded")
    expect(tab.part("failure")).to_have_count(0)


def test_without_redis_the_figures_are_the_same_and_nobody_is_troubled(
    stage: BrowserStage, tab: Tab, pieces: Stack
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    tab.sign_in(*agency.owner.login)
    stage.sell(creator, 1000)
    tab.wait_for_total("10.00")

    pieces.stop_redis()
    stage.sell(creator, 500)
    tab.wait_for_total("15.00")
    expect(tab.part("figures", cache="bypass")).to_be_visible()
    tab.page.reload()
    tab.wait_for_total("15.00")
    pieces.start_redis()
    stage.sell(creator, 250)
    tab.wait_for_total("17.50")

    expect(tab.part("failure")).to_have_count(0)
    assert tab.problems == []
