"""Signing in and out: by form, by keyboard, with a wrong password, after the session ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.eavesdropper import let_token_end


if TYPE_CHECKING:
    from tests.browser.stage import BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser


def test_a_wrong_password_a_reload_and_the_end_of_a_session(stage: BrowserStage, tab: Tab) -> None:
    agency = stage.new_agency()
    user = agency.owner
    tab.open()
    tab.fill_in(user.email, "not the password")

    sentence = tab.part("sign-in-error")
    expect(sentence).to_be_visible()
    expect(sentence).to_have_attribute("role", "alert")
    assert sentence.inner_text().endswith(".")
    assert "{" not in sentence.inner_text()
    expect(tab.page.get_by_label("Email")).to_have_value(user.email)

    tab.fill_in(*user.login)
    tab.wait_until_live()
    tab.page.reload()
    tab.wait_until_live()
    tab.wait_for_total("0.00")

    let_token_end(tab, expires_at=1, refresh_token="revoked meanwhile")

    expect(tab.part("sign-in-form")).to_be_visible()
    expect(tab.part("session-notice")).to_have_text("Your session ended. Please sign in again.")


def test_a_keyboard_is_enough_to_sign_in_and_out(stage: BrowserStage, tab: Tab) -> None:
    agency = stage.new_agency()
    tab.open()
    expect(tab.part("sign-in-form")).to_be_visible()
    keyboard = tab.page.keyboard
    keyboard.press("Tab")
    expect(tab.page.get_by_label("Email")).to_be_focused()
    keyboard.type(agency.owner.email)
    keyboard.press("Tab")
    keyboard.type(agency.owner.password)
    keyboard.press("Tab")
    expect(tab.page.get_by_role("button", name="Sign in")).to_be_focused()
    keyboard.press("Enter")
    tab.wait_until_live()

    leave = tab.part("sign-out")
    for _ in range(10):
        keyboard.press("Tab")
        if leave.evaluate("element => element === document.activeElement"):
            break
    expect(leave).to_be_focused()
    assert leave.evaluate("element => element.matches(':focus-visible')")
    keyboard.press("Enter")

    expect(tab.part("sign-in-form")).to_be_visible()
    # Nobody was thrown out: there is nothing to explain.
    expect(tab.part("session-notice")).to_have_count(0)
