"""Parts of the system go away while the dashboard is open, and nothing on it is ever wrong."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest
from playwright.sync_api import expect

from tests.realtime.server import forget_partitions, own_server
from tests.support.waiting import wait_until


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.browser.stage import BrowserStage
    from tests.realtime.server import OwnServer
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser

# Longer than a live page ever waits before it looks again by itself.
SLOWLY_MS = 80_000
NEVER_MS = 10**9
STEP_SECONDS = 5
# Each counts once as sent and once as heard: a little more than the 1,000 that trip the rate.
BURST = 501


@pytest.fixture
def realtime(
    stage: BrowserStage, local_stack: Stack, tmp_path: Path
) -> Iterator[Callable[..., OwnServer]]:
    """Return a way to put a server in the place of the stack's: cold, with other settings."""
    state = local_stack.instance.load()
    assert state is not None
    with ExitStack() as servers:

        def replace(**settings: object) -> OwnServer:
            local_stack.stop_realtime()
            server = own_server(stage.environment, tmp_path, port=state.ports.realtime, **settings)
            return servers.enter_context(server)

        yield replace


def test_without_realtime_the_page_says_so_and_catches_up_by_itself(
    stage: BrowserStage, tab: Tab, local_stack: Stack
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    tab.sign_in(*agency.owner.login)
    tab.wait_for_total("0.00")
    tab.page.evaluate("() => { window.notReloaded = true }")
    lost = tab.part("connection", state="lost")

    local_stack.stop_realtime()
    expect(lost).to_contain_text("Reconnecting")
    expect(lost).to_contain_text("figures may be a moment old")
    sales = stage.sell(creator, 1000, 2000, 333)
    local_stack.start_realtime()

    tab.wait_until_live()
    tab.wait_for_total("33.33")
    expect(lost).to_have_count(0)
    assert set(tab.feed()) == {sale.fanvue_id for sale in sales}
    stage.sell(creator, 1)
    tab.wait_for_total("33.34")
    assert tab.page.evaluate("() => window.notReloaded")
    expect(tab.part("failure")).to_have_count(0)


def test_without_redis_the_figures_are_the_same_and_nobody_is_troubled(
    stage: BrowserStage, tab: Tab, local_stack: Stack
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    tab.sign_in(*agency.owner.login)
    stage.sell(creator, 1000)
    tab.wait_for_total("10.00")

    local_stack.stop_redis()
    stage.sell(creator, 500)
    tab.wait_for_total("15.00")
    expect(tab.part("figures", cache="bypass")).to_be_visible()
    tab.page.reload()
    tab.wait_for_total("15.00")
    local_stack.start_redis()
    stage.sell(creator, 250)
    tab.wait_for_total("17.50")

    expect(tab.part("failure")).to_have_count(0)
    assert tab.problems == []


def look_again_slowly(tab: Tab, total: str) -> None:
    """Let the slow period pass of a live page that missed a sale: it is right, and was not told.

    It may have looked by itself before: its clock goes, and a machine may be slow.
    """
    expect(tab.part("connection", state="live")).to_be_visible()
    tab.wait_until_answered()
    tab.page.clock.fast_forward(SLOWLY_MS)
    tab.wait_for_total(total)
    assert (tab.pushes, tab.joined) == ([], set())


def test_the_last_push_of_a_burst_is_lost_and_the_live_page_is_right_all_the_same(
    stage: BrowserStage, own_window: Tab, realtime: Callable[..., OwnServer]
) -> None:
    tab, server = own_window, realtime()
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    tab.page.clock.install()
    tab.sign_in(*agency.owner.login)
    tab.wait_for_total("0.00")
    stage.database.execute(
        "select realtime.send('{}', 'job', %s) from generate_series(1, %s)", (agency.topic, BURST)
    )
    tab.wait_for_pushes(agency.topic, BURST)
    server.advance(STEP_SECONDS)
    tab.forget()

    (sale,) = stage.sell(creator, 1000)
    wait_until(lambda: server.has_said("dropped"))
    look_again_slowly(tab, "10.00")

    tab.wait_for_row(sale.fanvue_id, "10.00")


def test_a_restart_of_the_database_leaves_the_page_deaf_and_right_all_the_same(
    stage: BrowserStage, own_window: Tab, local_stack: Stack, realtime: Callable[..., OwnServer]
) -> None:
    # The server waits for as long as it ever does, five minutes, before it opens its stream again.
    realtime(reconnectMs=NEVER_MS)
    tab = own_window
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    tab.page.clock.install()
    tab.sign_in(*agency.owner.login)
    tab.wait_for_total("0.00")
    stage.restart_database(local_stack)
    tab.forget()

    (sale,) = stage.sell(creator, 1000)
    look_again_slowly(tab, "10.00")

    tab.wait_for_row(sale.fanvue_id, "10.00")


def test_at_a_cold_project_with_a_long_write_the_page_is_live_when_it_really_hears(
    stage: BrowserStage, tab: Tab, realtime: Callable[..., OwnServer]
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    realtime(streamPatienceMs=NEVER_MS)
    with psycopg.connect(stage.environment["SUPABASE_DB_URL"]) as writer:
        # The server's slot waits for it.
        writer.execute("select pg_current_xact_id()")
        tab.open()
        tab.fill_in(*agency.owner.login)
        tab.wait_until_joined(agency.topic)
        tab.wait_for_total("0.00")
        stage.sell(creator, 1000)
        expect(tab.part("connection", state="connecting")).to_be_visible()

    tab.wait_until_live()
    tab.wait_for_total("10.00")
    assert tab.heard(agency.topic) == []
    stage.sell(creator, 500)
    tab.wait_for_pushes(agency.topic, 1)
    tab.wait_for_total("15.00")


def test_after_three_days_asleep_the_first_join_fails_and_the_page_comes_to_life_by_itself(
    stage: BrowserStage, tab: Tab, local_stack: Stack, realtime: Callable[..., OwnServer]
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    realtime(refuseJoinMs=0)
    forget_partitions(local_stack)
    stage.sell(creator, 1000)

    tab.open()
    tab.fill_in(*agency.owner.login)
    tab.wait_for_total("10.00")
    tab.wait_until_live()
    stage.sell(creator, 500)
    # The page reads once more when it is live: that may be before the push comes.
    tab.wait_for_pushes(agency.topic, 1)
    tab.wait_for_total("15.00")

    assert ["MissingPartition" in reason for reason in tab.refusals] == [True]
    assert len(tab.heard(agency.topic)) == 1
