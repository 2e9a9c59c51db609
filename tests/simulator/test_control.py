"""The control API through its typed client, over a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from simulator.client import SimulatorControl
from simulator.server import running
from tests.simulator.press import NOON


if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from simulator.clock import SimulatedClock
    from simulator.people import Creator
    from simulator.world import World


EARNINGS = "/v1/insights/earnings"


@pytest.fixture
def control(world: World, clock: SimulatedClock) -> Iterator[SimulatorControl]:
    with running(world, clock) as sim, SimulatorControl(sim.url) as control:
        yield control


@pytest.fixture
def name(creator: Creator) -> str:
    return creator.handle


def get(control: SimulatorControl, token: str, path: str = EARNINGS) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "X-Fanvue-API-Version": "2025-06-26"}
    return control._http.get(control.url + path, headers=headers)


def test_sales_change_the_books_by_exactly_what_was_added(
    control: SimulatorControl, name: str
) -> None:
    added = control.add_sales(name, 40)
    described = control.add_sales(name, rows=[{"source": "tip", "gross_cents": 700, "copies": 2}])

    books = control.books(name)

    assert (added["count"], described["count"]) == (40, 2)
    assert books.count == 42
    assert books.gross_cents == added["gross_cents"] + 1400
    assert books.by_day["2026-11-22"].count >= 2
    everything = control.all_books()
    assert everything["gross_cents"] == books.gross_cents


def test_books_can_stop_at_an_instant(control: SimulatorControl, name: str) -> None:
    control.add_sales(name, rows=[{"source": "tip", "gross_cents": 700}])

    assert control.books(name, upto_ms=int(NOON.timestamp() * 1000)).count == 0


def test_reversals_and_status_flips_are_reported(control: SimulatorControl, name: str) -> None:
    control.add_sales(name, rows=[{"source": "tip", "gross_cents": 700, "copies": 3}])

    back = control.add_reversals(name, 2, kind="chargeback")
    flipped = control.flip_statuses(name, count=1)

    assert (back["count"], back["gross_cents"]) == (2, -1400)
    assert flipped["count"] == 1
    assert control.books(name).gross_cents == 700


def test_new_creators_have_exactly_the_transactions_asked_for(control: SimulatorControl) -> None:
    (made,) = control.add_creators(transactions=333, handle="zora", agency="New Agency")

    world = control.world()

    listed = {c["handle"]: c for a in world["agencies"] for c in a["creators"]}
    assert listed["zora"]["transactions"] == 333
    assert listed["zora"]["uuid"] == made["uuid"]
    assert "New Agency" in [agency["name"] for agency in world["agencies"]]


def test_ties_and_late_rows_can_be_ordered(control: SimulatorControl, name: str) -> None:
    tied = control.add_sales(name, 60, ties={"page_size": 50, "borders": [1], "width": 4})
    late = control.add_sales(name, 3, visible_at="2026-11-23T00:00:00Z")

    assert len({row["date"] for row in tied["rows"]}) == 57
    assert late["count"] == 3
    assert control.books(name).count == 60
    control.advance(86_400)
    assert control.books(name).count == 63


def test_grants_open_the_api_until_they_are_expired_or_killed(
    control: SimulatorControl, name: str, creator: Creator
) -> None:
    grant = control.grant(name, expires_in=100)
    assert grant.creator_uuid == creator.uuid
    assert grant.expires_in == 99
    assert get(control, grant.access_token).status_code == 200

    assert control.expire_tokens(name) == 1
    assert get(control, grant.access_token).status_code == 401
    assert control.kill_chain(name) == 1
    form = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
    auth = ("simulator-client", "simulator-secret")
    dead = control._http.post(f"{control.url}/oauth2/token", data=form, auth=auth)
    assert dead.json()["error"] == "invalid_grant"


def test_agency_grant_reaches_its_creators(
    control: SimulatorControl, world: World, creator: Creator
) -> None:
    grant = control.agency_grant(world.agencies[0].name)

    path = f"/creators/{creator.uuid}/insights/earnings"
    assert get(control, grant.access_token, path).status_code == 200


def test_grant_may_lack_scopes(control: SimulatorControl, name: str) -> None:
    grant = control.grant(name, scopes=["read:self"])

    assert grant.refresh_token is None
    assert get(control, grant.access_token).status_code == 403


def test_registered_client_can_refresh(control: SimulatorControl, name: str) -> None:
    control.add_client("other", "secret")
    grant = control.grant(name, client_id="other")
    form = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}

    answer = control._http.post(f"{control.url}/oauth2/token", data=form, auth=("other", "secret"))

    assert answer.status_code == 200


def test_knobs_turn_for_all_or_for_one_creator(control: SimulatorControl, name: str) -> None:
    control.turn(rate_limit=50)
    control.turn(name, ties="skip")

    assert control.knobs()["ties"] == "exact"
    assert control.knobs(name)["ties"] == "skip"
    assert control.knobs(name)["rate_limit"] == 50
    assert control.reset_knobs()["rate_limit"] == 100
    with pytest.raises(RuntimeError, match="no_such_knob"):
        control.turn(no_such_knob=1)


def test_clock_moves_and_freezes(control: SimulatorControl) -> None:
    assert control.clock()["now"] == "2026-11-22T12:00:00.000Z"
    assert control.advance(1.5)["now"] == "2026-11-22T12:00:01.500Z"
    assert control.set_clock(NOON)["now"] == "2026-11-22T12:00:00.000Z"
    assert control.freeze(frozen=False)["frozen"] is False
    assert control.freeze()["frozen"] is True


def test_request_log_can_be_filtered_and_cleared(control: SimulatorControl, name: str) -> None:
    token = control.grant(name).access_token
    get(control, token)
    get(control, token, "/chats")

    (entry,) = control.requests(path="/chats", creator=name)
    assert (entry["method"], entry["status"]) == ("GET", 200)
    assert control.requests(since=entry["n"]) == []
    assert len(control.requests(limit=1)) == 1
    control.clear_requests()
    assert control.requests() == []


def test_stats_show_how_much_of_each_bucket_was_used(
    control: SimulatorControl, name: str, creator: Creator
) -> None:
    control.turn(rate_limit=3)
    token = control.grant(name).access_token
    for _ in range(4):
        get(control, token)
    control.advance(61)
    get(control, token)

    stats = control.stats()

    bucket = stats["buckets"][f"simulator-client:{creator.uuid}"]
    assert bucket["max_used"] == 3
    assert [(w["used"], w["refused"], w["limit"]) for w in bucket["windows"]] == [
        (3, 1, 3),
        (1, 0, 3),
    ]
    assert stats["creators"][creator.uuid]["calls"] == 5
    assert stats["total"]["throttled"] == 1
    control.clear_stats()
    assert control.stats()["total"]["calls"] == 0


def test_faults_are_listed_with_their_hits(control: SimulatorControl, name: str) -> None:
    control.add_fault("status", "/insights", creator=name, next_n=1)
    get(control, control.grant(name).access_token)

    (fault,) = control.faults()

    assert (fault["kind"], fault["hits"]) == ("status", 1)
    control.clear_faults()
    assert control.faults() == []


def test_fault_may_be_named_by_its_status_alone(control: SimulatorControl, name: str) -> None:
    control.add_fault("410")

    assert get(control, control.grant(name).access_token).status_code == 410


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("sales", {"creator": "nobody", "count": 1}, 404),
        ("sales", {"count": 1}, 422),
        ("sales", {"creator": "nova-1", "rows": [{"fan_uuid": "nobody"}]}, 404),
        ("faults", {"kind": "nonsense"}, 422),
        ("faults", {"kind": "status", "match": {"path": "("}}, 422),
        ("grants", {}, 422),
        ("creators", {"count": 2, "handle": "twice"}, 422),
    ],
)
def test_wrong_orders_are_refused_with_a_reason(
    control: SimulatorControl, path: str, body: dict[str, Any], status: int
) -> None:
    response = control._http.post(f"{control.url}/_sim/{path}", json=body)

    assert response.status_code == status
    assert response.json()["error"]


def test_people_and_content_can_be_added_and_seen(
    control: SimulatorControl, name: str, creator: Creator
) -> None:
    token = control.grant(name).access_token
    control.add_fans(name, followers=2, subscribers=3)
    control.add_posts(name, 2, price=500)
    (message,) = control.add_messages(name, text="new")["messages"]
    control.cancel_subscriptions(name, 1)

    chat = get(control, token, "/chats").json()["data"][0]
    assert (chat["user"]["uuid"], chat["lastMessage"]["text"]) == (message["fan_uuid"], "new")
    assert chat["isRead"] is False
    posts = get(control, token, "/posts").json()["data"]
    assert [post["price"] for post in posts[:2]] == [500, 500]
    (today, *_) = get(control, token, "/insights/subscribers").json()["data"]
    assert (today["newSubscribersCount"], today["cancelledSubscribersCount"]) == (3, 1)
    assert len(creator.fans) == 17
