"""Pictures of the dashboard at work, large and small, light and dark.

Every run keeps them in .local/test; `--update-screenshots` also writes them into docs/images.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
from playwright.sync_api import expect

from tests.browser.showroom import CREATORS, open_showroom
from tests.support.postgres import PROJECT


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.browser.stage import Agency, BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser

IMAGES = PROJECT / "docs" / "images"
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
SCREENS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1440, "height": 900}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "device_scale_factor": 2,
    },
}
# An empty page of this size is much smaller; a larger file is not for a README.
SMALLEST_BYTES = 30_000
LARGEST_BYTES = 400_000


@pytest.fixture(scope="module")
def agency(stage: BrowserStage) -> Iterator[Agency]:
    """Return an agency at work."""
    with open_showroom(stage) as agency:
        yield agency


@pytest.fixture
def keep(stage: BrowserStage, request: pytest.FixtureRequest) -> Callable[[Tab, str], Path]:
    """Return a way to take a picture; it is also put into docs/images if asked for."""
    kept = PROJECT / ".local" / "test" / "screenshots"
    kept.mkdir(exist_ok=True)
    is_wanted = request.config.getoption("--update-screenshots", default=False)

    def take(tab: Tab, name: str) -> Path:
        picture = kept / name
        # Where the pointer points at nothing.
        tab.page.mouse.move(0, 0)
        tab.page.screenshot(path=picture, animations="disabled")
        if is_wanted:
            IMAGES.mkdir(exist_ok=True)
            shutil.copy(picture, IMAGES / name)
        return picture

    return take


@pytest.mark.parametrize("screen", SCREENS)
def test_the_dashboard_at_work_is_worth_a_picture(
    agency: Agency,
    open_page: Callable[..., Tab],
    keep: Callable[[Tab, str], Path],
    screen: str,
) -> None:
    tab = open_page(**SCREENS[screen])

    tab.sign_in(*agency.owner.login)
    expect(tab.part("creator")).to_have_count(len(CREATORS) + 1)
    expect(tab.part("reconnect-prompt")).to_be_visible()
    expect(tab.part("chart").locator("svg.recharts-surface").first).to_be_visible()
    expect(tab.part("progress").first).to_be_attached()
    for theme in THEMES:
        tab.page.emulate_media(color_scheme=theme)
        expect(tab.page.locator("html")).to_have_attribute("data-theme", theme)
        picture = keep(tab, f"dashboard-{screen}-{theme}.png")
        assert SMALLEST_BYTES < picture.stat().st_size < LARGEST_BYTES
    assert tab.problems == []
