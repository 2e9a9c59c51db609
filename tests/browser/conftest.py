"""Fixtures of the browser tests: one stack, one Fanvue, one dashboard, one Chromium for all."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from local.dashboard import Dashboard
from simulator.client import SimulatorControl
from simulator.clock import SimulatedClock
from simulator.population import populate
from simulator.server import running
from simulator.world import World
from tests.browser.stage import BrowserStage
from tests.support.browser import Windows, open_chromium, open_tab
from tests.support.engine import Engine, forget
from tests.support.stack import dashboard_place


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.support.browser import Tab


CLIENT = {"FANVUE_CLIENT_ID": "simulator-client", "FANVUE_CLIENT_SECRET": "simulator-secret"}
NO_LIMIT = 100_000


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the pictures in docs/images be taken anew."""
    parser.addoption("--update-screenshots", action="store_true", help="write docs/images anew")


@pytest.fixture(scope="package")
def stage(stack: dict[str, str], silent_cron: None) -> Iterator[BrowserStage]:
    """Return what runs between Fanvue and the dashboard."""
    world = World(SimulatedClock())
    populate(world, agencies=1, models=0, transactions=0)
    with ExitStack() as opened:
        url = opened.enter_context(running(world)).url
        fanvue = opened.enter_context(SimulatorControl(url))
        fanvue.reset_knobs(rate_limit=NO_LIMIT, webhook_timeout_seconds=NO_LIMIT)
        secret = stack["FANVUE_WEBHOOK_SECRETS"].partition(",")[0]
        fanvue.set_webhook_target(f"{stack['SUPABASE_URL']}/functions/v1/fanvue-webhook", secret)
        database = opened.enter_context(psycopg.connect(stack["SUPABASE_DB_URL"], autocommit=True))
        forget(database)
        environment = {**stack, "FANVUE_API_URL": url, "FANVUE_AUTH_URL": url, **CLIENT}
        dashboard = Dashboard(*dashboard_place())
        opened.callback(dashboard.stop)
        dashboard.start(stack)
        engine = Engine(environment, fanvue, database)
        stage = BrowserStage(stack, engine, dashboard.url)
        opened.callback(stage.close)
        yield stage
        fanvue.drop_webhook_target()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Return the one browser of all tests."""
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def windows(stage: BrowserStage, chromium: Browser) -> Windows:
    """Return the windows in which tabs are opened."""
    return Windows(chromium, stage.dashboard)


@pytest.fixture
def open_page(windows: Windows) -> Iterator[Callable[..., Tab]]:
    """Return a way to open tabs that are nobody's; they close with the test."""
    with ExitStack() as tabs:

        def open_one(**look: Any) -> Tab:
            return tabs.enter_context(windows.open_tab(**look))

        yield open_one


@pytest.fixture
def own_window(stage: BrowserStage, chromium: Browser) -> Iterator[Tab]:
    """Return a tab whose window no other tab had or will have."""
    with open_tab(chromium, stage.dashboard) as tab:
        yield tab


@pytest.fixture
def tab(open_page: Callable[..., Tab]) -> Tab:
    """Return a tab of its own."""
    return open_page()
