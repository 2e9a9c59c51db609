"""The system's Chromium, driven by Playwright: tabs that remember what they loaded and received.

Waits for what a page shows and never for time. Knows the dashboard's address and its test ids,
and nothing of the rows behind them.
"""

from __future__ import annotations

import json
import shutil
import uuid
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import httpx
from playwright.sync_api import expect, sync_playwright

from tests.support.waiting import PATIENCE_SECONDS, wait_until


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Error,
        Locator,
        Page,
        Response,
    )


PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--force-color-profile=srgb",
)
PATIENCE_MS: Final = PATIENCE_SECONDS * 1000
LOOK_AGAIN_MS: Final = 50
# Of a frame, and of what is in a binary one.
_BINARY: Final = 2
_BROADCAST: Final = 4
_JSON: Final = 1
_MARK: Final = """name => {
  const [mark] = performance.getEntriesByName(name, "mark");
  return mark === undefined ? null : performance.timeOrigin + mark.startTime;
}"""


class BrowserMissingError(Exception):
    """There is no Chromium on this machine."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can sign in."""

    id: str
    email: str
    password: str

    @property
    def login(self) -> tuple[str, str]:
        """What the form wants."""
        return self.email, self.password


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A push that a tab's socket received; `at` is milliseconds since the epoch."""

    at: float
    topic: str
    event: str
    payload: dict[str, Any]


def read_frame(at: float, data: bytes) -> Broadcast | None:
    """Read a binary frame; None if it is something else than a broadcast of JSON.

    Kind, the lengths of topic, event and metadata, the payload's encoding; then each of them.
    """
    kind, topic, event, metadata, encoding = data[:5]
    if (kind, encoding) != (_BROADCAST, _JSON):
        return None
    stream = BytesIO(data[5:])
    name = stream.read(topic).decode().removeprefix("realtime:")
    told = stream.read(event).decode()
    stream.read(metadata)
    return Broadcast(at, name, told, json.loads(stream.read()))


# Without slots: Playwright hangs something of its own on whoever listens to it.
@dataclass
class Tab:
    """One page of a browser of its own: no cookies, no storage, nobody signed in."""

    page: Page
    url: str
    pushes: list[Broadcast] = field(default_factory=list)
    joined: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    _clock: float | None = None
    _heartbeats: set[str] = field(default_factory=set)

    def watch(self) -> None:
        """Begin to remember what it receives and complains about."""
        page = self.page
        page.on("console", self._read_console)
        page.on("pageerror", self._read_error)
        page.on("response", self._read_answer)
        devtools = page.context.new_cdp_session(page)
        devtools.on("Network.webSocketWillSendHandshakeRequest", self._set_clock)
        devtools.on("Network.webSocketFrameSent", self._note_heartbeat)
        devtools.on("Network.webSocketFrameReceived", self._receive)
        devtools.send("Network.enable")

    def _read_console(self, said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"}:
            self.problems.append(f"{said.type}: {said.text}")

    def _read_error(self, error: Error) -> None:
        self.problems.append(str(error))

    def _read_answer(self, answer: Response) -> None:
        self.answers.append(answer)

    def _set_clock(self, event: dict[str, Any]) -> None:
        # Frames are dated by a clock of the browser's own; a handshake has both.
        self._clock = event["wallTime"] - event["timestamp"]
        self._heartbeats.clear()

    def _note_heartbeat(self, event: dict[str, Any]) -> None:
        frame = event["response"]
        if frame["opcode"] != _BINARY:
            _, ref, _, name, _ = json.loads(frame["payloadData"])
            if name == "heartbeat":
                self._heartbeats.add(ref)

    def _receive(self, event: dict[str, Any]) -> None:
        assert self._clock is not None
        frame = event["response"]
        if frame["opcode"] != _BINARY:
            self._read_reply(frame["payloadData"])
            return
        at = (event["timestamp"] + self._clock) * 1000
        if (push := read_frame(at, b64decode(frame["payloadData"]))) is not None:
            self.pushes.append(push)

    def _read_reply(self, text: str) -> None:
        _, ref, topic, event, payload = json.loads(text)
        if event != "phx_reply":
            return
        self._heartbeats.discard(ref)
        # Only the answer to a join has these.
        if "postgres_changes" in payload["response"]:
            self.joined.add(topic.removeprefix("realtime:"))
        if payload["status"] == "error":
            self.refusals.append(payload["response"]["reason"])

    def heard(self, topic: str) -> list[Broadcast]:
        """Return the pushes received of a topic."""
        return [push for push in self.pushes if push.topic == topic]

    # What people do ------------------------------------------------------------------------------

    def open(self, query: str = "") -> None:
        """Open the dashboard."""
        self.page.goto(f"{self.url}/{query}")

    def fill_in(self, email: str, password: str) -> None:
        """Fill the form in and send it."""
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def sign_in(self, email: str, password: str, query: str = "") -> None:
        """Open the dashboard and sign in; returns when pushes arrive."""
        self.open(query)
        self.fill_in(email, password)
        self.wait_until_live()

    # What people see -----------------------------------------------------------------------------

    def part(self, testid: str, **data: str) -> Locator:
        """Return the parts of the page with a test id and these data attributes."""
        wanted = "".join(f'[data-{name.replace("_", "-")}="{data[name]}"]' for name in data)
        return self.page.locator(f'[data-testid="{testid}"]{wanted}')

    def wait_until_live(self) -> None:
        """Wait until pushes arrive."""
        expect(self.part("connection", state="live")).to_be_visible()

    def wait_for_pushes(self, topic: str, count: int) -> None:
        """Wait until so many pushes of a topic were received."""
        self._look_until(lambda: len(self.heard(topic)) >= count, f"{count} pushes")

    def wait_until_joined(self, topic: str) -> None:
        """Wait until the server took the page's join of a topic."""
        self._look_until(lambda: topic in self.joined, f"the join of {topic}")

    def wait_until_answered(self) -> None:
        """Wait until no heartbeat is under way, which a leap of the clock would take for lost."""
        self._look_until(lambda: not self._heartbeats, "the answer to a heartbeat")

    def _look_until(self, condition: Callable[[], bool], what: str) -> None:
        # Playwright hears of frames while it waits for something.
        wait_until(condition, what, rest=lambda: self.page.wait_for_timeout(LOOK_AGAIN_MS))

    def wait_for_total(self, exact: str) -> None:
        """Wait until the total is this, to the cent."""
        self.wait_for_value("total", exact)

    def wait_for_value(self, testid: str, exact: str) -> None:
        """Wait until a figure is this."""
        expect(self.part(testid)).to_have_attribute("data-value", exact)

    def row(self, fanvue_id: str) -> Locator:
        """Return the feed's row of a sale."""
        return self.part("feed-row", fanvue_id=fanvue_id)

    def wait_for_row(self, fanvue_id: str, amount: str) -> None:
        """Wait until the feed shows a sale with this amount."""
        figure = self.row(fanvue_id).locator("[data-value]")
        expect(figure).to_have_attribute("data-value", amount)

    def feed(self) -> list[str]:
        """Return the sales in the feed, newest first."""
        rows = self.part("feed-row").all()
        return [str(row.get_attribute("data-fanvue-id")) for row in rows]

    def wait_until_shown(self, fanvue_id: str) -> float:
        """Wait until a sale is on screen; return since when, milliseconds since the epoch."""
        since = self.page.wait_for_function(_MARK, arg=f"sale:{fanvue_id}").json_value()
        return float(since)

    def leave(self) -> None:
        """Close it, and let its window forget whatever the page kept."""
        self.page.goto("about:blank")
        origin = {"origin": self.url, "storageTypes": "all"}
        self.page.context.new_cdp_session(self.page).send("Storage.clearDataForOrigin", origin)
        self.page.close()

    def forget(self) -> None:
        """Forget what was received and complained about so far."""
        self.pushes.clear()
        self.joined.clear()
        self.refusals.clear()
        self.problems.clear()
        self.answers.clear()


def sign_up(environment: Mapping[str, str]) -> User:
    """Make a user who belongs to no agency."""
    email, password = f"{uuid.uuid4().hex[:10]}@example.com", uuid.uuid4().hex
    answer = httpx.post(
        f"{environment['SUPABASE_URL']}/auth/v1/admin/users",
        headers={"apikey": environment["SUPABASE_SECRET_KEY"]},
        json={"email": email, "password": password, "email_confirm": True},
        timeout=PATIENCE_SECONDS,
    )
    return User(answer.raise_for_status().json()["id"], email, password)


def find_chromium() -> str:
    """Return the path of the system's Chromium."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise BrowserMissingError(f"none of {', '.join(PROGRAMS)} is here: run `make setup`")
    return found


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """Run a browser while the block runs."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--headless=new", *FLAGS]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_tab(browser: Browser, url: str, **look: Any) -> Iterator[Tab]:
    """Open a tab that is nobody's; `look` is the window's size, theme and the like."""
    context = _open_context(browser, look)
    try:
        tab = Tab(context.new_page(), url)
        tab.watch()
        yield tab
    finally:
        context.close()


class Windows:
    """Windows of one browser, used again by later tabs: scripts are fetched and compiled once.

    Nothing else of an earlier tab is left: no cookie, no storage, nobody signed in.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._free: dict[str, list[BrowserContext]] = {}

    @contextmanager
    def open_tab(self, **look: Any) -> Iterator[Tab]:
        """Open a tab as `open_tab` does, in a window of this look that is free; nothing moves."""
        look.setdefault("reduced_motion", "reduce")
        free = self._free.setdefault(json.dumps(look, sort_keys=True), [])
        context = free.pop() if free else _open_context(self._browser, look)
        tab = Tab(context.new_page(), self._url)
        tab.watch()
        yield tab
        tab.leave()
        free.append(context)


def _open_context(browser: Browser, look: Mapping[str, Any]) -> BrowserContext:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **look})
    context.set_default_timeout(PATIENCE_MS)
    return context
