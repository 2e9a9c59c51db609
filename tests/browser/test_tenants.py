"""Nobody sees another agency: not on the page, not with the plain client, not after leaving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.eavesdropper import Eavesdropper, let_token_end


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.stage import BrowserStage
    from tests.support.browser import Tab


pytestmark = pytest.mark.browser

CHANGING = ("fanvue_transactions", "sync_jobs", "sync_state")
READABLE = (*CHANGING, "model_overview", "sync_health", "earnings_daily", "sync_runs")
DAYS = "from=2026-01-01&to=2026-12-31"


def agencies_in(heard: list[dict[str, Any]]) -> set[str]:
    """Return whose rows were heard of. A deletion is told to all, by its number and no more."""
    rows = [one["body"] for one in heard if set(one["body"]) != {"id"}]
    return {row["agency_id"] for row in rows}


def test_pushes_and_changes_of_one_agency_never_reach_another(
    stage: BrowserStage, open_page: Callable[..., Tab]
) -> None:
    ours, theirs = stage.new_agency("Ours"), stage.new_agency("Theirs")
    our_creator, their_creator = stage.new_creator(ours), stage.new_creator(theirs)
    our_tab, their_tab = open_page(), open_page()
    our_tab.sign_in(*ours.owner.login)
    their_tab.sign_in(*theirs.owner.login)
    we, they = Eavesdropper(stage, our_tab), Eavesdropper(stage, their_tab)
    for who in (we, they):
        assert who.join("changes", tables=CHANGING) == "ok"
    refusal = they.join(ours.topic, private=True)

    (sale,) = stage.sell(our_creator, 4200)
    our_tab.wait_for_total("42.00")
    stage.drain()
    for table in CHANGING:
        we.wait_to_hear(table, "agency_id", ours.id)
    # Changes are told in the order of their commits: when this one came, ours had been told.
    stage.sell(their_creator, 300)
    they.wait_to_hear("fanvue_transactions", "agency_id", theirs.id)
    their_tab.wait_for_total("3.00")

    assert "permission" in refusal
    assert agencies_in(they.heard()) == {theirs.id}
    assert agencies_in(we.heard()) == {ours.id}
    assert their_tab.heard(ours.topic) == []
    expect(their_tab.row(sale.fanvue_id)).to_have_count(0)


def test_a_topic_that_is_private_cannot_be_joined_as_a_public_one(
    stage: BrowserStage, open_page: Callable[..., Tab]
) -> None:
    ours, theirs = stage.new_agency("Ours"), stage.new_agency("Theirs")
    creator = stage.new_creator(ours)
    our_tab, their_tab = open_page(), open_page()
    our_tab.sign_in(*ours.owner.login)
    their_tab.sign_in(*theirs.owner.login)
    they = Eavesdropper(stage, their_tab)
    they.join(ours.topic)

    stage.sell(creator, 500)

    our_tab.wait_for_total("5.00")
    assert they.join("a later answer") == "ok"
    assert they.heard() == []


def test_an_address_with_another_agencys_id_shows_ones_own(stage: BrowserStage, tab: Tab) -> None:
    ours, theirs = stage.new_agency("Ours"), stage.new_agency("Theirs")
    creator = stage.new_creator(ours, handle="secret_star")
    stage.sell(creator, 9900)
    stage.fanvue.flush_webhooks()

    tab.sign_in(*theirs.owner.login, query=f"?agency={ours.id}&connected={stage.model(creator)}")

    tab.wait_for_total("0.00")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(theirs.name)
    for word in (ours.name, "secret_star", "99.00"):
        assert word not in tab.page.content()


def test_the_api_answers_another_agencys_ids_with_nothing(stage: BrowserStage, tab: Tab) -> None:
    ours, theirs = stage.new_agency("Ours"), stage.new_agency("Theirs")
    creator = stage.new_creator(ours, 3)
    stage.drain()
    tab.sign_in(*theirs.owner.login)
    they = Eavesdropper(stage, tab)

    for table in READABLE:
        status, rows = they.ask(f"rest/v1/{table}?agency_id=eq.{ours.id}")
        assert (table, status, rows) == (table, 200, [])
    # Of models only some columns may be read at all.
    assert they.ask("rest/v1/models")[0] == 403
    assert they.ask(f"rest/v1/models?select=id&agency_id=eq.{ours.id}") == (200, [])
    asked = {"p_agency_id": ours.id, "p_from": "2026-01-01", "p_to": "2026-12-31"}
    assert they.ask(f"rest/v1/agencies?id=eq.{ours.id}") == (200, [])
    assert they.ask(f"functions/v1/dashboard-stats?agency_id={ours.id}&{DAYS}")[0] == 403
    assert they.ask("rest/v1/rpc/dashboard_stats", asked)[0] == 403
    assert they.ask(f"functions/v1/fanvue-connect/start?agency_id={ours.id}")[0] == 404
    order = {"p_model_id": stage.model(creator), "p_sync_type": "earnings"}
    assert they.ask("rest/v1/rpc/request_sync", order)[0] == 404


def test_who_left_an_agency_hears_nothing_more_after_the_next_token(
    stage: BrowserStage, open_page: Callable[..., Tab]
) -> None:
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    leaver = stage.sign_up()
    stage.add_member(agency.id, leaver)
    staying, leaving = open_page(), open_page()
    staying.sign_in(*agency.owner.login)
    leaving.sign_in(*leaver.login)
    stage.sell(creator, 1000)
    for tab in (staying, leaving):
        tab.wait_for_total("10.00")
    leaving.forget()
    stage.database.execute("delete from public.agency_members where user_id = %s", (leaver.id,))

    let_token_end(leaving)
    expect(leaving.part("connection", state="live")).to_have_count(0)
    (sale,) = stage.sell(creator, 2000)
    staying.wait_for_total("30.00")

    assert leaving.heard(agency.topic) == []
    expect(leaving.row(sale.fanvue_id)).to_have_count(0)
    assert "30.00" not in leaving.page.content()
    expect(leaving.part("failure").first).to_contain_text("Not a member of this agency")
