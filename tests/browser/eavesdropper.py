"""Somebody at the developer tools of a page: the plain client, the page's own token, any topic.

Runs in the page, so from the page's origin and under its policy. Keeps whatever it hears.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tests.support.browser import PATIENCE_MS
from tests.support.postgres import PROJECT


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Route

    from tests.browser.stage import BrowserStage
    from tests.support.browser import Tab


CLIENT: Final = PROJECT / "node_modules/@supabase/supabase-js/dist/umd/supabase.js"
# The session is what has a token, whatever name it is kept under.
_TOKEN: Final = """() => Object.values(localStorage).map(kept => {
  try { return JSON.parse(kept)?.access_token; } catch { return undefined; }
}).find(token => token !== undefined)"""
# A token of the same second would be the same token.
_SECOND_OVER: Final = """token =>
  Date.now() >= (JSON.parse(atob(token.split(".")[1])).iat + 1) * 1000"""
_ENDING: Final = """changes => {
  for (const [name, kept] of Object.entries(localStorage)) {
    let session;
    try { session = JSON.parse(kept); } catch { continue; }
    if (session?.access_token === undefined) continue;
    const ending = { ...session, expires_at: Date.now() / 1000 + 5, ...changes };
    localStorage.setItem(name, JSON.stringify(ending));
  }
  document.dispatchEvent(new Event("visibilitychange"));
}"""
_BEGIN: Final = """([url, key, token, timeout]) => {
  const realtime = { timeout };
  const client = supabase.createClient(url, key, { accessToken: async () => token, realtime });
  window.eavesdropper = { client, heard: [] };
}"""
_JOIN: Final = """async ([topic, isPrivate, tables]) => {
  const { client, heard } = window.eavesdropper;
  await client.realtime.setAuth();
  const channel = client.channel(topic, { config: { private: isPrivate } });
  const hear = (kind, body) => heard.push({ topic, kind, body });
  channel.on("broadcast", { event: "*" }, told => hear(told.event, told.payload));
  for (const table of tables) {
    const filter = { event: "*", schema: "public", table };
    channel.on("postgres_changes", filter, change => hear(table, { ...change.old, ...change.new }));
  }
  const answer = await new Promise(resolve => {
    // Changes flow once the server says so, a moment after the join.
    channel.on("system", {}, said => said.extension === "postgres_changes" && resolve(said.status));
    channel.subscribe((status, error) => {
      if (status !== "SUBSCRIBED") resolve(error?.message ?? status);
      else if (tables.length === 0) resolve("ok");
    });
  });
  if (answer !== "ok") await client.removeChannel(channel);
  return answer;
}"""
_ASK: Final = """async ([method, address, key, token, body]) => {
  const headers = { apikey: key, authorization: `Bearer ${token}`, accept: "application/json" };
  if (body !== null) headers["content-type"] = "application/json";
  const options = { method, headers, body: body === null ? undefined : JSON.stringify(body) };
  const answer = await fetch(address, options);
  return [answer.status, await answer.json()];
}"""
_HAS_HEARD: Final = """([kind, name, value]) =>
  window.eavesdropper.heard.some(({ kind: k, body }) => k === kind && body[name] === value)"""


class Eavesdropper:
    """The developer tools of one signed-in tab."""

    def __init__(self, stage: BrowserStage, tab: Tab) -> None:
        self._page = tab.page
        self._url = stage.environment["SUPABASE_URL"]
        self._key = stage.environment["SUPABASE_PUBLISHABLE_KEY"]
        self._token = self._page.evaluate(_TOKEN)
        self._page.evaluate(CLIENT.read_text(encoding="utf-8"))
        # No join is given up because a machine is slow.
        self._page.evaluate(_BEGIN, [self._url, self._key, self._token, PATIENCE_MS])

    def join(self, topic: str, *, private: bool = False, tables: Sequence[str] = ()) -> str:
        """Join a topic, with changes of these tables; return "ok" or why not."""
        return str(self._page.evaluate(_JOIN, [topic, private, list(tables)]))

    def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Ask the API with the page's token; return the status and the JSON."""
        method = "GET" if body is None else "POST"
        address = f"{self._url}/{path}"
        status, answer = self._page.evaluate(_ASK, [method, address, self._key, self._token, body])
        return int(status), answer

    def wait_to_hear(self, kind: str, name: str, value: str) -> None:
        """Wait until something of a kind was heard in which `name` is `value`."""
        self._page.wait_for_function(_HAS_HEARD, arg=[kind, name, value])

    def heard(self) -> list[dict[str, Any]]:
        """Return all that was heard: topic, kind and body."""
        found: list[dict[str, Any]] = self._page.evaluate("() => window.eavesdropper.heard")
        return found


def let_token_end(tab: Tab, **changes: Any) -> None:
    """Let the page find what a laptop finds that wakes up: a token that is about to end.

    `changes` are made to the session besides.
    """
    tab.page.wait_for_function(_SECOND_OVER, arg=tab.page.evaluate(_TOKEN))
    with tab.page.expect_response("**/auth/v1/token?grant_type=refresh_token"):
        tab.page.evaluate(_ENDING, changes)


@contextmanager
def hold_calls(tab: Tab, calls: str) -> Iterator[None]:
    """Let these calls go out at the end of the block only."""
    held: list[Route] = []
    is_over = False

    def hold(route: Route) -> None:
        # One may come between the last that goes on and the end of the interception.
        if is_over:
            route.continue_()
        else:
            held.append(route)

    tab.page.route(calls, hold)
    yield
    is_over = True
    for route in held:
        route.continue_()
    tab.page.unroute(calls)
