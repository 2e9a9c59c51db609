"""A long history is read with the dashboard open: few pushes, a bar that moves, a page that reacts.

The worker is a process of its own, as always; the page shares the processor with it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.browser import PATIENCE_MS


if TYPE_CHECKING:
    from tests.browser.stage import BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser

HISTORY = 5_000
# Far above what is usual, because machines under test are busy; the figure itself is printed.
LONGEST_STOP_MS = 1_000
REACTION_MS = 5_000
WATCH = """() => {
  window.stops = [0];
  new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) window.stops.push(duration);
  }).observe({ type: "longtask" });
  window.seen = new Set();
  const look = () => {
    const bar = document.querySelector('[data-testid="progress"] [role="progressbar"]');
    if (bar !== null) window.seen.add(bar.getAttribute("aria-label"));
  };
  const health = document.getElementById("sync");
  const everything = { subtree: true, childList: true, attributes: true, characterData: true };
  new MutationObserver(look).observe(health, everything);
}"""


def test_a_backfill_tells_once_per_page_and_never_stops_the_page(
    stage: BrowserStage, tab: Tab, capsys: pytest.CaptureFixture[str]
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency, HISTORY)
    # A real one answers no faster, and a person needs time to do anything at all.
    stage.fanvue.add_fault("slow", "/insights/earnings", creator=creator, ms=50)
    tab.sign_in(*agency.owner.login)
    tab.wait_for_total("0.00")
    expect(tab.part("health-group")).to_be_visible()
    tab.page.evaluate(WATCH)
    tab.forget()

    with stage.engine.worker():
        expect(tab.part("progress").first).to_be_visible()
        # Somebody uses the page meanwhile.
        for label in ("7 days", "Today", "90 days"):
            button = tab.page.get_by_role("button", name=label, exact=True)
            button.click()
            expect(button).to_have_attribute("aria-pressed", "true", timeout=REACTION_MS)
        tab.page.get_by_role("button", name="Custom").click()
        days = tab.page.get_by_label("First day")
        days.fill("2020-01-01")
        expect(days).to_have_value("2020-01-01", timeout=REACTION_MS)
        tab.page.get_by_role("button", name="Show", exact=True).click()
        expect(tab.part("progress")).to_be_visible()
        done = tab.part("health-row", sync_type="earnings", health="fresh")
        expect(done).to_be_visible(timeout=3 * PATIENCE_MS)

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
    # Beside the pages, a turn of the job tells once that it begins and once that it ends.
    assert len(tab.heard(agency.topic)) < 1.2 * pages
    assert len(tab.page.evaluate("() => [...window.seen]")) >= 3
    stop = tab.page.evaluate("() => Math.max(...window.stops)")
    with capsys.disabled():
        sys.stdout.write(f"\n{len(told)} pushes for {pages} pages, longest stop {stop:.0f} ms\n")
    assert stop < LONGEST_STOP_MS
    assert tab.problems == []
