"""The pages serve people who use a keyboard, a screen reader, large type or little light."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import pytest
from playwright.sync_api import expect


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.stage import Agency, BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser

THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")

# The page hears of the theme a moment after the browser; a page without one has none to wait for.
STILL = """(theme) => [undefined, theme].includes(document.documentElement.dataset.theme) &&
  document.getAnimations().every(({ playState, effect }) =>
    playState !== "running" || effect.getTiming().iterations === Infinity)"""
# An expression, where the formatter wants a statement.
AUDIT = Path(__file__).with_name("audit.js").read_text(encoding="utf-8").rstrip("\n;")
BAD_PAGE = """<html><title>x</title><main><h1>One</h1><h1>Two</h1><input><img src="x">
  <p style="color: #ddd; background: #fff">Hardly to be read</p></main></html>"""
PHONE = {"width": 390, "height": 844}


def missing(tab: Tab) -> list[str]:
    """Return what the page owes to people in either theme, once nothing moves any more."""
    found: list[str] = []
    for theme in THEMES:
        tab.page.emulate_media(color_scheme=theme)
        tab.page.wait_for_function(STILL, arg=theme)
        found += [f"{theme}: {what}" for what in tab.page.evaluate(AUDIT)]
    return found


def busy_agency(stage: BrowserStage) -> Agency:
    """Make an agency in which something of everything stands on the page."""
    agency = stage.new_agency()
    calm, troubled = stage.new_creator(agency, 60), stage.new_creator(agency, 5)
    stage.drain()
    (sale,) = stage.sell(calm, 1234)
    stage.refund(calm, sale)
    stage.fanvue.add_sales(calm, rows=[{"source": "tip", "gross_cents": 900, "currency": "EUR"}])
    stage.deliver()
    stage.database.execute(
        "update public.models set status = 'reauth_required' where id = %s",
        (stage.model(troubled),),
    )
    return agency


def test_the_audit_finds_what_is_missing(tab: Tab) -> None:
    tab.page.set_content(BAD_PAGE)

    found = "; ".join(missing(tab))

    for words in ("no language", "of the first level: 2", "no name: <input>", "contrast 1."):
        assert words in found
    assert "no alternative text" in found


def test_sign_in_and_an_empty_page_are_for_everybody(stage: BrowserStage, tab: Tab) -> None:
    user = stage.sign_up()
    tab.open()
    expect(tab.part("sign-in-form")).to_be_visible()
    assert missing(tab) == []

    tab.fill_in("nobody@example.com", "a wrong one")
    expect(tab.part("sign-in-error")).to_be_visible()
    assert missing(tab) == []

    tab.fill_in(*user.login)
    expect(tab.part("empty")).to_be_visible()
    assert missing(tab) == []


def test_the_dashboard_is_for_everybody(stage: BrowserStage, tab: Tab) -> None:
    agency = busy_agency(stage)

    tab.sign_in(*agency.owner.login, query="?period=90d")

    expect(tab.part("reconnect-prompt")).to_be_visible()
    expect(tab.part("feed-row")).to_have_count(50)
    expect(tab.part("chart").locator("svg.recharts-surface").first).to_be_visible()
    assert missing(tab) == []
    tab.page.get_by_role("button", name="Show as a table").click()
    tab.page.get_by_role("button", name="Custom").click()
    assert missing(tab) == []


def test_the_dashboard_on_a_phone_is_for_everybody(
    stage: BrowserStage, open_page: Callable[..., Tab]
) -> None:
    agency = stage.new_agency()
    stage.new_creator(agency, 20)
    stage.drain()
    tab = open_page(viewport=PHONE, has_touch=True)

    tab.sign_in(*agency.owner.login, query="?period=90d")

    expect(tab.part("feed-row")).to_have_count(20)
    expect(tab.page.get_by_role("navigation", name="Sections")).to_be_visible()
    assert missing(tab) == []
