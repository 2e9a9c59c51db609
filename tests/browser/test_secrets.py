"""No secret is ever in the browser: not in a page, a script, an answer, a push or the storage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from worker.jobs.grants import ACCESS_COLUMN, REFRESH_COLUMN
from worker.sealing import Keyring


if TYPE_CHECKING:
    from tests.browser.stage import BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser

SECRET_SETTINGS = {
    "SUPABASE_SECRET_KEY",
    "SUPABASE_JWT_SECRET",
    "SUPABASE_SIGNING_KEY",
    "SUPABASE_DB_URL",
    "UPSTASH_REDIS_REST_URL",
    "UPSTASH_REDIS_REST_TOKEN",
    "FANVUE_CLIENT_SECRET",
    "FANVUE_WEBHOOK_SECRETS",
    "TOKEN_ENCRYPTION_KEYS",
}
NO_BODY = (204, 304)
STORAGE = "() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])"


def secrets_of(stage: BrowserStage, model_id: str) -> dict[str, str]:
    """Return every secret by name: settings, their parts, and stored tokens, sealed and open."""
    found = {}
    for name in SECRET_SETTINGS & stage.environment.keys():
        for number, part in enumerate(stage.environment[name].split(",")):
            found[f"{name} {number}"] = part
            if not name.endswith("_URL"):
                found[f"{name} {number}, its last part"] = part.rpartition(":")[2]
    keyring = Keyring(stage.engine.settings().sealing.keys)
    for column in (ACCESS_COLUMN, REFRESH_COLUMN):
        sealed = stage.one(f"select {column} from public.models where id = %s", model_id)  # noqa: S608 - a name of our own
        found[f"{column}, sealed"] = sealed
        found[column] = keyring.open(sealed, model_id, column).value
    return found


def test_nothing_that_reaches_the_browser_holds_a_secret(
    stage: BrowserStage, own_window: Tab
) -> None:
    tab = own_window
    agency = stage.new_agency()
    creator = stage.new_creator(agency, 20)
    stage.drain()
    secrets = secrets_of(stage, stage.model(creator))
    tab.sign_in(*agency.owner.login, query="?period=90d")
    tab.wait_for_total(stage.gross(agency))
    tab.part("sync-now", sync_type="earnings").click()
    stage.sell(creator, 100)
    expect(tab.part("feed-row")).to_have_count(21)
    stage.drain()
    tab.wait_for_total(stage.gross(agency))
    expect(tab.part("sync-now", sync_type="earnings")).to_have_text("Sync now")

    received = {
        f"{number}: {answer.url}": answer.text() + json.dumps(answer.all_headers())
        for number, answer in enumerate(tab.answers)
        if answer.request.method != "OPTIONS" and answer.status not in NO_BODY
    }
    received["the page"] = tab.page.content()
    received["the storage"] = tab.page.evaluate(STORAGE)
    received["the pushes"] = json.dumps([push.payload for push in tab.pushes])

    assert len(received) > 20
    pages = [answer for answer in tab.answers if answer.request.resource_type == "document"]
    told = {answer.headers.get("strict-transport-security") for answer in pages}
    assert told == {"max-age=31536000"}
    assert stage.environment["SUPABASE_PUBLISHABLE_KEY"] in "".join(received.values())
    for where, text in received.items():
        for name, secret in secrets.items():
            for form in (secret, quote(secret, safe="")):
                assert form not in text, f"{name} is in {where}"
