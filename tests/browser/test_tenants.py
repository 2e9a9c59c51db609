"""Nobody sees another agency: not on the page, not with the plain client, not after leaving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.eavesdropper import Eavesdropper, hold_calls, let_token_end


if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.stage import Agency, BrowserStage
    from tests.support.browser import Tab, User


pytestmark = pytest.mark.browser

CHANGING = ("fanvue_transactions", "sync_jobs", "sync_state")
READABLE = ("fanvue_transactions", "model_overview", "sync_health", "earnings_daily")
IN_PART = ("models", "sync_jobs", "sync_state", "sync_runs")
DAYS = "from=2026-01-01&to=2026-12-31"
# Longer than any wait of the page before it tries again.
MINUTES_MS = 150_000
LOOK_AGAIN = """() => {
  document.dispatchEvent(new Event("visibilitychange"));
  window.dispatchEvent(new Event("online"));
}"""


def agencies_in(heard: list[dict[str, Any]]) -> set[str]:
    """Return whose rows were heard of."""
    return {one["body"]["agency_id"] for one in heard}


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
    # The topic is private: under the same name there is a public one, where nothing is told.
    they.join(ours.topic)

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
    # After the join that was answered last, whatever was told before has been heard.
    assert they.join("a later answer") == "ok"
    assert agencies_in(they.heard()) == {theirs.id}
    assert [one for one in they.heard() if one["topic"] == ours.topic] == []
    assert agencies_in(we.heard()) == {ours.id}
    assert their_tab.heard(ours.topic) == []
    expect(their_tab.row(sale.fanvue_id)).to_have_count(0)


def test_another_agencys_ids_show_ones_own_page_and_are_answered_with_nothing(
    stage: BrowserStage, tab: Tab
) -> None:
    ours, theirs = stage.new_agency("Ours"), stage.new_agency("Theirs")
    creator = stage.new_creator(ours, 3, handle="secret_star")
    stage.drain()
    stage.sell(creator, 9900)

    tab.sign_in(*theirs.owner.login, query=f"?agency={ours.id}&connected={stage.model(creator)}")

    tab.wait_for_total("0.00")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(theirs.name)
    for word in (ours.name, "secret_star", "99.00"):
        assert word not in tab.page.content()
    they = Eavesdropper(stage, tab)

    for table in READABLE:
        status, rows = they.ask(f"rest/v1/{table}?agency_id=eq.{ours.id}")
        assert (table, status, rows) == (table, 200, [])
    # Of these only some columns may be read at all.
    for table in IN_PART:
        assert they.ask(f"rest/v1/{table}")[0] == 403
        assert they.ask(f"rest/v1/{table}?select=id&agency_id=eq.{ours.id}") == (200, [])
    asked = {"p_agency_id": ours.id, "p_from": "2026-01-01", "p_to": "2026-12-31"}
    assert they.ask(f"rest/v1/agencies?id=eq.{ours.id}") == (200, [])
    assert they.ask(f"functions/v1/dashboard-stats?agency_id={ours.id}&{DAYS}")[0] == 403
    assert they.ask("rest/v1/rpc/dashboard_stats", asked)[0] == 403
    assert they.ask(f"functions/v1/fanvue-connect/start?agency_id={ours.id}")[0] == 404
    order = {"p_model_id": stage.model(creator), "p_sync_type": "earnings"}
    assert they.ask("rest/v1/rpc/request_sync", order)[0] == 404


def remove_member(stage: BrowserStage, agency: Agency, user: User) -> None:
    """Take a user out of an agency."""
    stage.database.execute(
        "delete from public.agency_members where agency_id = %s and user_id = %s",
        (agency.id, user.id),
    )


def assert_shows_nothing_of_it(tab: Tab, *words: str) -> None:
    """No figure, no feed, no health and no connection is in the page, nor any of these words."""
    for part in ("total", "figures", "feed", "feed-row", "creator", "health-row", "connection"):
        expect(tab.part(part)).to_have_count(0)
    for word in words:
        assert word not in tab.page.content()


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
    creator_name = f"New creator {creator[:8]}"
    expect(leaving.part("creator")).to_contain_text(creator_name)
    # A reading that was under way may have shown the sale before the push came.
    leaving.wait_for_pushes(agency.topic, 1)
    leaving.forget()
    remove_member(stage, agency, leaver)

    let_token_end(leaving)
    gone = leaving.part("no-longer-member")
    expect(gone).to_contain_text(f"You are no longer a member of {agency.name}.")
    expect(gone).to_contain_text("Ask an owner of the agency to invite you.")
    (sale,) = stage.sell(creator, 2000)
    staying.wait_for_total("30.00")

    assert leaving.heard(agency.topic) == []
    expect(leaving.row(sale.fanvue_id)).to_have_count(0)
    assert_shows_nothing_of_it(leaving, creator_name, "10.00", "30.00", "next sale")


def keep_joins(asked: list[str]) -> Callable[[str | bytes], None]:
    """Return what notes the frames that ask for a channel."""

    def keep(frame: str | bytes) -> None:
        if isinstance(frame, str) and "phx_join" in frame:
            asked.append(frame)

    return keep


def is_refusal(frame: str | bytes) -> bool:
    """Whether a frame refuses a join."""
    return isinstance(frame, str) and '"phx_reply"' in frame and '"error"' in frame


def test_who_left_an_agency_asks_for_it_no_more_until_let_in_again(
    stage: BrowserStage, own_window: Tab
) -> None:
    tab = own_window
    agency = stage.new_agency()
    creator = stage.new_creator(agency)
    leaver = stage.sign_up()
    stage.add_member(agency.id, leaver)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.on("websocket", lambda socket: socket.on("framesent", keep_joins(asked)))
    tab.page.clock.install()
    with tab.page.expect_websocket() as opened:
        tab.sign_in(*leaver.login)
    stage.sell(creator, 1000)
    tab.wait_for_total("10.00")
    remove_member(stage, agency, leaver)
    # The channel ends, so the page asks for its agencies; meanwhile its next join is refused.
    with (
        hold_calls(tab, "**/rest/v1/agencies?*"),
        opened.value.expect_event("framereceived", is_refusal),
    ):
        let_token_end(tab)
    expect(tab.part("no-longer-member")).to_be_visible()

    assert any(agency.topic in one for one in asked)
    asked.clear()
    tab.page.clock.run_for(MINUTES_MS)
    tab.page.evaluate(LOOK_AGAIN)

    assert [one for one in asked if "/auth/" not in one] == []
    stage.add_member(agency.id, leaver)
    tab.page.reload()
    tab.wait_until_live()
    stage.sell(creator, 2000)
    tab.wait_for_total("30.00")
    expect(tab.part("no-longer-member")).to_have_count(0)


def test_who_left_one_agency_goes_on_with_another(stage: BrowserStage, tab: Tab) -> None:
    left, kept = stage.new_agency("Left"), stage.new_agency("Kept")
    creator, other = stage.new_creator(left), stage.new_creator(kept)
    leaver = stage.sign_up()
    for agency in (left, kept):
        stage.add_member(agency.id, leaver)
    stage.sell(other, 700)
    tab.sign_in(*leaver.login, query=f"?agency={left.id}")
    stage.sell(creator, 1000)
    tab.wait_for_total("10.00")
    remove_member(stage, left, leaver)

    # The token is still good, so the push arrives; the figures that it asks for are refused.
    stage.sell(creator, 2000)

    gone = tab.part("no-longer-member")
    expect(gone).to_contain_text(f"You are no longer a member of {left.name}.")
    assert_shows_nothing_of_it(tab, creator[:8], "10.00", "30.00")
    gone.get_by_role("button").click()
    tab.wait_until_live()
    tab.wait_for_total("7.00")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(kept.name)
    assert left.name not in tab.page.content()
