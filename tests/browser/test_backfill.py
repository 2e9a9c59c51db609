"""A long history is read with the dashboard open: few pushes, a bar that moves, a page that reacts.

The worker is a process of its own, as always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect


if TYPE_CHECKING:
    from tests.browser.stage import BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser

HISTORY = 2_000
# So slow that whoever looks is done long before the history is; then it goes on at full speed.
SLOW_MS = 4_000
FAST_PAGES = 5
WATCH = """() => {
  window.seen = new Set();
  const look = () => {
    const bar = document.querySelector('[data-testid="progress"] [role="progressbar"]');
    if (bar !== null) window.seen.add(bar.getAttribute("aria-label"));
  };
  const health = document.getElementById("sync");
  const everything = { subtree: true, childList: true, attributes: true, characterData: true };
  new MutationObserver(look).observe(health, everything);
}"""


def test_a_backfill_tells_once_per_page_and_the_page_reacts_meanwhile(
    stage: BrowserStage, tab: Tab
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency, HISTORY)
    pace = {"path": "/insights/earnings", "creator": creator}
    stage.fanvue.add_fault("slow", **pace, ms=200, times=FAST_PAGES)
    stage.fanvue.add_fault("slow", **pace, ms=SLOW_MS)
    tab.sign_in(*agency.owner.login)
    tab.wait_for_total("0.00")
    expect(tab.part("health-group")).to_be_visible()
    tab.page.evaluate(WATCH)
    tab.forget()

    # In one turn, however long a page takes here.
    with stage.engine.worker(WORKER_SLICE_SECONDS="3600"):
        expect(tab.part("progress").first).to_be_visible()
        # Somebody uses the page meanwhile.
        for label in ("7 days", "Today", "90 days"):
            button = tab.page.get_by_role("button", name=label, exact=True)
            button.click()
            expect(button).to_have_attribute("aria-pressed", "true")
        tab.page.get_by_role("button", name="Custom").click()
        days = tab.page.get_by_label("First day")
        days.fill("2020-01-01")
        expect(days).to_have_value("2020-01-01")
        tab.page.get_by_role("button", name="Show", exact=True).click()
        expect(tab.part("progress")).to_be_visible()
        tab.page.wait_for_function("() => window.seen.size >= 3")
        stage.fanvue.clear_faults()
        expect(tab.part("health-row", sync_type="earnings", health="fresh")).to_be_visible()

    theirs = stage.fanvue.books(creator)
    assert theirs.count == HISTORY
    tab.wait_for_value("transactions", str(HISTORY))
    tab.wait_for_total(f"{theirs.gross_cents // 100}.{theirs.gross_cents % 100:02d}")
    pages = stage.one(
        "select pages from public.sync_runs where model_id = %s and sync_type = 'earnings'",
        stage.model(creator),
    )
    told = [push for push in tab.heard(agency.topic) if push.event == "transactions"]
    assert 0 < len(told) <= pages
    # Beside the pages, the turn of the job tells once that it begins and once that it ends.
    assert len(tab.heard(agency.topic)) < 1.2 * pages
    assert tab.problems == []
