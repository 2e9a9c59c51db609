"""The health of syncs on screen: a creator to connect again, a sync that somebody asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect
from psycopg.types.json import Jsonb


if TYPE_CHECKING:
    from tests.browser.stage import BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser

# A worker that is as slow as the test: it claims the job, and gives it back when told to.
CLAIM = "select public.claim_model_job('a slow worker', %s, 'earnings')"
GIVE_BACK = """
select public.settle_sync_jobs('a slow worker', jsonb_agg(jsonb_build_object(
  'id', id, 'lease_id', lease_id, 'outcome', 'snooze', 'retry_in_s', 0)))
from public.sync_jobs where model_id = %s and state = 'running'
"""
CROWD = """
insert into public.models (agency_id, fanvue_user_uuid, handle, fanvue_refresh_token)
select %s, gen_random_uuid()::text, 'c' || n, 'refresh' from generate_series(1, 300) n
"""
STREAMS_OF_ALL = """
insert into public.sync_state (model_id, agency_id, sync_type)
select m.id, m.agency_id, s.sync_type from public.models m cross join private.sync_streams s
where m.agency_id = %s
on conflict do nothing
"""
# As the function reports what it refuses.
MISSED = (
    "insert into private.announced_models as a (model_id, since, unannounced, unannounced_since)"
    " values (%s, now() - interval '1 day', 1, now() - interval '12 minutes')"
    " on conflict (model_id) do update"
    " set unannounced = excluded.unannounced, unannounced_since = excluded.unannounced_since"
)
REFUSED = """
insert into private.webhook_refusals (minute, wrong_signature, last_at)
select x.at, 100, x.at from (select now() - make_interval(mins => %s) as at) x
"""
# However long the test took, its minute is not over.
ASKED_LATER = """
update public.sync_state set requested_at = requested_at + interval '1 hour'
where model_id = %s and sync_type = 'earnings'
"""


def test_a_creator_who_must_connect_again_gets_a_banner_until_they_have(
    stage: BrowserStage, tab: Tab
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency, 2, handle=f"stella{agency.id[:6]}")
    stage.drain()
    model_id = stage.model(creator)
    tab.sign_in(*agency.owner.login)
    banner = tab.part("reconnect-prompt", model_id=model_id)
    expect(tab.part("health-row", sync_type="earnings", health="fresh")).to_be_visible()
    expect(banner).to_have_count(0)

    set_status(stage, model_id, "reauth_required")

    expect(banner).to_contain_text("must be connected again")
    words = "the creator must connect again"
    expect(tab.part("health-row", sync_type="earnings", health=words)).to_be_visible()
    expect(tab.part("sync-now", sync_type="earnings")).to_be_disabled()

    set_status(stage, model_id, "active")
    expect(banner).to_have_count(0)
    expect(tab.part("sync-now", sync_type="earnings")).to_be_enabled()

    set_status(stage, model_id, "reauth_required")
    reconnect = banner.get_by_role("button", name="Reconnect")
    fanvue = stage.environment["FANVUE_AUTH_URL"]
    tab.page.route(f"{fanvue}/**", lambda route: route.fulfill(body="Fanvue asks the creator"))
    with tab.page.expect_response("**/fanvue-connect/start?**") as started:
        reconnect.click()
    expect(tab.page).to_have_url(re.compile(f"^{re.escape(fanvue)}/"))
    asked = parse_qs(urlsplit(started.value.url).query)
    assert (asked["agency_id"], asked["model_id"]) == ([agency.id], [model_id])


def test_a_page_does_not_say_live_while_announcements_are_refused(
    stage: BrowserStage, tab: Tab
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    tab.sign_in(*agency.owner.login)
    expect(tab.part("connection", state="live")).to_have_text("Live")

    # The first is before the sale that was missed; the others stay recent, however long this takes.
    for minutes in (14, 5, 0):
        stage.database.execute(REFUSED, (minutes,))
    # They may be anybody's, until a sale of the agency's own was not announced since.
    stage.database.execute(MISSED, (stage.model(creator),))
    tab.page.reload()
    late = tab.part("connection", state="late")
    expect(late).to_contain_text("Fanvue's announcements are refused")

    # one that arrives is the agency's own proof
    stage.sell(creator, 500)
    tab.wait_for_total("5.00")
    stage.database.execute("delete from private.webhook_refusals")
    tab.page.reload()
    expect(tab.part("connection", state="live")).to_have_text("Live")
    assert tab.problems == []


def test_a_sync_that_is_asked_for_is_queued_runs_and_is_fresh(
    stage: BrowserStage, tab: Tab
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency, 30)
    stage.drain()
    tab.sign_in(*agency.owner.login)
    earnings = tab.part("health-row", sync_type="earnings")
    button = tab.part("sync-now", sync_type="earnings")
    expect(earnings).to_have_attribute("data-health", "fresh")

    button.click()
    expect(button).to_have_text("Queued")
    expect(button).to_be_disabled()
    model_id = stage.model(creator)
    stage.database.execute(CLAIM, (model_id,))
    expect(tab.part("health-row", sync_type="earnings", job_state="running")).to_be_visible()
    expect(button).to_have_text("Syncing")
    stage.database.execute(GIVE_BACK, (model_id,))
    stage.drain()
    expect(tab.part("health-row", sync_type="earnings", health="fresh")).to_be_visible()
    expect(button).to_have_text("Sync now")
    stage.database.execute(ASKED_LATER, (model_id,))
    button.click()

    refusal = earnings.get_by_test_id("sync-refusal")
    expect(refusal).to_contain_text("This stream was asked for less than a minute ago.")
    expect(refusal).to_contain_text("Try again in")


def test_of_300_creators_the_failing_one_is_shown(stage: BrowserStage, tab: Tab) -> None:
    agency = stage.new_agency()
    stage.database.execute(CROWD, (agency.id,))
    stage.database.execute(STREAMS_OF_ALL, (agency.id,))
    # The last in the order in which pages are read, on the third of them.
    failing = stage.one(
        "update public.sync_state set consecutive_failures = 3, last_success_at = now()"
        " where sync_type = 'top_fans' and model_id = (select max(id::text)::uuid"
        " from public.models where agency_id = %s) returning model_id::text",
        agency.id,
    )

    try:
        tab.sign_in(*agency.owner.login)

        shown = tab.part("health-row", model_id=failing, sync_type="top_fans")
        expect(shown).to_have_attribute("data-health", "failing")
        rows = tab.part("health-row").evaluate_all("rows => rows.map(row => row.dataset.modelId)")
        assert (len(rows), len(set(rows))) == (300 * 8, 300)
    finally:
        stage.database.execute("delete from public.models where agency_id = %s", (agency.id,))


def test_an_error_is_told_without_what_it_quotes(stage: BrowserStage, tab: Tab) -> None:
    agency = stage.new_agency()
    model_id = stage.model(stage.new_creator(agency))
    stage.database.execute(
        "insert into public.sync_state (model_id, agency_id, sync_type, last_error)"
        " values (%s, %s, 'earnings', %s) on conflict (model_id, sync_type)"
        " do update set last_error = excluded.last_error",
        (
            model_id,
            agency.id,
            Jsonb({"kind": "bug", "message": "KeyError: 'ory_ac_made-up'", "trace": "Traceback"}),
        ),
    )

    tab.sign_in(*agency.owner.login)

    row = tab.part("health-row", model_id=model_id, sync_type="earnings")
    expect(row.get_by_test_id("last-error")).to_have_text(
        "Something in this service went wrong. Tell whoever runs this service."
    )


def set_status(stage: BrowserStage, model_id: str, status: str) -> None:
    """Let a creator's access end, or be granted again."""
    stage.database.execute("update public.models set status = %s where id = %s", (status, model_id))
